-- +goose Up
-- Values of accounts that nobody reads, sealed for the name of the secret.
CREATE TABLE secrets (
    account     TEXT COLLATE "C" NOT NULL REFERENCES accounts (name),
    name        TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    sealed      BYTEA NOT NULL,
    version     BIGINT NOT NULL,
    value_at    BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (account, name)
);

-- +goose Down
DROP TABLE secrets;
