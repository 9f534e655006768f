package generic_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/forgetest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/generic"
)

const secret = "a secret of sixteen bytes or more"

func webhook(auth forge.Authentication, secrets ...string) forge.Webhook {
	w := forge.Webhook{Kind: forge.Generic, Authentication: auth}
	for i, value := range secrets {
		w.Secrets = append(w.Secrets, forge.Secret{Version: int64(len(secrets) - i), Value: value})
	}
	return w
}

func mac(newHash func() hash.Hash, key string, body []byte) []byte {
	sum := hmac.New(newHash, []byte(key))
	sum.Write(body)
	return sum.Sum(nil)
}

func verify(w forge.Webhook, headers http.Header, body []byte) (int64, error) {
	return generic.Deliveries{}.Verify(w, headers, body, time.Unix(1614265330, 0))
}

func TestEachAuthenticationVerifies(t *testing.T) {
	t.Parallel()
	body := []byte(`{"test": 2432232314}`)
	sum256, sum512 := mac(sha256.New, secret, body), mac(sha512.New, secret, body)
	// The values are those of the tests of Standard Webhooks' own libraries.
	standard := http.Header{}
	standard.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	standard.Set("webhook-timestamp", "1614265330")
	standard.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	for name, test := range map[string]struct {
		auth    forge.Authentication
		secrets []string
		headers http.Header
	}{
		"HMAC":        {forge.Authentication{HMAC: &forge.HMAC{Header: "X-Signature"}}, []string{secret}, http.Header{"X-Signature": {hex.EncodeToString(sum256)}}},
		"HMAC prefix": {forge.Authentication{HMAC: &forge.HMAC{Header: "x-sig-256", Algorithm: "sha256", Prefix: "sha256=", Encoding: "hex"}}, []string{"another secret that is newer", secret}, http.Header{"X-Sig-256": {"sha256=" + hex.EncodeToString(sum256)}}},
		"HMAC of 512 in base64": {
			forge.Authentication{HMAC: &forge.HMAC{Header: "X-S", Algorithm: "sha512", Encoding: "base64"}},
			[]string{secret},
			http.Header{"X-S": {base64.StdEncoding.EncodeToString(sum512)}},
		},
		"Standard Webhooks":                {forge.Authentication{StandardWebhooks: true}, []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, standard},
		"Standard Webhooks without prefix": {forge.Authentication{StandardWebhooks: true}, []string{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, standard},
		"bearer":                           {forge.Authentication{Bearer: true}, []string{secret}, http.Header{"Authorization": {"bearer " + secret}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			version, err := verify(webhook(test.auth, test.secrets...), test.headers, body)
			require.NoError(t, err)
			require.EqualValues(t, 1, version)
			_, err = verify(webhook(test.auth, "another secret, just as long", "MDEyMzQ1Njc4OTAxMjM0NTY3"), test.headers, body)
			require.ErrorAs(t, err, new(*forge.UnverifiedError))
			if !test.auth.Bearer {
				_, err = verify(webhook(test.auth, test.secrets...), test.headers, append(body, ' '))
				require.ErrorAs(t, err, new(*forge.UnverifiedError))
			}
			_, err = verify(webhook(test.auth, test.secrets...), nil, body)
			var refused *forge.UnverifiedError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, forge.SignatureMissing, refused.Reason)
			require.NoError(t, generic.Deliveries{}.CheckSecret(test.auth, test.secrets[0]))
			require.Error(t, generic.Deliveries{}.CheckSecret(test.auth, "short"))
		})
	}
	_, err := verify(webhook(forge.Authentication{}, secret), http.Header{"Authorization": {"Bearer " + secret}}, body)
	require.Error(t, err, "a webhook without authentication takes nothing")
	_, err = verify(webhook(forge.Authentication{Bearer: true}, secret), http.Header{"Authorization": {"Basic " + secret}}, body)
	require.Error(t, err)
}

func TestTheIDOfADelivery(t *testing.T) {
	t.Parallel()
	headers := http.Header{
		"Webhook-Id": {"w"}, "Idempotency-Key": {"k"}, "Ce-Source": {"/mycontext"}, "Ce-Id": {"1"}, "Ce-Type": {"com.example.someevent"},
		"Content-Type": {"application/cloudevents+json"},
	}
	for _, step := range []struct{ want, then string }{{"w", "Webhook-Id"}, {"k", "Idempotency-Key"}, {"/mycontext 1", "Ce-Id"}} {
		content, err := generic.Deliveries{}.Open(headers, []byte(`{}`))
		require.NoError(t, err)
		require.Equal(t, forge.Content{ID: step.want, Event: "com.example.someevent", Body: []byte(`{}`)}, content)
		headers.Del(step.then)
	}
	content, err := generic.Deliveries{}.Open(headers, []byte(`{}`))
	require.NoError(t, err)
	require.Equal(t, generic.BodyID+"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", content.ID)
}

func TestOnlyJSONIsTaken(t *testing.T) {
	t.Parallel()
	for contentType, body := range map[string]string{
		"application/json": `{"a":1,"a":2}`, "text/plain": `{}`, "application/x-www-form-urlencoded": `payload=%7B%7D`, "": `a: 1`,
	} {
		_, err := generic.Deliveries{}.Open(http.Header{"Content-Type": {contentType}}, []byte(body))
		require.ErrorAs(t, err, new(*forge.MalformedError), contentType)
	}
	for _, body := range []string{`{}`, `[1]`, `"text"`, ` null `} {
		_, err := generic.Deliveries{}.Open(http.Header{}, []byte(body))
		require.NoError(t, err)
		signals, err := generic.Deliveries{}.Parse("", []byte(body))
		forgetest.CheckParsed(t, signals, err)
		require.Empty(t, signals)
	}
}

func FuzzVerify(f *testing.F) {
	auth := forge.Authentication{HMAC: &forge.HMAC{Header: "X-Signature", Prefix: "v0=", Encoding: "base64"}}
	f.Add("v0="+base64.StdEncoding.EncodeToString(mac(sha256.New, "another secret", []byte(`{}`))), []byte(`{}`))
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, signature string, body []byte) {
		if _, err := verify(webhook(auth, secret), http.Header{"X-Signature": {signature}}, body); err == nil {
			t.Fatalf("nobody signed %q by %q", body, signature)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add("application/json", "id", []byte(`{}`))
	f.Add("application/json; charset=\xff", "\x1b", []byte(`{"a":[{}]}`))
	f.Fuzz(func(t *testing.T, contentType, id string, body []byte) {
		content, err := generic.Deliveries{}.Open(http.Header{"Content-Type": {contentType}, "Webhook-Id": {id}}, body)
		forgetest.CheckParsed(t, []forge.Signal{{Pusher: content.ID}}, err)
	})
}
