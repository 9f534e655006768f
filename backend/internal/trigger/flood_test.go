package trigger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// TestFloodOfDeliveries delivers 1,000 pushes at once, a third of them doubled.
func TestFloodOfDeliveries(t *testing.T) {
	t.Parallel()
	b := start(t)
	web := b.watch("web", declared.Git{})
	const pushes = 1000
	deliveries := make([]forge.Delivery, 0, 2*pushes)
	for n := range pushes {
		ref := fmt.Sprintf("refs/heads/b%d", n)
		to := b.remote.commit("", "a commit")
		b.remote.set(ref, to)
		d := b.delivery(newID(), b.push(ref, "", to))
		deliveries = append(deliveries, d)
		if n%3 == 0 {
			d.ID = newID()
			deliveries = append(deliveries, d)
		}
	}
	began := time.Now()
	var group errgroup.Group
	group.SetLimit(50)
	for _, d := range deliveries {
		group.Go(func() error { return b.intake.Deliver(context.Background(), d) })
	}
	require.NoError(t, group.Wait())
	took := time.Since(began)
	t.Logf("%d deliveries in %s: %.0f a second", len(deliveries), took, float64(len(deliveries))/took.Seconds())
	require.Len(t, b.executions(), pushes)
	require.Len(t, b.decisions(web.ID), len(deliveries))
}

// BenchmarkDeliver measures one delivery from its arrival to a committed start.
func BenchmarkDeliver(b *testing.B) {
	bed, end := newBed(b, b.TempDir())
	defer end()
	bed.watch("web", declared.Git{})
	b.ResetTimer()
	at := ""
	for range b.N {
		to := bed.remote.commit(at, "a commit")
		bed.deliver(bed.push(main, at, to))
		at = to
	}
}

// BenchmarkCommit is the limit: one durable commit of a row.
func BenchmarkCommit(b *testing.B) {
	bed, end := newBed(b, b.TempDir())
	defer end()
	for range b.N {
		require.NoError(b, bed.store.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
			return tx.SetWebhookUse(ctx, "hook", ledger.WebhookUse{DeliveryAt: time.Now()})
		}))
	}
}
