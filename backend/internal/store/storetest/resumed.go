package storetest

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func scopeOf(key execution.ScopeKey) func(context.Context, store.Reader) (store.LiveScope, error) {
	return func(ctx context.Context, r store.Reader) (store.LiveScope, error) { return r.LiveScope(ctx, key) }
}

// state returns that of a pipeline, as a decision starts from it.
func (s *suite) state(pipelineID string) *execution.PipelineState {
	s.t.Helper()
	return get(s, scopeOf(execution.ScopeKey{PipelineID: pipelineID})).State
}

func testStateOfAPipeline(s *suite) {
	t := s.t
	empty := &execution.PipelineState{}
	c := s.running()
	s.pipeline("q")
	require.Equal(t, empty, s.state("p"), "never nil")
	p, q := filled[execution.PipelineState](), filledFrom[execution.PipelineState](500)
	s.apply(&execution.Change{State: &p, Scope: execution.ScopeKey{PipelineID: "p"}})
	s.apply(&execution.Change{State: &q, Scope: execution.ScopeKey{PipelineID: "q"}})
	require.Equal(t, &p, s.state("p"))
	require.Equal(t, &q, s.state("q"))

	// It outlives executions, and whoever does not know it leaves it.
	ended := c.Started[0]
	ended.Status = pipeline.Failed
	s.apply(&execution.Change{Updated: []*execution.Execution{ended}})
	parallel := run("e2", 2)
	parallel.Started[0].Mode = pipeline.Parallel
	s.apply(parallel)
	s.update(func(ctx context.Context, tx store.Tx) error {
		if _, err := tx.NextNumber(ctx, "p"); err != nil {
			return err
		}
		return tx.ClaimScope(ctx, execution.ScopeKey{PipelineID: "p"}, 0, 1)
	})
	scope := get(s, scopeOf(execution.ScopeKey{PipelineID: "p"}))
	require.Empty(t, scope.Live)
	require.Equal(t, &p, scope.State)
	require.Equal(t, int64(1), scope.Revision, "a state does not move the revision: a claim does")

	// Another takes its place as a whole.
	other := &execution.PipelineState{Stages: map[string]*execution.StageState{"Source": {Latest: &execution.Passage{ExecutionID: "e1", Number: 1, Version: 2}}}}
	s.apply(&execution.Change{State: other, Scope: execution.ScopeKey{PipelineID: "p"}})
	require.Equal(t, other, s.state("p"))
	require.Equal(t, empty, get(s, scopeOf(parallel.Started[0].Scope())).State, "a PARALLEL execution passes no doors")
	s.apply(&execution.Change{State: empty, Scope: execution.ScopeKey{PipelineID: "p"}})
	require.Equal(t, empty, s.state("p"))
	require.Equal(t, &q, s.state("q"))
}

func testStateNeedsItsPipeline(s *suite) {
	t := s.t
	s.running()
	state := filled[execution.PipelineState]()
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error {
		return tx.Apply(ctx, &execution.Change{State: &state, Scope: execution.ScopeKey{PipelineID: "unknown"}})
	}), store.ErrNotFound)
	parallel := run("e2", 2)
	parallel.Started[0].Mode = pipeline.Parallel
	s.apply(parallel)
	require.ErrorContains(t, s.try(func(ctx context.Context, tx store.Tx) error {
		return tx.Apply(ctx, &execution.Change{State: &state, Scope: parallel.Started[0].Scope()})
	}), "e2")
	require.Empty(t, s.state("p").Stages)

	s.apply(&execution.Change{State: &state, Scope: execution.ScopeKey{PipelineID: "p"}})
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.DeletePipeline(ctx, "p", 1) })
	missing(s, scopeOf(execution.ScopeKey{PipelineID: "p"}))
	s.pipeline("p")
	require.Empty(t, s.state("p").Stages, "one of the same id begins anew")
}

// An execution that ended comes back as it was, with another attempt.
func testResumedExecutionIsLiveAgain(s *suite) {
	t := s.t
	for _, mode := range []pipeline.ExecutionMode{pipeline.Queued, pipeline.Parallel} {
		name := string(mode)
		if len(s.accounts()) == 0 {
			s.account("a")
		}
		s.pipeline(name)
		c := run("e-"+name, 1)
		e := c.Started[0]
		e.PipelineID, e.Mode, e.OutputsRemovedAt = name, mode, time.Time{}
		s.apply(c)
		key := e.Scope()
		stage := e.Stages[1]
		replaced := stage.Actions[1]
		e.Status, e.EndedAt = pipeline.Failed, day().Add(time.Hour)
		stage.Status, stage.EndedAt = pipeline.Failed, day().Add(time.Hour)
		replaced.Status, replaced.EndedAt, replaced.Retried = pipeline.Failed, day().Add(time.Hour), false
		s.apply(&execution.Change{
			Updated: []*execution.Execution{e},
			Stages:  []execution.StageOf{{ExecutionID: e.ID, Stage: stage}},
			Actions: []execution.ActionOf{{ExecutionID: e.ID, Action: replaced}},
		})
		require.Equal(t, e, get(s, executionByID(e.ID)))
		if mode == pipeline.Parallel {
			missing(s, scopeOf(key))
		}

		e.Status, e.EndedAt, e.Stop, e.Cancel = pipeline.InProgress, time.Time{}, nil, nil
		e.Attempt++
		stage.Status, stage.EndedAt, stage.Phase = pipeline.InProgress, time.Time{}, execution.PhaseActions
		stage.Retries = &execution.Retries{Manual: 1, Last: execution.RetryManual, LastAt: day()}
		replaced.Retried = true
		again := *replaced
		again.ID, again.Retried, again.Status, again.EndedAt = replaced.ID+"-again", false, pipeline.InProgress, time.Time{}
		stage.Actions = append(stage.Actions, &again)
		resume := &execution.Change{
			Updated: []*execution.Execution{e}, Resumed: []*execution.Execution{e},
			Stages:     []execution.StageOf{{ExecutionID: e.ID, Stage: stage}},
			NewActions: []execution.ActionOf{{ExecutionID: e.ID, Action: &again}},
			Actions:    []execution.ActionOf{{ExecutionID: e.ID, Action: replaced}},
		}
		s.apply(resume)
		require.Equal(t, e, get(s, executionByID(e.ID)))
		scope := get(s, scopeOf(key))
		require.Equal(t, []*execution.Execution{e}, scope.Live)
		require.Zero(t, scope.Revision, "nobody claimed it yet")
		s.update(func(ctx context.Context, tx store.Tx) error {
			return tx.ClaimScope(ctx, key, scope.Revision, scope.Revision+1)
		})
		require.Equal(t, scope.Revision+1, get(s, scopeOf(key)).Revision)
	}
}

// Of two who bring a PARALLEL execution back, which has no scope that they could
// claim, one is told to look again.
func testResumedOnce(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	e := &execution.Execution{ID: "e1", Account: "a", PipelineID: "p", Number: 1, Mode: pipeline.Parallel, Status: pipeline.Failed, EndedAt: day()}
	s.apply(&execution.Change{Started: []*execution.Execution{e}})
	missing(s, scopeOf(e.Scope()))
	live := *e
	live.Status, live.EndedAt = pipeline.InProgress, time.Time{}
	resume := &execution.Change{Updated: []*execution.Execution{&live}, Resumed: []*execution.Execution{&live}}
	s.apply(resume)
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error { return tx.Apply(ctx, resume) }), store.ErrStale)
	require.Len(t, get(s, scopeOf(e.Scope())).Live, 1)

	// One that comes back and ends at once has no scope.
	s.apply(&execution.Change{Updated: []*execution.Execution{e}})
	s.apply(&execution.Change{Updated: []*execution.Execution{e}, Resumed: []*execution.Execution{e}})
	missing(s, scopeOf(e.Scope()))
}

// A rollback has one stage, which need not be the first of the pipeline.
func testRollbackHasOneStage(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	c := run("e1", 1)
	e := c.Started[0]
	e.Type = pipeline.TypeRollback
	e.Stages = e.Stages[1:]
	stage := e.Stages[0]
	stage.Position = 2
	c.NewStages, c.NewActions = []execution.StageOf{{ExecutionID: "e1", Stage: stage}}, nil
	for _, a := range stage.Actions {
		a.Stage = 2
		c.NewActions = append(c.NewActions, execution.ActionOf{ExecutionID: "e1", Action: a})
	}
	s.apply(c)
	require.Equal(t, e, get(s, executionByID("e1")))
	require.Equal(t, []*execution.Execution{e}, get(s, scopeOf(execution.ScopeKey{PipelineID: "p"})).Live)
	stage.Status, stage.Actions[0].Status = pipeline.Failed, pipeline.Failed
	s.apply(&execution.Change{
		Stages:  []execution.StageOf{{ExecutionID: "e1", Stage: stage}},
		Actions: []execution.ActionOf{{ExecutionID: "e1", Action: stage.Actions[0]}},
	})
	require.Equal(t, e, get(s, executionByID("e1")))
}

// Actions come back in the order in which they were started, by their ids: neither
// the run order, which begins again with a retry, nor the time, which those of one
// decision have in common and a clock may set back, is that order.
func testActionsInTheOrderOfTheirStarts(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	stage := func(position int) *execution.Stage {
		return &execution.Stage{Position: position, Name: "s", Status: pipeline.InProgress, StartedAt: day()}
	}
	e := &execution.Execution{
		ID: "e1", Account: "a", PipelineID: "p", Number: 1, Mode: pipeline.Superseded, Status: pipeline.InProgress,
		Type: pipeline.TypeStandard, Attempt: 1, Stages: []*execution.Stage{stage(0), stage(1)},
	}
	c := &execution.Change{Started: []*execution.Execution{e}, NewStages: []execution.StageOf{
		{ExecutionID: "e1", Stage: e.Stages[0]}, {ExecutionID: "e1", Stage: e.Stages[1]},
	}}
	for _, a := range []execution.Action{
		{ID: "01", RunOrder: 1, Name: "z", Retried: true},
		{ID: "02", RunOrder: 1, Name: "a", Retried: true},
		{ID: "03", RunOrder: 2, Name: "b", Retried: true},
		{ID: "04", RunOrder: 1, Name: "a"},
		{ID: "05", RunOrder: 1, Name: "z"},
		{ID: "06", Stage: 1, RunOrder: 7, Name: "y"},
		{ID: "07", RunOrder: 2, Name: "b"},
	} {
		a.StartedAt, a.Attempt, a.Status = day(), 1, pipeline.Failed
		if a.ID == "07" {
			a.StartedAt = day().Add(-time.Hour)
		}
		e.Stages[a.Stage].Actions = append(e.Stages[a.Stage].Actions, &a)
		// Rows are not always written in that order.
		c.NewActions = append([]execution.ActionOf{{ExecutionID: "e1", Action: &a}}, c.NewActions...)
	}
	s.apply(c)
	require.Equal(t, e, get(s, executionByID("e1")))
}

// A stage that nothing is kept of beside its status is read back so.
func testStageWithoutDetails(s *suite) {
	t := s.t
	c := s.running()
	stage := c.Started[0].Stages[0]
	for _, details := range []execution.StageDetails{
		{},
		{Phase: execution.PhaseApproval},
		{},
		{Retries: &execution.Retries{}},
		{},
		{Conditions: []*execution.Condition{{Kind: pipeline.ConditionBeforeEntry}}},
		{},
	} {
		stage.StageDetails = details
		s.apply(&execution.Change{Stages: []execution.StageOf{{ExecutionID: "e1", Stage: stage}}})
		require.Equal(t, details, get(s, executionByID("e1")).Stages[0].StageDetails)
	}
	waiting := &execution.Stage{Position: 2, Name: "waits", Status: pipeline.InProgress, ArrivedAt: day()}
	s.apply(&execution.Change{NewStages: []execution.StageOf{{ExecutionID: "e1", Stage: waiting}}})
	require.Equal(t, waiting, get(s, executionByID("e1")).Stages[2])
}
