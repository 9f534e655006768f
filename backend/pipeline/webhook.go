package pipeline

import (
	"slices"
	"strings"
)

// WebhookKind is whose deliveries a webhook takes.
type WebhookKind string

// The kinds of webhooks. Gitea is also Forgejo.
const (
	WebhookGitHub  WebhookKind = "github"
	WebhookGitLab  WebhookKind = "gitlab"
	WebhookGitea   WebhookKind = "gitea"
	WebhookGeneric WebhookKind = "generic"
)

// WebhookKinds returns all kinds, in the order of the contract.
func WebhookKinds() []WebhookKind {
	return []WebhookKind{WebhookGitHub, WebhookGitLab, WebhookGitea, WebhookGeneric}
}

// WebhookKindsText lists the kinds in text for people.
func WebhookKindsText() string {
	words := make([]string, 0, len(WebhookKinds()))
	for _, kind := range WebhookKinds() {
		words = append(words, string(kind))
	}
	return strings.Join(words, ", ")
}

// Webhook is what a webhook declares, as far as its fields depend on each other.
type Webhook struct {
	Kind WebhookKind
	// Connection is a name, empty for none.
	Connection string
	// Methods are the methods of authentication that are set.
	Methods []WebhookMethod
	// Manage makes Headrace keep the hooks of the forge.
	Manage bool
	Tags   map[string]string
}

// WebhookMethod is how a delivery to a generic webhook is verified.
type WebhookMethod string

// The methods of authentication.
const (
	WebhookHMAC             WebhookMethod = "hmac"
	WebhookStandardWebhooks WebhookMethod = "standard_webhooks"
	WebhookBearer           WebhookMethod = "bearer"
)

// The limits of a tag.
const (
	maxTagKey   = 128
	maxTagValue = 256
)

// ValidateWebhook checks a webhook without its name and its secret. It returns a
// *ValidationError, with paths as in a webhook of the contract, or nil. Texts may be unknown,
// see Unknown.
func ValidateWebhook(w *Webhook) error {
	check := &checker{}
	root := Path(nil)
	switch {
	case w.Kind == Unknown:
	case !slices.Contains(WebhookKinds(), w.Kind):
		check.refuse(root.Field("kind"), "kind %q is not known; use one of %s", w.Kind, WebhookKindsText())
	case w.Kind == WebhookGeneric:
		if w.Connection != "" {
			check.refuse(root.Field("connection"), "a generic webhook has no connection; remove it")
		}
		if len(w.Methods) != 1 {
			check.refuse(root.Field("authentication"), "a generic webhook needs one of hmac, standard_webhooks and bearer")
		}
		if w.Manage {
			check.refuse(root.Field("manage"), "a generic webhook has no repositories on a forge; remove manage")
		}
	default:
		if w.Connection == "" {
			check.refuse(root.Field("connection"), "the connection is missing; name the one whose repositories the deliveries are about")
		}
		if len(w.Methods) > 0 {
			check.refuse(root.Field("authentication"), "the deliveries of %s prove who sent them in their own way; remove it", w.Kind)
		}
	}
	for key, value := range w.Tags {
		if key == "" || key != Unknown && len(key) > maxTagKey || value != Unknown && len(value) > maxTagValue {
			check.refuse(root.Field("tags"), "tag %q: a key has 1 to %d bytes and a value up to %d", key, maxTagKey, maxTagValue)
		}
	}
	return check.err()
}
