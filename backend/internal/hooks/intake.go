// Package hooks is the HTTP listener of deliveries: it bounds what comes, verifies it, and
// hands it on. It must never decide what a delivery starts, and never answer with more than
// a status.
package hooks

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// Intake takes what arrives.
type Intake interface {
	// Webhook returns the webhook of a kind with that path, which is the part of the URL
	// after the kind. The time of the answer must not say which part of a path is right. The error is forge.ErrNoWebhook if there is none. It may
	// have changed since it was read: Deliver finds that out.
	Webhook(ctx context.Context, kind forge.Kind, path string) (forge.Webhook, error)
	// CurrentWebhook is Webhook that always reads the store.
	CurrentWebhook(ctx context.Context, kind forge.Kind, path string) (forge.Webhook, error)
	// Deliver stores a verified delivery and decides on it in one commit. It returns nil if
	// a delivery of the same id was stored before. The error is a *forge.BusyError if too
	// much is waiting, forge.ErrNoWebhook if the webhook was deleted since, and
	// forge.ErrWebhookChanged if it is another one than that which verified the delivery.
	Deliver(ctx context.Context, delivery forge.Delivery) error
	// Refuse stores that a delivery was refused. Refusals of one webhook, address and reason
	// within a minute are one row with a count.
	Refuse(ctx context.Context, refusal forge.Refusal) error
}
