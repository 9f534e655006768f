-- +goose Up
-- Times are microseconds since 1970 in UTC, 0 for "not yet"; documents are JSON.
-- A hop writes every page that it touches to the log before it syncs, so tables
-- that a hop writes are one tree (WITHOUT ROWID) wherever one key will do.

CREATE TABLE accounts (
    name       TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    hash       TEXT NOT NULL UNIQUE,
    principal  TEXT NOT NULL,
    groups     TEXT NOT NULL,
    bindings   TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE pipelines (
    id             TEXT PRIMARY KEY,
    account        TEXT NOT NULL REFERENCES accounts (name),
    name           TEXT NOT NULL,
    composed       BOOLEAN NOT NULL,
    explicit       BOOLEAN NOT NULL,
    definition     TEXT NOT NULL,
    draft          TEXT NOT NULL,
    version        BIGINT NOT NULL,
    digest         TEXT NOT NULL,
    revision       BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (account, name)
);

-- The compare-and-set guard of decisions: a row for each pipeline, without an
-- execution, and one for each live PARALLEL execution. Every hop writes one, so
-- they are not columns of the wide rows that they are about.
CREATE TABLE scopes (
    pipeline_id  TEXT NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    execution_id TEXT NOT NULL,
    revision     BIGINT NOT NULL,
    -- The number of the pipeline's newest execution.
    last_number  BIGINT NOT NULL,
    PRIMARY KEY (pipeline_id, execution_id)
) WITHOUT ROWID;

CREATE TABLE pipeline_versions (
    pipeline_id TEXT NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    version     BIGINT NOT NULL,
    definition  TEXT NOT NULL,
    digest      TEXT NOT NULL,
    principal   TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (pipeline_id, version)
);

CREATE TABLE approval_rules (
    account    TEXT NOT NULL REFERENCES accounts (name),
    name       TEXT NOT NULL,
    rule       TEXT NOT NULL,
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, name)
);

CREATE TABLE executions (
    id             TEXT PRIMARY KEY,
    account        TEXT NOT NULL,
    pipeline_id    TEXT NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    pipeline       TEXT NOT NULL,
    number         BIGINT NOT NULL,
    version        BIGINT NOT NULL,
    mode           TEXT NOT NULL,
    status         TEXT NOT NULL,
    -- Summary, trigger, variables, source revisions and stop request.
    details        TEXT NOT NULL,
    started_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    ended_at       BIGINT NOT NULL,
    UNIQUE (pipeline_id, number)
);
CREATE INDEX executions_by_pipeline ON executions (pipeline_id, id);
CREATE INDEX executions_by_account ON executions (account, id);
CREATE INDEX executions_by_pipeline_status ON executions (pipeline_id, status, id);
CREATE INDEX executions_live ON executions (pipeline_id) WHERE status IN ('InProgress', 'Stopping');

CREATE TABLE stage_executions (
    execution_id TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    position     INTEGER NOT NULL,
    name         TEXT NOT NULL,
    status       TEXT NOT NULL,
    arrival      BIGINT NOT NULL,
    arrived_at   BIGINT NOT NULL,
    started_at   BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL,
    -- The approval that guards the entry; empty for none.
    entry        TEXT NOT NULL,
    PRIMARY KEY (execution_id, position)
) WITHOUT ROWID;

CREATE TABLE action_executions (
    execution_id   TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    id             TEXT NOT NULL,
    stage_position INTEGER NOT NULL,
    name           TEXT NOT NULL,
    category       TEXT NOT NULL,
    provider       TEXT NOT NULL,
    work           INTEGER NOT NULL,
    run_order      INTEGER NOT NULL,
    namespace      TEXT NOT NULL,
    attempt        INTEGER NOT NULL,
    status         TEXT NOT NULL,
    started_at     BIGINT NOT NULL,
    ended_at       BIGINT NOT NULL,
    details        TEXT NOT NULL,
    PRIMARY KEY (execution_id, id)
) WITHOUT ROWID;

CREATE TABLE events (
    -- Ascends with every insert; the newest is only given again after the
    -- pipeline that it was of is deleted.
    position            INTEGER PRIMARY KEY,
    execution_id        TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    at                  BIGINT NOT NULL,
    subject             TEXT NOT NULL,
    state               TEXT NOT NULL,
    stage               TEXT NOT NULL,
    action              TEXT NOT NULL,
    action_execution_id TEXT NOT NULL,
    attempt             INTEGER NOT NULL,
    principal           TEXT NOT NULL,
    message             TEXT NOT NULL
);
CREATE INDEX events_by_execution ON events (execution_id, position);

-- Attempts that wait for a runner or are held by one. Rows live as short as the
-- work does; a deleted pipeline's are deleted by its id.
CREATE TABLE leases (
    action_execution_id TEXT PRIMARY KEY,
    execution_id        TEXT NOT NULL,
    pipeline_id         TEXT NOT NULL,
    parallel            BOOLEAN NOT NULL,
    number              INTEGER NOT NULL,
    attempt             TEXT NOT NULL,
    runner              TEXT NOT NULL,
    until               BIGINT NOT NULL,
    queued_at           BIGINT NOT NULL
) WITHOUT ROWID;

-- Turns that are pending.
CREATE TABLE turns (
    id           TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    pipeline_id  TEXT NOT NULL,
    parallel     BOOLEAN NOT NULL,
    kind         TEXT NOT NULL,
    due_at       BIGINT NOT NULL,
    work         TEXT NOT NULL
) WITHOUT ROWID;

-- What writes with a request id made, so that a repeated write makes it once.
-- Rows older than a day are deleted when another is written.
CREATE TABLE requests (
    account    TEXT NOT NULL,
    method     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    resource   TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, method, request_id)
);
CREATE INDEX requests_by_age ON requests (created_at);

-- Written to learn whether writes succeed.
CREATE TABLE probe (writes BIGINT NOT NULL);
INSERT INTO probe (writes) VALUES (0);

-- +goose Down
DROP TABLE probe;
DROP TABLE requests;
DROP TABLE turns;
DROP TABLE leases;
DROP TABLE events;
DROP TABLE action_executions;
DROP TABLE stage_executions;
DROP TABLE executions;
DROP TABLE scopes;
DROP TABLE approval_rules;
DROP TABLE pipeline_versions;
DROP TABLE pipelines;
DROP TABLE tokens;
DROP TABLE accounts;
