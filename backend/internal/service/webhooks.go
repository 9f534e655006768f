package service

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/sealer"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// HookManager keeps the hooks of webhooks on forges. Its methods are part of the transaction
// that writes the webhook.
type HookManager interface {
	// Manage makes the hooks on the forge be what they should be, soon.
	Manage(ctx context.Context, tx *loop.Tx, webhook *ledger.Webhook) error
	// Unmanage makes the forge remove the hooks of a webhook that is deleted.
	Unmanage(ctx context.Context, tx *loop.Tx, webhook *ledger.Webhook) error
}

// WebhooksConfig is what Webhooks and Deliveries need.
type WebhooksConfig struct {
	Store  store.Store
	Loop   *loop.Loop
	Hooks  HookManager
	Sealer Sealer
	// Formats are how the kinds of webhooks write deliveries.
	Formats map[forge.Kind]forge.Format
	// URL returns the address of a webhook.
	URL   func(kind forge.Kind, path string) string
	Clock func() time.Time
	// NewID returns ids that ascend with time.
	NewID func() string
}

// Webhooks are the use cases of addresses for deliveries.
type Webhooks struct {
	config WebhooksConfig
}

// NewWebhooks returns the use cases of webhooks.
func NewWebhooks(cfg WebhooksConfig) *Webhooks { return &Webhooks{config: cfg} }

// WebhookView is a webhook as callers see it.
type WebhookView struct {
	ledger.Webhook
	URL string
}

func (s *Webhooks) view(w ledger.Webhook) WebhookView {
	return WebhookView{Webhook: w, URL: s.config.URL(w.Kind, w.Path)}
}

// pathBytes is how much of the address of a webhook is random.
const pathBytes = 32

func newPath() string {
	var random [pathBytes]byte
	// crypto/rand never fails: it ends the program instead.
	_, _ = rand.Read(random[:])
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// Create stores a webhook with its first secret, or only checks that.
func (s *Webhooks) Create(
	ctx context.Context, who auth.Identity, w ledger.Webhook, secret, requestID string, validateOnly bool,
) (WebhookView, error) {
	if err := authorize(who, auth.Deploy, w.Account); err != nil {
		return WebhookView{}, err
	}
	if secret == "" {
		return WebhookView{}, invalidField(requestPath("webhook", "secret"), "the secret is missing; without it anyone who learns the address could start executions")
	}
	if err := s.check(&w, secret); err != nil {
		return WebhookView{}, err
	}
	now := s.config.Clock()
	w.ID, w.Path, w.Revision, w.CreatedAt, w.UpdatedAt = s.config.NewID(), newPath(), 1, now, now
	sealed, err := s.seal(ctx, w.ID, secret, validateOnly)
	if err != nil {
		return WebhookView{}, err
	}
	w.Secrets = []ledger.WebhookSecret{{Version: 1, Sealed: sealed, CreatedAt: now}}
	repeat := request{w.Account, "CreateWebhook", requestID, webhookName(&w), who.Principal}
	var created ledger.Webhook
	err = retry(func() error {
		existing, resealed, err := s.sealForExisting(ctx, repeat, &w, secret, validateOnly)
		if err != nil {
			return err
		}
		return update(ctx, s.config.Loop.Submit, validateOnly, func(ctx context.Context, tx *loop.Tx) error {
			done, err := repeat.done(ctx, tx)
			if err == nil && !done {
				err = s.create(ctx, tx, repeat, &w, existing, resealed)
			}
			if err != nil {
				return err
			}
			created, err = findWebhook(ctx, tx, w.Account, w.Name)
			return err
		})
	})
	if err != nil {
		return WebhookView{}, fmt.Errorf("create webhook %q: %w", w.Name, err)
	}
	return s.view(created), nil
}

// seal seals a secret. A webhook that is only checked needs no key.
func (s *Webhooks) seal(ctx context.Context, webhookID, secret string, dry bool) ([]byte, error) {
	if dry {
		return nil, nil
	}
	sealed, err := s.config.Sealer.Seal(ctx, []byte(secret), ledger.WebhookBinding(webhookID))
	if errors.Is(err, sealer.ErrNoKey) {
		return nil, refuse(KindPrecondition, pipeline.ReasonNoSealingKey, "the server cannot seal the secret of the webhook: %v", err)
	}
	return sealed, err
}

// create stores a webhook that the request did not make before, or adopts the existing one,
// for which the secret was sealed.
func (s *Webhooks) create(ctx context.Context, tx *loop.Tx, repeat request, w *ledger.Webhook, existing string, resealed []byte) error {
	if err := accountExists(ctx, tx, w.Account); err != nil {
		return err
	}
	if err := checkWebhookConnection(ctx, tx, w); err != nil {
		return err
	}
	if adopted, err := s.adopt(ctx, tx, repeat, w, existing, resealed); err != nil || adopted {
		return err
	}
	err := tx.CreateWebhook(ctx, *w)
	if err == nil {
		err = s.config.Hooks.Manage(ctx, tx, w)
	}
	if errors.Is(err, store.ErrAlreadyExists) {
		return refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
			"webhook %q exists in account %q; import it, or choose another name", w.Name, w.Account)
	}
	if err != nil {
		return err
	}
	if err := repeat.save(ctx, tx, w.CreatedAt); err != nil {
		return err
	}
	return repeat.remember(ctx, tx, etagMark(w), w.CreatedAt)
}

// sealForExisting seals a secret for the webhook that exists under the name and may be
// adopted, since a sealed secret is bound to one webhook. It returns the id of that webhook,
// empty for none.
func (s *Webhooks) sealForExisting(ctx context.Context, create request, asked *ledger.Webhook, secret string, dry bool) (string, []byte, error) {
	if !create.confirms() {
		return "", nil, nil
	}
	var existing ledger.Webhook
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		existing, err = r.Webhook(ctx, asked.Account, asked.Name)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	sealed, err := s.seal(ctx, existing.ID, secret, dry)
	return existing.ID, sealed, err
}

// adopt tells whether the create of a webhook is answered with the one that exists. That one
// gets the secret of this create instead of its own: the earlier create may have had another,
// and nobody else uses the webhook yet.
func (s *Webhooks) adopt(ctx context.Context, tx *loop.Tx, create request, asked *ledger.Webhook, existingID string, resealed []byte) (bool, error) {
	if !create.confirms() {
		return false, nil
	}
	existing, err := tx.Webhook(ctx, asked.Account, asked.Name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil || !sameWebhook(existing, *asked) {
		return false, err
	}
	if existing.ID != existingID {
		// It was created since the secret was sealed.
		return false, store.ErrStale
	}
	adopted, err := create.adopt(ctx, tx, etagMark(&existing), asked.CreatedAt)
	if err != nil || !adopted {
		return false, err
	}
	next := existing
	next.Secrets = []ledger.WebhookSecret{{Version: existing.Newest() + 1, Sealed: resealed, CreatedAt: asked.CreatedAt}}
	next.UpdatedAt = asked.UpdatedAt
	if err := tx.UpdateWebhook(ctx, next); err != nil {
		return false, err
	}
	if err := s.config.Hooks.Manage(ctx, tx, &next); err != nil {
		return false, err
	}
	if next, err = tx.Webhook(ctx, asked.Account, asked.Name); err != nil {
		return false, err
	}
	return true, create.remember(ctx, tx, etagMark(&next), asked.CreatedAt)
}

func sameWebhook(existing, asked ledger.Webhook) bool {
	return existing.Connection == asked.Connection && reflect.DeepEqual(existing.WebhookDetails, asked.WebhookDetails)
}

// etagMark changes with an object and is another one if an object of the same name is
// created later.
func etagMark(object interface{ Etag() string }) mark {
	return func(context.Context, store.Reader) (string, error) { return object.Etag(), nil }
}

// check refuses a webhook that could never take a delivery. An empty secret is not checked.
func (s *Webhooks) check(w *ledger.Webhook, secret string) error {
	root := requestPath("webhook")
	if err := pipeline.CheckWebhook(w.Name); err != nil {
		return invalidField(root.Field("name"), err.Error())
	}
	declared := pipeline.Webhook{Kind: pipeline.WebhookKind(w.Kind), Connection: w.Connection, Manage: w.Manage, Tags: w.Tags}
	for method, set := range map[pipeline.WebhookMethod]bool{
		pipeline.WebhookHMAC:             w.Authentication.HMAC != nil,
		pipeline.WebhookStandardWebhooks: w.Authentication.StandardWebhooks,
		pipeline.WebhookBearer:           w.Authentication.Bearer,
	} {
		if set {
			declared.Methods = append(declared.Methods, method)
		}
	}
	if err := pipeline.ValidateWebhook(&declared); err != nil {
		return invalidDefinition(err, nil, root)
	}
	format := s.config.Formats[w.Kind]
	if secret == "" || format == nil {
		return nil
	}
	if err := format.CheckSecret(w.Authentication, secret); err != nil {
		return invalidField(root.Field("secret"), err.Error())
	}
	return nil
}

// checkWebhookConnection refuses a connection that does not exist or reaches another forge: no
// trigger could ever match a delivery.
func checkWebhookConnection(ctx context.Context, tx *loop.Tx, w *ledger.Webhook) error {
	if w.Connection == "" {
		return nil
	}
	path := requestPath("webhook", "connection")
	c, err := tx.Connection(ctx, w.Account, w.Connection)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return invalidField(path, fmt.Sprintf("connection %q does not exist in account %q", w.Connection, w.Account))
	case err != nil:
		return err
	case c.Kind() == "":
		return invalidField(path, fmt.Sprintf("connection %q has the type %s, and servers of that type send no deliveries: polling finds their pushes; "+
			"remove the webhook, or name a connection whose type is of %s", w.Connection, c.Type, w.Kind))
	case c.Kind() != w.Kind:
		return invalidField(path, fmt.Sprintf("connection %q reaches %s, and the webhook takes deliveries of %s; name a connection of %s",
			w.Connection, c.Kind(), w.Kind, w.Kind))
	}
	return nil
}

// checkWebhooksOf refuses to let a connection reach another forge than its webhooks take deliveries of.
func checkWebhooksOf(ctx context.Context, tx store.Tx, before, next *connection.Connection) error {
	if before.Kind() == next.Kind() {
		return nil
	}
	names, err := tx.WebhooksOfConnection(ctx, next.Account, next.Name)
	if err != nil || len(names) == 0 {
		return err
	}
	return refuse(KindPrecondition, "", "connection %q cannot become one of the type %s while webhooks take deliveries of %s for it: %s; delete them before",
		next.Name, next.Type, before.Kind(), joined(names))
}

// maxJoined bounds how many names a message has.
const maxJoined = 10

// joined lists names for a message.
func joined(names []string) string {
	if more := len(names) - maxJoined; more > 0 {
		return strings.Join(names[:maxJoined], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// Get returns a webhook.
func (s *Webhooks) Get(ctx context.Context, who auth.Identity, account, name string) (WebhookView, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return WebhookView{}, err
	}
	var w ledger.Webhook
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		w, err = findWebhook(ctx, r, account, name)
		return err
	})
	if err != nil {
		return WebhookView{}, fmt.Errorf("get webhook %q: %w", name, err)
	}
	return s.view(w), nil
}

// List returns at most size webhooks of an account by name, those after the given name. The
// second result is the name to continue after, empty at the end.
func (s *Webhooks) List(ctx context.Context, who auth.Identity, account, after string, size int) ([]WebhookView, string, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, "", err
	}
	var found []ledger.Webhook
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if err = accountExists(ctx, r, account); err != nil {
			return err
		}
		found, err = r.Webhooks(ctx, account, store.Page{Size: size + 1, After: after})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list webhooks: %w", err)
	}
	next := ""
	if len(found) > size {
		found = found[:size]
		next = found[size-1].Name
	}
	views := make([]WebhookView, len(found))
	for i := range found {
		views[i] = s.view(found[i])
	}
	return views, next, nil
}

// Update replaces the settings of a webhook, or only checks that. A new secret is accepted
// beside the newest of those before; an empty one changes nothing.
func (s *Webhooks) Update(
	ctx context.Context, who auth.Identity, w ledger.Webhook, secret, etag string, validateOnly bool, check Check[ledger.Webhook],
) (WebhookView, error) {
	if err := authorize(who, auth.Deploy, w.Account); err != nil {
		return WebhookView{}, err
	}
	if err := s.check(&w, secret); err != nil {
		return WebhookView{}, err
	}
	var updated ledger.Webhook
	err := retry(func() error {
		added, err := s.newSecret(ctx, &w, secret, validateOnly)
		if err != nil {
			return err
		}
		return update(ctx, s.config.Loop.Submit, validateOnly, func(ctx context.Context, tx *loop.Tx) error {
			updated, err = s.replace(ctx, tx, w, added, etag, check)
			return err
		})
	})
	if err != nil {
		return WebhookView{}, fmt.Errorf("update webhook %q: %w", w.Name, err)
	}
	return s.view(updated), nil
}

// newSecret returns a secret to add, nil if it is empty or the newest already.
func (s *Webhooks) newSecret(ctx context.Context, w *ledger.Webhook, secret string, dry bool) (*ledger.WebhookSecret, error) {
	if secret == "" {
		return nil, nil //nolint:nilnil // Most updates have no new secret.
	}
	var existing ledger.Webhook
	if err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		existing, err = findWebhook(ctx, r, w.Account, w.Name)
		return err
	}); err != nil {
		return nil, err
	}
	newest := existing.Newest()
	for i := range existing.Secrets {
		if existing.Secrets[i].Version != newest {
			continue
		}
		// One that cannot be opened any more is replaced.
		plain, err := s.config.Sealer.Open(ctx, existing.Secrets[i].Sealed, ledger.WebhookBinding(existing.ID))
		if err == nil && string(plain) == secret {
			return nil, nil //nolint:nilnil // The webhook has this secret already.
		}
	}
	sealed, err := s.seal(ctx, existing.ID, secret, dry)
	return &ledger.WebhookSecret{Version: newest + 1, Sealed: sealed, CreatedAt: s.config.Clock()}, err
}

// replace writes a webhook over the one that exists.
func (s *Webhooks) replace(
	ctx context.Context, tx *loop.Tx, w ledger.Webhook, added *ledger.WebhookSecret, etag string, check Check[ledger.Webhook],
) (ledger.Webhook, error) {
	before, err := matchWebhook(ctx, tx, w.Account, w.Name, etag)
	if err != nil {
		return before, err
	}
	if before.Kind != w.Kind {
		return before, refuse(KindPrecondition, "",
			"webhook %q has the kind %s, which is part of its URL and cannot change; delete the webhook and create another", w.Name, before.Kind)
	}
	if err := checkWebhookConnection(ctx, tx, &w); err != nil {
		return before, err
	}
	next := before
	next.Connection, next.WebhookDetails = w.Connection, w.WebhookDetails
	if err := check.allows(before, next); err != nil {
		return before, err
	}
	if added != nil {
		newest := before.Newest()
		if added.Version != newest+1 {
			// Another update added one since the newest was read.
			return before, store.ErrStale
		}
		next.Secrets = slices.DeleteFunc(slices.Clone(before.Secrets), func(s ledger.WebhookSecret) bool { return s.Version != newest })
		next.Secrets = append([]ledger.WebhookSecret{*added}, next.Secrets...)
	}
	if !reflect.DeepEqual(before, next) {
		next.UpdatedAt = s.config.Clock()
		if err := tx.UpdateWebhook(ctx, next); err != nil {
			return before, err
		}
		if err := manageAgain(ctx, tx, s.config.Hooks, &before, &next); err != nil {
			return before, err
		}
	}
	return findWebhook(ctx, tx, w.Account, w.Name)
}

// manageAgain makes the hooks on the forge follow a change of a webhook. Those of another
// connection are removed.
func manageAgain(ctx context.Context, tx *loop.Tx, hooks HookManager, before, next *ledger.Webhook) error {
	if before.Connection != next.Connection {
		if err := hooks.Unmanage(ctx, tx, before); err != nil {
			return err
		}
		if err := tx.SetManagedHooks(ctx, next.ID, nil); err != nil {
			return err
		}
		next.Hooks = nil
	}
	return hooks.Manage(ctx, tx, next)
}

// RetireSecret ends the acceptance of all secrets but the newest.
func (s *Webhooks) RetireSecret(ctx context.Context, who auth.Identity, account, name string) (WebhookView, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return WebhookView{}, err
	}
	var retired ledger.Webhook
	err := update(ctx, s.config.Store.Update, false, func(ctx context.Context, tx store.Tx) error {
		w, err := findWebhook(ctx, tx, account, name)
		if err != nil {
			return err
		}
		newest := w.Newest()
		if len(w.Secrets) > 1 {
			w.Secrets = slices.DeleteFunc(w.Secrets, func(s ledger.WebhookSecret) bool { return s.Version != newest })
			w.UpdatedAt = s.config.Clock()
			if err := tx.UpdateWebhook(ctx, w); err != nil {
				return err
			}
		}
		retired, err = findWebhook(ctx, tx, account, name)
		return err
	})
	if err != nil {
		return WebhookView{}, fmt.Errorf("retire the secret of webhook %q: %w", name, err)
	}
	return s.view(retired), nil
}

// Delete removes a webhook with its deliveries.
func (s *Webhooks) Delete(ctx context.Context, who auth.Identity, account, name, etag string) error {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return err
	}
	err := update(ctx, s.config.Loop.Submit, false, func(ctx context.Context, tx *loop.Tx) error {
		w, err := matchWebhook(ctx, tx, account, name, etag)
		if err != nil {
			return err
		}
		users, err := tx.TriggersOfWebhook(ctx, account, name)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			names := make([]string, len(users))
			for i := range users {
				names[i] = users[i].ResourceName()
			}
			return refuse(KindPrecondition, pipeline.ReasonInUse, "webhook %q is used by %s; change or delete its users first", name, joined(names))
		}
		if err := s.config.Hooks.Unmanage(ctx, tx, &w); err != nil {
			return err
		}
		return tx.DeleteWebhook(ctx, w.ID)
	})
	if err != nil {
		return fmt.Errorf("delete webhook %q: %w", name, err)
	}
	return nil
}

// ConfirmCreate notes that the answer of a create of a webhook arrived.
func (s *Webhooks) ConfirmCreate(ctx context.Context, who auth.Identity, c Created) error {
	return confirm(ctx, s.config.Store, who, c)
}

func webhookName(w *ledger.Webhook) string {
	return pipeline.WebhookName{Account: w.Account, Webhook: w.Name}.String()
}

func findWebhook(ctx context.Context, r store.WebhookReader, account, name string) (ledger.Webhook, error) {
	w, err := r.Webhook(ctx, account, name)
	if errors.Is(err, store.ErrNotFound) {
		return w, refuse(KindNotFound, pipeline.ReasonNotFound, "webhook %q does not exist in account %q", name, account)
	}
	return w, err
}

// matchWebhook returns a webhook that is what the caller read.
func matchWebhook(ctx context.Context, r store.WebhookReader, account, name, etag string) (ledger.Webhook, error) {
	w, err := findWebhook(ctx, r, account, name)
	if err == nil && etag != "" && etag != w.Etag() {
		return w, refuse(KindConflict, pipeline.ReasonEtagMismatch,
			"webhook %q changed since it was read (last at %s): read it again and retry",
			name, w.UpdatedAt.UTC().Format(time.RFC3339))
	}
	return w, err
}
