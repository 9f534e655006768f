package store

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
)

// WebhookReader reads webhooks and their deliveries.
type WebhookReader interface {
	Webhook(ctx context.Context, account, name string) (ledger.Webhook, error)
	WebhookByPath(ctx context.Context, path string) (ledger.Webhook, error)
	WebhookByID(ctx context.Context, id string) (ledger.Webhook, error)
	// Webhooks returns webhooks by name. Page.After is a name.
	Webhooks(ctx context.Context, account string, page Page) ([]ledger.Webhook, error)
	// WebhooksOfConnection returns the names of the webhooks that use a connection.
	WebhooksOfConnection(ctx context.Context, account, connection string) ([]string, error)
	Delivery(ctx context.Context, account, id string) (ledger.Delivery, error)
	// DeliveryBody returns the body of a delivery, empty once it was removed.
	DeliveryBody(ctx context.Context, account, id string) ([]byte, error)
	// DeliveryByDedup returns the delivery of a webhook that is known by that key.
	DeliveryByDedup(ctx context.Context, webhookID, dedup string) (ledger.Delivery, error)
	// Deliveries returns deliveries, newest first.
	Deliveries(ctx context.Context, filter DeliveryFilter) ([]ledger.Delivery, error)
	// CountRefusals returns how many rows of refused deliveries of a webhook have a key
	// with that prefix.
	CountRefusals(ctx context.Context, webhookID, prefix string) (int, error)
}

// WebhookWriter reads and writes webhooks and their deliveries.
type WebhookWriter interface {
	WebhookReader

	CreateWebhook(ctx context.Context, w ledger.Webhook) error
	// UpdateWebhook writes what is declared and the secrets if the revision is still
	// w.Revision, and adds one to the revision; else ErrStale.
	UpdateWebhook(ctx context.Context, w ledger.Webhook) error
	// ConfirmWebhook returns ErrStale if the webhook does not exist at that revision, with the
	// commit at the latest.
	ConfirmWebhook(ctx context.Context, id string, revision int64) error
	// SetWebhookUse writes when a webhook was used.
	SetWebhookUse(ctx context.Context, id string, use ledger.WebhookUse) error
	// SetManagedHooks writes what is known of hooks.
	SetManagedHooks(ctx context.Context, id string, hooks []ledger.ManagedHook) error
	// DeleteWebhook removes a webhook with its deliveries.
	DeleteWebhook(ctx context.Context, id string) error
	// CreateDelivery keeps a delivery. If the webhook has one with the same key, it returns
	// the id of that one and counts an attempt of it.
	CreateDelivery(ctx context.Context, d ledger.Delivery, body []byte) (id string, err error)
	// AddRefusals keeps a refused delivery, or adds its attempts to that of the same key.
	AddRefusals(ctx context.Context, d ledger.Delivery) error
	// AddAttempt counts another attempt of a delivery.
	AddAttempt(ctx context.Context, account, id string) error
	// ForgetDedup lets another delivery have the key of this one.
	ForgetDedup(ctx context.Context, account, id string) error
	// RemoveBodies removes the bodies of at most size deliveries with ids before one, and
	// returns how many had a body.
	RemoveBodies(ctx context.Context, before string, size int) (int, error)
	// RemoveDeliveries removes at most size deliveries with ids before one, or only refused
	// ones, and returns how many.
	RemoveDeliveries(ctx context.Context, before string, refused bool, size int) (int, error)
}

// DeliveryFilter selects deliveries.
type DeliveryFilter struct {
	Account string
	// WebhookID is empty for all webhooks of the account.
	WebhookID string
	// Status is empty for all.
	Status ledger.Status
	// Before is the id of the last delivery of the page before; empty for the newest.
	Before string
	Size   int
}

// LedgerReader reads what is known of the refs of repositories.
type LedgerReader interface {
	Repository(ctx context.Context, id string) (ledger.Repository, error)
	// RepositoryNamed returns a repository by the connection and the name that compares.
	RepositoryNamed(ctx context.Context, account, connection, name string) (ledger.Repository, error)
	// RepositoryNumbered returns a repository by the connection and the forge's number.
	RepositoryNumbered(ctx context.Context, account, connection string, forgeID int64) (ledger.Repository, error)
	// Repositories returns repositories of all accounts by id; account and connection
	// select, unless they are empty. Page.After is an id.
	Repositories(ctx context.Context, account, connection string, page Page) ([]ledger.Repository, error)
	// Ref returns a ref of a repository, and whether a move between two heads of it was
	// recorded.
	Ref(ctx context.Context, repositoryID, ref, from, to string) (known ledger.Ref, made bool, err error)
	// Refs returns all refs of a repository by name, those that were deleted too.
	Refs(ctx context.Context, repositoryID string) ([]ledger.Ref, error)
	// MoveNumbered returns a move of a ref by its number.
	MoveNumbered(ctx context.Context, repositoryID, ref string, number int64) (ledger.Move, error)
	// MovesTo returns the moves of a repository to heads that begin with a prefix, newest
	// first, at most size.
	MovesTo(ctx context.Context, repositoryID, prefix string, size int) ([]ledger.Move, error)
}

// LedgerWriter reads and writes what is known of the refs of repositories.
type LedgerWriter interface {
	LedgerReader

	// CreateRepository keeps a repository. If another one with the same key is there, it
	// returns ErrStale: read that one.
	CreateRepository(ctx context.Context, r ledger.Repository) error
	// UpdateRepository writes name, number and details.
	UpdateRepository(ctx context.Context, r ledger.Repository) error
	// DeleteRepository removes a repository that no trigger watches, with its refs and
	// moves. It has no effect on others.
	DeleteRepository(ctx context.Context, id string) error
	// CreateRef keeps a ref that is not known yet; else ErrStale.
	CreateRef(ctx context.Context, r ledger.Ref) error
	// MoveRef records a move. The ref must have the head From and the move before; else
	// ErrStale. The first move creates the ref, which must be unknown then.
	MoveRef(ctx context.Context, m ledger.Move, known bool) error
	// RecordFirstMove records the move, number 1, that led to the head of a ref which was read
	// before any move was reported. The ref must have the head To and no move; else ErrStale.
	RecordFirstMove(ctx context.Context, m ledger.Move) error
	// RemoveMoves removes at most size moves from before a time.
	RemoveMoves(ctx context.Context, before time.Time, size int) (int, error)
}

// TriggerReader reads triggers and their decisions.
type TriggerReader interface {
	// Trigger returns a trigger by its name. The owner is the pipeline that it belongs to,
	// empty for one on its own.
	Trigger(ctx context.Context, account, owner, name string) (ledger.Trigger, error)
	TriggerByID(ctx context.Context, id string) (ledger.Trigger, error)
	// Triggers returns the triggers of an account, or those that start one of its pipelines,
	// by owner and name.
	Triggers(ctx context.Context, account, pipeline string) ([]ledger.Trigger, error)
	// TriggersOfRepository returns what watches a repository, by creation.
	TriggersOfRepository(ctx context.Context, repositoryID string) ([]ledger.Trigger, error)
	// TriggersOfWebhook returns what reacts to a generic webhook, by creation.
	TriggersOfWebhook(ctx context.Context, account, webhook string) ([]ledger.Trigger, error)
	// Compared returns the head up to which a trigger has compared the files of a ref.
	Compared(ctx context.Context, triggerID, ref string) (head string, err error)
	Decision(ctx context.Context, account, id string) (ledger.Decision, error)
	// DecisionByStart returns the decision that has a start key.
	DecisionByStart(ctx context.Context, key string) (ledger.Decision, error)
	// Decisions returns decisions, newest first.
	Decisions(ctx context.Context, filter DecisionFilter) ([]ledger.Decision, error)
	// PendingDecisions returns the pending decisions on a ref, oldest first.
	PendingDecisions(ctx context.Context, repositoryID, ref string) ([]ledger.Decision, error)
	// DecisionsOfDelivery returns the decisions on a delivery, oldest first.
	DecisionsOfDelivery(ctx context.Context, deliveryID string) ([]ledger.Decision, error)
}

// TriggerWriter reads and writes triggers and their decisions.
type TriggerWriter interface {
	TriggerReader

	CreateTrigger(ctx context.Context, t ledger.Trigger) error
	// UpdateTrigger writes what is declared if the revision is still t.Revision, and adds
	// one to the revision; else ErrStale.
	UpdateTrigger(ctx context.Context, t ledger.Trigger) error
	// SetTriggerPause pauses a trigger, or with nil resumes it.
	SetTriggerPause(ctx context.Context, id string, pause *ledger.Pause) error
	// SetBaselined notes that the refs were read for triggers of a repository that were
	// created up to a time.
	SetBaselined(ctx context.Context, repositoryID string, until time.Time) error
	DeleteTrigger(ctx context.Context, id string) error
	// SetCompared writes the head up to which a trigger has compared the files of a ref.
	SetCompared(ctx context.Context, triggerID, ref, head string) error
	// CreateDecision keeps a decision. If another has the same start key, it returns
	// ErrStale: read that one.
	CreateDecision(ctx context.Context, d ledger.Decision) error
	// EndDecision writes a decision that is pending; else ErrStale.
	EndDecision(ctx context.Context, d ledger.Decision) error
	// RemoveDecisions removes at most size decisions with ids before one that are not
	// pending, and returns how many.
	RemoveDecisions(ctx context.Context, before string, size int) (int, error)
}

// DecisionFilter selects decisions of an account. The account and at most one of the others
// choose the index; all that are set must hold.
type DecisionFilter struct {
	Account   string
	Pipeline  string
	TriggerID string
	Ref       string
	// Commit is a prefix.
	Commit string
	// Before is the id of the last decision of the page before; empty for the newest.
	Before string
	Size   int
}
