-- +goose Up
-- What decides over an execution beside its definition: see the migration of this
-- number of the embedded store. No PostgreSQL database was ever at version 1 with
-- executions in it, so there is nothing to fill in.
ALTER TABLE stage_executions ADD COLUMN details TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE action_executions ADD COLUMN retried BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE events ADD COLUMN execution_attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE events ADD COLUMN condition TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE scopes ADD COLUMN state TEXT COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE scopes DROP COLUMN state;
ALTER TABLE events DROP COLUMN condition;
ALTER TABLE events DROP COLUMN execution_attempt;
ALTER TABLE action_executions DROP COLUMN retried;
ALTER TABLE stage_executions DROP COLUMN details;
