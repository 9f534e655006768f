-- +goose Up
-- What decides over an execution beside its definition: the phase, retries and
-- conditions of its stages, and what outlives it. Executions need no column: type,
-- attempt, overrides, rollback and cancellation are in their details.

-- The phase, retries and conditions; empty before the stage is entered.
ALTER TABLE stage_executions ADD COLUMN details TEXT NOT NULL DEFAULT '';
-- Set once a retry of the stage replaced the action.
ALTER TABLE action_executions ADD COLUMN retried BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE events ADD COLUMN execution_attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE events ADD COLUMN condition TEXT NOT NULL DEFAULT '';
-- Transitions and passages of the pipeline's stages, in its own scope only; empty
-- for none. It is beside the revision since most decisions that change it write
-- that row anyway. The others pay nothing for it: SQLite writes only those pages of
-- a row of the same length that differ, and the revision is on the first.
ALTER TABLE scopes ADD COLUMN state TEXT NOT NULL DEFAULT '';

-- Stages that were entered, so that those that are live go on. The actions of an
-- entry that was met were started in the same commit; without an action there is
-- still, or was at the end, the approval.
UPDATE stage_executions SET details = CASE
    WHEN entry <> '' AND NOT EXISTS (
        SELECT 1 FROM action_executions AS a
        WHERE a.execution_id = stage_executions.execution_id AND a.stage_position = stage_executions.position
    ) THEN '{"phase":"approval"}'
    ELSE '{"phase":"actions"}'
END WHERE started_at <> 0;

-- Who entered a stage last and who succeeded in it last, so that retries and
-- rollbacks are right about the executions of before.
UPDATE scopes SET state = (
    WITH passages AS (
        SELECT s.name, s.status, s.started_at, s.ended_at, e.number,
            json_object('execution_id', e.id, 'number', e.number, 'version', e.version) AS passage
        FROM executions AS e JOIN stage_executions AS s ON s.execution_id = e.id
        WHERE e.pipeline_id = scopes.pipeline_id AND e.mode <> 'PARALLEL' AND s.started_at <> 0
    ), latest AS (
        SELECT name, passage, row_number() OVER (PARTITION BY name ORDER BY started_at DESC, number DESC) AS place FROM passages
    ), succeeded AS (
        SELECT name, passage, row_number() OVER (PARTITION BY name ORDER BY ended_at DESC, number DESC) AS place FROM passages
        WHERE status = 'Succeeded'
    ), stages AS (
        SELECT l.name, CASE
            WHEN s.passage IS NULL THEN json_object('latest', json(l.passage))
            ELSE json_object('latest', json(l.passage), 'succeeded', json(s.passage))
        END AS stage
        FROM latest AS l LEFT JOIN succeeded AS s ON s.name = l.name AND s.place = 1
        WHERE l.place = 1
    )
    SELECT CASE WHEN count(*) = 0 THEN '' ELSE json_object('stages', json_group_object(name, json(stage))) END FROM stages
) WHERE execution_id = '';

-- +goose Down
-- Version 1 takes every action for one that counts, and a stage for the one of its
-- place.
DELETE FROM leases WHERE execution_id IN (SELECT id FROM executions WHERE json_extract(details, '$.type') = 'ROLLBACK');
DELETE FROM turns WHERE execution_id IN (SELECT id FROM executions WHERE json_extract(details, '$.type') = 'ROLLBACK');
DELETE FROM executions WHERE json_extract(details, '$.type') = 'ROLLBACK';
DELETE FROM action_executions WHERE retried;
ALTER TABLE scopes DROP COLUMN state;
ALTER TABLE events DROP COLUMN condition;
ALTER TABLE events DROP COLUMN execution_attempt;
ALTER TABLE action_executions DROP COLUMN retried;
ALTER TABLE stage_executions DROP COLUMN details;
