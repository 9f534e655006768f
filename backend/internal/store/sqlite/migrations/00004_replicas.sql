-- +goose Up
-- What carries a turn already since it carried the one before; 0 for a queued one.
ALTER TABLE turns ADD COLUMN carrier BIGINT NOT NULL DEFAULT 0;
-- The attempts that a runner may take.
CREATE INDEX leases_ready ON leases (queued_at, action_execution_id) WHERE runner = '';

-- +goose Down
DROP INDEX leases_ready;
ALTER TABLE turns DROP COLUMN carrier;
