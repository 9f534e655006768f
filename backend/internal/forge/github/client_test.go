package github_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/github"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/github/githubtest"
)

// waits records what a client waited for.
type waits struct{ all []time.Duration }

func (w *waits) wait(_ context.Context, d time.Duration) error {
	w.all = append(w.all, d)
	return nil
}

func config(s *githubtest.Server, w *waits) github.Config {
	return github.Config{Endpoint: s.URL, HTTP: api.HTTPConfig{Now: s.Clock, Wait: w.wait, UserAgent: "headraced/test"}}
}

// app returns a client of the App.
func app(t *testing.T, s *githubtest.Server) (*github.Client, *waits) {
	t.Helper()
	key, err := connection.ParseAppKey([]byte(s.Key))
	require.NoError(t, err)
	w := &waits{}
	cfg := config(s, w)
	cfg.App = &github.App{ID: githubtest.AppID, Installation: githubtest.Installation, Key: key}
	var client *github.Client
	cfg.Token = func(ctx context.Context, repository string, permissions github.Permissions) (string, error) {
		token, _, err := client.IssueToken(ctx, repository, permissions)
		return token, err
	}
	client, err = github.New(cfg)
	require.NoError(t, err)
	return client, w
}

// personal returns a client of a personal access token.
func personal(t *testing.T, s *githubtest.Server, token string) *github.Client {
	t.Helper()
	cfg := config(s, &waits{})
	cfg.Token = func(context.Context, string, github.Permissions) (string, error) { return token, nil }
	client, err := github.New(cfg)
	require.NoError(t, err)
	return client
}

func TestTokensOfAnInstallationAreNarrowed(t *testing.T) {
	t.Parallel()
	s := githubtest.Start(t)
	client, _ := app(t, s)
	token, expires, err := client.IssueToken(t.Context(), "acme/web", github.ReadContents())
	require.NoError(t, err)
	require.Greater(t, len(token), 500, "GitHub's form of 2026")
	require.WithinDuration(t, s.Clock().Add(time.Hour), expires, time.Minute)
	repositories, permissions := s.Allows(token)
	require.Equal(t, []string{"web"}, repositories)
	require.Equal(t, map[string]string{"contents": "read", "metadata": "read"}, permissions)

	_, _, err = client.IssueToken(t.Context(), "acme/elsewhere", github.ReadContents())
	require.ErrorContains(t, err, "cannot issue a token for contents: read of acme/elsewhere: HTTP 422")
	require.ErrorContains(t, err, "headrace connection doctor")
	s.Change(func(state *githubtest.State) { delete(state.Permissions, "contents") })
	_, _, err = client.IssueToken(t.Context(), "acme/web", github.ReadContents())
	require.ErrorContains(t, err, "not granted to this installation")
}

// TestClockAhead shows that GitHub takes the assertions of a server whose clock is ahead.
func TestClockAhead(t *testing.T) {
	t.Parallel()
	s := githubtest.Start(t)
	client, _ := app(t, s)
	now := s.Clock
	s.Clock = func() time.Time { return now().Add(-55 * time.Second) }
	_, _, err := client.IssueToken(t.Context(), "acme/web", github.ReadContents())
	require.NoError(t, err)
	s.Clock = func() time.Time { return now().Add(-5 * time.Minute) }
	_, _, err = client.IssueToken(t.Context(), "acme/web", github.ReadContents())
	require.ErrorContains(t, err, "that the clock of this server is right")
}

func TestHooks(t *testing.T) {
	t.Parallel()
	s := githubtest.Start(t)
	client, _ := app(t, s)
	found, err := client.Repository(t.Context(), "Acme/web.git")
	require.NoError(t, err)
	require.Equal(t, api.Repository{ID: 4242, Name: "acme/web", DefaultBranch: "main"}, found)
	var first string
	// More than a page.
	for i := range 105 {
		made, err := client.CreateHook(t.Context(), "acme/web", api.HookSettings{URL: fmt.Sprintf("https://headrace.example.com/hooks/github/%d", i), Secret: "hunter22"})
		require.NoError(t, err)
		require.True(t, made.Active)
		if i == 0 {
			first = made.ID
		}
	}
	hooks, err := client.Hooks(t.Context(), "acme/web")
	require.NoError(t, err)
	require.Len(t, hooks, 105)
	require.Equal(t, github.Events(), hooks[0].Events)
	require.False(t, hooks[0].Unsigned || hooks[0].Insecure)

	changed, err := client.UpdateHook(t.Context(), "acme/web", first, api.HookSettings{URL: "https://new.example.com/hooks/github/x", Secret: "hunter23"})
	require.NoError(t, err)
	require.Equal(t, "https://new.example.com/hooks/github/x", changed.URL)
	require.NoError(t, client.DeleteHook(t.Context(), "acme/web", first))
	require.NoError(t, client.DeleteHook(t.Context(), "acme/web", first), "it is gone")
	hooks, err = client.Hooks(t.Context(), "acme/web")
	require.NoError(t, err)
	require.Len(t, hooks, 104)

	s.Change(func(state *githubtest.State) { state.Permissions["repository_hooks"] = "read" })
	_, err = client.CreateHook(t.Context(), "acme/web", api.HookSettings{URL: "https://headrace.example.com", Secret: "hunter22"})
	require.ErrorContains(t, err, "issue a token for repository_hooks: write of acme/web")
	require.NotContains(t, err.Error(), "hunter22")
}

func TestFailedDeliveries(t *testing.T) {
	t.Parallel()
	s := githubtest.Start(t)
	client, _ := app(t, s)
	now := s.Clock().UTC().Truncate(time.Second)
	delivery := func(id int, guid string, status int, age time.Duration) map[string]any {
		return map[string]any{
			"id": id, "guid": guid, "delivered_at": now.Add(-age).Format(time.RFC3339), "redelivery": false, "duration": 0.1,
			"status": "x", "status_code": status, "event": "push", "action": nil, "installation_id": 1, "repository_id": 4242, "throttled_at": nil,
		}
	}
	s.Change(func(state *githubtest.State) {
		state.Deliveries = []map[string]any{
			delivery(5, "again", 200, time.Minute), delivery(4, "failed", 502, 2*time.Minute), delivery(3, "again", 500, 3*time.Minute),
		}
		for i := range 150 {
			state.Deliveries = append(state.Deliveries, delivery(1000+i, fmt.Sprint("fine", i), 202, 4*time.Minute))
		}
		state.Deliveries = append(state.Deliveries, delivery(2, "unanswered", 0, 5*time.Minute), delivery(1, "old", 500, 2*time.Hour))
	})
	failed, err := client.FailedDeliveries(t.Context(), "", "", now.Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, []api.FailedDelivery{
		{ID: "4", GUID: "failed", Event: "push", Status: 502, SentAt: failed[0].SentAt, RepositoryID: 4242},
		{ID: "2", GUID: "unanswered", Event: "push", SentAt: failed[1].SentAt, RepositoryID: 4242},
	}, failed)
	require.NoError(t, client.Redeliver(t.Context(), "", "", "4"))
	require.Equal(t, 1, s.Count("POST /app/hook/deliveries/4/attempts"))

	hook, err := client.CreateHook(t.Context(), "acme/web", api.HookSettings{URL: "https://headrace.example.com/hooks/github/x", Secret: "s"})
	require.NoError(t, err)
	failed, err = client.FailedDeliveries(t.Context(), "acme/web", hook.ID, now.Add(-time.Hour))
	require.NoError(t, err)
	require.Len(t, failed, 2)
	require.NoError(t, client.Redeliver(t.Context(), "acme/web", hook.ID, "4"))
	require.Equal(t, 1, s.Count("POST /repos/acme/web/hooks/"+hook.ID+"/deliveries/4/attempts"))
	_, err = personal(t, s, githubtest.Token).FailedDeliveries(t.Context(), "", "", now)
	require.ErrorIs(t, err, api.ErrNoDeliveries)
}

// TestRetryAfter shows that a read waits as GitHub asks, and that a write says when.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	s := githubtest.Start(t)
	client, w := app(t, s)
	s.Change(func(state *githubtest.State) { state.Limit = 1 })
	_, _, err := client.IssueToken(t.Context(), "acme/web", github.ReadContents())
	require.ErrorContains(t, err, "it takes calls again in 1s")
	require.Empty(t, w.all)
	personalClient := personal(t, s, githubtest.Token)
	s.Change(func(state *githubtest.State) { state.Limit = 1 })
	_, err = personalClient.Repository(t.Context(), "acme/web")
	require.NoError(t, err)
	require.Equal(t, 2, s.Count("GET /repos/acme/web"))
}

// lines returns checks as doctor prints them.
func lines(checks []connection.Check) string {
	var b strings.Builder
	for _, c := range checks {
		fmt.Fprintf(&b, "%s %s %s: %s | %s\n", c.Status, c.Kind, c.Subject, c.Message, c.NextStep)
	}
	return b.String()
}

func TestCheckOfAnApp(t *testing.T) {
	t.Parallel()
	s := githubtest.Start(t)
	client, _ := app(t, s)
	s.Change(func(state *githubtest.State) {
		delete(state.Permissions, "pull_requests")
		delete(state.Permissions, "repository_hooks")
		delete(state.AppPermissions, "repository_hooks")
		state.Events = []string{"push"}
		state.AppHook = "https://headrace.example.com/hooks/github/x"
	})
	checks := lines(client.Check(t.Context(), "acme/web"))
	for _, line := range []string{
		`OK ENDPOINT .* answers`,
		`OK AUTHENTICATION 4711: the App Headrace at acme is installed on`,
		`OK PERMISSION contents: read: the installation has contents: read, for cloning`,
		`WARNING PERMISSION pull_requests: read: .*needed for events of pull requests \| the App requests it: accept its new permissions at`,
		`WARNING PERMISSION repository_hooks: write: .* \| give the App "Headrace at acme" the repository permission repository_hooks: write`,
		`WARNING PERMISSION event pull_request`,
		`OK HOOK app: the webhook of the App delivers to Headrace`,
		`OK REPOSITORY acme/web: acme/web has the id 4242 and the default branch main`,
		`WARNING HOOK : GitHub: cannot issue a token for repository_hooks: read`,
	} {
		require.Regexp(t, `(?m)^`+line, checks)
	}
	s.Change(func(state *githubtest.State) { state.Suspended = true })
	require.Regexp(t, `(?m)^FAILED AUTHENTICATION 4711: .* is suspended \| unsuspend it at`, lines(client.Check(t.Context(), "")))
}

func TestCheckOfAToken(t *testing.T) {
	t.Parallel()
	s := githubtest.Start(t)
	client := personal(t, s, githubtest.Token)
	require.Regexp(t, `(?m)^SKIPPED PERMISSION : .*fine-grained`, lines(client.Check(t.Context(), "")))
	for scopes, line := range map[string]string{
		"repo, read:org":  `OK PERMISSION repo`,
		"public_repo":     `WARNING PERMISSION repo: .*public_repo only`,
		"read:user":       `FAILED PERMISSION repo: the token lacks the scope repo, which is needed for cloning`,
		"":                `WARNING PERMISSION admin:repo_hook: the token lacks`,
		"admin:repo_hook": `OK PERMISSION admin:repo_hook`,
	} {
		s.Change(func(state *githubtest.State) { state.Scopes = &scopes })
		require.Regexp(t, `(?m)^`+line, lines(client.Check(t.Context(), "")), scopes)
	}
	wrong := lines(personal(t, s, "ghp_wrong").Check(t.Context(), "acme/web"))
	require.Regexp(t, `(?m)^OK ENDPOINT`, wrong)
	require.Regexp(t, `(?m)^FAILED AUTHENTICATION : .*HTTP 401: Bad credentials \| the token is invalid`, wrong)
	require.NotContains(t, wrong, "ghp_wrong")
}
