package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// clock is set by the test; the queue looks at it at least every second.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.now.Store(time.Now().UnixNano())
	return c
}

func (c *clock) Now() time.Time      { return time.Unix(0, c.now.Load()) }
func (c *clock) add(d time.Duration) { c.now.Add(int64(d)) }
func (c *clock) in(d time.Duration, id string) *execution.Turn {
	return &execution.Turn{ID: id, DueAt: c.Now().Add(d)}
}

// runs notes what the handler was given.
type runs struct {
	mu  sync.Mutex
	ids []string
}

func (r *runs) note(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, id)
}

func (r *runs) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.ids...)
}

func (r *runs) wait(t *testing.T, want ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { require.Equal(c, want, r.all()) }, 10*time.Second, time.Millisecond)
}

func newQueue(c *clock, workers int) *embedded.Queue {
	return embedded.New(embedded.Config{Workers: workers, Clock: c.Now, Retry: time.Minute, Log: hclog.NewNullLogger()})
}

// serve runs the queue until the test ends, or until stop is called.
func serve(t *testing.T, q dispatch.Queue, handler dispatch.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx, handler) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func noting(r *runs) dispatch.Handler {
	return func(_ context.Context, turn *execution.Turn) (*execution.Turn, error) {
		r.note(turn.ID)
		return nil, nil
	}
}

func TestTurnsRunInTheOrderTheyAreDue(t *testing.T) {
	t.Parallel()
	c, r := newClock(), &runs{}
	q := newQueue(c, 1)
	q.Add(c.in(3*time.Hour, "third"), c.in(-time.Hour, "first"), c.in(2*time.Hour, "second"), c.in(9*time.Hour, "later"))
	serve(t, q, noting(r))
	r.wait(t, "first")
	c.add(2 * time.Hour)
	r.wait(t, "first", "second")
	c.add(time.Hour)
	r.wait(t, "first", "second", "third")
}

func TestTurnReplacesOneOfTheSameID(t *testing.T) {
	t.Parallel()
	c, r := newClock(), &runs{}
	q := newQueue(c, 1)
	q.Add(c.in(0, "a"), c.in(0, "b"))
	q.Add(c.in(time.Hour, "a"))
	q.Add(c.in(2*time.Hour, "c"))
	q.Add(c.in(0, "c"))
	serve(t, q, noting(r))
	r.wait(t, "b", "c")
	c.add(3 * time.Hour)
	r.wait(t, "b", "c", "a")
}

func TestRemovedTurnDoesNotRun(t *testing.T) {
	t.Parallel()
	c, r := newClock(), &runs{}
	q := newQueue(c, 1)
	for i := range 20 {
		q.Add(c.in(time.Duration(i)*time.Minute, fmt.Sprint(i)))
	}
	q.Remove("unknown")
	for i := range 20 {
		if i%7 != 0 {
			q.Remove(fmt.Sprint(i))
		}
	}
	c.add(time.Hour)
	serve(t, q, noting(r))
	r.wait(t, "0", "7", "14")
}

func TestFailedTurnRunsAgainLater(t *testing.T) {
	t.Parallel()
	c, r := newClock(), &runs{}
	q := newQueue(c, 1)
	serve(t, q, func(_ context.Context, turn *execution.Turn) (*execution.Turn, error) {
		r.note(turn.ID)
		if len(r.all()) <= 2 {
			return nil, errors.New("the store is full")
		}
		return nil, nil
	})
	q.Add(c.in(0, "a"))
	r.wait(t, "a")
	c.add(59 * time.Second)
	q.Add(c.in(-time.Hour, "b"))
	r.wait(t, "a", "b")
	c.add(time.Hour)
	r.wait(t, "a", "b", "a", "b")
}

func TestHandlerCarriesOnAtOnce(t *testing.T) {
	t.Parallel()
	c, r := newClock(), &runs{}
	q := newQueue(c, 1)
	serve(t, q, func(_ context.Context, turn *execution.Turn) (*execution.Turn, error) {
		r.note(turn.ID)
		if turn.ID == "c" {
			return nil, nil
		}
		// Not looked up in the queue: its time does not matter.
		return c.in(time.Hour, string(turn.ID[0]+1)), nil
	})
	q.Add(c.in(0, "a"), c.in(time.Second, "z"))
	r.wait(t, "a", "b", "c")
}

func TestWorkersBoundWhatRunsAtOnce(t *testing.T) {
	t.Parallel()
	c := newClock()
	q := newQueue(c, 3)
	var running, most, done atomic.Int64
	gate := make(chan struct{})
	serve(t, q, func(context.Context, *execution.Turn) (*execution.Turn, error) {
		n := running.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-gate
		running.Add(-1)
		done.Add(1)
		return nil, nil
	})
	for i := range 20 {
		q.Add(c.in(0, fmt.Sprint(i)))
	}
	require.Eventually(t, func() bool { return running.Load() == 3 }, 10*time.Second, time.Millisecond)
	close(gate)
	require.Eventually(t, func() bool { return done.Load() == 20 }, 10*time.Second, time.Millisecond)
	require.Equal(t, int64(3), most.Load())
}

// What runs is waited for; what follows it is left to the next start.
func TestEndWaitsForWhatRuns(t *testing.T) {
	t.Parallel()
	c, r := newClock(), &runs{}
	q := newQueue(c, 1)
	ctx, cancel := context.WithCancel(t.Context())
	started, gate, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- q.Run(ctx, func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
			close(started)
			<-ctx.Done()
			<-gate
			r.note(turn.ID)
			return c.in(0, "next"), nil
		})
	}()
	q.Add(c.in(0, "a"), c.in(0, "b"))
	<-started
	cancel()
	select {
	case err := <-done:
		require.Fail(t, "Run returned while a handler ran", "%v", err)
	default:
	}
	close(gate)
	require.NoError(t, <-done)
	require.Len(t, r.all(), 1)
}

func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	c, r := newClock(), &runs{}
	q := newQueue(c, 1)
	serve(t, q, noting(r))
	// Set back by a day while the turn is waited for: it is due by the clock.
	q.Add(c.in(time.Hour, "a"))
	c.add(-24 * time.Hour)
	q.Add(c.in(0, "now"))
	r.wait(t, "now")
	c.add(25*time.Hour + time.Second)
	r.wait(t, "now", "a")
}

func TestAddAndRemoveAtTheSameTime(t *testing.T) {
	t.Parallel()
	c := newClock()
	q := newQueue(c, 8)
	var ran sync.Map
	var count atomic.Int64
	serve(t, q, func(_ context.Context, turn *execution.Turn) (*execution.Turn, error) {
		if _, twice := ran.LoadOrStore(turn.ID, true); !twice {
			count.Add(1)
		}
		return nil, nil
	})
	var group sync.WaitGroup
	for g := range 10 {
		group.Go(func() {
			for i := range 100 {
				id := fmt.Sprintf("%d/%d", g, i)
				q.Add(c.in(time.Hour, id))
				q.Remove(id, "other")
				q.Add(c.in(0, id))
			}
		})
	}
	group.Wait()
	require.Eventually(t, func() bool { return count.Load() == 1000 }, 10*time.Second, time.Millisecond)
}
