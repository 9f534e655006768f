package service

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
	*Executions
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
	l := &poolLab{Executions: &Executions{ExecutionsConfig: ExecutionsConfig{Store: s, Clock: time.Now}, pool: newPool()}, cancel: cancel, got: make(chan runner.Assignment, 1), err: make(chan error, 1)}
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
		next := l.pool.wait("r2", l.pool.seen("r2"))
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
