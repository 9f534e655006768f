package gitlab_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitlab"
)

// server is a GitLab of one project, a fake since GitLab itself cannot be had for tests. It
// answers in the form of GitLab's documentation.
type server struct {
	*httptest.Server

	scopes  []string
	role    int
	hooks   []map[string]any
	events  []map[string]any
	resent  []string
	expires any
}

func start(t *testing.T) *server {
	t.Helper()
	s := &server{scopes: []string{"api"}, role: 40}
	const project = "/api/v4/projects/acme%2Fgroup%2Fweb"
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Private-Token") != "glpat-right" {
			answer(w, http.StatusUnauthorized, map[string]any{"message": "401 Unauthorized"})
			return
		}
		path := r.URL.EscapedPath()
		rest, ofHooks := strings.CutPrefix(path, project+"/hooks")
		switch {
		case path == "/api/v4/personal_access_tokens/self" && len(s.scopes) == 1 && s.scopes[0] == "read_repository":
			answer(w, http.StatusForbidden, map[string]any{"error": "insufficient_scope"})
		case path == "/api/v4/personal_access_tokens/self":
			answer(w, http.StatusOK, map[string]any{"id": 1, "name": "headrace", "scopes": s.scopes, "active": true, "expires_at": s.expires})
		case path == project:
			answer(w, http.StatusOK, map[string]any{"id": 77, "path_with_namespace": "acme/group/web", "default_branch": "trunk"})
		case ofHooks && s.role < 40:
			answer(w, http.StatusForbidden, map[string]any{"message": "403 Forbidden"})
		case ofHooks:
			s.ofHooks(t, w, r, rest)
		default:
			answer(w, http.StatusNotFound, map[string]any{"message": "404 Project Not Found"})
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *server) ofHooks(t *testing.T, w http.ResponseWriter, r *http.Request, rest string) {
	t.Helper()
	switch {
	case rest == "" && r.Method == http.MethodGet:
		page(w, r, s.hooks)
	case strings.HasSuffix(rest, "/events"):
		page(w, r, s.events)
	case strings.HasSuffix(rest, "/resend"):
		s.resent = append(s.resent, rest)
		answer(w, http.StatusCreated, map[string]any{"response_status": 200})
	case r.Method == http.MethodDelete:
		for i, hook := range s.hooks {
			if rest == fmt.Sprintf("/%v", hook["id"]) {
				s.hooks = append(s.hooks[:i:i], s.hooks[i+1:]...)
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		answer(w, http.StatusNotFound, map[string]any{"message": "404 Not found"})
	default:
		var hook map[string]any
		if err := json.NewDecoder(r.Body).Decode(&hook); err != nil {
			t.Error(err)
		}
		hook["signing_token_present"] = hook["signing_token"] != nil
		delete(hook, "token")
		delete(hook, "signing_token")
		hook["alert_status"] = "executable"
		if r.Method == http.MethodPost {
			hook["id"] = 500 + len(s.hooks)
			s.hooks = append(s.hooks, hook)
		} else {
			hook["id"] = s.hooks[0]["id"]
			s.hooks[0] = hook
		}
		answer(w, http.StatusCreated, hook)
	}
}

func page(w http.ResponseWriter, r *http.Request, all []map[string]any) {
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	number = max(number, 1)
	end := min(number*size, len(all))
	if end < len(all) {
		w.Header().Set("X-Next-Page", strconv.Itoa(number+1))
	}
	answer(w, http.StatusOK, append([]map[string]any{}, all[min((number-1)*size, end):end]...))
}

const repository = "acme/group/web"

func (s *server) client(t *testing.T, token string) *gitlab.Client {
	t.Helper()
	c, err := gitlab.New(gitlab.Config{Endpoint: s.URL, Token: token, HTTP: api.HTTPConfig{Now: time.Now, Wait: api.Sleep}})
	require.NoError(t, err)
	return c
}

func TestHooks(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.client(t, "glpat-right")
	found, err := c.Repository(t.Context(), repository)
	require.NoError(t, err)
	require.Equal(t, api.Repository{ID: 77, Name: repository, DefaultBranch: "trunk"}, found)
	made, err := c.CreateHook(t.Context(), repository, api.HookSettings{URL: "https://headrace.example.com/hooks/gitlab/x", Secret: "plain"})
	require.NoError(t, err)
	require.True(t, made.Unsigned, "a plain token proves nothing about the body")
	require.False(t, made.Insecure)
	require.Equal(t, gitlab.Events(), made.Events)
	made, err = c.UpdateHook(t.Context(), repository, made.ID, api.HookSettings{URL: "https://headrace.example.com/hooks/gitlab/x", Secret: "whsec_c2VjcmV0"})
	require.NoError(t, err)
	require.False(t, made.Unsigned)
	require.Equal(t, gitlab.Events(), made.Events)
	require.NoError(t, c.DeleteHook(t.Context(), repository, made.ID))
	require.NoError(t, c.DeleteHook(t.Context(), repository, made.ID), "it is gone")

	for i := range 250 {
		s.hooks = append(s.hooks, map[string]any{"id": i, "alert_status": "executable"})
	}
	hooks, err := c.Hooks(t.Context(), repository)
	require.NoError(t, err)
	require.Len(t, hooks, 250)

	_, err = c.Repository(t.Context(), "acme/other")
	require.ErrorContains(t, err, "GitLab: cannot read the settings of acme/other: HTTP 404; check the name")
	_, err = s.client(t, "glpat-wrong").Repository(t.Context(), repository)
	require.ErrorContains(t, err, "HTTP 401")
	require.NotContains(t, err.Error(), "glpat-wrong")
}

func TestFailedDeliveries(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.client(t, "glpat-right")
	now := time.Now().UTC()
	event := func(id int, key, status string, age time.Duration) map[string]any {
		return map[string]any{
			"id": id, "trigger": "push_hooks", "response_status": status, "created_at": now.Add(-age),
			"request_headers": map[string]any{"Idempotency-Key": key},
		}
	}
	s.events = []map[string]any{
		event(5, "again", "200", time.Minute), event(4, "failed", "500", 2*time.Minute), event(3, "again", "500", 3*time.Minute),
		event(2, "unanswered", "internal error", 4*time.Minute), event(1, "old", "500", 2*time.Hour),
	}
	failed, err := c.FailedDeliveries(t.Context(), repository, "9", now.Add(-time.Hour))
	require.NoError(t, err)
	require.Len(t, failed, 2)
	require.Equal(t, "4 failed 500", fmt.Sprint(failed[0].ID, " ", failed[0].GUID, " ", failed[0].Status))
	require.Equal(t, "2 unanswered 0", fmt.Sprint(failed[1].ID, " ", failed[1].GUID, " ", failed[1].Status))
	require.NoError(t, c.Redeliver(t.Context(), repository, "9", "4"))
	require.Equal(t, []string{"/9/events/4/resend"}, s.resent)
	require.Error(t, c.Redeliver(t.Context(), repository, "9", "../4"))
}

func lines(checks []connection.Check) string {
	var b strings.Builder
	for _, c := range checks {
		fmt.Fprintf(&b, "%s %s %s: %s | %s\n", c.Status, c.Kind, c.Subject, c.Message, c.NextStep)
	}
	return b.String()
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.client(t, "glpat-right")
	until := time.Date(2026, 11, 30, 14, 5, 0, 0, time.UTC)
	hook := func(id int, more map[string]any) map[string]any {
		hook := map[string]any{
			"id": id, "url": "https://headrace.example.com/hooks/gitlab/x", "push_events": true, "enable_ssl_verification": true,
			"alert_status": "executable", "signing_token_present": true,
		}
		for name, value := range more {
			hook[name] = value
		}
		return hook
	}
	s.hooks = []map[string]any{
		hook(1, nil), hook(2, map[string]any{"signing_token_present": false}),
		hook(3, map[string]any{"alert_status": "temporarily_disabled", "disabled_until": until}),
		hook(4, map[string]any{"url": "https://elsewhere.example.com", "alert_status": "disabled"}),
	}
	s.expires = "2026-12-01"
	checks := lines(c.Check(t.Context(), repository))
	for _, line := range []string{
		`OK ENDPOINT`, `WARNING AUTHENTICATION headrace: the token "headrace" expires on 2026-12-01`, `OK PERMISSION read_repository`, `OK PERMISSION api`,
		`OK REPOSITORY acme/group/web: .* trunk`, `OK HOOK 1: webhook 1 sends push_events`,
		`WARNING HOOK 2: webhook 2 does not sign its deliveries`,
		`FAILED HOOK 3: webhook 3: GitLab switched it off until 2026-11-30T14:05:00Z`,
	} {
		require.Regexp(t, `(?m)^`+line, checks)
	}
	require.NotContains(t, checks, "HOOK 4", "it is another service's")
	s.scopes, s.role, s.expires = []string{"read_api"}, 30, nil
	checks = lines(c.Check(t.Context(), repository))
	require.Regexp(t, `(?m)^FAILED PERMISSION read_repository: the token lacks the scope read_repository, which is needed for cloning`, checks)
	require.Regexp(t, `(?m)^WARNING PERMISSION api: the token lacks the scope api, which is needed for registering`, checks)
	require.Regexp(t, `(?m)^WARNING HOOK : .*\| give it the role Maintainer`, checks)
	s.scopes = []string{"read_repository"}
	require.Regexp(t, `(?m)^FAILED PERMISSION read_api: the token lacks the scope read_api`, lines(c.Check(t.Context(), "")))
	require.Regexp(t, `(?m)^FAILED AUTHENTICATION : .*HTTP 401`, lines(s.client(t, "glpat-wrong").Check(t.Context(), repository)))
	s.Close()
	require.Regexp(t, `(?m)^FAILED ENDPOINT .* does not answer: .*connection refused \| check the endpoint`, lines(c.Check(t.Context(), repository)))
}
