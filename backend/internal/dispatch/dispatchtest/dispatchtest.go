// Package dispatchtest is the suite that every work queue must pass, on the store that
// it is used with. It must never know a queue: it is given a way to open one.
package dispatchtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Retry is how long a turn must rest whose handler failed.
const Retry = 50 * time.Millisecond

// Bed is what the queues of one test are on.
type Bed struct {
	Store store.Store
	// Open opens a queue on the store that runs so many turns at once. It finds what is
	// pending there.
	Open func(t *testing.T, workers int) dispatch.Queue
}

// Run runs the suite. Fresh returns a new bed for each test.
func Run(t *testing.T, fresh func(t *testing.T) Bed) {
	t.Helper()
	for name, test := range map[string]func(*suite){
		"EveryTurnRunsOnce":             testEveryTurnRunsOnce,
		"NoTurnBeforeItIsDue":           testNoTurnBeforeItIsDue,
		"TurnThatIsDoneDoesNotRun":      testTurnThatIsDoneDoesNotRun,
		"TurnIsReplacedByItsID":         testTurnIsReplacedByItsID,
		"FailedTurnRunsAgain":           testFailedTurnRunsAgain,
		"ChainIsCarried":                testChainIsCarried,
		"RolledBackTurnDoesNotRun":      testRolledBackTurnDoesNotRun,
		"WorkersBoundWhatRuns":          testWorkersBoundWhatRuns,
		"TurnsRunByAge":                 testTurnsRunByAge,
		"EndWaitsAndTheNextCarriesOn":   testEndWaitsAndTheNextCarriesOn,
		"PendingTurnsOutliveTheQueue":   testPendingTurnsOutliveTheQueue,
		"TurnsOfEveryKindComeAsTheyAre": testTurnsOfEveryKindComeAsTheyAre,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(&suite{T: t, bed: fresh(t)})
		})
	}
}

type suite struct {
	*testing.T

	bed   Bed
	queue dispatch.Queue

	mu  sync.Mutex
	ran []string
}

// serve runs a queue until stop is called or the test ends.
func (s *suite) serve(workers int, handler dispatch.Handler) (stop func()) {
	s.Helper()
	s.queue = s.bed.Open(s.T, workers)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func(q dispatch.Queue) {
		done <- q.Run(ctx, func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
			s.mu.Lock()
			s.ran = append(s.ran, turn.ID)
			s.mu.Unlock()
			return handler(ctx, turn)
		})
	}(s.queue)
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(s, <-done)
	})
	s.Cleanup(stop)
	return stop
}

// commit writes a change and tells the queue, as a decision does. A turn that is
// carried on with is not queued.
func (s *suite) commit(change *execution.Change, carried ...*execution.Turn) error {
	if err := s.bed.Store.Update(context.Background(), func(ctx context.Context, tx store.Tx) error { return tx.Apply(ctx, change) }); err != nil {
		return err
	}
	s.queue.Remove(change.DoneTurns...)
	for _, turn := range change.Turns {
		if !slices.Contains(carried, turn) {
			s.queue.Add(turn)
		}
	}
	return nil
}

// add commits turns.
func (s *suite) add(turns ...*execution.Turn) {
	s.Helper()
	require.NoError(s, s.commit(&execution.Change{Turns: turns}))
}

// finish ends a turn, and with it what carried it.
func (s *suite) finish(_ context.Context, turn *execution.Turn) (*execution.Turn, error) {
	return nil, s.commit(&execution.Change{DoneTurns: []string{turn.ID}, Carrier: turn.Carrier})
}

// eventually waits until the turns ran, in this order.
func (s *suite) eventually(want ...string) {
	s.Helper()
	require.EventuallyWithT(s, func(c *assert.CollectT) { require.Equal(c, want, s.all()) }, 30*time.Second, time.Millisecond)
}

func (s *suite) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ran)
}

// pending waits until the store has these turns.
func (s *suite) pending(want ...string) {
	s.Helper()
	require.EventuallyWithT(s, func(c *assert.CollectT) {
		ids := []string{}
		require.NoError(c, s.bed.Store.View(context.Background(), func(ctx context.Context, r store.Reader) error {
			turns, err := r.Turns(ctx)
			for _, turn := range turns {
				ids = append(ids, turn.ID)
			}
			return err
		}))
		require.ElementsMatch(c, want, ids)
	}, 30*time.Second, time.Millisecond)
}

// in is a turn that is due after a while.
func in(wait time.Duration, id string) *execution.Turn {
	return &execution.Turn{
		ID: id, Kind: execution.TurnAction, ExecutionID: "e", Scope: execution.ScopeKey{PipelineID: "p"},
		DueAt: time.Now().UTC().Truncate(time.Microsecond).Add(wait), Work: &action.Turn{},
	}
}

func testEveryTurnRunsOnce(s *suite) {
	s.serve(8, s.finish)
	const n = 100
	var want []string
	var group sync.WaitGroup
	for i := range n {
		id := fmt.Sprintf("t%03d", i)
		want = append(want, id)
		group.Go(func() { assert.NoError(s, s.commit(&execution.Change{Turns: []*execution.Turn{in(0, id)}})) })
	}
	group.Wait()
	s.pending()
	got := s.all()
	slices.Sort(got)
	require.Equal(s, want, got)
}

func testNoTurnBeforeItIsDue(s *suite) {
	var early time.Duration
	late := in(400*time.Millisecond, "late")
	s.serve(2, func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
		if turn.ID == "late" {
			early = time.Until(late.DueAt)
		}
		return s.finish(ctx, turn)
	})
	s.add(late, in(0, "now"))
	s.pending()
	require.ElementsMatch(s, []string{"now", "late"}, s.all())
	require.LessOrEqual(s, early, time.Duration(0))
}

// inTime does what must be committed before a time, with more of it as long as the
// machine was too slow.
func (s *suite) inTime(do func(wait time.Duration)) {
	s.Helper()
	for wait := 250 * time.Millisecond; ; wait *= 2 {
		due := time.Now().Add(wait)
		do(wait)
		if time.Now().Before(due) {
			return
		}
		s.pending()
		s.mu.Lock()
		s.ran = nil
		s.mu.Unlock()
	}
}

func testTurnThatIsDoneDoesNotRun(s *suite) {
	s.serve(1, s.finish)
	s.inTime(func(wait time.Duration) {
		s.add(in(wait, "done"), in(2*wait, "after"))
		require.NoError(s, s.commit(&execution.Change{DoneTurns: []string{"done"}}))
	})
	s.eventually("after")
}

func testTurnIsReplacedByItsID(s *suite) {
	var due, ran atomic.Int64
	s.serve(1, func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
		if turn.ID == "a" {
			ran.Store(time.Now().UnixMicro())
		}
		return s.finish(ctx, turn)
	})
	s.inTime(func(wait time.Duration) {
		sooner, later := in(wait, "a"), in(3*wait, "a")
		due.Store(later.DueAt.UnixMicro())
		for _, turn := range []*execution.Turn{sooner, later} {
			turn.Kind, turn.Work = execution.TurnRecheck, nil
			s.add(turn)
		}
		s.add(in(4*wait, "after"))
	})
	// Not by their order: of two that are due nobody knows which a slow machine runs first.
	require.EventuallyWithT(s, func(c *assert.CollectT) { require.ElementsMatch(c, []string{"a", "after"}, s.all()) }, 30*time.Second, time.Millisecond)
	require.GreaterOrEqual(s, ran.Load(), due.Load(), "it ran at the time that was replaced")
}

func testFailedTurnRunsAgain(s *suite) {
	s.serve(1, func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
		if len(s.all()) < 3 {
			return nil, errors.New("the store is full")
		}
		return s.finish(ctx, turn)
	})
	s.add(in(0, "a"))
	s.eventually("a", "a", "a")
	s.pending()
}

func testChainIsCarried(s *suite) {
	const links = 50
	s.serve(2, func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
		if len(s.all()) > links {
			return s.finish(ctx, turn)
		}
		next := in(0, fmt.Sprintf("t%d", len(s.all())))
		next.Carrier = turn.Carrier
		return next, s.commit(&execution.Change{Turns: []*execution.Turn{next}, DoneTurns: []string{turn.ID}, Carrier: turn.Carrier}, next)
	})
	s.add(in(0, "t0"))
	var want []string
	for i := range links + 1 {
		want = append(want, fmt.Sprintf("t%d", i))
	}
	s.eventually(want...)
	s.pending()
}

func testRolledBackTurnDoesNotRun(s *suite) {
	s.serve(1, s.finish)
	rolledBack := errors.New("refused")
	require.ErrorIs(s, s.bed.Store.Update(s.Context(), func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.Apply(ctx, &execution.Change{Turns: []*execution.Turn{in(0, "never")}}), rolledBack)
	}), rolledBack)
	s.add(in(300*time.Millisecond, "after"))
	s.eventually("after")
}

func testWorkersBoundWhatRuns(s *suite) {
	gate := make(chan struct{})
	s.serve(3, func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
		<-gate
		return s.finish(ctx, turn)
	})
	for i := range 10 {
		s.add(in(0, fmt.Sprint(i)))
	}
	require.Eventually(s, func() bool { return len(s.all()) == 3 }, 30*time.Second, time.Millisecond)
	s.add(in(0, "more"))
	require.Len(s, s.all(), 3)
	close(gate)
	s.pending()
	require.Len(s, s.all(), 11)
}

// No kind of turn goes before another: who has waited longest is next.
func testTurnsRunByAge(s *suite) {
	gate := make(chan struct{})
	s.serve(1, func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
		<-gate
		return s.finish(ctx, turn)
	})
	want := []string{"first"}
	s.add(in(0, "first"))
	s.eventually("first")
	for i, kind := range slices.Repeat([]execution.TurnKind{execution.TurnAction, execution.TurnExpire, execution.TurnRecheck}, 5) {
		turn := in(0, fmt.Sprint(i))
		turn.Kind = kind
		s.add(turn)
		want = append(want, turn.ID)
	}
	close(gate)
	s.pending()
	require.Equal(s, want, s.all())
}

func testEndWaitsAndTheNextCarriesOn(s *suite) {
	started, gate := make(chan struct{}), make(chan struct{})
	handle := func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
		if turn.ID != "a" {
			return s.finish(ctx, turn)
		}
		close(started)
		<-gate
		next := in(0, "b")
		next.Carrier = turn.Carrier
		return next, s.commit(&execution.Change{Turns: []*execution.Turn{next}, DoneTurns: []string{"a"}, Carrier: turn.Carrier}, next)
	}
	stop := s.serve(1, handle)
	s.add(in(0, "a"), in(0, "c"))
	<-started
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop()
	}()
	select {
	case <-ended:
		require.Fail(s, "the queue ended while a turn ran")
	case <-time.After(50 * time.Millisecond):
	}
	close(gate)
	<-ended
	s.eventually("a")
	s.pending("b", "c")
	s.serve(1, handle)
	s.pending()
	require.ElementsMatch(s, []string{"a", "b", "c"}, s.all())
}

func testPendingTurnsOutliveTheQueue(s *suite) {
	stop := s.serve(1, s.finish)
	s.add(in(500*time.Millisecond, "a"))
	stop()
	s.serve(1, s.finish)
	s.eventually("a")
	s.pending()
}

func testTurnsOfEveryKindComeAsTheyAre(s *suite) {
	var got []*execution.Turn
	s.serve(1, func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
		came := *turn
		came.Carrier = 0
		got = append(got, &came)
		return s.finish(ctx, turn)
	})
	work := in(0, "work")
	work.Scope.ExecutionID = "e"
	work.Work = &action.Turn{Scope: action.Scope{ExecutionID: "e"}, State: []byte("42 \x00\xff")}
	expire, recheck := in(0, "e/1"), in(0, "e/2")
	expire.Kind, expire.Work, recheck.Kind, recheck.Work = execution.TurnExpire, nil, execution.TurnRecheck, nil
	// It belongs to no execution.
	abandon := in(0, execution.AbandonTurnID("a"))
	abandon.Kind, abandon.Scope, abandon.ExecutionID, abandon.Work = execution.TurnAbandon, execution.ScopeKey{}, "", work.Work
	abandon.Abandon = &execution.Abandon{Since: abandon.DueAt, Tries: 2, Error: "no answer"}
	alone := in(0, "tick/nightly")
	alone.Kind, alone.Scope, alone.ExecutionID, alone.Work = "tick", execution.ScopeKey{}, "", nil
	all := []*execution.Turn{work, expire, recheck, abandon, alone}
	for _, turn := range all {
		s.add(turn)
		s.pending()
	}
	require.Equal(s, all, got)
}
