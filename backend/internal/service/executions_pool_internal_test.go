package service

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
)

// poolLab is nothing but a pool, with a runner that waits in it.
type poolLab struct {
	*Executions
	cancel context.CancelFunc
	got    chan runner.Assignment
	err    chan error
}

func newPoolLab(t *testing.T) *poolLab {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &poolLab{Executions: &Executions{pool: newPool()}, cancel: cancel, got: make(chan runner.Assignment, 1), err: make(chan error, 1)}
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
	for range 50 {
		l := newPoolLab(t)
		_, next := l.pool.next("r2")
		// Held, so that both come at once.
		l.pool.mu.Lock()
		l.cancel()
		l.pool.ready = append(l.pool.ready, attemptOf("a", ""))
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
