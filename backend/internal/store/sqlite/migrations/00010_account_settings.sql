-- +goose Up
-- Whether a manual approval action that no approval rule matches fails.
ALTER TABLE accounts ADD COLUMN require_approval_rule BOOLEAN NOT NULL DEFAULT FALSE;

-- +goose Down
ALTER TABLE accounts DROP COLUMN require_approval_rule;
