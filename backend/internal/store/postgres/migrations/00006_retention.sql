-- +goose Up
-- What becomes of artifacts and logs: see the migration of this number of the embedded
-- store.
ALTER TABLE executions ADD COLUMN outputs_removed_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX executions_with_outputs ON executions (pipeline_id, number) WHERE outputs_removed_at = 0;

CREATE TABLE artifact_uses (
    execution_id TEXT COLLATE "C" NOT NULL,
    digest       TEXT COLLATE "C" NOT NULL,
    size         BIGINT NOT NULL,
    PRIMARY KEY (execution_id, digest)
);
CREATE INDEX artifact_uses_by_digest ON artifact_uses (digest);

CREATE TABLE artifact_removals (
    digest     TEXT COLLATE "C" PRIMARY KEY,
    marked_at  BIGINT NOT NULL,
    claimed_at BIGINT NOT NULL,
    removed_at BIGINT NOT NULL
);

CREATE TABLE log_removals (
    execution_id TEXT COLLATE "C" PRIMARY KEY
);

-- PostgreSQL refuses to read documents with a NUL, which a text may hold.
INSERT INTO artifact_uses (execution_id, digest, size)
SELECT execution_id, digest, max(size) FROM (
    SELECT a.execution_id, o ->> 'digest' AS digest, (o ->> 'size')::BIGINT AS size
    FROM action_executions AS a, json_array_elements(coalesce(replace(a.details, '\u0000', '\ufffd')::json -> 'outputs', '[]'::json)) AS o
    UNION ALL
    SELECT e.id, o ->> 'digest', (o ->> 'size')::BIGINT
    FROM executions AS e, json_array_elements(coalesce(replace(e.details, '\u0000', '\ufffd')::json -> 'rollback' -> 'artifacts', '[]'::json)) AS o
) AS uses GROUP BY execution_id, digest;

-- +goose Down
DROP TABLE log_removals;
DROP TABLE artifact_removals;
DROP TABLE artifact_uses;
DROP INDEX executions_with_outputs;
ALTER TABLE executions DROP COLUMN outputs_removed_at;
