-- +goose Up
-- What carries a turn already since it carried the one before; 0 for a queued one.
ALTER TABLE turns ADD COLUMN carrier BIGINT NOT NULL DEFAULT 0;
-- The attempts that a runner may take.
CREATE INDEX leases_ready ON leases (queued_at, action_execution_id) WHERE runner = '';
-- The processes that carry turns, and when they were heard of last.
CREATE TABLE replicas (
    id       TEXT COLLATE "C" PRIMARY KEY,
    heard_at TIMESTAMPTZ NOT NULL
);

-- +goose Down
DROP TABLE replicas;
DROP INDEX leases_ready;
ALTER TABLE turns DROP COLUMN carrier;
