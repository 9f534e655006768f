// Package generic reads deliveries to generic webhooks: any JSON, from anything that can sign
// a request. What the JSON means is for the triggers to say.
package generic

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// Deliveries is the format of deliveries to generic webhooks.
type Deliveries struct{}

var _ forge.Format = Deliveries{}

const minSecret = 16

// CheckSecret refuses secrets that can be guessed, and keys that the method cannot use.
func (Deliveries) CheckSecret(auth forge.Authentication, value string) error {
	if !auth.StandardWebhooks {
		return forge.CheckLength(value, minSecret)
	}
	if _, ok := forge.SigningKey(value); !ok {
		return errors.New("the secret of Standard Webhooks must be base64 of at least 16 bytes, with or without whsec_ before it")
	}
	return nil
}

// Verify does what the authentication of the webhook says.
func (Deliveries) Verify(webhook forge.Webhook, headers http.Header, body []byte, now time.Time) (int64, error) {
	switch auth := webhook.Authentication; {
	case auth.StandardWebhooks:
		return forge.VerifyStandard(webhook.Secrets, headers, body, now)
	case auth.Bearer:
		value, err := forge.OneHeader(headers, "Authorization")
		if err != nil {
			return 0, err
		}
		scheme, token, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return 0, forge.Unverified(forge.SignatureInvalid, "header Authorization is not Bearer and a token")
		}
		return forge.CompareToken(webhook.Secrets, strings.TrimSpace(token))
	case auth.HMAC != nil:
		return verifyHMAC(*auth.HMAC, webhook.Secrets, headers, body)
	default:
		return 0, forge.Unverified(forge.SecretUnusable, "the webhook has no authentication")
	}
}

func verifyHMAC(auth forge.HMAC, secrets []forge.Secret, headers http.Header, body []byte) (int64, error) {
	value, err := forge.OneHeader(headers, auth.Header)
	if err != nil {
		return 0, err
	}
	encoded, found := strings.CutPrefix(value, auth.Prefix)
	if !found {
		return 0, forge.Unverified(forge.SignatureInvalid, "header %s does not start with the prefix %q", auth.Header, auth.Prefix)
	}
	decode := hex.DecodeString
	if auth.Encoding == "base64" {
		decode = base64.StdEncoding.DecodeString
	}
	signature, err := decode(encoded)
	if err != nil {
		return 0, forge.Unverified(forge.SignatureInvalid, "header %s cannot be decoded", auth.Header)
	}
	newHash := sha256.New
	if auth.Algorithm == "sha512" {
		newHash = sha512.New
	}
	return forge.Compare(forge.Signers(secrets, newHash, body), signature)
}

// Open reads the headers. Without an id of the sender, a delivery is known by its body.
func (Deliveries) Open(headers http.Header, body []byte) (forge.Content, error) {
	if !forge.IsJSON(headers) {
		return forge.Content{}, forge.MalformedBy("content type %s is not JSON", forge.Quoted(headers.Get("Content-Type")))
	}
	ids := make(map[string]string)
	for _, name := range []string{"webhook-id", "Idempotency-Key", "ce-source", "ce-id", "ce-type"} {
		id, err := forge.Identifier(headers, name)
		if err != nil {
			return forge.Content{}, err
		}
		ids[name] = id
	}
	content := forge.Content{Event: ids["ce-type"], Body: body}
	switch {
	case ids["webhook-id"] != "":
		content.ID = ids["webhook-id"]
	case ids["Idempotency-Key"] != "":
		content.ID = ids["Idempotency-Key"]
	case ids["ce-source"] != "" && ids["ce-id"] != "":
		content.ID = ids["ce-source"] + " " + ids["ce-id"]
	default:
		sum := sha256.Sum256(body)
		content.ID = BodyID + hex.EncodeToString(sum[:])
	}
	return content, forge.CheckJSON(body)
}

// BodyID begins the id of a delivery that is known by its body. The same body after a day is
// another delivery.
const BodyID = "sha256:"

// Parse says nothing: triggers read the body themselves.
func (Deliveries) Parse(_ string, body []byte) ([]forge.Signal, error) {
	return nil, forge.CheckJSON(body)
}
