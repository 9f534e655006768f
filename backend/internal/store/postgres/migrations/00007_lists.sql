-- +goose Up
-- Pages of an account's executions of one status, which may be rare.
CREATE INDEX executions_by_account_status ON executions (account, status, id);

-- +goose Down
DROP INDEX executions_by_account_status;
