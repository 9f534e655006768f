package service_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
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
	leases := l.held()
	require.Equal(t, "r1", leases[0].Runner)
	require.Equal(t, l.now().Add(l.lease), leases[0].Until)

	b := l.report("r1", a, action.Result{Artifacts: []action.Artifact{{Name: "bin", Digest: "d"}}})
	require.Equal(t, "b", b.Attempt.Action.Name, "the runner carries on with what its result made ready")
	leases = l.held()
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
	require.True(t, first.Lost(), "another runner has it")
	require.Nil(t, l.report("r1", first, action.Failed(action.JobFailed, "late")))
	require.False(t, revoked(second))
	require.Nil(t, l.report("r2", second, action.Result{}))
	require.Equal(t, pipeline.Succeeded, l.get(e.ID).Status)

	e = l.start("once")
	held := l.acquire("r1")
	l.later(l.lease * 2)
	e = l.becomes(e.ID, pipeline.Failed)
	failure := e.Stages[0].Actions[0].Details.Failure
	require.Equal(t, action.RunnerLost, failure.Code)
	require.Contains(t, failure.Message, fmt.Sprintf("runner r1 did not renew its lease for %s in attempt 1", l.lease))
	<-held.Revoked
	queued, running := l.attempts()
	require.Equal(t, []int{0, 0}, []int{queued, running})
}

// A runner that renews forever does not keep an attempt after its timeout. While the storage
// is unavailable it may.
func TestRunnerThatNeverEndsAnAttempt(t *testing.T) {
	t.Parallel()
	l := unbooted(t)
	// Each step of the clock is shorter than the lease, so that no renewal comes late.
	l.lease = 600 * time.Millisecond
	var storageDown atomic.Bool
	l.storage = func(context.Context) error {
		if storageDown.Load() {
			return errors.New("the bucket does not answer")
		}
		return nil
	}
	l.boot()
	l.accounts()
	def := stages("", []string{"a"})
	def.Stages[0].Actions[0].TimeoutInMinutes = 1
	def.Stages[0].Actions[0].OnLost = pipeline.OnLostRetry
	l.pipeline("web", def)
	e := l.start("web")
	held := l.acquire("r1")
	began := l.now()
	renewed := func(until func() bool) {
		require.Eventually(t, func() bool {
			l.later(l.lease * 9 / 10)
			require.NoError(t, l.Renew(t.Context(), "r1"))
			return until()
		}, 30*time.Second, time.Millisecond)
	}
	storageDown.Store(true)
	renewed(func() bool { return l.now().Sub(began) > 10*time.Minute })
	require.False(t, revoked(held), "it waits for the storage")
	storageDown.Store(false)
	returned := l.now()
	renewed(func() bool { return revoked(held) })
	require.GreaterOrEqual(t, l.now().Sub(returned), 2*time.Minute, "counted anew")
	e = l.get(e.ID)
	require.Equal(t, pipeline.Failed, e.Status)
	failure := e.Stages[0].Actions[0].Details.Failure
	require.Equal(t, action.TimedOut, failure.Code)
	require.Equal(t, "the action ran longer than its timeout of 1m0s, and runner r1 did not end it within 1m0s after that", failure.Message)
	require.Nil(t, l.report("r1", held, action.Result{}))
	require.Equal(t, pipeline.Failed, l.get(e.ID).Status)
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
	require.False(t, a.Lost())
	require.Nil(t, l.report("r1", a, action.Result{}))
	e = l.get(e.ID)
	require.Equal(t, pipeline.Stopped, e.Status)
	require.Equal(t, pipeline.Abandoned, e.Stages[0].Actions[0].Status)

	// One that nobody took yet is not given out any more.
	e = l.start("web")
	_, err = l.Stop(t.Context(), admin, "default", e.ID, true, "")
	require.NoError(t, err)
	l.idle()
	queued, running := l.attempts()
	require.Equal(t, []int{0, 0}, []int{queued, running})
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
	queued, _ := l.attempts()
	require.Zero(t, queued)
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
	l.take = func(ctx context.Context, _ action.Turn, _ action.Tools) action.Outcome {
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
	waiting, running := l.attempts()
	require.Equal(t, []int{0, 0}, []int{waiting, running})
	require.Empty(t, l.turns())
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
	l.take = func(ctx context.Context, _ action.Turn, _ action.Tools) action.Outcome {
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
	l.take = func(_ context.Context, turn action.Turn, _ action.Tools) action.Outcome {
		if len(turn.State) == 3 {
			return action.Outcome{Result: action.Result{Summary: string(turn.State)}}
		}
		return action.Outcome{Again: &action.Again{State: append(turn.State, 'x'), Delay: time.Hour}}
	}
	e := l.start("web")
	for n := range 3 {
		require.Eventually(t, func() bool {
			turns := l.turns()
			return len(turns) == 1 && len(turns[0].Work.State) == n+1
		}, 10*time.Second, time.Millisecond)
		require.Equal(t, pipeline.InProgress, l.get(e.ID).Status)
		l.restart()
		l.later(time.Hour)
	}
	e = l.becomes(e.ID, pipeline.Succeeded)
	require.Equal(t, "xxx", e.Stages[0].Actions[0].Details.Summary)
}

// An attempt that a runner could not begin is the next runner's, with the same number, and explain
// says who returned it and why.
func TestReturnedAttemptsWaitForARunner(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"build"}))
	e := l.start("web")
	for count := 1; count <= 2; count++ {
		a := l.acquire("r1")
		require.Equal(t, 1, a.Attempt.Number)
		a.Attempt.Returned = &action.Returned{Count: count, Runner: "r1", Reason: "no room"}
		require.NoError(t, l.Return(t.Context(), "r1", a.Attempt))
		require.NoError(t, l.Return(t.Context(), "r1", a.Attempt), "it is not its any more")
		why, err := l.Explain(t.Context(), admin, "default", e.ID)
		require.NoError(t, err)
		require.Equal(t, engine.WaitRunner, why.Reasons[0].Kind)
		want := "waits for a free runner slot; runner r1 returned it: no room"
		if count == 2 {
			want = "waits for a free runner slot; runners returned it 2 times, the last was r1: no room"
		}
		require.Contains(t, why.Reasons[0].Message, want)
	}
	a := l.acquire("r2")
	require.Equal(t, 2, a.Attempt.Returned.Count)
	_, err := l.Report(t.Context(), "r2", a.Attempt, action.Result{})
	require.NoError(t, err)
	l.becomes(e.ID, pipeline.Succeeded)
}

func TestExecutorThatPanicsFailsItsAction(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"~noop"}))
	l.take = func(context.Context, action.Turn, action.Tools) action.Outcome { panic("a secret") } //nolint:forbidigo // What an executor may do.
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
			require.Contains(t, line, `has no handler for turns of kind \"future\": start a newer one`)
		}
	}
	l.becomes(l.start("other").ID, pipeline.Succeeded)
	require.Len(t, l.turns(), 2, "it waits for who knows it, beside the expiry")
	require.Equal(t, pipeline.InProgress, l.get(e.ID).Status)
}
