package service_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// A commit that fails leaves nothing in memory that the next decision would
// build upon.
func TestFailedCommitLeavesNoTrace(t *testing.T) {
	t.Parallel()
	for _, mode := range []pipeline.ExecutionMode{pipeline.Superseded, pipeline.Queued, pipeline.Parallel} {
		l := newLab(t)
		l.pipeline("web", retried(stages(mode, []string{"a", "b"})))
		l.store.failing.Store(1)
		_, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{RequestID: "r1"})
		require.ErrorIs(t, err, errDisk)
		l.idle()
		e, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{RequestID: "r1"})
		require.NoError(t, err)
		require.Equal(t, int64(1), e.Number)
		require.Equal(t, pipeline.InProgress, e.Stages[0].Status, "nobody is in front of it")
		require.Len(t, e.Stages[0].Actions, 1)

		a := l.acquire("r1")
		for range 3 {
			l.store.failing.Store(1)
			_, err = l.Report(t.Context(), "r1", a.Attempt, action.Failed(action.JobFailed, "not recorded"))
			require.ErrorIs(t, err, errDisk)
			l.store.failing.Store(1)
			_, err = l.Stop(t.Context(), admin, "default", e.ID, true, "not recorded")
			require.ErrorIs(t, err, errDisk)
		}
		require.False(t, revoked(a))
		b := l.report("r1", a, action.Result{})
		require.Equal(t, "b", b.Attempt.Action.Name)
		require.Nil(t, l.report("r1", *b, action.Result{}))
		require.Equal(t, pipeline.Succeeded, l.get(e.ID).Status)
	}
}

// Between a commit that fails and its caller, who forgets what it left in memory,
// another server decides on the same pipeline: what is decided here next must not be
// built upon the one that failed.
func TestFailedCommitIsNotConfirmedByAnother(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	def := stages(pipeline.Queued, []string{"a", "b"})
	def.Stages[0].Actions[1].RunOrder = 1
	l.pipeline("web", def)
	e := l.start("web")
	a, b := l.acquire("r1"), l.acquire("r2")
	kinds := catalog.Builtin().With(noop)
	other := service.NewExecutions(service.ExecutionsConfig{
		Store: l.store.Store, Catalog: kinds, Logs: l.logs, Clock: l.now, NewID: uuid.NewString,
		Loop: loop.New(loop.Config{
			Store: l.store.Store, Catalog: kinds, Registry: action.NewRegistry(), Clock: l.now,
			NewID: uuid.NewString, Lease: l.lease, Log: hclog.NewNullLogger(),
			Queue: embedded.New(embedded.Config{Workers: 1, Clock: l.now, Retry: time.Millisecond, Log: hclog.NewNullLogger()}),
		}),
	})
	l.store.after = func() {
		l.store.after = nil
		_, err := other.Start(t.Context(), admin, "default", "web", service.StartInput{})
		require.NoError(t, err)
		require.Nil(t, l.report("r2", b, action.Result{}))
	}
	l.store.failing.Store(1)
	_, err := l.Report(t.Context(), "r1", a.Attempt, action.Result{})
	require.ErrorIs(t, err, errDisk)
	require.Equal(t, pipeline.InProgress, l.get(e.ID).Stages[0].Status, "a did not end")
	require.NotNil(t, l.report("r1", a, action.Result{}), "the next execution enters")
	require.Equal(t, pipeline.Succeeded, l.get(e.ID).Status)
}

// A server that was killed while the disk was full starts, shows what is, and takes
// over once there is room.
func TestRecoveryWaitsForRoom(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	e := l.start("web")
	a := l.acquire("r1")
	l.full = 1 << 40
	l.restart()
	require.False(t, l.Recovered())
	require.Equal(t, pipeline.InProgress, l.get(e.ID).Status)
	require.Nil(t, l.report("r1", a, action.Result{}), "its runner is gone, and its result with it")
	why, err := l.Explain(t.Context(), admin, "default", e.ID)
	require.NoError(t, err)
	require.Equal(t, "action a of stage S0 runs on runner r1 (attempt 1); it may have ended, since the server cannot store anything at present: the disk is full",
		why.Reasons[0].Message)
	l.store.failing.Store(0)
	failed := l.becomes(e.ID, pipeline.Failed)
	require.Equal(t, action.RunnerLost, failed.Stages[0].Actions[0].Details.Failure.Code)
	require.Eventually(t, l.Recovered, 10*time.Second, time.Millisecond)
	why, err = l.Explain(t.Context(), admin, "default", e.ID)
	require.NoError(t, err)
	require.Empty(t, why.Reasons)
}

// What a commit that failed made of a version is not taken for the version.
func TestFailedCommitLeavesNoDefinition(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"~old"}))
	p := l.stored("web")
	publish := func(tx store.Tx, ctx context.Context, name string) error {
		p.Version = 2
		if err := tx.UpdatePipeline(ctx, p); err != nil {
			return err
		}
		return tx.CreatePipelineVersion(ctx, definition.Version{PipelineID: p.ID, Version: 2, Definition: stages("", []string{name})})
	}
	// Both come in one commit, as they may, and it fails.
	l.store.before = func(ctx context.Context, tx store.Tx) error { return publish(tx, ctx, "~phantom") }
	l.store.failing.Store(1)
	_, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{})
	require.ErrorIs(t, err, errDisk)
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return publish(tx, ctx, "~new") }))
	e := l.becomes(l.start("web").ID, pipeline.Succeeded)
	require.Equal(t, int64(2), e.Version)
	require.Equal(t, "new", e.Stages[0].Actions[0].Name)
}

// Rules are kept in memory, and another process changes them.
func TestRulesAreThoseOfTheDecision(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Parallel, []string{"?sign"}))
	guard := func() string { return l.start("web").Stages[0].Actions[0].Details.Approval.Requirements[0].Rule }
	require.Empty(t, guard())
	rule := approval.Rule{
		Account: "default", Name: "ops", Pipelines: []string{"web"}, Revision: 1,
		Requirement: execution.Requirement{MinimumCount: 1, Groups: []string{"ops"}},
	}
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateApprovalRule(ctx, rule)
	}))
	require.Equal(t, "ops", guard())
	require.Equal(t, "ops", guard())
	rule.Pipelines = []string{"other"}
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.UpdateApprovalRule(ctx, rule)
	}))
	require.Empty(t, guard())
}

// What cannot be read while a decision is taken fails it: an approval must not open
// without its rules, and a stage that is to be rolled back must not just fail.
func TestDecisionFailsWithWhatItReads(t *testing.T) {
	t.Parallel()
	t.Run("rules", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.pipeline("web", stages("", []string{"?sign"}))
		require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			return tx.CreateApprovalRule(ctx, approval.Rule{
				Account: "default", Name: "ops", Pipelines: []string{"web"}, Revision: 1,
				Requirement: execution.Requirement{MinimumCount: 1, Groups: []string{"ops"}},
			})
		}))
		l.store.breakNext("ApprovalRules")
		_, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{})
		require.ErrorIs(t, err, errDisk)
		e := l.start("web")
		require.Equal(t, int64(1), e.Number)
		require.Len(t, e.Stages[0].Actions[0].Details.Approval.Requirements, 1)
	})
	for _, call := range []string{"Execution", "NextNumber"} {
		t.Run("rollback without "+call, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			def := stages("", []string{"a"}, []string{"b"})
			def.Stages[1].OnFailure = &pipeline.OnFailure{Result: pipeline.ResultRollback}
			l.pipeline("web", def)
			good := l.succeed("web")
			bad := l.start("web")
			b := l.report("r1", l.acquire("r1"), action.Result{})
			l.store.breakNext(call)
			_, err := l.Report(t.Context(), "r1", b.Attempt, action.Failed(action.JobFailed, "exit code 1"))
			require.ErrorIs(t, err, errDisk)
			require.Equal(t, pipeline.InProgress, l.get(bad.ID).Status)
			l.report("r1", *b, action.Failed(action.JobFailed, "exit code 1"))
			require.Equal(t, pipeline.Failed, l.get(bad.ID).Status)
			all, err := l.List(t.Context(), admin, "default", service.ExecutionQuery{Pipeline: "web", Size: 1})
			require.NoError(t, err)
			require.Equal(t, int64(3), all[0].Number)
			require.Equal(t, good.ID, all[0].Trigger.Detail)
		})
	}
}

// A runner that waits was promised an attempt of a commit that failed: it goes on
// waiting and gets the next.
func TestFailedCommitGivesRunnersBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	got := make(chan runner.Assignment, 1)
	go func() {
		a, _ := l.Acquire(context.Background(), "r1")
		got <- a
	}()
	for range 3 {
		l.store.failing.Store(1)
		_, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{})
		require.ErrorIs(t, err, errDisk)
	}
	e := l.start("web")
	require.Equal(t, e.ID, (<-got).Attempt.ExecutionID)
	_, running := l.attempts()
	require.Equal(t, 1, running)
}

// Two commits may be told in the other order than they were made: what is over
// before it is handed out must not run.
func TestAttemptThatIsOverBeforeItIsHandedOut(t *testing.T) {
	t.Parallel()
	abandon := func(l *lab, id string) {
		_, err := l.Stop(t.Context(), admin, "default", id, true, "")
		require.NoError(t, err)
	}
	nothing := func(l *lab) {
		queued, running := l.attempts()
		require.Equal(t, []int{0, 0}, []int{queued, running})
		l.idle()
	}
	t.Run("to a runner that waits", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.pipeline("web", stages(pipeline.Parallel, []string{"a"}))
		waiting, cancel := context.WithCancel(t.Context())
		got := make(chan error, 1)
		a := runner.Assignment{}
		go func() {
			var err error
			a, err = l.Acquire(waiting, "r1")
			got <- err
		}()
		h := l.store.hold()
		started := make(chan error, 1)
		go func() { _, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{}); started <- err }()
		<-h.committed
		all, err := l.List(t.Context(), admin, "default", service.ExecutionQuery{Size: 1})
		require.NoError(t, err)
		abandon(l, all[0].ID)
		close(h.release)
		require.NoError(t, <-started)
		cancel()
		if <-got == nil {
			require.True(t, revoked(a))
		}
		nothing(l)
	})
	t.Run("to the runner that reports", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.pipeline("web", stages("", []string{"a", "b"}))
		e := l.start("web")
		a := l.acquire("r1")
		h := l.store.hold()
		reported := make(chan *runner.Assignment, 1)
		go func() {
			answer, _ := l.Report(context.Background(), "r1", a.Attempt, action.Result{})
			reported <- answer.Next
		}()
		<-h.committed
		abandon(l, e.ID)
		close(h.release)
		if next := <-reported; next != nil {
			require.True(t, revoked(*next))
		}
		nothing(l)
	})
	t.Run("to the runner that takes it from the queue", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.pipeline("web", stages("", []string{"a"}))
		e := l.start("web")
		h := l.store.hold()
		waiting, cancel := context.WithCancel(t.Context())
		got := make(chan error, 1)
		a := runner.Assignment{}
		go func() {
			var err error
			a, err = l.Acquire(waiting, "r1")
			got <- err
		}()
		<-h.committed
		abandon(l, e.ID)
		close(h.release)
		cancel()
		if <-got == nil {
			require.True(t, revoked(a))
		}
		nothing(l)
	})
}

// Everything at once, with commits that fail now and then: all executions end and
// no action runs twice in one attempt.
func TestStorm(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.lease = time.Hour
	l.restart()
	for i, mode := range []pipeline.ExecutionMode{pipeline.Superseded, pipeline.Queued, pipeline.Parallel} {
		l.pipeline(fmt.Sprint("p", i), retried(stages(mode, []string{"a", "~t", "b"}, []string{"c"})))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var runs sync.Map
	var runners sync.WaitGroup
	for i := range 4 {
		name := fmt.Sprint("r", i)
		runners.Go(func() {
			for ctx.Err() == nil {
				a, err := l.Acquire(ctx, name)
				if err != nil {
					continue
				}
				for next := &a; next != nil; {
					if _, twice := runs.LoadOrStore(next.Attempt.ID(), name); twice {
						t.Errorf("attempt %s was given out twice", next.Attempt.ID())
						return
					}
					current := next
					for {
						answer, err := l.Report(context.Background(), name, current.Attempt, action.Result{})
						if err == nil {
							next = answer.Next
							break
						}
					}
				}
			}
		})
	}
	var ids []string
	for i := range 60 {
		if i%10 == 9 {
			l.store.failing.Add(1)
		}
		e, err := l.Start(t.Context(), admin, "default", fmt.Sprint("p", i%3), service.StartInput{RequestID: fmt.Sprint(i)})
		if err != nil {
			var refused *service.Error
			require.NotErrorAs(t, err, &refused)
			continue
		}
		ids = append(ids, e.ID)
		if i%7 == 0 {
			_, _ = l.Stop(t.Context(), admin, "default", e.ID, i%2 == 0, "")
		}
	}
	for _, id := range ids {
		require.NoError(t, l.Watch(t.Context(), admin, "default", id, 0, func(execution.Event) error { return nil }))
		require.NotEqual(t, pipeline.Failed, l.get(id).Status)
	}
	cancel()
	runners.Wait()
	require.Empty(t, l.turns())
	queued, running := l.attempts()
	require.Equal(t, []int{0, 0}, []int{queued, running})
}
