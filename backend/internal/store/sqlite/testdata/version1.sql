-- A database of schema version 1 with rows as that version wrote them: executions in
-- every place where an upgrade may find them.

INSERT INTO accounts (name, created_at) VALUES
    ('a', 1772366400000000);

INSERT INTO pipelines (id, account, name, composed, explicit, definition, draft, version, digest, revision, created_at, updated_at) VALUES
    ('p', 'a', 'p', 0, 0, '{}', 'null', 2, '', 1, 1772366400000000, 1772366400000000),
    ('q', 'a', 'q', 0, 0, '{}', 'null', 2, '', 1, 1772366400000000, 1772366400000000),
    ('r', 'a', 'r', 0, 0, '{}', 'null', 2, '', 1, 1772366400000000, 1772366400000000);

INSERT INTO scopes (pipeline_id, execution_id, revision, last_number) VALUES
    ('p', '', 0, 0),
    ('q', '', 0, 0),
    ('q', 'e7', 0, 0),
    ('r', '', 0, 0);

INSERT INTO executions (id, account, pipeline_id, pipeline, number, version, mode, status, details, started_at, updated_at, ended_at) VALUES
    ('e1', 'a', 'p', 'web', 1, 1, 'SUPERSEDED', 'Succeeded', '{"trigger":{"type":"StartPipelineExecution","principal":"ann"}}', 1772366460000000, 1772367060000000, 1772367780000000),
    ('e2', 'a', 'p', 'web', 2, 1, 'SUPERSEDED', 'Failed', '{"trigger":{"type":"StartPipelineExecution","principal":"ann"}}', 1772366520000000, 1772367120000000, 1772368200000000),
    ('e3', 'a', 'p', 'web', 3, 1, 'SUPERSEDED', 'Failed', '{"trigger":{"type":"StartPipelineExecution","principal":"ann"}}', 1772366580000000, 1772367180000000, 1772368440000000),
    ('e4', 'a', 'p', 'web', 4, 2, 'SUPERSEDED', 'InProgress', '{"trigger":{"type":"StartPipelineExecution","principal":"ann"}}', 1772366640000000, 1772367240000000, 0),
    ('e5', 'a', 'p', 'web', 5, 2, 'SUPERSEDED', 'InProgress', '{"trigger":{"type":"StartPipelineExecution","principal":"ann"}}', 1772366700000000, 1772367300000000, 0),
    ('e6', 'a', 'p', 'web', 6, 2, 'SUPERSEDED', 'InProgress', '{"trigger":{"type":"StartPipelineExecution","principal":"ann"}}', 1772366760000000, 1772367360000000, 0),
    ('e7', 'a', 'q', 'web', 7, 2, 'PARALLEL', 'InProgress', '{"trigger":{"type":"StartPipelineExecution","principal":"ann"}}', 1772366820000000, 1772367420000000, 0);

INSERT INTO stage_executions (execution_id, position, name, status, arrival, arrived_at, started_at, ended_at, entry) VALUES
    ('e1', 0, 'Source', 'Succeeded', 0, 1772366460000000, 1772366460000000, 1772366520000000, ''),
    ('e1', 1, 'Release', 'Succeeded', 0, 1772366520000000, 1772366520000000, 1772367780000000, '{"requirements":[{"rule":"release","minimum_count":1,"groups":["leads"]}],"decisions":[{"principal":"lea","groups":["leads"],"approved":true,"at":"2026-03-01T12:20:00Z","version":1}],"expires_at":"2026-03-08T12:00:00Z"}'),
    ('e2', 0, 'Source', 'Succeeded', 0, 1772367840000000, 1772367840000000, 1772367900000000, ''),
    ('e2', 1, 'Release', 'Failed', 0, 1772367900000000, 1772367900000000, 1772368200000000, '{"requirements":[{"rule":"release","minimum_count":1,"groups":["leads"]}],"decisions":[{"principal":"lea","groups":["leads"],"approved":false,"at":"2026-03-01T12:20:00Z","version":1}],"expires_at":"2026-03-08T12:00:00Z"}'),
    ('e3', 0, 'Source', 'Failed', 0, 1772368260000000, 1772368260000000, 1772368440000000, ''),
    ('e4', 0, 'Source', 'Succeeded', 0, 1772368500000000, 1772368500000000, 1772368560000000, ''),
    ('e4', 1, 'Release', 'InProgress', 0, 1772368560000000, 1772368560000000, 0, '{"requirements":[{"rule":"release","minimum_count":1,"groups":["leads"]}],"expires_at":"2026-03-08T12:00:00Z"}'),
    ('e5', 0, 'Source', 'Succeeded', 0, 1772368620000000, 1772368620000000, 1772368680000000, ''),
    ('e5', 1, 'Release', 'InProgress', 0, 1772368680000000, 0, 0, ''),
    ('e6', 0, 'Source', 'InProgress', 0, 1772368740000000, 1772368740000000, 0, '{"requirements":[{"rule":"release","minimum_count":1,"groups":["leads"]}],"decisions":[{"principal":"lea","groups":["leads"],"approved":true,"at":"2026-03-01T12:20:00Z","version":1}],"expires_at":"2026-03-08T12:00:00Z"}'),
    ('e7', 0, 'Source', 'InProgress', 0, 1772369400000000, 1772369400000000, 0, '');

INSERT INTO action_executions (execution_id, id, stage_position, name, category, provider, work, run_order, namespace, attempt, status, started_at, ended_at, details) VALUES
    ('e1', 'x01', 0, 'fetch', 'Build', 'Commands', 2, 1, '', 1, 'Succeeded', 1772366460000000, 1772366520000000, '{"outputs":[{"name":"source","digest":"d1","size":10},{"name":"copy","digest":"d1","size":10},{"name":"docs","digest":"d2","size":20}]}'),
    ('e1', 'x02', 1, 'ship', 'Build', 'Commands', 2, 1, '', 1, 'Succeeded', 1772367600000000, 1772367780000000, '{}'),
    ('e2', 'x03', 0, 'fetch', 'Build', 'Commands', 2, 1, '', 1, 'Succeeded', 1772367840000000, 1772367900000000, '{}'),
    ('e3', 'x04', 0, 'lint', 'Build', 'Commands', 2, 1, '', 1, 'Failed', 1772368260000000, 1772368440000000, '{"failure":{"code":"JobFailed","message":"exit code 1"}}'),
    ('e3', 'x05', 0, 'fetch', 'Build', 'Commands', 2, 1, '', 1, 'Succeeded', 1772368260000000, 1772368380000000, '{}'),
    ('e4', 'x06', 0, 'fetch', 'Build', 'Commands', 2, 1, '', 1, 'Succeeded', 1772368500000000, 1772368560000000, '{}'),
    ('e5', 'x07', 0, 'fetch', 'Build', 'Commands', 2, 1, '', 1, 'Succeeded', 1772368620000000, 1772368680000000, '{}'),
    ('e6', 'x08', 0, 'lint', 'Build', 'Commands', 2, 1, '', 1, 'Succeeded', 1772368800000000, 1772368860000000, '{}'),
    ('e6', 'x09', 0, 'fetch', 'Build', 'Commands', 2, 2, '', 1, 'InProgress', 1772368860000000, 0, '{}'),
    ('e7', 'x10', 0, 'fetch', 'Build', 'Commands', 2, 1, '', 1, 'InProgress', 1772369400000000, 0, '{}');

INSERT INTO events (position, execution_id, at, subject, state, stage, action, action_execution_id, attempt, principal, message) VALUES
    (1, 'e1', 1772366460000000, 'execution', 'STARTED', '', '', '', 0, 'ann', ''),
    (2, 'e1', 1772366460000000, 'stage', 'STARTED', 'Source', '', '', 0, '', ''),
    (3, 'e2', 1772366520000000, 'execution', 'STARTED', '', '', '', 0, 'ann', ''),
    (4, 'e2', 1772366520000000, 'stage', 'STARTED', 'Source', '', '', 0, '', ''),
    (5, 'e3', 1772366580000000, 'execution', 'STARTED', '', '', '', 0, 'ann', ''),
    (6, 'e3', 1772366580000000, 'stage', 'STARTED', 'Source', '', '', 0, '', ''),
    (7, 'e4', 1772366640000000, 'execution', 'STARTED', '', '', '', 0, 'ann', ''),
    (8, 'e4', 1772366640000000, 'stage', 'STARTED', 'Source', '', '', 0, '', ''),
    (9, 'e5', 1772366700000000, 'execution', 'STARTED', '', '', '', 0, 'ann', ''),
    (10, 'e5', 1772366700000000, 'stage', 'STARTED', 'Source', '', '', 0, '', ''),
    (11, 'e6', 1772366760000000, 'execution', 'STARTED', '', '', '', 0, 'ann', ''),
    (12, 'e6', 1772366760000000, 'stage', 'STARTED', 'Source', '', '', 0, '', ''),
    (13, 'e7', 1772366820000000, 'execution', 'STARTED', '', '', '', 0, 'ann', ''),
    (14, 'e7', 1772366820000000, 'stage', 'STARTED', 'Source', '', '', 0, '', '');

INSERT INTO leases (action_execution_id, execution_id, pipeline_id, parallel, number, attempt, runner, until, queued_at) VALUES
    ('x09', 'e6', 'p', 0, 1, '{"account":"","pipeline":"","pipeline_version":0,"execution_id":"e6","stage":"","action_execution_id":"x09","number":1,"action":{"name":"","category":"","owner":"","provider":"","version":""},"timeout":0}', '', 0, 1772368860000000),
    ('x10', 'e7', 'q', 1, 1, '{"account":"","pipeline":"","pipeline_version":0,"execution_id":"e7","stage":"","action_execution_id":"x10","number":1,"action":{"name":"","category":"","owner":"","provider":"","version":""},"timeout":0}', '', 0, 1772369400000000);

INSERT INTO turns (id, execution_id, pipeline_id, parallel, kind, due_at, work) VALUES
    ('e4/1', 'e4', 'p', 0, 'expire', 1772971200000000, '');
