-- +goose Up
-- The creates of the last hour whose makers confirm that the answer arrived. A row says
-- who made the object of a name, and what else a later create has to find unchanged to be
-- answered with it.
CREATE TABLE creations (
    resource   TEXT COLLATE "C" PRIMARY KEY,
    request_id TEXT COLLATE "C" NOT NULL,
    principal  TEXT COLLATE "C" NOT NULL,
    object     TEXT COLLATE "C" NOT NULL,
    confirmed  BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX creations_by_age ON creations (created_at);

-- +goose Down
DROP TABLE creations;
