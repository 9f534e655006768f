-- +goose Up
-- How forges and git servers are reached. Credentials are sealed.
CREATE TABLE connections (
    account     TEXT NOT NULL REFERENCES accounts (name),
    name        TEXT NOT NULL,
    connection  TEXT NOT NULL,
    credentials TEXT NOT NULL,
    revision    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (account, name)
);

-- The short-lived tokens that forges issued for connections, sealed, by what they are for.
CREATE TABLE connection_tokens (
    account       TEXT NOT NULL,
    connection    TEXT NOT NULL,
    scope         TEXT NOT NULL,
    sealed        BLOB NOT NULL,
    expires_at    BIGINT NOT NULL,
    claimed_until BIGINT NOT NULL,
    revision      BIGINT NOT NULL,
    PRIMARY KEY (account, connection, scope),
    FOREIGN KEY (account, connection) REFERENCES connections (account, name) ON DELETE CASCADE
);

-- +goose Down
DROP TABLE connection_tokens;
DROP TABLE connections;
