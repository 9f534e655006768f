package crashtest

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea/giteatest"
)

// hooked is a server whose calls to a real Gitea pass through the test.
type hooked struct {
	*server

	gitea      *giteatest.Server
	repository giteatest.Repository
	clone      *giteatest.Clone
	webhook    string

	mu sync.Mutex
	// fatal is the method of a call about hooks whose answer the server does not live to get.
	fatal string
	dead  chan struct{}
}

// proxy returns the address of what stands between the server and Gitea.
func (h *hooked) proxy(t *testing.T) string {
	t.Helper()
	target, err := url.Parse(h.gitea.URL)
	require.NoError(t, err)
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.ModifyResponse = func(response *http.Response) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.fatal != response.Request.Method || !strings.Contains(response.Request.URL.Path, "/hooks") {
			return nil
		}
		h.fatal = ""
		// Gitea has done what it was called for.
		err := h.process.Process.Kill()
		close(h.dead)
		return errors.Join(err, errors.New("the server is gone"))
	}
	server := httptest.NewServer(forward)
	t.Cleanup(server.Close)
	return server.URL
}

// killed calls what makes the server call Gitea, and kills it between Gitea's part and the commit. Then it starts the
// server again.
func (h *hooked) killed(method string, call func()) {
	h.t.Helper()
	dead := make(chan struct{})
	h.mu.Lock()
	h.fatal, h.dead = method, dead
	h.mu.Unlock()
	call()
	select {
	case <-dead:
	case <-time.After(patience):
		require.FailNow(h.t, "the server does not call Gitea", "%s\n%s", method, h.output)
	}
	<-h.ended
	h.start()
}

func (h *hooked) update(change func(*headracev1.Webhook)) {
	h.t.Helper()
	got, err := h.client.Webhooks.GetWebhook(h.t.Context(), &headracev1.GetWebhookRequest{Name: h.webhook})
	require.NoError(h.t, err)
	change(got.GetWebhook())
	// The answer may be lost with the server.
	_, _ = h.client.Webhooks.UpdateWebhook(h.t.Context(), &headracev1.UpdateWebhookRequest{Webhook: got.GetWebhook()})
}

// hooks returns the ids of the hooks that Gitea has.
func (h *hooked) hooks() (ids []string) {
	h.t.Helper()
	var all []struct{ ID int64 }
	h.gitea.Call(http.MethodGet, "/repos/"+h.repository.FullName+"/hooks", nil, &all)
	for _, hook := range all {
		ids = append(ids, fmt.Sprint(hook.ID))
	}
	return ids
}

// settled waits until Gitea has one hook, which is the one that the server knows, and whose deliveries are
// signed with a version of the secret.
func (h *hooked) settled(version int64) {
	h.t.Helper()
	require.EventuallyWithT(h.t, func(c *assert.CollectT) {
		got, err := h.client.Webhooks.GetWebhook(h.t.Context(), &headracev1.GetWebhookRequest{Name: h.webhook})
		require.NoError(c, err)
		managed := got.GetWebhook().GetManagedHooks()
		require.Len(c, managed, 1)
		require.Empty(c, managed[0].GetProblem())
		require.Equal(c, []string{managed[0].GetHookId()}, h.hooks())
	}, patience, 50*time.Millisecond)
	// Gitea hands the settings of a hook to its sender a moment later.
	require.EventuallyWithT(h.t, func(c *assert.CollectT) {
		h.clone.Commit("Change at "+time.Now().String(), "page.txt")
		h.clone.Git("push", "-q", "origin", "main")
		got, err := h.client.Webhooks.GetWebhook(h.t.Context(), &headracev1.GetWebhookRequest{Name: h.webhook})
		require.NoError(c, err)
		used := int64(0)
		for _, secret := range got.GetWebhook().GetSecrets() {
			if secret.GetLastUseTime() != nil {
				used = max(used, secret.GetVersion())
			}
		}
		require.Equal(c, version, used)
	}, patience, 500*time.Millisecond)
	require.Empty(h.t, h.deliveries(headracev1.DeliveryStatus_DELIVERY_STATUS_REFUSED), "every delivery has a right signature")
	require.Len(h.t, h.hooks(), 1)
}

// TestKillDuringTheManagementOfHooks kills the server with SIGKILL after a real Gitea has made, replaced and removed a
// hook, and before the server has stored that. Gitea must have exactly one hook afterwards, with the newest secret, and
// none once the webhook is deleted.
func TestKillDuringTheManagementOfHooks(t *testing.T) {
	t.Parallel()
	h := &hooked{server: newServer(t), gitea: giteatest.Start(t), webhook: client.WebhookName("default", "gitea")}
	h.repository = h.gitea.Create("web")
	h.clone = h.gitea.Clone(h.repository)
	address := freePort(t)
	h.flags = []string{"--hooks-listen", address, "--public-url", "http://" + address, "--poll-interval", "0s", "--backfill-interval", "0s"}
	h.log = logFile(t, 0)
	h.start()
	h.connectGitea(h.proxy(t), h.gitea.Token)
	h.watchPushes("web", h.repository.FullName, headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL)
	require.Empty(t, h.hooks())

	h.killed(http.MethodPost, func() { h.update(func(w *headracev1.Webhook) { w.Manage = true }) })
	h.settled(1)
	// Gitea cannot change the secret of a hook, so another hook takes its place.
	h.killed(http.MethodPost, func() { h.update(func(w *headracev1.Webhook) { w.Secret = "the second secret of the hook" }) })
	h.settled(2)
	h.killed(http.MethodDelete, func() { h.update(func(w *headracev1.Webhook) { w.Secret = "the third secret of the hook" }) })
	h.settled(3)
	h.killed(http.MethodDelete, func() {
		_, _ = h.client.Webhooks.DeleteWebhook(t.Context(), &headracev1.DeleteWebhookRequest{Name: h.webhook})
	})
	require.Eventually(t, func() bool { return len(h.hooks()) == 0 }, patience, 50*time.Millisecond)
	h.stop()
}
