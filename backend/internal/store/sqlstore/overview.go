package sqlstore

import (
	"context"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// keysAtOnce bounds the keys of one statement, below what the engines take.
const keysAtOnce = 5000

// listEach is listIn for any number of keys.
func listEach[T any](ctx context.Context, t *Tx, scan func(*row) (T, error), keys []string, query string) ([]T, error) {
	var all []T
	for chunk := range slices.Chunk(keys, keysAtOnce) {
		found, err := listIn(ctx, t, scan, chunk, query)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// PipelineMarks implements store.Reader.
func (t *Tx) PipelineMarks(ctx context.Context, account string) ([]store.PipelineMark, error) {
	return list(ctx, t, func(rows *row) (m store.PipelineMark, err error) {
		return m, rows.Scan(&m.ID, &m.Name, &m.Revision, &m.Decisions)
	}, `SELECT p.id, p.name, p.revision, s.revision FROM pipelines AS p
		JOIN scopes AS s ON s.pipeline_id = p.id AND s.execution_id = '' WHERE p.account = $1 ORDER BY p.name`, account)
}

// PipelinesOf implements store.Reader.
func (t *Tx) PipelinesOf(ctx context.Context, executionIDs []string) ([]string, error) {
	return listEach(ctx, t, scanText, executionIDs, `SELECT DISTINCT pipeline_id FROM executions WHERE id IN (%s)`)
}

// Statements of overviews, for the ids of pipelines or of executions. The newest execution
// has the greatest id, which an index of the executions of a pipeline ends with.
var (
	overviewQuery = `SELECT p.id, p.name, p.revision, s.revision, p.version, s.state, coalesce(
			(SELECT e.id FROM executions AS e WHERE e.pipeline_id = p.id ORDER BY e.id DESC LIMIT 1), '')
		FROM pipelines AS p JOIN scopes AS s ON s.pipeline_id = p.id AND s.execution_id = '' WHERE p.id IN (%s) ORDER BY p.name`
	executionsInQuery = executionTable.query(`WHERE id IN (%s)`)
	passagesQuery     = `SELECT execution_id, position, name, status, started_at, ended_at FROM stage_executions
		WHERE execution_id IN (%s) ORDER BY execution_id, position`
	liveCountsQuery = `SELECT pipeline_id, '', count(*) FROM executions WHERE pipeline_id IN (%s) AND ` + live + ` GROUP BY pipeline_id`
	waitingQuery    = `SELECT e.pipeline_id, s.name, count(*) FROM executions AS e JOIN stage_executions AS s ON s.execution_id = e.id
		WHERE e.pipeline_id IN (%s) AND e.status IN ('InProgress', 'Stopping') AND s.status IN ('InProgress', 'Stopping') AND s.started_at = 0
		GROUP BY e.pipeline_id, s.name`
	// Each open approval has a turn that expires it. It is one of the stage that its execution
	// is in, the last.
	openApprovalsQuery = `SELECT t.pipeline_id, coalesce(
			(SELECT s.name FROM stage_executions AS s WHERE s.execution_id = t.execution_id ORDER BY s.position DESC LIMIT 1), ''), count(*)
		FROM turns AS t WHERE t.pipeline_id IN (%s) AND t.kind = '` + string(execution.TurnExpire) + `' GROUP BY 1, 2`
	newestVersionsQuery = versionTable.query(`WHERE pipeline_id IN (%s)
		AND version = (SELECT p.version FROM pipelines AS p WHERE p.id = pipeline_versions.pipeline_id)`)
)

// overviewRow is a pipeline with the id of its newest execution.
type overviewRow struct {
	store.PipelineOverview

	latest string
}

// Overviews implements store.Reader.
func (t *Tx) Overviews(ctx context.Context, pipelineIDs []string) ([]store.PipelineOverview, error) {
	found, err := listEach(ctx, t, func(rows *row) (o overviewRow, err error) {
		o.State, o.Waiting, o.Approvals = &execution.PipelineState{}, make(map[string]int), make(map[string]int)
		var state string
		if err := rows.Scan(&o.ID, &o.Name, &o.Revision, &o.Decisions, &o.Version, &state, &o.latest); err != nil || state == "" {
			return o, err
		}
		return o, decode(state, o.State)
	}, pipelineIDs, overviewQuery)
	if err != nil {
		return nil, err
	}
	at := make(map[string]*store.PipelineOverview, len(found))
	owners := make(map[string]*store.PipelineOverview)
	var latest, entered []string
	for i := range found {
		o := &found[i].PipelineOverview
		at[o.ID] = o
		if found[i].latest == "" {
			continue
		}
		latest = append(latest, found[i].latest)
		owners[found[i].latest] = o
		for _, stage := range o.State.Stages {
			if stage.Latest != nil {
				owners[stage.Latest.ExecutionID] = o
			}
		}
	}
	for id := range owners {
		entered = append(entered, id)
	}
	executions, err := listEach(ctx, t, scanExecution, latest, executionsInQuery)
	if err != nil {
		return nil, err
	}
	for _, e := range executions {
		owners[e.ID].Latest = e
	}
	stages, err := listEach(ctx, t, scanPassage, entered, passagesQuery)
	if err != nil {
		return nil, err
	}
	for _, s := range stages {
		o := owners[s.ExecutionID]
		known := o.State.Stage(s.Name).Latest
		if (o.Latest != nil && o.Latest.ID == s.ExecutionID) || (known != nil && known.ExecutionID == s.ExecutionID) {
			o.Stages = append(o.Stages, s)
		}
	}
	if err := t.countInto(ctx, at, pipelineIDs); err != nil {
		return nil, err
	}
	all := make([]store.PipelineOverview, len(found))
	for i := range found {
		all[i] = found[i].PipelineOverview
	}
	return all, nil
}

func scanPassage(rows *row) (execution.StageOf, error) {
	s := execution.StageOf{Stage: &execution.Stage{}}
	var started, ended int64
	err := rows.Scan(&s.ExecutionID, &s.Position, &s.Name, &s.Status, &started, &ended)
	s.StartedAt, s.EndedAt = fromMicros(started), fromMicros(ended)
	return s, err
}

// stageCount is how many there are of something in a stage of a pipeline.
type stageCount struct {
	pipelineID, stage string
	n                 int
}

func scanStageCount(rows *row) (c stageCount, err error) {
	return c, rows.Scan(&c.pipelineID, &c.stage, &c.n)
}

// countInto counts what happens in pipelines.
func (t *Tx) countInto(ctx context.Context, at map[string]*store.PipelineOverview, pipelineIDs []string) error {
	for _, count := range []struct {
		query string
		note  func(*store.PipelineOverview, stageCount)
	}{
		{liveCountsQuery, func(o *store.PipelineOverview, c stageCount) { o.Live = c.n }},
		{waitingQuery, func(o *store.PipelineOverview, c stageCount) { o.Waiting[c.stage] = c.n }},
		{openApprovalsQuery, func(o *store.PipelineOverview, c stageCount) { o.Approvals[c.stage] = c.n }},
	} {
		counts, err := listEach(ctx, t, scanStageCount, pipelineIDs, count.query)
		if err != nil {
			return err
		}
		for _, c := range counts {
			// Another process may have made the pipeline between two reads of a transaction.
			if o := at[c.pipelineID]; o != nil {
				count.note(o, c)
			}
		}
	}
	return nil
}

// NewestVersions implements store.Reader.
func (t *Tx) NewestVersions(ctx context.Context, pipelineIDs []string) ([]definition.Version, error) {
	return listEach(ctx, t, scanVersion, pipelineIDs, newestVersionsQuery)
}
