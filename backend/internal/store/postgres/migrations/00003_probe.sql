-- +goose Up
-- The probe writes as much as a decision does.
ALTER TABLE probe ADD COLUMN noise TEXT COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE probe DROP COLUMN noise;
