-- +goose Up
-- Random ids by which this database and its storage of artifacts and logs know each
-- other.
CREATE TABLE identities (
    name TEXT COLLATE "C" PRIMARY KEY,
    id   TEXT COLLATE "C" NOT NULL
);

-- +goose Down
DROP TABLE identities;
