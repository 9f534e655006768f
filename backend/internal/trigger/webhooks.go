package trigger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// maxWebhooks bounds the webhooks that are kept in memory.
const maxWebhooks = 1024

// webhooks keeps what was read of webhooks, so that a delivery need not read its own twice.
// What is kept may have changed: the transaction of a delivery confirms it by its etag.
type webhooks struct {
	byPath *lru.Cache[[sha256.Size]byte, *knownWebhook]
	byEtag *lru.Cache[string, *knownWebhook]
}

// knownWebhook is a webhook as it was read, without its hooks. It never changes.
type knownWebhook struct {
	ledger.Webhook

	// forge is what verifies deliveries.
	forge forge.Webhook
}

// usedAs returns the webhook with another time of its use.
func (w *knownWebhook) usedAs(use ledger.WebhookUse) *knownWebhook {
	next := *w
	next.Used = use
	return &next
}

func newWebhooks() webhooks {
	// The errors are about the size.
	byPath, _ := lru.New[[sha256.Size]byte, *knownWebhook](maxWebhooks)
	byEtag, _ := lru.New[string, *knownWebhook](maxWebhooks)
	return webhooks{byPath, byEtag}
}

// keep keeps a webhook that was read. A lookup by the hash of the path takes the same time
// whatever part of a path is right.
func (w webhooks) keep(read *knownWebhook) {
	w.byPath.Add(sha256.Sum256([]byte(read.Path)), read)
	w.byEtag.Add(read.Etag(), read)
}

// Webhook returns the webhook of a path, with its secrets opened, as this server read it last.
// Deliver finds out whether it has changed since. The error is forge.ErrNoWebhook if there is
// none of the kind.
func (i *Intake) Webhook(ctx context.Context, kind forge.Kind, path string) (forge.Webhook, error) {
	if known, ok := i.webhooks.byPath.Get(sha256.Sum256([]byte(path))); ok && known.Kind == kind {
		return known.forge, nil
	}
	return i.CurrentWebhook(ctx, kind, path)
}

// CurrentWebhook is Webhook that always reads the store.
func (i *Intake) CurrentWebhook(ctx context.Context, kind forge.Kind, path string) (forge.Webhook, error) {
	var w ledger.Webhook
	err := i.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		w, err = r.WebhookByPath(ctx, path)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		i.webhooks.byPath.Remove(sha256.Sum256([]byte(path)))
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && w.Kind != kind {
		return forge.Webhook{}, forge.ErrNoWebhook
	}
	if err != nil {
		return forge.Webhook{}, err
	}
	found := forge.Webhook{Name: nameOf(&w), Kind: w.Kind, Authentication: w.Authentication, Etag: w.Etag()}
	for n := range w.Secrets {
		s := &w.Secrets[n]
		value, err := i.opened.open(ctx, s.Sealed, ledger.WebhookBinding(w.ID))
		if err != nil {
			return forge.Webhook{}, fmt.Errorf("open secret %d of %s: %w", s.Version, found.Name, err)
		}
		found.Secrets = append(found.Secrets, forge.Secret{Version: s.Version, Value: value})
	}
	w.Hooks = nil
	i.webhooks.keep(&knownWebhook{w, found})
	return found, nil
}

func nameOf(w *ledger.Webhook) string {
	return pipeline.WebhookName{Account: w.Account, Webhook: w.Name}.String()
}

// confirm returns the webhook of a delivery in its transaction: the known one, unless there is
// none or its use has to be noted, or else what the store has. It refuses a delivery whose
// webhook was deleted, or is not what verified it. If the known one is not current, the error is
// store.ErrStale, which may come as late as from the commit: the next try reads it.
func (i *Intake) confirm(
	ctx context.Context, tx *loop.Tx, known *knownWebhook, name pipeline.WebhookName, d *forge.Delivery,
) (w ledger.Webhook, refused, err error) {
	if known != nil && useNoted(&known.Webhook, d) {
		return known.Webhook, nil, tx.ConfirmWebhook(ctx, known.ID, known.Revision)
	}
	w, err = tx.Webhook(ctx, name.Account, name.Webhook)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return w, forge.ErrNoWebhook, nil
	case err == nil && w.Etag() != d.Etag:
		return w, forge.ErrWebhookChanged, nil
	}
	return w, nil, err
}
