package ledger

import (
	"strconv"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// Webhook is an address for deliveries.
type Webhook struct {
	ID      string
	Account string
	Name    string
	// Path is the part of the address that nobody can guess. It stays for the life of the
	// webhook.
	Path string
	// Connection is the name of the connection whose repositories deliveries are about,
	// without what comes in front. Empty for a generic webhook.
	Connection string
	WebhookDetails
	Secrets []WebhookSecret
	// Hooks is what is known of the hooks that the server manages.
	Hooks     []ManagedHook
	Used      WebhookUse
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// WebhookDetails is what is declared of a webhook beside its names.
type WebhookDetails struct {
	Description    string               `json:"description,omitempty"`
	Kind           forge.Kind           `json:"kind"`
	Authentication forge.Authentication `json:"authentication,omitzero"`
	// Manage makes the server keep the hook on each repository of the connection that a
	// trigger watches.
	Manage bool              `json:"manage,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"`
}

// WebhookSecret is an accepted secret.
type WebhookSecret struct {
	// Version is 1 for the first secret of the webhook.
	Version   int64     `json:"version"`
	Sealed    []byte    `json:"sealed"`
	CreatedAt time.Time `json:"created_at"`
}

// ManagedHook is what is known of the hook on a repository of a forge.
type ManagedHook struct {
	Repository string `json:"repository"`
	HookID     string `json:"hook_id,omitempty"`
	// SecretVersion is the version of the secret that the forge signs with.
	SecretVersion int64     `json:"secret_version,omitempty"`
	Active        bool      `json:"active,omitempty"`
	Problem       string    `json:"problem,omitempty"`
	CheckedAt     time.Time `json:"checked_at,omitzero"`
}

// WebhookUse is when a webhook was used last. It is not written with each delivery.
type WebhookUse struct {
	DeliveryAt time.Time `json:"delivery_at,omitzero"`
	RefusalAt  time.Time `json:"refusal_at,omitzero"`
	// Secrets has when a delivery was last verified by each version of the secret.
	Secrets map[int64]time.Time `json:"secrets,omitempty"`
}

// WebhookBinding is what a sealed secret of a webhook is bound to.
func WebhookBinding(webhookID string) string { return "webhooks/" + webhookID }

// Etag identifies the webhook as it is declared now.
func (w *Webhook) Etag() string { return w.ID + "-" + strconv.FormatInt(w.Revision, 10) }

// Newest returns the version of the newest secret, 0 for none.
func (w *Webhook) Newest() int64 {
	newest := int64(0)
	for i := range w.Secrets {
		newest = max(newest, w.Secrets[i].Version)
	}
	return newest
}

// Status says what was done with a delivery.
type Status string

// The statuses of deliveries.
const (
	Accepted Status = "ACCEPTED"
	// Ignored deliveries are about nothing that triggers look at.
	Ignored Status = "IGNORED"
	Refused Status = "REFUSED"
)

// Delivery is one request to a webhook. A refused one stands for all that were refused for
// the same reason, from the same address, in the same minute.
type Delivery struct {
	ID        string
	WebhookID string
	Account   string
	// Dedup is by what a repeated delivery is known.
	Dedup      string
	Status     Status
	ReceivedAt time.Time
	// Attempts is how often it came.
	Attempts int64
	BodySize int64
	DeliveryDetails
}

// DeliveryDetails is what is kept of a delivery beside its body.
type DeliveryDetails struct {
	ExternalID string `json:"external_id,omitempty"`
	Event      string `json:"event,omitempty"`
	// Message says why it was refused or ignored, and Reason is a forge.Reason.
	Message    string `json:"message,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Address    string `json:"address,omitempty"`
	Repository string `json:"repository,omitempty"`
	// Pusher is the user of the forge that caused the event, as the delivery says.
	Pusher string `json:"pusher,omitempty"`
	// Headers hold no secret and no signature.
	Headers map[string]string `json:"headers,omitempty"`
}
