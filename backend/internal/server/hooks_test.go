package server_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
)

const hookSecret = "a secret that nobody may ever see"

// generic is a generic webhook with a secret.
func generic(secret string) *v1.Webhook {
	return &v1.Webhook{
		Name: "accounts/default/webhooks/build", Kind: v1.WebhookKind_WEBHOOK_KIND_GENERIC, Secret: secret,
		Authentication: &v1.WebhookAuthentication{Method: &v1.WebhookAuthentication_Hmac{
			Hmac: &v1.HmacAuthentication{Header: "X-Signature-256", Prefix: "sha256="},
		}},
	}
}

// createHook creates a generic webhook.
func createHook(t *testing.T, b *backendtest.Backend) *v1.Webhook {
	t.Helper()
	created, err := b.Admin().Webhooks.CreateWebhook(t.Context(), &v1.CreateWebhookRequest{Webhook: generic(hookSecret)})
	require.NoError(t, err)
	return created.Webhook
}

// signature is the HMAC of a body in hex.
func signature(body, key string) string {
	sum := hmac.New(sha256.New, []byte(key))
	sum.Write([]byte(body))
	return hex.EncodeToString(sum.Sum(nil))
}

// deliver posts a body that is signed by a key and returns the status.
func deliver(t *testing.T, c *http.Client, url, key, body string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Signature-256", "sha256="+signature(body, key))
	response, err := c.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	return response.StatusCode
}

func TestNobodyListensForDeliveriesUnasked(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	require.Empty(t, b.HooksAddr)
}

func TestDeliveriesReachTheStore(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithHooks(), backendtest.WithConfig(func(cfg *config.Config) {
		cfg.PublicURL = "https://hooks.example.com/headrace"
	}))
	hook := createHook(t, b)
	path, found := strings.CutPrefix(hook.Url, "https://hooks.example.com/headrace")
	require.True(t, found, hook.Url)
	target := "http://" + b.HooksAddr + path
	require.Equal(t, http.StatusAccepted, deliver(t, http.DefaultClient, target, hookSecret, `{"n":1}`))
	require.Equal(t, http.StatusUnauthorized, deliver(t, http.DefaultClient, target, "another secret", `{"n":2}`))
	require.Equal(t, http.StatusNotFound, deliver(t, http.DefaultClient, target+"x", hookSecret, `{"n":3}`))
	b.Restart()
	require.Equal(t, http.StatusAccepted, deliver(t, http.DefaultClient, target, hookSecret, `{"n":4}`), "the address stays")

	webhooks := b.Admin().Webhooks
	listed, err := webhooks.ListDeliveries(t.Context(), &v1.ListDeliveriesRequest{Parent: hook.Name})
	require.NoError(t, err)
	bodies, refused := make([]string, 0, 2), 0
	for _, listed := range listed.Deliveries {
		got, err := webhooks.GetDelivery(t.Context(), &v1.GetDeliveryRequest{Name: listed.Name})
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1", got.Delivery.Address)
		require.NotContains(t, got.Delivery.String(), hookSecret)
		require.NotContains(t, got.Delivery.Headers, "X-Signature-256")
		if got.Delivery.Status == v1.DeliveryStatus_DELIVERY_STATUS_REFUSED {
			refused++
			require.Empty(t, got.Delivery.Body)
			require.NotEmpty(t, got.Delivery.Message)
		} else {
			bodies = append(bodies, string(got.Delivery.Body))
		}
	}
	require.ElementsMatch(t, []string{`{"n":1}`, `{"n":4}`}, bodies)
	require.Equal(t, 1, refused, "what was refused leaves its reason, and no body")

	viewer := b.Client(b.Token("vera", nil, backendtest.Binding("default", v1.Role_ROLE_VIEWER)))
	for _, listed := range listed.Deliveries {
		got, err := viewer.Webhooks.GetDelivery(t.Context(), &v1.GetDeliveryRequest{Name: listed.Name})
		require.NoError(t, err)
		require.Equal(t, listed.Status, got.Delivery.Status)
		require.Empty(t, got.Delivery.Body, "an event may hold secrets of the service that sent it")
		require.Empty(t, got.Delivery.Headers)
	}

	seen, err := viewer.Webhooks.ListDeliveries(t.Context(), &v1.ListDeliveriesRequest{Parent: hook.Name})
	require.NoError(t, err)
	require.Len(t, seen.Deliveries, 3)
	for _, d := range seen.Deliveries {
		require.Empty(t, d.Headers, "a list is read with fewer rights than a delivery")
		require.Empty(t, d.Body)
	}

	other := generic(hookSecret)
	other.Name = "accounts/default/webhooks/other"
	_, err = webhooks.CreateWebhook(t.Context(), &v1.CreateWebhookRequest{Webhook: other})
	require.NoError(t, err)
	elsewhere := strings.Replace(listed.Deliveries[0].Name, hook.Name, other.Name, 1)
	_, err = webhooks.GetDelivery(t.Context(), &v1.GetDeliveryRequest{Name: elsewhere})
	require.Equal(t, codes.NotFound, status.Code(err), "it is a delivery of another webhook: %v", err)
	_, err = webhooks.ReplayDelivery(t.Context(), &v1.ReplayDeliveryRequest{Name: elsewhere})
	require.Equal(t, codes.NotFound, status.Code(err), "%v", err)

	_, metrics := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/metrics")
	require.Contains(t, metrics, `headrace_hook_requests_total{kind="generic",outcome="accepted"} 1`+"\n", "since the restart")
}

// A create whose answer was lost is answered with the webhook that it made, which then verifies
// with the secret of the later create alone.
func TestLostWebhookIsAdoptedWithTheNewSecret(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithHooks())
	webhooks := b.Admin().Webhooks
	lost, err := webhooks.CreateWebhook(t.Context(), &v1.CreateWebhookRequest{Webhook: generic(hookSecret), RequestId: "first/1"})
	require.NoError(t, err)
	const newSecret = "another secret of the second apply"
	request := &v1.CreateWebhookRequest{Webhook: generic(newSecret), RequestId: "second/1"}
	adopted, err := webhooks.CreateWebhook(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, lost.GetWebhook().GetUrl(), adopted.GetWebhook().GetUrl())
	again, err := webhooks.CreateWebhook(t.Context(), request)
	require.NoError(t, err)
	require.True(t, proto.Equal(adopted, again))
	target := "http://" + b.HooksAddr + adopted.GetWebhook().GetUrl()
	require.Equal(t, http.StatusAccepted, deliver(t, http.DefaultClient, target, newSecret, `{"n":1}`))
	require.Equal(t, http.StatusUnauthorized, deliver(t, http.DefaultClient, target, hookSecret, `{"n":2}`), "nobody has that secret")

	get := func(request string) error {
		_, err := webhooks.GetWebhook(t.Context(), &v1.GetWebhookRequest{Name: adopted.GetWebhook().GetName(), ConfirmRequestId: request})
		return err
	}
	require.ErrorContains(t, get("first/1"), "took over")
	require.NoError(t, get("second/1"))
	_, err = webhooks.CreateWebhook(t.Context(), &v1.CreateWebhookRequest{Webhook: generic(hookSecret), RequestId: "third/1"})
	require.ErrorContains(t, err, "exists")
	require.Equal(t, http.StatusAccepted, deliver(t, http.DefaultClient, target, newSecret, `{"n":3}`))
}

// While a secret is rotated the newest two verify, each with its last use. Retiring ends the
// older one at once.
func TestRotationOfASecret(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithHooks())
	webhooks := b.Admin().Webhooks
	hook := createHook(t, b)
	target := "http://" + b.HooksAddr + hook.GetUrl()
	keys := []string{hookSecret, "the second secret of the webhook", "the third secret of the webhook", "the fourth secret of the webhook"}
	sent := 0
	statuses := func() (all []int) {
		for _, key := range keys {
			sent++
			all = append(all, deliver(t, http.DefaultClient, target, key, fmt.Sprintf(`{"n":%d}`, sent)))
		}
		return all
	}
	const yes, no = http.StatusAccepted, http.StatusUnauthorized
	require.Equal(t, []int{yes, no, no, no}, statuses())
	for n, want := range [][]int{{yes, yes, no, no}, {no, yes, yes, no}, {no, no, yes, yes}} {
		for range 2 {
			// Setting the same secret again changes nothing.
			updated, err := webhooks.UpdateWebhook(t.Context(), &v1.UpdateWebhookRequest{Webhook: generic(keys[n+1])})
			require.NoError(t, err)
			require.Equal(t, hook.GetUrl(), updated.GetWebhook().GetUrl())
			require.Len(t, updated.GetWebhook().GetSecrets(), 2)
		}
		require.Equal(t, want, statuses())
	}
	got, err := webhooks.GetWebhook(t.Context(), &v1.GetWebhookRequest{Name: hook.GetName()})
	require.NoError(t, err)
	for n, s := range got.GetWebhook().GetSecrets() {
		require.EqualValues(t, 4-n, s.GetVersion())
		require.True(t, s.GetLastUseTime().IsValid(), "%v", s)
	}
	retired, err := webhooks.RetireWebhookSecret(t.Context(), &v1.RetireWebhookSecretRequest{Name: hook.GetName()})
	require.NoError(t, err)
	require.Len(t, retired.GetWebhook().GetSecrets(), 1)
	require.Equal(t, []int{no, no, no, yes}, statuses())
}

func TestADeliveryThatIsBeingReadIsStoredThoughTheServerStops(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithHooks())
	hook := createHook(t, b)
	const body = `{"slow":true}`
	sum := hmac.New(sha256.New, []byte(hookSecret))
	sum.Write([]byte(body))
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.HooksAddr)
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	_, err = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"X-Signature-256: sha256=%s\r\nExpect: 100-continue\r\n\r\n", hook.Url, len(body), hex.EncodeToString(sum.Sum(nil)))
	require.NoError(t, err)
	answers := bufio.NewReader(connection)
	line, err := answers.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue", "the server reads the body")

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		b.Stop()
	}()
	require.Eventually(t, func() bool {
		other, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.HooksAddr)
		if err == nil {
			_ = other.Close()
		}
		return err != nil
	}, time.Minute, time.Millisecond, "it takes no new deliveries")
	_, err = io.WriteString(connection, body)
	require.NoError(t, err)
	_, err = answers.ReadString('\n')
	require.NoError(t, err)
	response, err := http.ReadResponse(answers, nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusAccepted, response.StatusCode)
	<-stopped
	b.Restart()
	listed, err := b.Admin().Webhooks.ListDeliveries(t.Context(), &v1.ListDeliveriesRequest{Parent: hook.Name})
	require.NoError(t, err)
	require.Len(t, listed.Deliveries, 1)
}

func TestTLSCoversDeliveriesWithoutClientCertificates(t *testing.T) {
	t.Parallel()
	own, clients := certificate(t), certificate(t)
	b := backendtest.Start(t, backendtest.WithHooks(), backendtest.WithConfig(func(cfg *config.Config) {
		cfg.TLSCertFile, cfg.TLSKeyFile, cfg.TLSClientCAFile = own.Cert, own.Key, clients.Cert
	}))
	text, err := os.ReadFile(own.Cert)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(text))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	require.Equal(t, http.StatusNotFound, deliver(t, &http.Client{Transport: transport}, "https://"+b.HooksAddr+"/hooks/generic/x", "", `{}`))
}
