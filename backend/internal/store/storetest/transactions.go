package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// errMine is what a function of a test fails with.
var errMine = errors.New("a reason of its own")

func (s *suite) accounts() []string {
	s.t.Helper()
	names := []string{}
	for _, a := range get(s, func(ctx context.Context, r store.Reader) ([]auth.Account, error) {
		return r.Accounts(ctx, store.Page{})
	}) {
		names = append(names, a.Name)
	}
	return names
}

func testRollbackLeavesNothing(s *suite) {
	t := s.t
	s.account("a")
	err := s.try(func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreatePipeline(ctx, definition.Pipeline{ID: "p", Account: "a", Name: "web"}); err != nil {
			return err
		}
		if err := tx.Apply(ctx, run("e1", 1)); err != nil {
			return err
		}
		if _, err := tx.NextNumber(ctx, "p"); err != nil {
			return err
		}
		return errMine
	})
	require.Equal(t, errMine, err, "the error comes back as it is")
	missing(s, pipelineNamed("a", "web"))
	missing(s, executionByID("e1"))
	require.Empty(t, s.leases())
	require.Empty(t, s.turns())
	// A refused statement ends its transaction as well.
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreateAccount(ctx, auth.Account{Name: "b"}); err != nil {
			return err
		}
		return tx.CreateAccount(ctx, auth.Account{Name: "a"})
	}), store.ErrAlreadyExists)
	require.Equal(t, []string{"a"}, s.accounts())
}

func testTransactionSeesItsOwnWrites(s *suite) {
	t := s.t
	s.account("a")
	var inside definition.Pipeline
	var live []*execution.Execution
	s.update(func(ctx context.Context, tx store.Tx) (err error) {
		if err := tx.CreatePipeline(ctx, definition.Pipeline{ID: "p", Account: "a", Name: "web", Revision: 1}); err != nil {
			return err
		}
		if err := tx.Apply(ctx, run("e1", 1)); err != nil {
			return err
		}
		scope, err := tx.LiveScope(ctx, execution.ScopeKey{PipelineID: "p"})
		if err != nil {
			return err
		}
		live = scope.Live
		inside, err = tx.Pipeline(ctx, "a", "web")
		return err
	})
	require.Equal(t, "p", inside.ID)
	require.Len(t, live, 1)
	require.Len(t, live[0].Stages, 2)
}

// A view does not see what is committed while it runs.
func testViewIsOneSnapshot(s *suite) {
	t := s.t
	s.account("a")
	require.NoError(t, s.store.View(context.Background(), func(ctx context.Context, r store.Reader) error {
		before, err := r.Accounts(ctx, store.Page{})
		if err != nil {
			return err
		}
		if err := s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreateAccount(ctx, auth.Account{Name: "b"}) }); err != nil {
			return err
		}
		after, err := r.Accounts(ctx, store.Page{})
		if err != nil {
			return err
		}
		if len(before) != len(after) {
			return fmt.Errorf("%d accounts became %d within a view", len(before), len(after))
		}
		return nil
	}))
	require.Equal(t, []string{"a", "b"}, s.accounts())
	require.ErrorIs(t, s.store.View(context.Background(), func(context.Context, store.Reader) error { return errMine }), errMine)
}

// inParallel runs n functions at once and returns their errors.
func inParallel(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	group.Wait()
	return errs
}

func testConcurrentUpdatesAllCommit(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	const n, rounds = 100, 5
	numbers := make([][rounds]int64, n)
	for _, err := range inParallel(n, func(i int) error {
		for round := range rounds {
			if err := s.try(func(ctx context.Context, tx store.Tx) error {
				number, err := tx.NextNumber(ctx, "p")
				if err != nil {
					return err
				}
				numbers[i][round] = number
				return tx.Apply(ctx, &execution.Change{Started: []*execution.Execution{{
					ID: fmt.Sprintf("e%d-%d", i, round), Account: "a", PipelineID: "p", Number: number,
				}}})
			}); err != nil {
				return err
			}
		}
		return nil
	}) {
		require.NoError(t, err)
	}
	seen := make(map[int64]bool)
	for i := range numbers {
		for round, number := range numbers[i] {
			require.False(t, seen[number], "number %d was given twice", number)
			seen[number] = true
			require.Equal(t, number, get(s, executionByID(fmt.Sprintf("e%d-%d", i, round))).Number)
		}
	}
	for number := int64(1); number <= n*rounds; number++ {
		require.True(t, seen[number], "number %d was skipped", number)
	}
}

// Those that fail get their own error, all others are committed as if they had
// been alone, however the engine puts them together.
func testOneFailureDoesNotTouchTheOthers(s *suite) {
	t := s.t
	const n = 100
	var runs atomic.Int64
	errs := inParallel(n, func(i int) error {
		mine := fmt.Errorf("reason of %d", i)
		err := s.try(func(ctx context.Context, tx store.Tx) error {
			runs.Add(1)
			if err := tx.CreateAccount(ctx, auth.Account{Name: fmt.Sprintf("%03d", i)}); err != nil {
				return err
			}
			if i%7 == 3 {
				return mine
			}
			if i%7 == 5 {
				return tx.CreateAccount(ctx, auth.Account{Name: fmt.Sprintf("%03d", i)})
			}
			return nil
		})
		if i%7 == 3 && !errors.Is(err, mine) {
			return fmt.Errorf("got the error of another: %w", err)
		}
		return err
	})
	want := []string{}
	for i, err := range errs {
		switch i % 7 {
		case 3:
			require.EqualError(t, err, fmt.Sprintf("reason of %d", i))
		case 5:
			require.ErrorIs(t, err, store.ErrAlreadyExists)
		default:
			require.NoError(t, err)
			want = append(want, fmt.Sprintf("%03d", i))
		}
	}
	require.Equal(t, want, s.accounts())
	require.GreaterOrEqual(t, runs.Load(), int64(n))
}

func testViewSeesEveryAcknowledgedCommit(s *suite) {
	t := s.t
	for _, err := range inParallel(8, func(i int) error {
		for round := range 40 {
			name := fmt.Sprintf("%d/%d", i, round)
			if err := s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreateAccount(ctx, auth.Account{Name: name}) }); err != nil {
				return err
			}
			if _, err := read(s, func(ctx context.Context, r store.Reader) (auth.Account, error) { return r.Account(ctx, name) }); err != nil {
				return fmt.Errorf("after its commit: %w", err)
			}
		}
		return nil
	}) {
		require.NoError(t, err)
	}
}

// Of many who claim a scope at the revision that they read, one wins each time.
func testConcurrentClaimsOfOneScope(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	key := execution.ScopeKey{PipelineID: "p"}
	revision := func() (int64, error) {
		return read(s, func(ctx context.Context, r store.Reader) (int64, error) {
			scope, err := r.LiveScope(ctx, key)
			return scope.Revision, err
		})
	}
	var won atomic.Int64
	const n, rounds = 20, 10
	for _, err := range inParallel(n, func(int) error {
		for range rounds {
			seen, err := revision()
			if err != nil {
				return err
			}
			err = s.try(func(ctx context.Context, tx store.Tx) error { return tx.ClaimScope(ctx, key, seen, seen+1) })
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, store.ErrStale):
				return err
			}
		}
		return nil
	}) {
		require.NoError(t, err)
	}
	last, err := revision()
	require.NoError(t, err)
	require.Equal(t, won.Load(), last, "every claim that was granted moved the revision by one")
}

// A context that ended is told, or the transaction committed as a whole; readers
// work on afterwards.
func testEndedContextIsAnError(s *suite) {
	t := s.t
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for i := range 50 {
		name := fmt.Sprintf("%02d", i)
		err := s.store.Update(ended, func(ctx context.Context, tx store.Tx) error { return tx.CreateAccount(ctx, auth.Account{Name: name}) })
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			require.NotContains(t, s.accounts(), name)
			continue
		}
		require.Contains(t, s.accounts(), name)
	}
	for range 50 {
		err := s.store.View(ended, func(ctx context.Context, r store.Reader) error {
			_, err := r.Accounts(ctx, store.Page{})
			return err
		})
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	for range 10 {
		during, cancel := context.WithCancel(context.Background())
		_ = s.store.View(during, func(ctx context.Context, r store.Reader) error {
			if _, err := r.Accounts(ctx, store.Page{}); err != nil {
				return err
			}
			cancel()
			_, err := r.Accounts(ctx, store.Page{})
			return err
		})
		cancel()
		require.NoError(t, s.store.Ready(context.Background()))
		s.accounts()
	}
}

func testRestartKeepsEverything(s *suite) {
	t := s.t
	c := s.running()
	token, rule := filled[auth.Token](), filled[approval.Rule]()
	rule.Account = "a"
	version := filled[definition.Version]()
	version.PipelineID = "p"
	state := filled[execution.PipelineState]()
	s.apply(&execution.Change{State: &state, Scope: execution.ScopeKey{PipelineID: "p"}})
	s.update(func(ctx context.Context, tx store.Tx) error {
		return errors.Join(
			tx.CreateToken(ctx, token), tx.CreateApprovalRule(ctx, rule), tx.CreatePipelineVersion(ctx, version),
			tx.SaveRequest(ctx, "a", "Start", "1", "e1", day()), tx.ClaimScope(ctx, execution.ScopeKey{PipelineID: "p"}, 0, 1),
		)
	})
	_ = s.try(func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.CreateAccount(ctx, auth.Account{Name: "rolled back"}), errMine)
	})
	events := s.events("e1", 0, 0)
	for range 2 {
		s.restart()
		require.Equal(t, []string{"a"}, s.accounts())
		require.Equal(t, c.Started[0], get(s, executionByID("e1")))
		require.Equal(t, c.Leases, s.leases("e1-0-0"))
		require.Equal(t, []*execution.Turn{c.Turns[1], c.Turns[0]}, s.turns())
		require.Equal(t, events, s.events("e1", 0, 0))
		require.Equal(t, &state, s.state("p"))
		require.Equal(t, token, get(s, func(ctx context.Context, r store.Reader) (auth.Token, error) { return r.TokenByHash(ctx, token.Hash) }))
		require.Equal(t, rule, get(s, func(ctx context.Context, r store.Reader) (approval.Rule, error) {
			return r.ApprovalRule(ctx, "a", rule.Name)
		}))
		require.Equal(t, version, get(s, func(ctx context.Context, r store.Reader) (definition.Version, error) {
			return r.PipelineVersion(ctx, "p", version.Version)
		}))
		require.Equal(t, int64(1), get(s, func(ctx context.Context, r store.Reader) (int64, error) {
			scope, err := r.LiveScope(ctx, execution.ScopeKey{PipelineID: "p"})
			return scope.Revision, err
		}))
	}
}

func testClosedStoreAnswers(s *suite) {
	t := s.t
	s.account("a")
	s.close()
	require.Error(t, s.try(func(context.Context, store.Tx) error { return nil }))
	require.Error(t, s.store.View(context.Background(), func(context.Context, store.Reader) error { return nil }))
	require.Error(t, s.store.Ready(context.Background()))
	require.NoError(t, s.store.Close(), "closing twice does no harm")
	s.open()
	require.Equal(t, []string{"a"}, s.accounts())
}

func testCloseWaitsForRunningTransactions(s *suite) {
	t := s.t
	const n = 20
	entered := make(chan struct{}, n*10)
	results := make(chan []error, 1)
	go func() {
		results <- inParallel(n, func(i int) error {
			return s.try(func(ctx context.Context, tx store.Tx) error {
				entered <- struct{}{}
				return tx.CreateAccount(ctx, auth.Account{Name: fmt.Sprintf("%02d", i)})
			})
		})
	}()
	<-entered
	s.close()
	committed := 0
	for _, err := range <-results {
		if err == nil {
			committed++
		}
	}
	s.open()
	require.Len(t, s.accounts(), committed, "what was acknowledged is there, and nothing else")
	require.Positive(t, committed)
}
