package service_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
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
	queued, running := l.attempts()
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
	queued, running := l.attempts()
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

// What a turn did must be recorded, also when the server stops meanwhile: it would
// be done twice otherwise.
func TestTurnThatEndsWhileTheServerStopsIsRecorded(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"~noop"}))
	working := make(chan struct{}, 10)
	l.take = func(ctx context.Context, _ action.Turn) action.Outcome {
		working <- struct{}{}
		<-ctx.Done()
		return action.Outcome{Result: action.Result{Summary: "done"}}
	}
	e := l.start("web")
	<-working
	l.restart()
	e = l.get(e.ID)
	require.Equal(t, pipeline.Succeeded, e.Status)
	require.Equal(t, "done", e.Stages[0].Actions[0].Details.Summary)
	require.Empty(t, working, "it was taken once")
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
	l.take = func(context.Context, action.Turn) action.Outcome { panic("a secret") } //nolint:forbidigo // What an executor may do.
	e := l.becomes(l.start("web").ID, pipeline.Failed)
	failure := e.Stages[0].Actions[0].Details.Failure
	require.Equal(t, action.SystemUnavailable, failure.Code)
	require.NotContains(t, failure.Message, "secret")
}

// logLines are the lines of a log.
type logLines chan string

func (l logLines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

// A newer server may have made it: this one says so, leaves it, and goes on.
func TestTurnOfAnUnknownKindIsLeft(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"?sign"}))
	l.pipeline("other", stages("", []string{"~noop"}))
	e := l.start("web")
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.Apply(ctx, &execution.Change{Turns: []*execution.Turn{{ID: "t", Kind: "future", Scope: e.Scope(), ExecutionID: e.ID, DueAt: l.now()}}})
	}))
	lines := make(logLines, 100)
	l.log = hclog.New(&hclog.LoggerOptions{Output: lines})
	l.restart()
	for line := ""; !strings.Contains(line, "turn failed"); {
		line = <-lines
		if strings.Contains(line, "turn failed") {
			require.Contains(t, line, `knows no turns of kind \"future\": start a newer one`)
		}
	}
	l.becomes(l.start("other").ID, pipeline.Succeeded)
	_, turns := l.work()
	require.Len(t, turns, 2, "it waits for who knows it, beside the expiry")
	require.Equal(t, pipeline.InProgress, l.get(e.ID).Status)
}
