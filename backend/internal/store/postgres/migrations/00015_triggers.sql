-- +goose Up
-- What starts executions by itself: addresses for deliveries, what they said, what is
-- known of the refs of repositories, and what each trigger decided.

CREATE TABLE webhooks (
    id         TEXT COLLATE "C" PRIMARY KEY,
    account    TEXT COLLATE "C" NOT NULL REFERENCES accounts (name),
    name       TEXT COLLATE "C" NOT NULL,
    -- The part of the address that nobody can guess.
    path       TEXT COLLATE "C" NOT NULL,
    -- Its SHA-256. A lookup by that takes the same time whatever part of a path is right.
    path_hash  TEXT COLLATE "C" NOT NULL UNIQUE,
    -- The connection's name, empty for none.
    connection TEXT COLLATE "C" NOT NULL,
    declared   TEXT COLLATE "C" NOT NULL,
    -- The accepted secrets, sealed.
    secrets    TEXT COLLATE "C" NOT NULL,
    -- What is known of hooks on managed repositories, and of the latest uses. Neither
    -- counts as a change of the webhook.
    hooks      TEXT COLLATE "C" NOT NULL,
    used       TEXT COLLATE "C" NOT NULL,
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (account, name)
);

CREATE TABLE deliveries (
    id          TEXT COLLATE "C" PRIMARY KEY,
    webhook_id  TEXT COLLATE "C" NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    account     TEXT COLLATE "C" NOT NULL,
    -- What tells a repeated delivery: the forge's id. Of refused ones it is the minute, the
    -- address and the reason.
    dedup       TEXT COLLATE "C" NOT NULL,
    status      TEXT COLLATE "C" NOT NULL,
    received_at BIGINT NOT NULL,
    -- How often it came.
    attempts    BIGINT NOT NULL,
    body_size   BIGINT NOT NULL,
    has_body    BOOLEAN NOT NULL,
    details     TEXT COLLATE "C" NOT NULL,
    -- Last, so that lists do not read through it. Empty after 14 days.
    body        BYTEA NOT NULL
);
CREATE UNIQUE INDEX deliveries_once ON deliveries (webhook_id, dedup);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_by_account ON deliveries (account, id);
CREATE INDEX deliveries_with_body ON deliveries (id) WHERE has_body;
CREATE INDEX deliveries_refused ON deliveries (id) WHERE status = 'REFUSED';

CREATE TABLE repositories (
    id         TEXT COLLATE "C" PRIMARY KEY,
    account    TEXT COLLATE "C" NOT NULL REFERENCES accounts (name),
    connection TEXT COLLATE "C" NOT NULL,
    -- The forge's name in the form that compares, such as acme/web.
    name       TEXT COLLATE "C" NOT NULL,
    -- The forge's number, which renames keep; 0 while it is not known.
    forge_id   BIGINT NOT NULL,
    details    TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (account, connection, name)
);

-- The newest head of each ref, empty if the ref was deleted.
CREATE TABLE refs (
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    ref           TEXT COLLATE "C" NOT NULL,
    head          TEXT COLLATE "C" NOT NULL,
    -- The number of the newest move, 0 for a ref that was read before it ever moved.
    move          BIGINT NOT NULL,
    seen_at       BIGINT NOT NULL,
    found_by      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repository_id, ref)
);

CREATE TABLE moves (
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    ref           TEXT COLLATE "C" NOT NULL,
    from_head     TEXT COLLATE "C" NOT NULL,
    to_head       TEXT COLLATE "C" NOT NULL,
    number        BIGINT NOT NULL,
    found_by      TEXT COLLATE "C" NOT NULL,
    delivery_id   TEXT COLLATE "C" NOT NULL,
    moved_at      BIGINT NOT NULL,
    -- What is known of the change, to decide on it again.
    event         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repository_id, ref, from_head, to_head, number)
);
CREATE INDEX moves_by_age ON moves (moved_at);

CREATE TABLE triggers (
    id            TEXT COLLATE "C" PRIMARY KEY,
    account       TEXT COLLATE "C" NOT NULL REFERENCES accounts (name),
    -- The pipeline whose definition has the trigger; empty for one on its own.
    owner         TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    pipeline      TEXT COLLATE "C" NOT NULL,
    -- One of both is empty.
    repository_id TEXT COLLATE "C" NOT NULL,
    webhook       TEXT COLLATE "C" NOT NULL,
    declared      TEXT COLLATE "C" NOT NULL,
    -- Empty while nobody paused it.
    pause         TEXT COLLATE "C" NOT NULL,
    -- Set once the refs were read that later changes are compared with.
    baselined     BOOLEAN NOT NULL,
    revision      BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    UNIQUE (account, owner, name)
);
CREATE INDEX triggers_by_repository ON triggers (repository_id);
CREATE INDEX triggers_by_webhook ON triggers (account, webhook);
CREATE INDEX triggers_by_pipeline ON triggers (account, pipeline);

-- The head up to which a trigger has compared files.
CREATE TABLE trigger_refs (
    trigger_id TEXT COLLATE "C" NOT NULL REFERENCES triggers (id) ON DELETE CASCADE,
    ref        TEXT COLLATE "C" NOT NULL,
    head       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (trigger_id, ref)
);

CREATE TABLE trigger_decisions (
    id            TEXT COLLATE "C" PRIMARY KEY,
    account       TEXT COLLATE "C" NOT NULL,
    pipeline      TEXT COLLATE "C" NOT NULL,
    trigger_id    TEXT COLLATE "C" NOT NULL,
    delivery_id   TEXT COLLATE "C" NOT NULL,
    repository_id TEXT COLLATE "C" NOT NULL,
    ref           TEXT COLLATE "C" NOT NULL,
    to_commit     TEXT COLLATE "C" NOT NULL,
    -- The move that it is about, 0 while that is not known.
    move          BIGINT NOT NULL,
    outcome       TEXT COLLATE "C" NOT NULL,
    -- What starts at most one execution: set if it started one or may still do so.
    start_key     TEXT COLLATE "C" NOT NULL,
    -- The turn that ends a pending decision.
    turn          TEXT COLLATE "C" NOT NULL,
    decided_at    BIGINT NOT NULL,
    details       TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX trigger_decisions_once ON trigger_decisions (start_key) WHERE start_key <> '';
CREATE INDEX trigger_decisions_by_account ON trigger_decisions (account, id);
CREATE INDEX trigger_decisions_by_pipeline ON trigger_decisions (account, pipeline, id);
CREATE INDEX trigger_decisions_by_trigger ON trigger_decisions (trigger_id, id);
CREATE INDEX trigger_decisions_by_commit ON trigger_decisions (account, to_commit, id);
CREATE INDEX trigger_decisions_by_ref ON trigger_decisions (account, ref, id);
CREATE INDEX trigger_decisions_by_delivery ON trigger_decisions (delivery_id) WHERE delivery_id <> '';
CREATE INDEX trigger_decisions_pending ON trigger_decisions (repository_id, ref) WHERE turn <> '';

-- +goose Down
DROP TABLE trigger_decisions;
DROP TABLE trigger_refs;
DROP TABLE triggers;
DROP TABLE moves;
DROP TABLE refs;
DROP TABLE repositories;
DROP TABLE deliveries;
DROP TABLE webhooks;
