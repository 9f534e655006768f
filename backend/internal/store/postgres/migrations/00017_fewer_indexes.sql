-- +goose Up
-- SQLite alone drops indexes: the schemas have the same versions.
SELECT 1;

-- +goose Down
SELECT 1;
