package hooks

import (
	"net/http"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

const (
	// maxHeaders is how many headers of a delivery are kept.
	maxHeaders = 100
	// secretWords are parts of the names of headers that hold secrets or prove something.
	secretWords = "authorization cookie token signature secret password credential api-key apikey client-cert hmac"
)

// keptHeaders returns the headers of a delivery that may be stored.
func keptHeaders(headers http.Header, webhook forge.Webhook) map[string]string {
	kept := make(map[string]string)
	for name, values := range headers {
		value := forge.Text(strings.Join(values, ", "))
		if len(kept) < maxHeaders && !secretHeader(name, value, webhook) {
			kept[http.CanonicalHeaderKey(forge.Text(name))] = value
		}
	}
	return kept
}

func secretHeader(name, value string, webhook forge.Webhook) bool {
	name = strings.ToLower(name)
	for word := range strings.FieldsSeq(secretWords) {
		if strings.Contains(name, word) {
			return true
		}
	}
	if auth := webhook.Authentication.HMAC; auth != nil && strings.EqualFold(name, auth.Header) {
		return true
	}
	for _, secret := range webhook.Secrets {
		if secret.Value != "" && strings.Contains(value, secret.Value) {
			return true
		}
	}
	return false
}
