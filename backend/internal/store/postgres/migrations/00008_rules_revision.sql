-- +goose Up
-- Changes with every change of the account's approval rules, so that whoever has read
-- them can tell that they still are the same.
ALTER TABLE accounts ADD COLUMN rules_revision BIGINT NOT NULL DEFAULT 0;

-- What these referred to is only ever deleted with its pipeline, which deletes them
-- itself: a check of every row that is written slows every hop down.
ALTER TABLE events DROP CONSTRAINT events_execution_id_fkey;
ALTER TABLE action_executions DROP CONSTRAINT action_executions_execution_id_fkey;
ALTER TABLE stage_executions DROP CONSTRAINT stage_executions_execution_id_fkey;

-- +goose Down
ALTER TABLE stage_executions ADD CONSTRAINT stage_executions_execution_id_fkey
    FOREIGN KEY (execution_id) REFERENCES executions (id) ON DELETE CASCADE;
ALTER TABLE action_executions ADD CONSTRAINT action_executions_execution_id_fkey
    FOREIGN KEY (execution_id) REFERENCES executions (id) ON DELETE CASCADE;
ALTER TABLE events ADD CONSTRAINT events_execution_id_fkey
    FOREIGN KEY (execution_id) REFERENCES executions (id) ON DELETE CASCADE;
ALTER TABLE accounts DROP COLUMN rules_revision;
