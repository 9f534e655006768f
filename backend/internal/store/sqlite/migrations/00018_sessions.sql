-- +goose Up
-- The sessions of browsers, by the hash of what is in their cookie. A session ends with its
-- token, at ends_at, or at idle_at, which moves while it is used.
CREATE TABLE sessions (
    hash       TEXT PRIMARY KEY,
    token_id   TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    idle_at    BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_token ON sessions (token_id, idle_at);

-- +goose Down
DROP TABLE sessions;
