package service

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// A queue of searches whose places are named.
type searchQueue struct {
	*fairSlots
	t      *testing.T
	places map[string]*slotRequest
}

func newSearchQueue(t *testing.T) *searchQueue {
	t.Helper()
	return &searchQueue{newFairSlots("searches"), t, make(map[string]*slotRequest)}
}

func (q *searchQueue) add(name, account, caller string) {
	q.t.Helper()
	p, err := q.join(account, caller)
	require.NoError(q.t, err)
	q.places[name] = p
}

// ended ends searches.
func (q *searchQueue) ended(names ...string) {
	for _, name := range names {
		q.leave(q.places[name])
		delete(q.places, name)
	}
}

func (q *searchQueue) runs(name string) bool {
	select {
	case <-q.places[name].admitted:
		return true
	default:
		return false
	}
}

func (q *searchQueue) requireRuns(names ...string) {
	q.t.Helper()
	var running []string
	for name := range q.places {
		if q.runs(name) {
			running = append(running, name)
		}
	}
	require.ElementsMatch(q.t, names, running)
}

func TestAccountsTakeTurnsInSearching(t *testing.T) {
	t.Parallel()
	q := newSearchQueue(t)
	for _, name := range []string{"a1", "a2", "a3", "a4"} {
		q.add(name, "a", "ann")
	}
	q.requireRuns("a1", "a2")
	q.add("b1", "b", "bob")
	q.add("b2", "b", "bob")
	q.add("c1", "c", "cid")
	q.ended("a1")
	q.requireRuns("a2", "b1")
	q.ended("a2")
	q.requireRuns("b1", "c1")
	q.ended("c1")
	q.requireRuns("b1", "a3")
	// Who comes anew is behind who has waited for longer than it was away.
	q.add("d1", "d", "dan")
	q.add("c2", "c", "cid")
	q.ended("a3")
	q.requireRuns("b1", "d1")
	q.ended("d1")
	q.requireRuns("b1", "c2")
	q.ended("c2")
	q.requireRuns("b1", "a4")
	// Who goes away leaves its place.
	q.add("d2", "d", "dan")
	q.ended("d2", "a4")
	q.requireRuns("b1", "b2")
	q.ended("b1", "b2")
	require.Empty(t, q.shares, "nobody is remembered")
	require.Equal(t, searchesAtOnce, q.free)
}

func TestCallersOfAnAccountTakeTurnsInSearching(t *testing.T) {
	t.Parallel()
	q := newSearchQueue(t)
	for _, name := range []string{"a1", "a2", "a3", "a4"} {
		q.add(name, "team", "ann")
	}
	q.add("b1", "team", "bob")
	q.ended("a1")
	q.requireRuns("a2", "b1")
}

func TestSoManySearchesWait(t *testing.T) {
	t.Parallel()
	q := newFairSlots("searches")
	join := func(account, caller string) error {
		_, err := q.join(account, caller)
		return err
	}
	for range searchesAtOnce {
		require.NoError(t, join("full", "x"))
	}
	requireExhausted := func(err error) {
		t.Helper()
		var refusal *Error
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, KindExhausted, refusal.Kind)
		require.Equal(t, pipeline.ReasonLimitExceeded, refusal.Reason)
		require.Equal(t, searchRetry, refusal.RetryAfter)
	}
	for _, caller := range []string{"ann", "bob", "cid", "dan"} {
		for range searchesOfCaller {
			require.NoError(t, join("team", caller))
		}
		requireExhausted(join("team", caller))
	}
	requireExhausted(join("team", "eve"))
	require.NoError(t, join("other", "ann"), "other accounts do not notice")
	require.Len(t, q.waiting, searchesOfAccount+1)
}
