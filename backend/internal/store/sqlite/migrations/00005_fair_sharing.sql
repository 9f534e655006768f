-- +goose Up
-- Attempts are shared out fairly between accounts, and between the pipelines of one.
ALTER TABLE leases ADD COLUMN account TEXT NOT NULL DEFAULT '';
UPDATE leases SET account = coalesce((SELECT e.account FROM executions AS e WHERE e.id = leases.execution_id), '');
-- Who waits, and the oldest of each pipeline.
CREATE INDEX leases_waiting ON leases (account, pipeline_id, queued_at, action_execution_id) WHERE runner = '';
-- Who holds how many.
CREATE INDEX leases_held ON leases (runner, account, pipeline_id) WHERE runner <> '';

-- Whose turn it was last when an attempt that waited was taken: of each account the
-- pipeline, and of all, in the row without a name, the account.
CREATE TABLE shares (
    account TEXT PRIMARY KEY,
    last    TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO shares (account, last) VALUES ('', '');
INSERT INTO shares (account, last) SELECT name, '' FROM accounts;

-- +goose Down
DROP TABLE shares;
DROP INDEX leases_held;
DROP INDEX leases_waiting;
ALTER TABLE leases DROP COLUMN account;
