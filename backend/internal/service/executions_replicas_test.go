package service_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/river"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// shared returns a database that several servers may work on.
func shared(t *testing.T) string {
	t.Helper()
	url := cluster.Database(t)
	_, _, err := postgres.Migrate(t.Context(), postgres.Config{URL: url})
	require.NoError(t, err)
	_, err = river.Migrate(t.Context(), url)
	require.NoError(t, err)
	return url
}

// newServer returns one of the servers on a database. It looks at nothing by itself
// before its lease is made shorter.
func newServer(t *testing.T, url string) *lab {
	t.Helper()
	l := unbooted(t)
	l.shared, l.lease = true, time.Hour
	l.open = func(ctx context.Context) opened {
		queue, err := river.Open(ctx, river.Config{
			URL: url, Workers: 4, Clock: l.now, Retry: time.Second, Longest: time.Minute, Dead: time.Minute, Log: l.log,
		})
		require.NoError(t, err)
		inner, err := postgres.Open(ctx, postgres.Config{URL: url, Jobs: queue, Log: l.log})
		require.NoError(t, err)
		queue.Use(inner)
		return opened{store: inner, queue: queue, close: func() error { return errors.Join(inner.Close(), queue.Close()) }}
	}
	return l
}

// looking is a lease after which servers look and renew in no time; whether one is over
// is up to the clocks of the test.
const looking = 30 * time.Millisecond

// newTwo returns two servers on one database, whose clocks do not agree. The second
// receives the notices of the first from the test alone if withoutNotices is set.
func newTwo(t *testing.T, lease time.Duration, withoutNotices bool) (one, two *lab) {
	t.Helper()
	url := shared(t)
	one, two = newServer(t, url), newServer(t, url)
	one.lease, two.lease = lease, lease
	two.withoutNotices = withoutNotices
	two.later(time.Hour)
	two.ids.Store(1e6)
	one.boot()
	one.accounts()
	two.boot()
	return one, two
}

// waits lets a runner wait for an attempt, of which there is none yet, and returns what
// it will get.
func (l *lab) waits(name string) <-chan runner.Assignment {
	l.t.Helper()
	before := l.store.emptyTakes.Load()
	got, done := make(chan runner.Assignment, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		if a, err := l.Acquire(ctx, name); err == nil {
			got <- a
		}
	}()
	l.t.Cleanup(func() {
		cancel()
		<-done
	})
	require.Eventually(l.t, func() bool { return l.store.emptyTakes.Load() > before }, time.Minute, time.Millisecond)
	return got
}

// within waits for what must come soon.
func within[T any](t *testing.T, c <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(time.Minute):
		require.Fail(t, "it never comes", what)
	}
	return got
}

// looks waits until a server compared with its clock what it read from now on.
func (l *lab) looks() {
	l.t.Helper()
	// The first may have read before, the third begins after the second was compared.
	enough := l.store.views.Load() + 3
	require.Eventually(l.t, func() bool { return l.store.views.Load() >= enough }, time.Minute, time.Millisecond)
}

// A server that goes silent with an attempt: another tries it again, and what the first
// does when it wakes up has no effect.
func TestServerGoesSilent(t *testing.T) {
	t.Parallel()
	one, two := newTwo(t, looking, false)
	one.pipeline("web", retried(stages("", []string{"a"})))
	e := one.start("web")
	first := one.acquire("r1")
	got := two.waits("r2")
	for range 5 {
		two.looks()
		two.later(looking * 9 / 10)
		one.later(time.Millisecond)
		require.NoError(t, one.Renew(t.Context(), "r1"))
	}
	two.looks()
	require.Equal(t, pipeline.InProgress, two.get(e.ID).Status, "it renews")
	require.Empty(t, got)
	require.False(t, revoked(first))

	two.looks()
	two.later(looking)
	second := within(t, got, "the second try")
	require.Equal(t, first.Attempt.ActionExecutionID, second.Attempt.ActionExecutionID)
	require.Equal(t, 2, second.Attempt.Number)
	require.Nil(t, one.report("r1", first, action.Failed(action.JobFailed, "late")))
	require.Eventually(t, func() bool {
		require.NoError(t, one.Renew(t.Context(), "r1"))
		return revoked(first)
	}, time.Minute, time.Millisecond, "a renewal tells the first that it is over")
	require.True(t, first.Lost())
	require.False(t, revoked(second))
	require.Nil(t, two.report("r2", second, action.Result{}))
	require.Equal(t, pipeline.Succeeded, one.get(e.ID).Status)
}

// A server hears of another whether its attempt was abandoned or taken for lost.
func TestAttemptEndedByAnotherServer(t *testing.T) {
	t.Parallel()
	one, two := newTwo(t, looking, true)
	one.pipeline("web", stages("", []string{"a"}))
	e := one.start("web")
	abandoned := one.acquire("r1")
	_, err := two.Stop(t.Context(), admin, "default", e.ID, true, "")
	require.NoError(t, err)
	within(t, abandoned.Revoked, "the notice of the stop")
	require.False(t, abandoned.Lost())

	one.start("web")
	lost := one.acquire("r1")
	two.looks()
	two.later(looking)
	within(t, lost.Revoked, "the notice of the loss")
	require.True(t, lost.Lost())
}

// Notices may be lost: a server looks by itself too.
func TestAttemptIsFoundWithoutANotice(t *testing.T) {
	t.Parallel()
	one, two := newTwo(t, looking, true)
	one.pipeline("web", stages("", []string{"a"}))
	got := two.waits("r2")
	e := one.start("web")
	require.Equal(t, e.ID, within(t, got, "the attempt").Attempt.ExecutionID)
}

// The commit that gave a runner an attempt was made, and its answer lost: nobody would
// run the attempt as long as the runner's server lives.
func TestAttemptThatNobodyLearnedOfBeginsElsewhere(t *testing.T) {
	t.Parallel()
	one, two := newTwo(t, looking, false)
	one.pipeline("web", stages("", []string{"a"}))
	e := one.start("web")
	one.store.losing.Store(true)
	_, err := one.Acquire(t.Context(), "r1")
	require.ErrorIs(t, err, store.ErrUnavailable)
	a := two.acquire("r2")
	require.Equal(t, e.ID, a.Attempt.ExecutionID)
	require.Equal(t, 1, a.Attempt.Number, "it had not begun")
	require.Nil(t, two.report("r2", a, action.Result{}))
	require.Equal(t, pipeline.Succeeded, one.get(e.ID).Status)
}

// Others would take a runner for dead whose renewals are not stored: it learns that, and
// its own server takes it for dead no later than they do.
func TestSharedRenewalThatIsNotStored(t *testing.T) {
	t.Parallel()
	l := newServer(t, shared(t))
	l.lease = looking
	l.boot()
	l.accounts()
	l.pipeline("web", stages("", []string{"a"}))
	e := l.start("web")
	held := l.acquire("r1")
	l.later(looking * 2 / 3)
	l.store.failing.Store(1)
	require.ErrorIs(t, l.Renew(t.Context(), "r1"), errDisk)
	l.later(looking / 2)
	e = l.becomes(e.ID, pipeline.Failed)
	require.Equal(t, action.RunnerLost, e.Stages[0].Actions[0].Details.Failure.Code)
	within(t, held.Revoked, "the end of the command")
}

// Where notices were missed, whoever waits looks.
func TestMissedNoticesWakeWhoWaits(t *testing.T) {
	t.Parallel()
	one, two := newTwo(t, time.Hour, true)
	tell := within(t, two.store.listening, "the listener")
	one.pipeline("web", stages("", []string{"a"}))
	got := two.waits("r2")
	e := one.start("web")
	require.Empty(t, got)
	tell(store.Notice{Missed: true})
	require.Equal(t, e.ID, within(t, got, "the attempt").Attempt.ExecutionID)

	seen, over := two.watches(e.ID)
	within(t, seen, "the first event")
	_, err := one.Stop(t.Context(), admin, "default", e.ID, true, "")
	require.NoError(t, err)
	require.Empty(t, over)
	tell(store.Notice{Missed: true})
	require.NoError(t, within(t, over, "the end of the watch"))
}

// What is committed on one server wakes runners and watches on the others, and ends a
// command whose action was abandoned.
func TestNoticesReachOtherServers(t *testing.T) {
	t.Parallel()
	one, two := newTwo(t, time.Hour, false)
	one.pipeline("web", stages("", []string{"a"}))
	got := two.waits("r2")
	e := one.start("web")
	held := within(t, got, "the attempt")
	require.Equal(t, e.ID, held.Attempt.ExecutionID)
	seen, over := two.watches(e.ID)
	within(t, seen, "the first event")
	require.False(t, revoked(held))
	_, err := one.Stop(t.Context(), admin, "default", e.ID, true, "")
	require.NoError(t, err)
	within(t, held.Revoked, "the end of the command")
	require.NoError(t, within(t, over, "the end of the watch"))
}

// watches watches an execution, and returns what is seen and how it ended.
func (l *lab) watches(id string) (seen <-chan execution.Event, over <-chan error) {
	events, ended := make(chan execution.Event, 100), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	l.t.Cleanup(cancel)
	go func() {
		ended <- l.Watch(ctx, admin, "default", id, 0, func(ev execution.Event) error {
			events <- ev
			return nil
		})
	}()
	return events, ended
}
