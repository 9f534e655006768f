package sqlstore

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// journal is a transaction that keeps who shared it: an engine does not tell.
type journal struct {
	Transaction

	alone  bool
	of     []int
	shared [][]int
	lone   []bool
	// broken is what commits fail with.
	broken error
}

func (l *journal) Begin(_ context.Context, alone bool) error {
	l.alone, l.of = alone, nil
	return nil
}

func (l *journal) Attribute(update int) { l.of = append(l.of, update) }

// Failed says that it was nobody's statement.
func (l *journal) Failed() (int, error) { return -1, nil }

func (l *journal) Rollback(context.Context) {}

func (l *journal) Commit(context.Context) error {
	if l.broken != nil {
		return l.broken
	}
	l.shared, l.lone = append(l.shared, l.of), append(l.lone, l.alone)
	return nil
}

// An update that is to be alone is, and keeps its place between those that are not.
func TestUpdateAloneSharesWithNobody(t *testing.T) {
	t.Parallel()
	l := &journal{}
	w := NewWriter(l)
	var ran []string
	results := make(chan error, 6)
	begun, goOn := make(chan struct{}), make(chan struct{})
	queue := func(name string, alone bool, waiting int) {
		update := w.Update
		if alone {
			update = w.UpdateAlone
		}
		go func() {
			results <- update(context.Background(), func(context.Context, store.Tx) error {
				if name == "first" {
					close(begun)
					<-goOn
				}
				ran = append(ran, name)
				return nil
			})
		}()
		require.Eventually(t, func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.waiting) == waiting
		}, time.Minute, time.Millisecond)
	}
	queue("first", false, 0)
	<-begun
	queue("with it", false, 1)
	queue("alone", true, 2)
	queue("alone too", true, 3)
	queue("then", false, 4)
	queue("with that", false, 5)
	close(goOn)
	for range 6 {
		require.NoError(t, <-results)
	}
	w.Close()
	require.Equal(t, []string{"first", "with it", "alone", "alone too", "then", "with that"}, ran)
	sizes := make([]int, 0, len(l.shared))
	for _, of := range l.shared {
		sizes = append(sizes, len(of))
	}
	require.Equal(t, []int{2, 1, 1, 2}, sizes)
	require.True(t, slices.Equal([]bool{false, true, true, false}, l.lone), l.lone)
}

// A commit that fails is not forgotten until one succeeds, whatever is read meanwhile.
func TestReadyAfterACommitThatFailed(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context, store.Tx) error { return nil }
	mine := func(context.Context, store.Tx) error { return store.ErrNotFound }
	l := &journal{}
	w := NewWriter(l)
	require.ErrorIs(t, w.Update(t.Context(), mine), store.ErrNotFound)
	require.False(t, w.failing.Load(), "that was no fault of the store")
	l.broken = store.ErrUnavailable
	require.ErrorIs(t, w.Update(t.Context(), nothing), store.ErrUnavailable)
	require.True(t, w.failing.Load())
	l.broken = nil
	require.NoError(t, w.Update(t.Context(), nothing))
	require.False(t, w.failing.Load())
	w.Close()
}
