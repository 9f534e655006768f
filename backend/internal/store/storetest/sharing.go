package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// crowd makes pipelines of accounts, given as "account/pipeline", with so many attempts
// that nobody holds, named "account/pipeline/number". Each is older than those of the
// pipelines that follow.
func (s *suite) crowd(pipelines []string, attempts ...int) {
	s.t.Helper()
	known := make(map[string]bool)
	change := &execution.Change{}
	for i, id := range pipelines {
		account := id[:1]
		s.update(func(ctx context.Context, tx store.Tx) error {
			if !known[account] {
				if err := tx.CreateAccount(ctx, auth.Account{Name: account, CreatedAt: day()}); err != nil {
					return err
				}
			}
			return tx.CreatePipeline(ctx, definition.Pipeline{ID: id, Account: account, Name: id, Revision: 1, CreatedAt: day(), UpdatedAt: day()})
		})
		known[account] = true
		for n := range attempts[i] {
			change.Leases = append(change.Leases, waiting(account, id, n+1))
		}
	}
	s.apply(change)
}

func waiting(account, pipelineID string, n int) *execution.Lease {
	lease := &execution.Lease{Scope: execution.ScopeKey{PipelineID: pipelineID}, QueuedAt: day().Add(time.Duration(n) * time.Second)}
	lease.Attempt.Account, lease.Attempt.ExecutionID = account, "e"
	lease.Attempt.ActionExecutionID = fmt.Sprintf("%s/%d", pipelineID, n)
	return lease
}

// take takes one; "" where there is none.
func (s *suite) take(prefer string) (id string) {
	s.t.Helper()
	s.update(func(ctx context.Context, tx store.Tx) error {
		id = ""
		lease, _, err := tx.AcquireLease(ctx, store.LeaseRequest{Runner: "r", Until: day(), Prefer: prefer})
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil {
			id = lease.Attempt.ActionExecutionID
		}
		return err
	})
	return id
}

// A runner that takes the next when the last is done: everybody has a turn, however
// many attempts of others are older.
func testSharesTakeTurns(s *suite) {
	s.crowd([]string{"a/p", "a/q", "b/p", "c/p"}, 20, 2, 1, 3)
	var order []string
	for {
		id := s.take("")
		if id == "" {
			break
		}
		order = append(order, id)
		s.apply(&execution.Change{DoneAttempts: []string{id}})
	}
	require.Equal(s.t, []string{
		"a/p/1", "b/p/1", "c/p/1", "a/q/1", "c/p/2", "a/p/2", "c/p/3", "a/q/2", "a/p/3", "a/p/4",
	}, order[:10])
	require.Len(s.t, order, 26)
	// Who was away for long is not owed for it.
	s.apply(&execution.Change{Leases: []*execution.Lease{
		waiting("b", "b/p", 2), waiting("b", "b/p", 3), waiting("a", "a/p", 21), waiting("a", "a/p", 22),
	}})
	var next []string
	for range 4 {
		id := s.take("")
		next = append(next, id)
		s.apply(&execution.Change{DoneAttempts: []string{id}})
	}
	require.Equal(s.t, []string{"b/p/2", "a/p/21", "b/p/3", "a/p/22"}, next)
}

// Runners that hold what they took: who holds less comes first, also after a restart.
func testSharesCountWhatIsHeld(s *suite) {
	s.crowd([]string{"a/p", "a/q"}, 20, 3)
	for range 4 {
		s.take("")
	}
	held := func() map[string]int {
		n := make(map[string]int)
		for _, lease := range s.heldLeases() {
			n[lease.Scope.PipelineID]++
		}
		return n
	}
	require.Equal(s.t, map[string]int{"a/p": 2, "a/q": 2}, held(), "the pipelines of one account share too")
	s.restart()
	s.crowd([]string{"b/p"}, 6)
	for range 4 {
		s.take("")
	}
	require.Equal(s.t, map[string]int{"a/p": 2, "a/q": 2, "b/p": 4}, held(), "the newcomer gets what is free until it has as many")
	for range 2 {
		s.take("")
	}
	require.Equal(s.t, 5, held()["b/p"])
	// What is let go or done counts no more.
	s.apply(&execution.Change{DoneAttempts: []string{"b/p/1", "b/p/2", "b/p/3"}})
	require.Equal(s.t, "b/p/6", s.take(""))
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.ReleaseLease(ctx, "b/p/6", 0, "r") })
	require.Equal(s.t, "b/p/6", s.take(""))
}

func testPreferredAttempt(s *suite) {
	s.crowd([]string{"a/p", "b/p"}, 3, 3)
	require.Equal(s.t, "a/p/3", s.take("a/p/3"), "before older ones of its pipeline")
	require.Equal(s.t, "b/p/1", s.take("a/p/2"), "it is not that pipeline's turn")
	require.Equal(s.t, "a/p/1", s.take("a/p/3"), "one that is held is not taken again")
	require.Equal(s.t, "b/p/2", s.take("unknown"))
}
