-- +goose Up
-- What becomes of artifacts and logs once nobody wants them any more.

-- When retention removed the logs of the execution and its claim on artifacts; 0
-- while they are there.
ALTER TABLE executions ADD COLUMN outputs_removed_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX executions_with_outputs ON executions (pipeline_id, number) WHERE outputs_removed_at = 0;

-- The artifacts that an execution has made, or has got to roll back with. Without a
-- reference to follow: it would slow every hop down.
CREATE TABLE artifact_uses (
    execution_id TEXT NOT NULL,
    digest       TEXT NOT NULL,
    -- Size in bytes, as it is stored.
    size         BIGINT NOT NULL,
    PRIMARY KEY (execution_id, digest)
) WITHOUT ROWID;
CREATE INDEX artifact_uses_by_digest ON artifact_uses (digest);

-- Trees that nobody uses, on their way out: marked, then claimed by who takes the tree
-- away, then removed, which is remembered for a while.
CREATE TABLE artifact_removals (
    digest     TEXT PRIMARY KEY,
    marked_at  BIGINT NOT NULL,
    claimed_at BIGINT NOT NULL,
    removed_at BIGINT NOT NULL
) WITHOUT ROWID;

-- Executions whose logs are to be removed.
CREATE TABLE log_removals (
    execution_id TEXT PRIMARY KEY
) WITHOUT ROWID;

INSERT INTO artifact_uses (execution_id, digest, size)
SELECT execution_id, digest, max(size) FROM (
    SELECT a.execution_id, json_extract(o.value, '$.digest') AS digest, json_extract(o.value, '$.size') AS size
    FROM action_executions AS a, json_each(a.details, '$.outputs') AS o
    UNION ALL
    SELECT e.id, json_extract(o.value, '$.digest'), json_extract(o.value, '$.size')
    FROM executions AS e, json_each(e.details, '$.rollback.artifacts') AS o
) GROUP BY execution_id, digest;

-- +goose Down
DROP TABLE log_removals;
DROP TABLE artifact_removals;
DROP TABLE artifact_uses;
DROP INDEX executions_with_outputs;
ALTER TABLE executions DROP COLUMN outputs_removed_at;
