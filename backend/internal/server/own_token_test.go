package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
)

// tokenForge is a git server with tokens, which it counts. It lets in those that are allowed.
type tokenForge struct {
	repository *gittest.Repository
	base       string

	mu      sync.Mutex
	allowed map[string]bool
	asked   map[string]int
}

func newTokenForge(t *testing.T, tokens ...string) *tokenForge {
	t.Helper()
	host := gittest.NewHost(t)
	f := &tokenForge{repository: host.Repository("acme/web"), allowed: make(map[string]bool), asked: make(map[string]int)}
	f.repository.Commit("main", map[string]string{"README": "web\n"})
	f.allow(tokens...)
	git := host.HTTP()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, token, _ := r.BasicAuth()
		f.mu.Lock()
		f.asked[token]++
		allowed := user == "x-access-token" && f.allowed[token]
		f.mu.Unlock()
		if !allowed {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "no such repository for "+token, http.StatusUnauthorized)
			return
		}
		git.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	f.base = front.URL
	return f
}

// allow lets in the bearers of these tokens alone.
func (f *tokenForge) allow(tokens ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.allowed)
	for _, token := range tokens {
		f.allowed[token] = true
	}
}

func (f *tokenForge) times(token string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[token]
}

// polled waits until a token was used some more times.
func (f *tokenForge) polled(t *testing.T, token string, more int) {
	t.Helper()
	before := f.times(token)
	require.Eventually(t, func() bool { return f.times(token) >= before+more }, time.Minute, 5*time.Millisecond)
}

// tokenBackend is a backend whose GitHub is a tokenForge, with all that it said.
type tokenBackend struct {
	*backendtest.Backend

	t       *testing.T
	c       *client.Client
	log     *safeBuffer
	answers strings.Builder
}

func newTokenBackend(t *testing.T, forge *tokenForge, interval time.Duration) *tokenBackend {
	t.Helper()
	b := &tokenBackend{t: t, log: &safeBuffer{}}
	b.Backend = backendtest.Start(t, backendtest.WithGitHub(forge.base), func(cfg *config.Config, options *server.Options) {
		cfg.PollInterval, cfg.BackfillInterval = interval, 0
		options.Log = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: b.log})
	})
	b.c = b.Admin()
	return b
}

func (b *tokenBackend) show(message proto.Message, err error) {
	b.t.Helper()
	require.NoError(b.t, err)
	b.answers.WriteString(prototext.Format(message))
}

// publish creates or updates a pipeline, and returns the warnings.
func (b *tokenBackend) publish(name string, def *v1.PipelineDefinition) []*v1.Warning {
	b.t.Helper()
	p := &v1.Pipeline{Name: client.PipelineName("default", name), Definition: def}
	if _, err := b.c.Pipelines.GetPipeline(b.t.Context(), &v1.GetPipelineRequest{Name: p.GetName()}); err == nil {
		updated, err := b.c.Pipelines.UpdatePipeline(b.t.Context(), &v1.UpdatePipelineRequest{Pipeline: p})
		b.show(updated, err)
		return updated.GetWarnings()
	}
	created, err := b.c.Pipelines.CreatePipeline(b.t.Context(), &v1.CreatePipelineRequest{Pipeline: p})
	b.show(created, err)
	return created.GetWarnings()
}

// triggers returns the triggers of a pipeline.
func (b *tokenBackend) triggers(name string) []*v1.DeclaredTrigger {
	b.t.Helper()
	all, err := b.c.Triggers.ListTriggers(b.t.Context(), &v1.ListTriggersRequest{Parent: client.PipelineName("default", name)})
	b.show(all, err)
	return all.GetTriggers()
}

// explain returns what the server says of a branch, as text.
func (b *tokenBackend) explain(name string) string {
	b.t.Helper()
	found, err := b.c.Triggers.ExplainTrigger(b.t.Context(), &v1.ExplainTriggerRequest{Pipeline: client.PipelineName("default", name), Ref: "refs/heads/main"})
	b.show(found, err)
	return prototext.Format(found)
}

// explained waits until the server says something of a branch.
func (b *tokenBackend) explained(name, text string) {
	b.t.Helper()
	require.EventuallyWithT(b.t, func(c *assert.CollectT) { assert.Contains(c, b.explain(name), text) }, time.Minute, 10*time.Millisecond)
}

// started waits until an execution of a pipeline has fetched a commit, and returns it.
func (b *tokenBackend) started(name, commit string) (found *v1.Execution) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		all, err := b.c.Executions.ListExecutions(b.t.Context(), &v1.ListExecutionsRequest{Parent: client.PipelineName("default", name)})
		require.NoError(b.t, err)
		for _, e := range all.GetExecutions() {
			if e.GetTrigger().GetToCommit() == commit {
				found = read(b.t, b.Backend, e.GetName())
				actions := found.GetStages()[0].GetActions()
				return len(actions) == 1 && actions[0].GetEndTime() != nil
			}
		}
		return false
	}, time.Minute, 10*time.Millisecond, "no execution of %s for %s", name, commit)
	b.show(found, nil)
	return found
}

// silent ends the backend and asserts that no token was said.
func (b *tokenBackend) silent() {
	b.t.Helper()
	b.Stop()
	require.NotContains(b.t, b.answers.String(), "sentinel")
	require.NotContains(b.t, b.log.String(), "sentinel")
}

// TestSourceWithATokenIsPolled holds that a push to the branch of a GitHub source of version 1
// starts its pipeline, until detection is turned off or the pipeline is deleted.
func TestSourceWithATokenIsPolled(t *testing.T) {
	t.Parallel()
	forge := newTokenForge(t, oauthToken, secondToken)
	b := newTokenBackend(t, forge, 20*time.Millisecond)
	for _, w := range b.publish("web", withToken(oauthToken)) {
		require.NotEqual(t, "SOURCE_NOT_WATCHED", w.GetReason(), w.GetMessage())
	}
	b.explained("web", "repository acme/web is read with the token of source action Fetch of pipeline web, last at")
	require.Contains(t, b.explain("web"), "source action Fetch has no connection, for which a webhook could take deliveries, so pushes are found by polling")
	triggers := b.triggers("web")
	require.Len(t, triggers, 1)
	require.Equal(t, "accounts/default/pipelines/web/triggers/Fetch", triggers[0].GetName())
	require.Equal(t, []string{"", "acme/web"}, []string{triggers[0].GetGit().GetConnection(), triggers[0].GetGit().GetRepository()})

	head := forge.repository.Commit("main", map[string]string{"README": "web 2\n"})
	e := b.started("web", head)
	require.Equal(t, "PollForSourceChanges", e.GetTrigger().GetType())
	fetched := e.GetStages()[0].GetActions()[0]
	require.Equal(t, head, fetched.GetOutputVariables()["CommitId"], fetched.GetError().GetMessage())
	found, err := b.c.Triggers.Backfill(t.Context(), &v1.BackfillRequest{Parent: client.PipelineName("default", "web")})
	b.show(found, err)
	require.Equal(t, []string{"", ""}, []string{found.GetRepositories()[0].GetConnection(), found.GetRepositories()[0].GetProblem()})
	forge.repository.Commit("other", map[string]string{"README": "other\n"})

	// Another one polls with its own token as well, and goes on.
	b.publish("lasting", withToken(secondToken))
	forge.polled(t, secondToken, 3)
	forge.polled(t, oauthToken, 3)
	off := withToken(oauthToken)
	off.GetStages()[0].GetActions()[0].Configuration["PollForSourceChanges"] = "false"
	b.publish("web", off)
	require.Empty(t, b.triggers("web"))
	ended := func() {
		t.Helper()
		// A poll that had begun may still be there.
		forge.polled(t, secondToken, 6)
		before := forge.times(oauthToken)
		forge.polled(t, secondToken, 10)
		require.Equal(t, before, forge.times(oauthToken), "nothing is read with the token any more")
	}
	ended()

	b.publish("web", withToken(oauthToken))
	forge.polled(t, oauthToken, 3)
	_, err = b.c.Pipelines.DeletePipeline(t.Context(), &v1.DeletePipelineRequest{Name: client.PipelineName("default", "web"), Force: true})
	require.NoError(t, err)
	ended()
	require.Len(t, b.triggers("lasting"), 1)
	b.silent()
}

// TestNewTokenIsUsedAtOnce holds that a version with another token is read with that, however
// long the next poll is away.
func TestNewTokenIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	forge := newTokenForge(t, oauthToken)
	b := newTokenBackend(t, forge, time.Hour)
	b.publish("web", withToken(oauthToken))
	b.explained("web", "is read with the token of source action Fetch of pipeline web, last at")
	const thirdToken = "sentinel-oauth-third-22"
	forge.allow(secondToken, thirdToken)
	head := forge.repository.Commit("main", map[string]string{"README": "web 2\n"})
	old := forge.times(oauthToken)
	b.publish("web", withToken(secondToken))
	b.started("web", head)
	require.Equal(t, old, forge.times(oauthToken))
	// A version that keeps the token reads nothing.
	same := withToken(secondToken)
	same.GetStages()[1].GetActions()[0].Name = "Sign"
	before := forge.times(secondToken)
	b.publish("web", same)
	require.Len(t, b.triggers("web"), 1)
	b.publish("later", withToken(thirdToken))
	b.explained("later", "is read with the token of source action Fetch of pipeline later, last at")
	require.Equal(t, before, forge.times(secondToken))
	b.silent()
}

// TestPipelinesReadWithTheirOwnTokens holds that a pipeline whose token cannot read a repository
// learns nothing of it from another pipeline that can.
func TestPipelinesReadWithTheirOwnTokens(t *testing.T) {
	t.Parallel()
	forge := newTokenForge(t, oauthToken)
	b := newTokenBackend(t, forge, 20*time.Millisecond)
	b.publish("web", withToken(oauthToken))
	b.publish("stranger", withToken(secondToken))
	b.explained("web", "is read with the token of source action Fetch of pipeline web, last at")
	b.explained("stranger", "repository acme/web has not been readable with the token of source action Fetch of pipeline stranger since")
	require.Contains(t, b.explain("stranger"), "check that the token of source action Fetch is valid and may read the repository")
	head := forge.repository.Commit("main", map[string]string{"README": "web 2\n"})
	b.started("web", head)
	forge.polled(t, secondToken, 1)
	decided, err := b.c.Triggers.ListTriggerDecisions(t.Context(), &v1.ListTriggerDecisionsRequest{Parent: client.PipelineName("default", "stranger")})
	b.show(decided, err)
	require.Empty(t, decided.GetDecisions())
	// The names of branches would come back as a warning of one that does not exist.
	other := withToken(secondToken)
	other.GetStages()[0].GetActions()[0].Configuration["Branch"] = "mian"
	for _, w := range b.publish("stranger", other) {
		require.NotEqual(t, "TRIGGER_MATCHES_NO_REF", w.GetReason(), w.GetMessage())
	}
	b.silent()
}
