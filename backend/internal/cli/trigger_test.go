package cli_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

// These are the commands for finding out why something did not start, from the
// list of triggers to the explanation of one delivery.
func TestTriggers(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithHooks())
	declare(t, b)
	admin := b.Admin()
	const secret = "a secret of the sender"
	created, err := admin.Webhooks.CreateWebhook(t.Context(), &headracev1.CreateWebhookRequest{Webhook: &headracev1.Webhook{
		Name: "accounts/default/webhooks/releases", Kind: headracev1.WebhookKind_WEBHOOK_KIND_GENERIC, Secret: secret,
		Authentication: &headracev1.WebhookAuthentication{Method: &headracev1.WebhookAuthentication_Hmac{
			Hmac: &headracev1.HmacAuthentication{Header: "X-Signature", Prefix: "sha256="},
		}},
	}})
	require.NoError(t, err)
	_, err = admin.Triggers.CreateTrigger(t.Context(), &headracev1.CreateTriggerRequest{Trigger: &headracev1.DeclaredTrigger{
		Name: "accounts/default/triggers/released", Pipeline: "accounts/default/pipelines/web",
		Source: &headracev1.DeclaredTrigger_Webhook{Webhook: &headracev1.WebhookTrigger{
			Webhook: "accounts/default/webhooks/releases",
			Filters: []*headracev1.WebhookFilter{{JsonPath: "$.action", MatchEquals: "released"}},
		}},
	}})
	require.NoError(t, err)
	at, err := url.Parse(created.GetWebhook().GetUrl())
	require.NoError(t, err)
	send := func(body, key string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.HooksAddr+at.Path, strings.NewReader(body))
		require.NoError(t, err)
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(body))
		request.Header.Set("X-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	run := func(args ...string) string {
		t.Helper()
		got := headrace(t, b, b.AdminToken, args...)
		require.Equal(t, cli.ExitOK, got.code, "%v: %s", args, got.stderr)
		require.NotContains(t, got.stdout, secret)
		return got.stdout
	}
	require.Less(t, send(`{"action": "released"}`, secret), 300)
	require.Less(t, send(`{"action": "drafted"}`, secret), 300)
	require.Equal(t, http.StatusUnauthorized, send(`{"action": "released"}`, "another secret"))

	require.Regexp(t, `released +web +webhook releases +active`, run("trigger", "list"))
	require.Equal(t, run("trigger", "list"), run("trigger", "list", "web"))
	show := run("trigger", "show", "released")
	require.Contains(t, show, "filter  $.action = released")
	require.Regexp(t, `(?m)^.* released +started `, show)
	require.Regexp(t, `(?m)^.* released +not started `, show)
	require.Contains(t, run("execution", "list", "web"), "web#1")
	require.NotContains(t, run("execution", "list", "web"), "web#2")
	require.Contains(t, run("execution", "list", "web"), "trigger released")
	require.Regexp(t, `Started +2.* by trigger released`, run("execution", "show", "web#1"))
	require.Regexp(t, `Trigger +released: an event of a generic webhook, reported by delivery releases/[0-9a-f-]{36}\n`, run("execution", "show", "web#1"))
	require.Regexp(t, `started by trigger released: an event of a generic webhook, reported by delivery releases/[0-9a-f-]{36}\n`, run("explain", "web#1"))

	deliveries := run("trigger", "deliveries", "releases")
	require.Equal(t, 4, strings.Count(deliveries, "\n"), "a header, two that were accepted and one that was refused: %s", deliveries)
	refused := run("trigger", "deliveries", "--status", "refused")
	require.Equal(t, 2, strings.Count(refused, "\n"), refused)
	require.Contains(t, refused, "127.0.0.1")
	accepted := strings.Fields(strings.Split(run("trigger", "deliveries", "--status", "accepted"), "\n")[1])
	newest := accepted[2]
	explained := run("trigger", "explain", "web", "--delivery", newest)
	require.Contains(t, explained, "$.action")
	replayed := run("trigger", "replay", newest)
	require.Contains(t, replayed, "not started")
	require.NotContains(t, run("execution", "list", "web"), "web#2")

	body := filepath.Join(t.TempDir(), "event.json")
	require.NoError(t, os.WriteFile(body, []byte(`{"action": "released"}`), 0o600))
	require.Contains(t, run("trigger", "test", "released", "--body", body), "started")
	require.NotContains(t, run("execution", "list", "web"), "web#2", "a test starts nothing")

	require.Contains(t, run("trigger", "pause", "released", "--reason", "freeze"), "headrace trigger resume released")
	require.Regexp(t, `released +web +webhook releases +paused`, run("trigger", "list"))
	require.Less(t, send(`{"action": "released", "again": true}`, secret), 300)
	require.NotContains(t, run("execution", "list", "web"), "web#2", "a paused trigger starts nothing")
	require.Contains(t, run("trigger", "show", "released"), "freeze")
	run("trigger", "resume", "released")
	require.Less(t, send(`{"action": "released", "resumed": true}`, secret), 300)
	require.Contains(t, run("execution", "list", "web"), "web#2")

	require.Regexp(t, `releases +generic`, run("webhook", "list"))
	require.Regexp(t, `(?m)^1 +20`, run("webhook", "show", "releases"), "the secret was used")

	delivery := run("trigger", "delivery", newest)
	require.Regexp(t, `Delivery +`+newest, delivery)
	require.Regexp(t, `(?m)^.* released +not started `, delivery)
	require.JSONEq(t, `{"action": "drafted"}`, run("trigger", "delivery", newest, "--body"))
	viewer := headrace(t, b, b.Token("vera", nil, backendtest.Binding("default", headracev1.Role_ROLE_VIEWER)), "trigger", "delivery", newest, "--body")
	require.Equal(t, cli.ExitFailed, viewer.code)
	require.NotContains(t, viewer.stdout, "drafted")
	require.Contains(t, viewer.stderr, "does not have the role deployer or admin")

	const newer = "another secret of the sender"
	run("webhook", "retire-secret", "releases")
	_, err = admin.Webhooks.UpdateWebhook(t.Context(), &headracev1.UpdateWebhookRequest{Webhook: &headracev1.Webhook{
		Name: "accounts/default/webhooks/releases", Kind: headracev1.WebhookKind_WEBHOOK_KIND_GENERIC, Secret: newer,
		Authentication: created.GetWebhook().GetAuthentication(),
	}})
	require.NoError(t, err)
	early := headrace(t, b, b.AdminToken, "webhook", "retire-secret", "releases")
	require.Equal(t, cli.ExitFailed, early.code)
	require.Contains(t, early.stderr, "no delivery was signed with secret 2")
	require.Contains(t, early.stderr, "headrace webhook retire-secret releases --unused")
	require.Less(t, send(`{"action": "old secret"}`, secret), 300, "it is not retired")
	require.Less(t, send(`{"action": "new secret"}`, newer), 300)
	require.NotRegexp(t, `(?m)^1 `, run("webhook", "retire-secret", "releases"))
	require.Equal(t, http.StatusUnauthorized, send(`{"action": "old secret again"}`, secret))

	bad := headrace(t, b, b.AdminToken, "trigger", "explain", "web", "--delivery", "nope")
	require.Equal(t, cli.ExitUsage, bad.code)
	require.Contains(t, bad.stderr, "WEBHOOK/DELIVERY")
	unknown := headrace(t, b, b.AdminToken, "trigger", "show", "relased")
	require.Equal(t, cli.ExitFailed, unknown.code)
	require.Contains(t, unknown.stderr, `"accounts/default/triggers/relased" does not exist; did you mean "released"?`)
	unknown = headrace(t, b, b.AdminToken, "approve", "wbe")
	require.Equal(t, cli.ExitFailed, unknown.code)
	require.Contains(t, unknown.stderr, `pipeline "wbe" does not exist in account "default"; did you mean "web"?`)
}
