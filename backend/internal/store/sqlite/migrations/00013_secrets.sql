-- +goose Up
-- Values of accounts that nobody reads, sealed for the name of the secret.
CREATE TABLE secrets (
    account     TEXT NOT NULL REFERENCES accounts (name),
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    sealed      BLOB NOT NULL,
    version     BIGINT NOT NULL,
    value_at    BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (account, name)
);

-- +goose Down
DROP TABLE secrets;
