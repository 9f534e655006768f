package trigger

import (
	"context"
	"errors"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// maxWaiting bounds the deliveries that wait for a commit, which hold their bodies.
const maxWaiting = 4096

// busyRetry is when a forge may try again that came while too many waited.
const busyRetry = 5 * time.Second

// usedEvery is how exactly the latest use of a webhook and its secrets is kept: not with each
// delivery.
const usedEvery = time.Minute

// Deliver keeps a verified delivery and decides on what it says, in one transaction. After
// that the forge can be answered. The error is a *forge.BusyError if too many wait,
// forge.ErrNoWebhook if the webhook was deleted since, and forge.ErrWebhookChanged if it is
// another one than that which verified the delivery.
func (i *Intake) Deliver(ctx context.Context, d forge.Delivery) error {
	if i.waiting.Add(1) > maxWaiting {
		i.waiting.Add(-1)
		return &forge.BusyError{RetryAfter: busyRetry}
	}
	defer i.waiting.Add(-1)
	name, err := pipeline.ParseWebhookName(d.Webhook)
	if err != nil {
		return err
	}
	known, _ := i.webhooks.byEtag.Get(d.Etag)
	confirmed := known
	var w ledger.Webhook
	var refused error
	err = i.withEvent(ctx, name, event{body: d.Body, headers: d.Headers}, d.Kind == forge.Generic, func(ctx context.Context, tx *loop.Tx, e *matchedEvent) (err error) {
		w, refused, err = i.confirm(ctx, tx, confirmed, name, &d)
		// Another try may be due to what is known.
		confirmed = nil
		if err != nil || refused != nil {
			return err
		}
		return i.accept(ctx, tx, &w, &d, e)
	})
	if err != nil || refused != nil {
		return errors.Join(err, refused)
	}
	if known != nil && !w.Used.DeliveryAt.Equal(known.Used.DeliveryAt) {
		i.webhooks.keep(known.usedAs(w.Used))
	}
	return nil
}

// accept keeps a delivery and decides on it. matched is set for one of a generic webhook.
func (i *Intake) accept(ctx context.Context, tx *loop.Tx, w *ledger.Webhook, d *forge.Delivery, matched *matchedEvent) error {
	row := ledger.Delivery{
		ID: i.config.NewID(), WebhookID: w.ID, Account: w.Account, Dedup: d.ID, Status: ledger.Accepted, ReceivedAt: d.ReceiveTime,
		Attempts: 1, BodySize: int64(len(d.Body)),
		DeliveryDetails: ledger.DeliveryDetails{
			ExternalID: d.ID, Event: d.Event, Message: d.Ignored, Address: d.Address, Headers: d.Headers,
		},
	}
	if !storable(row.Dedup) {
		row.Dedup = row.ID
	}
	if d.Kind == forge.Generic {
		if err := i.freshen(ctx, tx, &row); err != nil {
			return err
		}
	}
	repos := &repositories{tx: tx, webhook: w}
	if err := i.sort(ctx, repos, d, &row, matched); err != nil {
		return err
	}
	id, err := tx.CreateDelivery(ctx, row, d.Body)
	if err != nil {
		return err
	}
	if err := i.noteUse(ctx, tx, w, d); err != nil {
		return err
	}
	told := delivery{id: id, webhook: w.Name, again: id != row.ID}
	if d.Kind == forge.Generic {
		return i.takeEvent(ctx, tx, matched, ledger.ByWebhook, told)
	}
	// One that no trigger decides on may still be a reason to compare the repository.
	return i.takeSignals(ctx, repos, d.Signals, ledger.ByWebhook, told)
}

// sort says what a delivery is about, and whether triggers look at that.
func (i *Intake) sort(ctx context.Context, repos *repositories, d *forge.Delivery, row *ledger.Delivery, matched *matchedEvent) error {
	if d.Ignored != "" {
		row.Status, row.Reason = ledger.Ignored, string(forge.EventUnused)
		return nil
	}
	if d.Kind == forge.Generic {
		i.sortEvent(row, matched)
		return nil
	}
	row.Status, row.Reason = ledger.Ignored, string(forge.Unwatched)
	row.Message = "no trigger watches the repository through this connection"
	for n := range d.Signals {
		s := &d.Signals[n]
		if row.Repository == "" {
			row.Repository = s.Repository.FullName
		}
		if row.Pusher == "" {
			row.Pusher = s.Pusher
		}
		repo, err := repos.of(ctx, s)
		if err != nil {
			return err
		}
		why := unused(s)
		switch {
		case why == "" && repo != nil:
			row.Status, row.Reason, row.Message = ledger.Accepted, "", ""
			return nil
		case why != "" && (repo != nil || s.Kind == forge.Ping):
			row.Reason, row.Message = string(forge.EventUnused), why
		}
	}
	return nil
}

// useNoted tells whether the store has that the webhook and the secret were used lately.
func useNoted(w *ledger.Webhook, d *forge.Delivery) bool {
	return d.ReceiveTime.Sub(w.Used.DeliveryAt) < usedEvery && d.ReceiveTime.Sub(w.Used.Secrets[d.SecretVersion]) < usedEvery
}

// noteUse keeps when a webhook and a secret were used.
func (i *Intake) noteUse(ctx context.Context, tx *loop.Tx, w *ledger.Webhook, d *forge.Delivery) error {
	if useNoted(w, d) {
		return nil
	}
	used := w.Used
	used.DeliveryAt = d.ReceiveTime
	used.Secrets = map[int64]time.Time{d.SecretVersion: d.ReceiveTime}
	for n := range w.Secrets {
		version := w.Secrets[n].Version
		if at, ok := w.Used.Secrets[version]; ok && version != d.SecretVersion {
			used.Secrets[version] = at
		}
	}
	w.Used = used
	return tx.SetWebhookUse(ctx, w.ID, used)
}

// repositories finds the repositories of a delivery, each once.
type repositories struct {
	tx      *loop.Tx
	webhook *ledger.Webhook
	found   map[string]*ledger.Repository
}

// of returns the repository that a signal is about, nil if no trigger watches it.
func (r *repositories) of(ctx context.Context, s *forge.Signal) (*ledger.Repository, error) {
	said := &s.Repository
	if said.FullName == "" {
		return nil, nil //nolint:nilnil // Signals about no repository are usual.
	}
	key := forge.RepositoryKey(r.webhook.Kind, said.FullName)
	if found, ok := r.found[key]; ok {
		return found, nil
	}
	found, err := r.tx.RepositoryNamed(ctx, r.webhook.Account, r.webhook.Connection, key)
	known := err == nil
	if errors.Is(err, store.ErrNotFound) && said.ID != 0 {
		// It may have been renamed, and the delivery about that was lost.
		found, err = r.tx.RepositoryNumbered(ctx, r.webhook.Account, r.webhook.Connection, said.ID)
		known = err == nil
	}
	if errors.Is(err, store.ErrNotFound) && s.PreviousName != "" {
		// No delivery has told its number yet.
		found, err = r.tx.RepositoryNamed(ctx, r.webhook.Account, r.webhook.Connection, forge.RepositoryKey(r.webhook.Kind, s.PreviousName))
		known = err == nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if r.found == nil {
		r.found = make(map[string]*ledger.Repository)
	}
	r.found[key] = nil
	if !known {
		return nil, nil //nolint:nilnil // Deliveries about other repositories are usual.
	}
	r.found[key] = &found
	return &found, r.learn(ctx, &found, said, key)
}

// learn keeps what a signal says of its repository.
func (r *repositories) learn(ctx context.Context, known *ledger.Repository, said *forge.Repository, key string) error {
	next := *known
	next.Name = key
	if forge.RepositoryKey(r.webhook.Kind, next.FullName) != key {
		next.FullName = said.FullName
	}
	if said.ID != 0 {
		next.ForgeID = said.ID
	}
	if said.DefaultBranch != "" {
		next.DefaultBranch = said.DefaultBranch
	}
	if next == *known {
		return nil
	}
	*known = next
	return r.tx.UpdateRepository(ctx, next)
}

// takeSignals moves the ledger by what a delivery says, in its order.
func (i *Intake) takeSignals(ctx context.Context, repos *repositories, signals []forge.Signal, by ledger.FoundBy, told delivery) error {
	for n := range signals {
		said := &signals[n]
		repo, err := repos.of(ctx, said)
		if err != nil {
			return err
		}
		if repo == nil {
			continue
		}
		switch said.Kind {
		case forge.RefMoved, forge.PullRequestChanged:
			if unused(said) == "" {
				s := signalOf(said, repos.webhook.Kind)
				s.by, s.delivery = by, told
				err = i.take(ctx, repos.tx, repo, s)
			}
		case forge.RefHint, forge.RepositoryRenamed, forge.RepositoryChanged:
			err = repos.tx.Apply(ctx, i.observation(repo.ID, i.config.Clock()))
		case forge.Ping, forge.RepositoryDeleted, forge.InstallationChanged:
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eventIn returns what a signal of a forge says of a change beside its heads.
func eventIn(said *forge.Signal, kind forge.Kind) ledger.Event {
	e := ledger.Event{
		Commit: said.Head.ID, Message: cut(said.Head.Message, ledger.MaxMessage),
		// Without a message a forge may have left it out, as GitLab does for tags, and markers are
		// also at the end of a message.
		Told:   said.Head.ID != "" && said.Head.Message != "" && len(said.Head.Message) <= ledger.MaxMessage,
		Pusher: said.Pusher, Forge: kind, Forced: said.Forced, SkipRequested: said.SkipRequested, PullRequest: said.PullRequest,
	}
	if said.PullRequest != nil {
		e.Commit = said.PullRequest.HeadCommit
		e.Told = e.Told && said.Head.ID == said.PullRequest.HeadCommit
	}
	return e
}

// cut returns the beginning of a text.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && text[most]&0xC0 == 0x80 {
		most--
	}
	return text[:most]
}
