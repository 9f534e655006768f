-- +goose Up
-- The newest position that there was when events were removed with their pipeline.
CREATE TABLE removed_positions (
    position INTEGER PRIMARY KEY
);

-- +goose Down
DROP TABLE removed_positions;
