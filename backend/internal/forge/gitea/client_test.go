package gitea_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea/giteatest"
)

func client(t *testing.T, s *giteatest.Server, token string) *gitea.Client {
	t.Helper()
	c, err := gitea.New(gitea.Config{Endpoint: s.URL, Token: token, HTTP: api.HTTPConfig{Now: time.Now, Wait: api.Sleep}})
	require.NoError(t, err)
	return c
}

func lines(checks []connection.Check) string {
	var b strings.Builder
	for _, c := range checks {
		fmt.Fprintf(&b, "%s %s %s: %s | %s\n", c.Status, c.Kind, c.Subject, c.Message, c.NextStep)
	}
	return b.String()
}

// TestClient runs on a real Gitea.
func TestClient(t *testing.T) {
	t.Parallel()
	s := giteatest.Start(t)
	repository := s.Create("web")
	c := client(t, s, s.Token)
	found, err := c.Repository(t.Context(), "Owner/web.git")
	require.NoError(t, err)
	require.Equal(t, api.Repository{ID: repository.ID, Name: repository.FullName, DefaultBranch: "main"}, found)

	settings := api.HookSettings{URL: "http://127.0.0.1:1/hooks/gitea/x", Secret: "hunter22"}
	made, err := c.CreateHook(t.Context(), "owner/web", settings)
	require.NoError(t, err)
	require.True(t, made.Active)
	require.Contains(t, made.Events, "push")
	require.Contains(t, made.Events, "pull_request")
	settings.URL = "http://127.0.0.1:1/hooks/gitea/y"
	changed, err := c.UpdateHook(t.Context(), "owner/web", made.ID, settings)
	require.NoError(t, err)
	require.Equal(t, settings.URL, changed.URL)
	left, err := c.Hooks(t.Context(), "owner/web")
	require.NoError(t, err)
	require.Len(t, left, 1, "the hook was replaced")
	require.Equal(t, changed.ID, left[0].ID)

	target, deliveries := receive(t)
	rotated, err := c.CreateHook(t.Context(), "owner/web", api.HookSettings{URL: target, Secret: "the secret before"})
	require.NoError(t, err)
	rotated, err = c.UpdateHook(t.Context(), "owner/web", rotated.ID, api.HookSettings{URL: target, Secret: secret})
	require.NoError(t, err)
	s.Call(http.MethodPost, "/repos/owner/web/hooks/"+rotated.ID+"/tests", nil, nil)
	select {
	case got := <-deliveries:
		_, _, err := read(t, got)
		require.NoError(t, err, "it is signed with the new secret")
	case <-time.After(patience):
		require.Fail(t, "Gitea sent nothing")
	}
	require.NoError(t, c.DeleteHook(t.Context(), "owner/web", rotated.ID))

	for range 60 {
		_, err := c.CreateHook(t.Context(), "owner/web", settings)
		require.NoError(t, err)
	}
	hooks, err := c.Hooks(t.Context(), "owner/web")
	require.NoError(t, err)
	require.Len(t, hooks, 61)
	require.NoError(t, c.DeleteHook(t.Context(), "owner/web", changed.ID))
	require.NoError(t, c.DeleteHook(t.Context(), "owner/web", changed.ID), "it is gone")
	_, err = c.FailedDeliveries(t.Context(), "owner/web", changed.ID, time.Time{})
	require.ErrorIs(t, err, api.ErrNoDeliveries)

	checks := lines(c.Check(t.Context(), "owner/web"))
	require.Regexp(t, `(?m)^OK AUTHENTICATION owner: the token is owner's`, checks)
	require.Regexp(t, `(?m)^OK REPOSITORY owner/web: .* main`, checks)
	require.Regexp(t, `(?m)^OK HOOK \d+: webhook \d+ sends create, delete, pull_request, .*, push, repository`, checks)
	missing := lines(c.Check(t.Context(), "owner/nothing"))
	require.Regexp(t, `(?m)^FAILED REPOSITORY owner/nothing: .*HTTP 404.* \| check the name`, missing)
	wrong := lines(client(t, s, "0123456789012345678901234567890123456789").Check(t.Context(), "owner/web"))
	require.Regexp(t, `(?m)^FAILED AUTHENTICATION : .*HTTP 401`, wrong)
	require.NotContains(t, wrong, "0123456789")

	require.Regexp(t, `(?m)^FAILED PERMISSION read:repository: the token lacks read:repository, which is needed for cloning`,
		lines(client(t, s, s.NewToken("user", "read:user")).Check(t.Context(), "owner/web")))
	_, err = client(t, s, s.NewToken("reader", "read:repository")).CreateHook(t.Context(), "owner/web", settings)
	require.ErrorContains(t, err, "create a token with the permission write:repository")
	require.NotContains(t, err.Error(), "hunter22")
}
