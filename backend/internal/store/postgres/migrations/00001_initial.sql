-- +goose Up
-- Times are microseconds since 1970 in UTC, 0 for "not yet"; documents are JSON, kept
-- as the text that was written. Texts compare by their bytes (COLLATE "C"), as pages
-- are ordered.

CREATE TABLE accounts (
    name       TEXT COLLATE "C" PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE tokens (
    id         TEXT COLLATE "C" PRIMARY KEY,
    hash       TEXT COLLATE "C" NOT NULL UNIQUE,
    principal  TEXT COLLATE "C" NOT NULL,
    groups     TEXT COLLATE "C" NOT NULL,
    bindings   TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE pipelines (
    id             TEXT COLLATE "C" PRIMARY KEY,
    account        TEXT COLLATE "C" NOT NULL REFERENCES accounts (name),
    name           TEXT COLLATE "C" NOT NULL,
    composed       BOOLEAN NOT NULL,
    explicit       BOOLEAN NOT NULL,
    definition     TEXT COLLATE "C" NOT NULL,
    draft          TEXT COLLATE "C" NOT NULL,
    version        BIGINT NOT NULL,
    digest         TEXT COLLATE "C" NOT NULL,
    revision       BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (account, name)
);

-- The compare-and-set guard of decisions: a row for each pipeline, without an
-- execution, and one for each live PARALLEL execution. Every hop writes one, so
-- they are not columns of the wide rows that they are about.
CREATE TABLE scopes (
    pipeline_id  TEXT COLLATE "C" NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    execution_id TEXT COLLATE "C" NOT NULL,
    revision     BIGINT NOT NULL,
    -- The number of the pipeline's newest execution.
    last_number  BIGINT NOT NULL,
    PRIMARY KEY (pipeline_id, execution_id)
);

CREATE TABLE pipeline_versions (
    pipeline_id TEXT COLLATE "C" NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    version     BIGINT NOT NULL,
    definition  TEXT COLLATE "C" NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,
    principal   TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (pipeline_id, version)
);

CREATE TABLE approval_rules (
    account    TEXT COLLATE "C" NOT NULL REFERENCES accounts (name),
    name       TEXT COLLATE "C" NOT NULL,
    rule       TEXT COLLATE "C" NOT NULL,
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, name)
);

CREATE TABLE executions (
    id             TEXT COLLATE "C" PRIMARY KEY,
    account        TEXT COLLATE "C" NOT NULL,
    pipeline_id    TEXT COLLATE "C" NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    pipeline       TEXT COLLATE "C" NOT NULL,
    number         BIGINT NOT NULL,
    version        BIGINT NOT NULL,
    mode           TEXT COLLATE "C" NOT NULL,
    status         TEXT COLLATE "C" NOT NULL,
    -- Summary, trigger, variables, source revisions and stop request.
    details        TEXT COLLATE "C" NOT NULL,
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
    execution_id TEXT COLLATE "C" NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    position     INTEGER NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    status       TEXT COLLATE "C" NOT NULL,
    arrival      BIGINT NOT NULL,
    arrived_at   BIGINT NOT NULL,
    started_at   BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL,
    -- The approval that guards the entry; empty for none.
    entry        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (execution_id, position)
);

CREATE TABLE action_executions (
    execution_id   TEXT COLLATE "C" NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    id             TEXT COLLATE "C" NOT NULL,
    stage_position INTEGER NOT NULL,
    name           TEXT COLLATE "C" NOT NULL,
    category       TEXT COLLATE "C" NOT NULL,
    provider       TEXT COLLATE "C" NOT NULL,
    work           INTEGER NOT NULL,
    run_order      INTEGER NOT NULL,
    namespace      TEXT COLLATE "C" NOT NULL,
    attempt        INTEGER NOT NULL,
    status         TEXT COLLATE "C" NOT NULL,
    started_at     BIGINT NOT NULL,
    ended_at       BIGINT NOT NULL,
    details        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (execution_id, id)
);

CREATE TABLE events (
    -- Ascends with the commits of one execution: who writes its events holds its scope.
    position            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id        TEXT COLLATE "C" NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    at                  BIGINT NOT NULL,
    subject             TEXT COLLATE "C" NOT NULL,
    state               TEXT COLLATE "C" NOT NULL,
    stage               TEXT COLLATE "C" NOT NULL,
    action              TEXT COLLATE "C" NOT NULL,
    action_execution_id TEXT COLLATE "C" NOT NULL,
    attempt             INTEGER NOT NULL,
    principal           TEXT COLLATE "C" NOT NULL,
    message             TEXT COLLATE "C" NOT NULL
);
CREATE INDEX events_by_execution ON events (execution_id, position);

-- Attempts that wait for a runner or are held by one. Rows live as short as the
-- work does; a deleted pipeline's are deleted by its id.
CREATE TABLE leases (
    action_execution_id TEXT COLLATE "C" PRIMARY KEY,
    execution_id        TEXT COLLATE "C" NOT NULL,
    pipeline_id         TEXT COLLATE "C" NOT NULL,
    parallel            BOOLEAN NOT NULL,
    number              INTEGER NOT NULL,
    attempt             TEXT COLLATE "C" NOT NULL,
    runner              TEXT COLLATE "C" NOT NULL,
    until               BIGINT NOT NULL,
    queued_at           BIGINT NOT NULL
);

-- Turns that are pending.
CREATE TABLE turns (
    id           TEXT COLLATE "C" PRIMARY KEY,
    execution_id TEXT COLLATE "C" NOT NULL,
    pipeline_id  TEXT COLLATE "C" NOT NULL,
    parallel     BOOLEAN NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    due_at       BIGINT NOT NULL,
    work         TEXT COLLATE "C" NOT NULL
);

-- What writes with a request id made, so that a repeated write makes it once.
-- Rows older than a day are deleted when another is written.
CREATE TABLE requests (
    account    TEXT COLLATE "C" NOT NULL,
    method     TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    resource   TEXT COLLATE "C" NOT NULL,
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
