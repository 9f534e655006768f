package trigger_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

const dayLong = 24 * time.Hour

// Bodies are kept for 14 days, refusals for 30, deliveries, moves and decisions for 90. What the
// refs were is kept forever, so that an old change told again starts nothing.
func TestOldRecordsAreRemoved(t *testing.T) {
	t.Parallel()
	for engine, open := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64
			b := bedAt(t, open(t), func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
			one := b.remote.commit("", "one")
			b.remote.set(main, one)
			web := b.watch("web", declared.Git{})
			two := b.remote.commit(one, "two")
			b.remote.set(main, two)
			b.deliver(b.push(main, one, two))
			refuse := func() {
				t.Helper()
				require.NoError(t, b.intake.Refuse(t.Context(), forge.Refusal{
					Webhook: "accounts/default/webhooks/hub", Reason: forge.SignatureInvalid, Message: "wrong", Address: "192.0.2.9",
					ReceiveTime: b.clock(),
				}))
			}
			refuse()
			kept := func() (bodies, accepted, refused int) {
				t.Helper()
				b.read(func(ctx context.Context, r store.Reader) error {
					all, err := r.Deliveries(ctx, store.DeliveryFilter{Account: "default"})
					for _, d := range all {
						if d.Status == ledger.Refused {
							refused++
							continue
						}
						accepted++
						body, err := r.DeliveryBody(ctx, d.Account, d.ID)
						if err != nil {
							return err
						}
						if len(body) > 0 {
							bodies++
						}
					}
					return err
				})
				return bodies, accepted, refused
			}
			for _, at := range []struct {
				days                                 int
				bodies, accepted, refused, decisions int
			}{
				{0, 1, 1, 1, 1}, {13, 1, 1, 1, 1}, {15, 0, 1, 1, 1}, {29, 0, 1, 1, 1}, {31, 0, 1, 0, 1}, {89, 0, 1, 0, 1}, {91, 0, 0, 0, 0},
			} {
				ahead.Store(int64(at.days) * int64(dayLong))
				require.NoError(t, b.intake.RemoveOld(t.Context()))
				bodies, accepted, refused := kept()
				require.Equal(t, []int{at.bodies, at.accepted, at.refused, at.decisions},
					[]int{bodies, accepted, refused, len(b.decisions(web.ID))}, "after %d days", at.days)
			}
			b.read(func(ctx context.Context, r store.Reader) error {
				_, err := r.MoveNumbered(ctx, web.RepositoryID, main, 1)
				require.ErrorIs(t, err, store.ErrNotFound)
				ref, _, err := r.Ref(ctx, web.RepositoryID, main, "", "")
				require.Equal(t, two, ref.Head)
				return err
			})
			b.deliver(b.push(main, one, two))
			require.Len(t, b.executions(), 1, "the change is known though its move is gone")
			three := b.remote.commit(two, "three")
			b.remote.set(main, three)
			b.deliver(b.push(main, two, three))
			require.Len(t, b.executions(), 2)
		})
	}
}

// A server removes what is old when it starts, and not only after an hour.
func TestOldRecordsAreRemovedAtTheStart(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	b := bedAt(t, engines["SQLite"](t), func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	two := b.remote.commit(one, "two")
	b.remote.set(main, two)
	b.deliver(b.push(main, one, two))
	ahead.Store(int64(91 * dayLong))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.intake.Run(ctx) }()
	require.Eventually(t, func() bool { return len(b.decisions(web.ID)) == 0 }, waitLong, tick)
	cancel()
	require.NoError(t, <-done)
}
