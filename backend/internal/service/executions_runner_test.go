package service_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// retried lets all actions of a definition be tried again when they are lost.
func retried(def pipeline.Definition) pipeline.Definition {
	for i := range def.Stages {
		for j := range def.Stages[i].Actions {
			def.Stages[i].Actions[j].OnLost = pipeline.OnLostRetry
		}
	}
	return def
}

func TestRunnerCarriesAnExecutionThrough(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a", "b"}, []string{"c"}))
	e := l.start("web")
	a := l.acquire("r1")
	require.Equal(t, "a", a.Attempt.Action.Name)
	require.Equal(t, 1, a.Attempt.Number)
	require.Equal(t, e.ID, a.Attempt.ExecutionID)
	require.Equal(t, time.Hour, a.Attempt.Timeout)
	leases, _ := l.work()
	require.Equal(t, "r1", leases[0].Runner)
	require.Equal(t, l.now().Add(l.lease), leases[0].Until)

	b := l.report("r1", a, action.Result{Artifacts: []action.Artifact{{Name: "bin", Digest: "d"}}})
	require.Equal(t, "b", b.Attempt.Action.Name, "the runner carries on with what its result made ready")
	leases, _ = l.work()
	require.Equal(t, "r1", leases[0].Runner, "the commit names it, so that a crash finds it")
	l.idle()
	c := l.report("r1", *b, action.Result{})
	require.Nil(t, l.report("r1", *c, action.Result{}))
	require.Equal(t, pipeline.Succeeded, l.get(e.ID).Status)
	for _, done := range []runner.Assignment{a, *b, *c} {
		require.Nil(t, l.report("r1", done, action.Failed(action.JobFailed, "late")), "a result counts once")
	}
	require.Equal(t, pipeline.Succeeded, l.get(e.ID).Status)
	queued, running := l.Attempts()
	require.Equal(t, []int{0, 0}, []int{queued, running})
}

func TestOnlyTheHolderReports(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	e := l.start("web")
	a := l.acquire("r1")
	require.Nil(t, l.report("r2", a, action.Result{}))
	other := a
	other.Attempt.Number = 2
	require.Nil(t, l.report("r1", other, action.Result{}))
	require.Equal(t, pipeline.InProgress, l.get(e.ID).Status)
	require.Nil(t, l.report("r1", a, action.Result{}))
	require.Equal(t, pipeline.Succeeded, l.get(e.ID).Status)
}

func TestSilentRunnerLosesItsLease(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", retried(stages("", []string{"a"})))
	l.pipeline("once", stages("", []string{"a"}))
	e := l.start("web")
	first := l.acquire("r1")
	// Renewed in time it stays, however long that is.
	for range 5 {
		l.later(l.lease * 9 / 10)
		require.NoError(t, l.Renew(t.Context(), "r1"))
	}
	l.idle()
	require.False(t, revoked(first))

	l.later(l.lease * 2)
	second := l.acquire("r2")
	require.Equal(t, first.Attempt.ActionExecutionID, second.Attempt.ActionExecutionID)
	require.Equal(t, 2, second.Attempt.Number)
	<-first.Revoked
	require.Nil(t, l.report("r1", first, action.Failed(action.JobFailed, "late")))
	require.False(t, revoked(second))
	require.Nil(t, l.report("r2", second, action.Result{}))
	require.Equal(t, pipeline.Succeeded, l.get(e.ID).Status)

	e = l.start("once")
	held := l.acquire("r1")
	l.later(l.lease * 2)
	e = l.becomes(e.ID, pipeline.Failed)
	require.Equal(t, action.RunnerLost, e.Stages[0].Actions[0].Details.Failure.Code)
	<-held.Revoked
	queued, running := l.Attempts()
	require.Equal(t, []int{0, 0}, []int{queued, running})
}

func TestRenewKeepsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Parallel, []string{"a"}))
	mine, theirs := l.start("web"), l.start("web")
	held := l.acquire("r1")
	l.acquire("r2")
	l.later(l.lease * 9 / 10)
	require.NoError(t, l.Renew(t.Context(), "r1"))
	l.later(l.lease * 9 / 10)
	l.becomes(theirs.ID, pipeline.Failed)
	require.Equal(t, pipeline.InProgress, l.get(mine.ID).Status)
	require.False(t, revoked(held))
}

func TestAbandonRevokes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a", "b"}))
	e := l.start("web")
	a := l.acquire("r1")
	_, err := l.Stop(t.Context(), admin, "default", e.ID, true, "enough")
	require.NoError(t, err)
	<-a.Revoked
	require.Nil(t, l.report("r1", a, action.Result{}))
	e = l.get(e.ID)
	require.Equal(t, pipeline.Stopped, e.Status)
	require.Equal(t, pipeline.Abandoned, e.Stages[0].Actions[0].Status)

	// One that nobody took yet is not given out any more.
	e = l.start("web")
	_, err = l.Stop(t.Context(), admin, "default", e.ID, true, "")
	require.NoError(t, err)
	l.idle()
	leases, _ := l.work()
	require.Empty(t, leases)
}

func TestRunnersThatWaitGetOneEach(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Parallel, []string{"a"}))
	const n = 10
	got := make(chan runner.Assignment, n)
	errs := make(chan error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			a, err := l.Acquire(ctx, fmt.Sprint("r", i))
			got <- a
			errs <- err
		})
	}
	// Those that give up meanwhile take nothing away.
	for range 5 {
		l.idle()
	}
	for range n {
		l.start("web")
	}
	group.Wait()
	seen := make(map[string]bool)
	for range n {
		require.NoError(t, <-errs)
		seen[(<-got).Attempt.ActionExecutionID] = true
	}
	require.Len(t, seen, n)
	l.idle()
	leases, _ := l.work()
	for _, lease := range leases {
		require.NotEmpty(t, lease.Runner)
	}
}

func TestAttemptsAreTakenInOrder(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Parallel, []string{"a"}))
	var want, got []string
	for range 5 {
		want = append(want, l.start("web").ID)
		l.later(time.Microsecond)
	}
	l.restart()
	for range 5 {
		got = append(got, l.acquire("r").Attempt.ExecutionID)
	}
	require.Equal(t, want, got)
}

func TestRestartInTheMiddle(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("once", stages("", []string{"a"}))
	l.pipeline("again", retried(stages("", []string{"a"})))
	l.pipeline("queued", stages("", []string{"a"}))
	l.pipeline("turns", stages("", []string{"~noop"}))
	l.pipeline("people", stages("", []string{"?sign"}))
	l.pipeline("parallel", stages(pipeline.Parallel, []string{"a"}))
	working := make(chan struct{}, 100)
	l.take = func(ctx context.Context, _ action.Turn) action.Outcome {
		working <- struct{}{}
		<-ctx.Done()
		return action.Outcome{Result: action.Failed(action.SystemUnavailable, "%s", ctx.Err())}
	}
	once, again, parallel := l.start("once"), l.start("again"), l.start("parallel")
	held := []runner.Assignment{l.acquire("r1"), l.acquire("r1"), l.acquire("r1")}
	queued, turns, people := l.start("queued"), l.start("turns"), l.start("people")
	behind := l.start("once")
	<-working
	l.stop()
	l.take = nil
	l.later(24 * time.Hour)
	l.boot()

	// A turn that was cut off by the stop is taken again.
	l.becomes(turns.ID, pipeline.Succeeded)
	e := l.becomes(once.ID, pipeline.Failed)
	require.Equal(t, action.RunnerLost, e.Stages[0].Actions[0].Details.Failure.Code)
	require.Contains(t, e.Stages[0].Actions[0].Details.Failure.Message, "headraced stopped")
	l.becomes(parallel.ID, pipeline.Failed)
	for _, a := range held {
		require.Nil(t, l.report("r1", a, action.Result{}))
	}
	numbers := make(map[string]int)
	for range 3 {
		a := l.acquire("r1")
		numbers[a.Attempt.ExecutionID] = a.Attempt.Number
		require.Nil(t, l.report("r1", a, action.Result{}))
	}
	require.Equal(t, map[string]int{again.ID: 2, queued.ID: 1, behind.ID: 1}, numbers)
	for id := range numbers {
		require.Equal(t, pipeline.Succeeded, l.get(id).Status)
	}

	require.Equal(t, pipeline.InProgress, l.get(people.ID).Status)
	l.later(6*24*time.Hour - time.Minute)
	l.restart()
	require.Equal(t, pipeline.InProgress, l.get(people.ID).Status, "it is still open")
	l.later(2 * time.Minute)
	e = l.becomes(people.ID, pipeline.Failed)
	require.Equal(t, action.ApprovalExpired, e.Stages[0].Actions[0].Details.Failure.Code)
	leases, pending := l.work()
	require.Empty(t, leases)
	require.Empty(t, pending)
	l.restart()
	require.Equal(t, pipeline.Failed, l.get(people.ID).Status)
}

func TestTurnsThatAskForMore(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"~noop"}))
	l.take = func(_ context.Context, turn action.Turn) action.Outcome {
		if len(turn.State) == 3 {
			return action.Outcome{Result: action.Result{Summary: string(turn.State)}}
		}
		return action.Outcome{Again: &action.Again{State: append(turn.State, 'x'), Delay: time.Hour}}
	}
	e := l.start("web")
	for n := range 3 {
		require.Eventually(t, func() bool {
			_, turns := l.work()
			return len(turns) == 1 && len(turns[0].Work.State) == n+1
		}, 10*time.Second, time.Millisecond)
		require.Equal(t, pipeline.InProgress, l.get(e.ID).Status)
		l.restart()
		l.later(time.Hour)
	}
	e = l.becomes(e.ID, pipeline.Succeeded)
	require.Equal(t, "xxx", e.Stages[0].Actions[0].Details.Summary)
}

func TestExecutorThatPanicsFailsItsAction(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"~noop"}))
	l.take = func(context.Context, action.Turn) action.Outcome { panic("a secret") }
	e := l.becomes(l.start("web").ID, pipeline.Failed)
	failure := e.Stages[0].Actions[0].Details.Failure
	require.Equal(t, action.SystemUnavailable, failure.Code)
	require.NotContains(t, failure.Message, "secret")
}

// A commit that fails leaves nothing in memory that the next decision would
// build upon.
func TestFailedCommitLeavesNoTrace(t *testing.T) {
	t.Parallel()
	for _, mode := range []pipeline.ExecutionMode{pipeline.Superseded, pipeline.Queued, pipeline.Parallel} {
		l := newLab(t)
		l.pipeline("web", retried(stages(mode, []string{"a", "b"})))
		l.store.failing.Store(1)
		_, err := l.Start(t.Context(), admin, "default", "web", nil, "r1")
		require.ErrorIs(t, err, errDisk)
		l.idle()
		e, err := l.Start(t.Context(), admin, "default", "web", nil, "r1")
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
		return tx.CreatePipelineVersion(ctx, store.PipelineVersion{PipelineID: p.ID, Version: 2, Definition: stages("", []string{name})})
	}
	// Both come in one commit, as they may, and it fails.
	l.store.before = func(ctx context.Context, tx store.Tx) error { return publish(tx, ctx, "~phantom") }
	l.store.failing.Store(1)
	_, err := l.Start(t.Context(), admin, "default", "web", nil, "")
	require.ErrorIs(t, err, errDisk)
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return publish(tx, ctx, "~new") }))
	e := l.becomes(l.start("web").ID, pipeline.Succeeded)
	require.Equal(t, int64(2), e.Version)
	require.Equal(t, "new", e.Stages[0].Actions[0].Name)
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
		_, err := l.Start(t.Context(), admin, "default", "web", nil, "")
		require.ErrorIs(t, err, errDisk)
	}
	e := l.start("web")
	require.Equal(t, e.ID, (<-got).Attempt.ExecutionID)
	_, running := l.Attempts()
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
		queued, running := l.Attempts()
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
		go func() { _, err := l.Start(t.Context(), admin, "default", "web", nil, ""); started <- err }()
		<-h.committed
		all, err := l.List(t.Context(), admin, "default", "", nil, "", 1)
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
		go func() { next, _ := l.Report(context.Background(), "r1", a.Attempt, action.Result{}); reported <- next }()
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
						next, err = l.Report(context.Background(), name, current.Attempt, action.Result{})
						if err == nil {
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
		e, err := l.Start(t.Context(), admin, "default", fmt.Sprint("p", i%3), nil, fmt.Sprint(i))
		if err != nil {
			var refused *service.Error
			require.False(t, errors.As(err, &refused), "%v", err)
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
	leases, turns := l.work()
	require.Empty(t, leases)
	require.Empty(t, turns)
	queued, running := l.Attempts()
	require.Equal(t, []int{0, 0}, []int{queued, running})
}
