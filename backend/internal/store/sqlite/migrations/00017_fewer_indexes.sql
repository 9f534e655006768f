-- +goose Up
-- A start writes a page of each index that it touches to the log before it syncs. So what
-- another index finds as well has none of its own.

-- The account and the id are one key instead of two.
CREATE TABLE deliveries_rebuilt (
    id          TEXT NOT NULL,
    webhook_id  TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    account     TEXT NOT NULL,
    -- What tells a repeated delivery: the forge's id. Of refused ones it is the minute, the
    -- address and the reason.
    dedup       TEXT NOT NULL,
    status      TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    -- How often it came.
    attempts    BIGINT NOT NULL,
    body_size   BIGINT NOT NULL,
    has_body    BOOLEAN NOT NULL,
    details     TEXT NOT NULL,
    -- Last, so that lists do not read through it. Empty after 14 days.
    body        BLOB NOT NULL,
    PRIMARY KEY (account, id)
);
INSERT INTO deliveries_rebuilt (
    id, webhook_id, account, dedup, status, received_at, attempts, body_size, has_body,
    details, body
) SELECT
    id, webhook_id, account, dedup, status, received_at, attempts, body_size, has_body,
    details, body
FROM deliveries ORDER BY id;
DROP TABLE deliveries;
ALTER TABLE deliveries_rebuilt RENAME TO deliveries;
CREATE UNIQUE INDEX deliveries_once ON deliveries (webhook_id, dedup);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_with_body ON deliveries (id) WHERE has_body;
CREATE INDEX deliveries_refused ON deliveries (id) WHERE status = 'REFUSED';

CREATE TABLE trigger_decisions_rebuilt (
    id            TEXT NOT NULL,
    account       TEXT NOT NULL,
    pipeline      TEXT NOT NULL,
    trigger_id    TEXT NOT NULL,
    delivery_id   TEXT NOT NULL,
    repository_id TEXT NOT NULL,
    ref           TEXT NOT NULL,
    to_commit     TEXT NOT NULL,
    -- The move that it is about, 0 while that is not known.
    move          BIGINT NOT NULL,
    outcome       TEXT NOT NULL,
    -- What starts at most one execution: set if it started one or may still do so.
    start_key     TEXT NOT NULL,
    -- The turn that ends a pending decision.
    turn          TEXT NOT NULL,
    decided_at    BIGINT NOT NULL,
    details       TEXT NOT NULL,
    PRIMARY KEY (account, id)
);
INSERT INTO trigger_decisions_rebuilt (
    id, account, pipeline, trigger_id, delivery_id, repository_id, ref, to_commit, move,
    outcome, start_key, turn, decided_at, details
) SELECT
    id, account, pipeline, trigger_id, delivery_id, repository_id, ref, to_commit, move,
    outcome, start_key, turn, decided_at, details
FROM trigger_decisions ORDER BY id;
DROP TABLE trigger_decisions;
ALTER TABLE trigger_decisions_rebuilt RENAME TO trigger_decisions;
CREATE UNIQUE INDEX trigger_decisions_once ON trigger_decisions (start_key) WHERE start_key <> '';
CREATE INDEX trigger_decisions_by_pipeline ON trigger_decisions (account, pipeline, id);
CREATE INDEX trigger_decisions_by_trigger ON trigger_decisions (trigger_id, id);
CREATE INDEX trigger_decisions_by_commit ON trigger_decisions (account, to_commit, id);
CREATE INDEX trigger_decisions_by_ref ON trigger_decisions (account, ref, id);
CREATE INDEX trigger_decisions_by_delivery ON trigger_decisions (delivery_id) WHERE delivery_id <> '';
CREATE INDEX trigger_decisions_pending ON trigger_decisions (repository_id, ref) WHERE turn <> '';

-- Indexes of the statuses find what is live.
DROP INDEX executions_live;
-- There is one writer, so an attempt of the pipeline whose turn it is is always free.
DROP INDEX leases_ready;

-- +goose Down
CREATE INDEX leases_ready ON leases (queued_at, action_execution_id) WHERE runner = '';
CREATE INDEX executions_live ON executions (pipeline_id) WHERE status IN ('InProgress', 'Stopping');

CREATE TABLE trigger_decisions_rebuilt (
    id            TEXT PRIMARY KEY,
    account       TEXT NOT NULL,
    pipeline      TEXT NOT NULL,
    trigger_id    TEXT NOT NULL,
    delivery_id   TEXT NOT NULL,
    repository_id TEXT NOT NULL,
    ref           TEXT NOT NULL,
    to_commit     TEXT NOT NULL,
    move          BIGINT NOT NULL,
    outcome       TEXT NOT NULL,
    start_key     TEXT NOT NULL,
    turn          TEXT NOT NULL,
    decided_at    BIGINT NOT NULL,
    details       TEXT NOT NULL
);
INSERT INTO trigger_decisions_rebuilt (
    id, account, pipeline, trigger_id, delivery_id, repository_id, ref, to_commit, move,
    outcome, start_key, turn, decided_at, details
) SELECT
    id, account, pipeline, trigger_id, delivery_id, repository_id, ref, to_commit, move,
    outcome, start_key, turn, decided_at, details
FROM trigger_decisions ORDER BY id;
DROP TABLE trigger_decisions;
ALTER TABLE trigger_decisions_rebuilt RENAME TO trigger_decisions;
CREATE UNIQUE INDEX trigger_decisions_once ON trigger_decisions (start_key) WHERE start_key <> '';
CREATE INDEX trigger_decisions_by_account ON trigger_decisions (account, id);
CREATE INDEX trigger_decisions_by_pipeline ON trigger_decisions (account, pipeline, id);
CREATE INDEX trigger_decisions_by_trigger ON trigger_decisions (trigger_id, id);
CREATE INDEX trigger_decisions_by_commit ON trigger_decisions (account, to_commit, id);
CREATE INDEX trigger_decisions_by_ref ON trigger_decisions (account, ref, id);
CREATE INDEX trigger_decisions_by_delivery ON trigger_decisions (delivery_id) WHERE delivery_id <> '';
CREATE INDEX trigger_decisions_pending ON trigger_decisions (repository_id, ref) WHERE turn <> '';

CREATE TABLE deliveries_rebuilt (
    id          TEXT PRIMARY KEY,
    webhook_id  TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    account     TEXT NOT NULL,
    dedup       TEXT NOT NULL,
    status      TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    body_size   BIGINT NOT NULL,
    has_body    BOOLEAN NOT NULL,
    details     TEXT NOT NULL,
    body        BLOB NOT NULL
);
INSERT INTO deliveries_rebuilt (
    id, webhook_id, account, dedup, status, received_at, attempts, body_size, has_body,
    details, body
) SELECT
    id, webhook_id, account, dedup, status, received_at, attempts, body_size, has_body,
    details, body
FROM deliveries ORDER BY id;
DROP TABLE deliveries;
ALTER TABLE deliveries_rebuilt RENAME TO deliveries;
CREATE UNIQUE INDEX deliveries_once ON deliveries (webhook_id, dedup);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_by_account ON deliveries (account, id);
CREATE INDEX deliveries_with_body ON deliveries (id) WHERE has_body;
CREATE INDEX deliveries_refused ON deliveries (id) WHERE status = 'REFUSED';
