-- +goose Up
-- The creates of the last hour whose makers confirm that the answer arrived. A row says
-- who made the object of a name, and what else a later create has to find unchanged to be
-- answered with it.
CREATE TABLE creations (
    resource   TEXT PRIMARY KEY,
    request_id TEXT NOT NULL,
    principal  TEXT NOT NULL,
    object     TEXT NOT NULL,
    confirmed  BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX creations_by_age ON creations (created_at);

-- +goose Down
DROP TABLE creations;
