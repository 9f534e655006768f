package trigger_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// TestTurnThatIsReplacedWhileItRuns holds that a comparison which is asked for while one of the same
// id runs is kept when that one ends, and that none is left over.
func TestTurnThatIsReplacedWhileItRuns(t *testing.T) {
	t.Parallel()
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bedAt(t, open(t), time.Now)
			one := b.remote.commit("", "one")
			b.remote.set(main, one)
			web := b.watch("web", declared.Git{})
			id := "trigger.backfill//" + web.RepositoryID + "/"
			put := func(after time.Duration) {
				turn := &execution.Turn{ID: id, Kind: execution.TurnBackfill, DueAt: b.clock().Add(after)}
				require.NoError(t, b.loop.Submit(context.Background(), func(ctx context.Context, tx *loop.Tx) error {
					return tx.Apply(ctx, &execution.Change{Turns: []*execution.Turn{turn}})
				}))
			}
			repository := func() (found ledger.Repository) {
				b.read(func(ctx context.Context, r store.Reader) (err error) {
					found, err = r.Repository(ctx, web.RepositoryID)
					return err
				})
				return found
			}
			before := repository().ObservedAt
			held := make(chan chan struct{})
			b.remote.mu.Lock()
			b.remote.reading = held
			b.remote.mu.Unlock()
			put(0)
			release := <-held
			// The first one has read the remote, which moves now.
			two := b.remote.commit(one, "two")
			b.remote.set(main, two)
			put(time.Hour)
			b.remote.mu.Lock()
			b.remote.reading = nil
			b.remote.mu.Unlock()
			close(release)
			require.Eventually(t, func() bool { return !repository().ObservedAt.Equal(before) }, waitLong, tick)
			b.read(func(ctx context.Context, r store.Reader) error {
				turns, err := r.Turns(ctx)
				require.True(t, slices.ContainsFunc(turns, func(t *execution.Turn) bool { return t.ID == id }), "the end of one turn took the other along")
				return err
			})
			put(0)
			require.Eventually(t, func() bool { return len(b.executions()) == 1 }, waitLong, tick)
			b.settled()
			b.read(func(ctx context.Context, r store.Reader) error {
				ref, _, err := r.Ref(ctx, web.RepositoryID, main, "", "")
				require.Equal(t, two, ref.Head)
				return err
			})
		})
	}
}
