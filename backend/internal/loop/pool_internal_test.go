package loop

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
)

// poolLab is nothing but a pool on an empty store, with a runner that waits in it.
type poolLab struct {
	*Loop
	cancel context.CancelFunc
	got    chan runner.Assignment
	err    chan error
}

func newPoolLab(t *testing.T) *poolLab {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "headrace.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx, cancel := context.WithCancel(t.Context())
	l := &poolLab{Loop: &Loop{config: Config{Store: s, Clock: time.Now}, pool: newPool()}, cancel: cancel, got: make(chan runner.Assignment, 1), err: make(chan error, 1)}
	go func() {
		a, err := l.Acquire(ctx, "r1")
		l.got <- a
		l.err <- err
	}()
	require.Eventually(t, func() bool {
		l.pool.mu.Lock()
		defer l.pool.mu.Unlock()
		return len(l.pool.waiters) == 1
	}, 10*time.Second, time.Millisecond)
	return l
}

func attemptOf(id, holder string) *execution.Lease {
	lease := &execution.Lease{Runner: holder}
	lease.Attempt.ActionExecutionID = id
	return lease
}

// The commit that gives it the attempt names it as the holder: nobody else would
// run it.
func TestCancelledRunnerRunsWhatItWasPromised(t *testing.T) {
	t.Parallel()
	l := newPoolLab(t)
	w := l.pool.reserve()
	l.cancel()
	require.Never(t, func() bool { return len(l.err) > 0 }, 20*time.Millisecond, time.Millisecond, "it waits for the promise")
	l.pool.add(attemptOf("a", "r1"), w)
	require.Equal(t, "a", (<-l.got).Attempt.ActionExecutionID)
	require.NoError(t, <-l.err)
}

func TestCancelledRunnerPassesTheWakeUpOn(t *testing.T) {
	t.Parallel()
	// Which of the two a runner hears first is up to chance.
	for range 20 {
		l := newPoolLab(t)
		next := l.pool.wait("r2", l.pool.register("r2"))
		// Held, so that both come at once.
		l.pool.mu.Lock()
		l.cancel()
		l.pool.wake()
		l.pool.mu.Unlock()
		require.ErrorIs(t, <-l.err, context.Canceled)
		select {
		case h := <-next.given:
			require.Nil(t, h, "it is to look")
		case <-time.After(10 * time.Second):
			require.Fail(t, "nobody looks at an attempt that is ready")
		}
	}
}

// numbered is a try of an attempt.
func numbered(id, holder string, number int) *execution.Lease {
	lease := attemptOf(id, holder)
	lease.Attempt.Number = number
	return lease
}

func TestSettleFollowsTheStore(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		held, coming, stored []*execution.Lease
		// unknown are to be given back; revoked are what a look finds missing that began after it was held.
		unknown, revoked []string
	}{
		"as it is": {
			held:   []*execution.Lease{numbered("a", "r1", 1)},
			stored: []*execution.Lease{numbered("a", "r1", 1)},
		},
		"given without learning of it": {
			held:    []*execution.Lease{numbered("a", "r1", 1)},
			stored:  []*execution.Lease{numbered("a", "r1", 1), numbered("b", "r1", 1)},
			unknown: []string{"b/1"},
		},
		"on its way": {
			coming: []*execution.Lease{numbered("a", "r1", 1)},
			stored: []*execution.Lease{numbered("a", "r1", 1)},
		},
		"not its any more": {
			held:    []*execution.Lease{numbered("a", "r1", 1), numbered("b", "r1", 1)},
			stored:  []*execution.Lease{numbered("b", "r1", 1)},
			revoked: []string{"a/1"},
		},
		"tried again, and its without learning of it": {
			held:    []*execution.Lease{numbered("a", "r1", 1)},
			stored:  []*execution.Lease{numbered("a", "r1", 2)},
			unknown: []string{"a/2"},
			revoked: []string{"a/1"},
		},
		"another runner's": {
			held: []*execution.Lease{numbered("a", "r2", 1)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPool()
			for _, lease := range test.coming {
				p.expect(lease)
			}
			early := p.look()
			holdings := make(map[string]*holding)
			for _, lease := range test.held {
				holdings[lease.Attempt.ID()] = p.taken(lease)
			}
			for _, look := range []int{early, early, p.look()} {
				var unknown, revoked []string
				for _, lease := range p.settle("r1", look, test.stored) {
					unknown = append(unknown, lease.Attempt.ID())
				}
				for id, h := range holdings {
					select {
					case <-h.revoked:
						revoked = append(revoked, id)
					default:
					}
				}
				require.Equal(t, test.unknown, unknown)
				if look == early {
					require.Empty(t, revoked, "it may have come after the store was read")
					continue
				}
				require.Equal(t, test.revoked, revoked)
			}
		})
	}
}

// After the whole process was paused, its runners get to renew before they are lost.
func TestLeaseIsOverTheSecondTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := newPool()
	lease := numbered("a", "r1", 1)
	lease.Until = now
	p.taken(lease)
	require.Empty(t, p.expired(now))
	now = now.Add(time.Minute)
	require.Empty(t, p.expired(now))
	p.renew("r1", now)
	now = now.Add(time.Minute)
	require.Empty(t, p.expired(now), "it was renewed")
	require.Equal(t, []*execution.Lease{lease}, p.expired(now))
}

// A lease is over when it was seen unchanged for its length by the clock of who looks,
// whatever time it says itself.
func TestExpiryTracker(t *testing.T) {
	t.Parallel()
	const lease = time.Minute
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	until := func(l *execution.Lease, d time.Duration) *execution.Lease {
		l.Until = now.Add(d)
		return l
	}
	// look is what is seen some time after the first, and which of it is over.
	type look struct {
		after  time.Duration
		leases []*execution.Lease
		over   []string
	}
	held := func(d time.Duration) []*execution.Lease {
		return []*execution.Lease{until(numbered("a", "r1", 1), d)}
	}
	for name, looks := range map[string][]look{
		"nothing":                        {{}, {after: time.Hour}},
		"seen for the first time":        {{after: 0, leases: held(-time.Hour)}},
		"of a clock behind":              {{leases: held(-time.Hour)}, {after: lease - 1, leases: held(-time.Hour)}},
		"silent for its length":          {{leases: held(0)}, {after: lease, leases: held(0), over: []string{"a/1"}}},
		"silent, of a clock ahead":       {{leases: held(time.Hour)}, {after: lease, leases: held(time.Hour), over: []string{"a/1"}}},
		"still silent where it failed":   {{leases: held(0)}, {after: lease, leases: held(0), over: []string{"a/1"}}, {after: 2 * lease, leases: held(0), over: []string{"a/1"}}},
		"renewed":                        {{leases: held(0)}, {after: lease - 1, leases: held(1)}, {after: 2*lease - 2, leases: held(2)}, {after: 3*lease - 3, leases: held(2)}},
		"renewed, then silent":           {{leases: held(0)}, {after: lease - 1, leases: held(1)}, {after: 2*lease - 1, leases: held(1), over: []string{"a/1"}}},
		"renewed to an earlier time":     {{leases: held(0)}, {after: lease, leases: held(-1)}},
		"gone meanwhile":                 {{leases: held(0)}, {after: lease / 2}, {after: lease, leases: held(0)}},
		"tried again by the same runner": {{leases: held(0)}, {after: lease, leases: []*execution.Lease{until(numbered("a", "r1", 2), 0)}}},
		"taken by another runner":        {{leases: held(0)}, {after: lease, leases: []*execution.Lease{until(numbered("a", "r2", 1), 0)}}},
		"one of two": {
			{leases: held(0)},
			{after: lease / 2, leases: append(held(0), until(numbered("b", "r2", 1), 0))},
			{after: lease, leases: append(held(0), until(numbered("b", "r2", 1), 0)), over: []string{"a/1"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newExpiryTracker(lease)
			for i, look := range looks {
				var over []string
				for _, lease := range s.expired(look.leases, now.Add(look.after)) {
					over = append(over, lease.Attempt.ID())
				}
				require.Equal(t, look.over, over, "look %d", i)
			}
		})
	}
}

// An attempt is overdue once it was held for its timeout and the grace, by the clock
// of this process, and once more at the next look.
func TestOverrunTracker(t *testing.T) {
	t.Parallel()
	const limit = time.Hour + time.Minute
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	type look struct {
		after time.Duration
		held  []*execution.Lease
		late  []string
	}
	held := func(id, runner string, number int, timeout time.Duration) *execution.Lease {
		lease := numbered(id, runner, number)
		lease.Attempt.Timeout = timeout
		return lease
	}
	a := []*execution.Lease{held("a", "r1", 1, time.Hour)}
	for name, looks := range map[string][]look{
		"in time":                   {{held: a}, {after: limit - 1, held: a}, {after: limit - 1, held: a}},
		"late":                      {{held: a}, {after: limit, held: a}, {after: limit, held: a, late: []string{"a/1"}}, {after: limit, held: a, late: []string{"a/1"}}},
		"the process was paused":    {{held: a}, {after: 10 * limit, held: a}, {after: 10 * limit}},
		"released and taken again":  {{held: a}, {after: limit}, {after: limit, held: a}, {after: limit, held: a}},
		"tried again":               {{held: a}, {after: limit, held: []*execution.Lease{held("a", "r1", 2, time.Hour)}}, {after: limit, held: []*execution.Lease{held("a", "r1", 2, time.Hour)}}},
		"another runner took it":    {{held: a}, {after: limit, held: []*execution.Lease{held("a", "r2", 1, time.Hour)}}, {after: limit, held: []*execution.Lease{held("a", "r2", 1, time.Hour)}}},
		"without a timeout":         {{held: []*execution.Lease{held("a", "r1", 1, 0)}}, {after: 10 * limit, held: []*execution.Lease{held("a", "r1", 1, 0)}}, {after: 10 * limit, held: []*execution.Lease{held("a", "r1", 1, 0)}}},
		"one of two came later":     {{held: a}, {after: limit, held: append(a[:1:1], held("b", "r1", 1, time.Hour))}, {after: limit, held: append(a[:1:1], held("b", "r1", 1, time.Hour)), late: []string{"a/1"}}},
		"one of two may run longer": {{held: append(a[:1:1], held("b", "r1", 1, 2*time.Hour))}, {after: limit, held: append(a[:1:1], held("b", "r1", 1, 2*time.Hour))}, {after: limit, held: append(a[:1:1], held("b", "r1", 1, 2*time.Hour)), late: []string{"a/1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tracker := overrunTracker{}
			for i, look := range looks {
				var late []string
				for _, lease := range tracker.find(look.held, now.Add(look.after), time.Minute) {
					late = append(late, lease.Attempt.ID())
				}
				require.Equal(t, look.late, late, "look %d", i)
				require.Len(t, tracker, len(look.held), "it forgets what is not held")
			}
		})
	}
}

// What a runner has reported is not over its time, however long the store does not take it.
func TestReportedAttemptsMayStay(t *testing.T) {
	t.Parallel()
	p := newPool()
	lease := numbered("a", "r1", 1)
	p.taken(lease)
	require.Equal(t, []*execution.Lease{lease}, p.unreported())
	require.Nil(t, p.reporting("r2", &lease.Attempt), "it is another's")
	require.Equal(t, []*execution.Lease{lease}, p.unreported())
	require.NotNil(t, p.reporting("r1", &lease.Attempt))
	require.Empty(t, p.unreported())
}
