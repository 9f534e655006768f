-- +goose Up
-- The logs of attempts that printed little, which the commits of their results wrote. The
-- others are in the storage. Without a reference to follow: it would slow every hop down.
CREATE TABLE action_logs (
    execution_id        TEXT NOT NULL,
    action_execution_id TEXT NOT NULL,
    attempt             INTEGER NOT NULL,
    -- The place in the log of the action execution.
    start               BIGINT NOT NULL,
    -- What was printed, sealed where the storage is encrypted.
    data                BLOB NOT NULL,
    PRIMARY KEY (execution_id, action_execution_id, attempt)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE action_logs;
