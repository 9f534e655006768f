-- +goose Up
-- Random ids by which this database and its storage of artifacts and logs know each
-- other.
CREATE TABLE identities (
    name TEXT PRIMARY KEY,
    id   TEXT NOT NULL
) WITHOUT ROWID;

-- +goose Down
DROP TABLE identities;
