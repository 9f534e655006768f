package trigger_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// TestAChangedWebhookTakesNothingThatItVerifiedBefore: nothing of the delivery is kept.
func TestAChangedWebhookTakesNothingThatItVerifiedBefore(t *testing.T) {
	t.Parallel()
	b := start(t)
	var hook ledger.Webhook
	b.read(func(ctx context.Context, r store.Reader) (err error) {
		hook, err = r.Webhook(ctx, "default", "hub")
		return err
	})
	deliveries := func() (found []ledger.Delivery) {
		b.read(func(ctx context.Context, r store.Reader) (err error) {
			found, err = r.Deliveries(ctx, store.DeliveryFilter{Account: "default"})
			return err
		})
		return found
	}
	b.deliver(b.push(main, "", b.remote.commit("", "one")))
	require.Len(t, deliveries(), 1)
	for _, step := range []struct {
		change func(context.Context, store.Tx) error
		want   error
	}{
		{func(ctx context.Context, tx store.Tx) error { return tx.UpdateWebhook(ctx, hook) }, forge.ErrWebhookChanged},
		{func(ctx context.Context, tx store.Tx) error { return tx.DeleteWebhook(ctx, hook.ID) }, forge.ErrNoWebhook},
		{func(ctx context.Context, tx store.Tx) error {
			other := hook
			other.ID, other.Path = "other", "another"
			return tx.CreateWebhook(ctx, other)
		}, forge.ErrWebhookChanged},
	} {
		require.NoError(t, b.store.Update(t.Context(), step.change))
		require.ErrorIs(t, b.intake.Deliver(t.Context(), b.delivery(newID())), step.want)
	}
	require.Empty(t, deliveries(), "they were deleted with their webhook")
	_, err := b.intake.CurrentWebhook(t.Context(), forge.GitHub, hook.Path)
	require.ErrorIs(t, err, forge.ErrNoWebhook)
	_, err = b.intake.Webhook(t.Context(), forge.GitHub, hook.Path)
	require.ErrorIs(t, err, forge.ErrNoWebhook, "it is forgotten")
}

// TestUseOfAWebhookIsNotedOnceAMinute though the webhook is not read for each delivery.
func TestUseOfAWebhookIsNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	b := start(t)
	noted := func(after time.Duration) time.Duration {
		t.Helper()
		d := b.delivery(newID())
		begun := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
		d.ReceiveTime = begun.Add(after)
		require.NoError(t, b.intake.Deliver(t.Context(), d))
		var hook ledger.Webhook
		b.read(func(ctx context.Context, r store.Reader) (err error) {
			hook, err = r.Webhook(ctx, "default", "hub")
			return err
		})
		require.Equal(t, hook.Used.DeliveryAt, hook.Used.Secrets[1])
		return hook.Used.DeliveryAt.Sub(begun)
	}
	for _, step := range []struct{ at, want time.Duration }{
		{0, 0},
		{30 * time.Second, 0},
		{70 * time.Second, 70 * time.Second},
		{100 * time.Second, 70 * time.Second},
		{200 * time.Second, 200 * time.Second},
	} {
		require.Equal(t, step.want, noted(step.at))
	}
}

// TestPathOfAnotherKind holds that a webhook takes deliveries of its kind alone, also one that the
// server has read already: another forge's check could take a body that this one's does not.
func TestPathOfAnotherKind(t *testing.T) {
	t.Parallel()
	b := start(t)
	for range 2 {
		_, err := b.intake.Webhook(t.Context(), forge.GitLab, "path")
		require.ErrorIs(t, err, forge.ErrNoWebhook)
		_, err = b.intake.CurrentWebhook(t.Context(), forge.GitLab, "path")
		require.ErrorIs(t, err, forge.ErrNoWebhook)
		_, err = b.intake.Webhook(t.Context(), forge.GitHub, "path")
		require.NoError(t, err)
	}
}
