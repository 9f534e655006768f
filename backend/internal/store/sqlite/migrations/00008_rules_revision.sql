-- +goose Up
-- Changes with every change of the account's approval rules, so that whoever has read
-- them can tell that they still are the same.
ALTER TABLE accounts ADD COLUMN rules_revision BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE accounts DROP COLUMN rules_revision;
