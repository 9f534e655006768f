package hooks_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// remember makes the server remember a webhook with other secrets than the store has now.
func (b *bench) remember(stored, remembered []forge.Secret) {
	b.t.Helper()
	webhook := b.intake.webhooks[path]
	webhook.Secrets, webhook.Etag = remembered, "1"
	b.intake.remembered = map[string]forge.Webhook{path: webhook}
	webhook.Secrets, webhook.Etag = stored, "2"
	b.intake.webhooks[path] = webhook
}

// signedBy is a delivery that another secret signed.
func signedBy(value, body string) *http.Request {
	mac := hmac.New(sha256.New, []byte(value))
	mac.Write([]byte(body))
	r := delivery(body)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return r
}

// TestTheStoredSecretsDecide proves that what a server remembers of a webhook neither refuses what
// the webhook takes now nor takes what it refuses now.
func TestTheStoredSecretsDecide(t *testing.T) {
	t.Parallel()
	older, newer := forge.Secret{Version: 1, Value: "an older secret"}, forge.Secret{Version: 2, Value: secret}
	for name, test := range map[string]struct {
		stored, remembered []forge.Secret
		by, body           string
		want               int
		version            int64
	}{
		"a secret was added": {
			stored: []forge.Secret{newer, older}, remembered: []forge.Secret{older}, by: newer.Value, body: push,
			want: http.StatusAccepted, version: newer.Version,
		},
		"a secret was retired": {
			stored: []forge.Secret{newer}, remembered: []forge.Secret{newer, older}, by: older.Value, body: push,
			want: http.StatusUnauthorized,
		},
		"a secret was retired and signs what cannot be read": {
			stored: []forge.Secret{newer}, remembered: []forge.Secret{newer, older}, by: older.Value, body: "{",
			want: http.StatusUnauthorized,
		},
		"another secret was retired": {
			stored: []forge.Secret{newer}, remembered: []forge.Secret{newer, older}, by: newer.Value, body: push,
			want: http.StatusAccepted, version: newer.Version,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.remember(test.stored, test.remembered)
			require.Equal(t, test.want, b.send(signedBy(test.by, test.body)).Code)
			deliveries, refusals := b.intake.got()
			if test.version == 0 {
				require.Empty(t, deliveries)
				require.Len(t, refusals, 1)
				require.Equal(t, forge.SignatureInvalid, refusals[0].Reason)
				return
			}
			require.Len(t, deliveries, 1)
			require.Equal(t, test.version, deliveries[0].SecretVersion)
			require.Empty(t, refusals)
		})
	}
}

func TestADeletedWebhookThatIsRememberedIsUnknown(t *testing.T) {
	t.Parallel()
	for _, by := range []string{secret, "another secret"} {
		b := newBench(t)
		b.remember(nil, []forge.Secret{{Version: 2, Value: secret}})
		delete(b.intake.webhooks, path)
		require.Equal(t, http.StatusNotFound, b.send(signedBy(by, push)).Code)
		deliveries, refusals := b.intake.got()
		require.Empty(t, deliveries)
		require.Empty(t, refusals)
	}
}

// TestAWebhookThatAlwaysChangesIsGivenUp: the forge tries again.
func TestAWebhookThatAlwaysChangesIsGivenUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.intake.deliver = forge.ErrWebhookChanged
	w := b.send(delivery(push))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "30", w.Header().Get("Retry-After"))
}
