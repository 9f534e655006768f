-- +goose Up
-- The logs of attempts that printed little: see the migration of this number of the embedded
-- store.
CREATE TABLE action_logs (
    execution_id        TEXT COLLATE "C" NOT NULL,
    action_execution_id TEXT COLLATE "C" NOT NULL,
    attempt             INTEGER NOT NULL,
    start               BIGINT NOT NULL,
    data                BYTEA NOT NULL,
    PRIMARY KEY (execution_id, action_execution_id, attempt)
);

-- +goose Down
DROP TABLE action_logs;
