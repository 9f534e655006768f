package server_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea/giteatest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
)

// findsPushes is a backend without webhooks, whose pipeline detects changes of a private repository
// and shows what it fetched.
type findsPushes struct {
	*backendtest.Backend

	t   *testing.T
	c   *client.Client
	log *safeBuffer
}

const webPipeline = "accounts/default/pipelines/web"

// newFindsPushes starts one that reads a repository through a connection, and that polls and compares at
// these intervals.
func newFindsPushes(t *testing.T, poll, backfill time.Duration, connection *v1.Connection, credentials *v1.ConnectionCredentials, repository string) *findsPushes {
	t.Helper()
	f := &findsPushes{t: t, log: &safeBuffer{}}
	f.Backend = backendtest.Start(t, func(cfg *config.Config, options *server.Options) {
		cfg.PollInterval, cfg.BackfillInterval = poll, backfill
		options.Log = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: f.log})
	})
	f.c = f.Admin()
	connection.Name = client.ConnectionName("default", "private")
	_, err := f.c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{Connection: connection, Credentials: credentials})
	require.NoError(t, err)
	_, err = f.c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: webPipeline, Definition: &v1.PipelineDefinition{Stages: []*v1.Stage{
		{Name: "Source", Actions: []*v1.Action{{
			Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1", RunOrder: 1,
			Configuration:   map[string]string{"Connection": "private", "RepositoryUrl": repository, "Branch": "main", "DetectChanges": "true"},
			OutputArtifacts: []*v1.OutputArtifact{{Name: "src"}},
		}}},
		{Name: "Build", Actions: []*v1.Action{{
			Name: "Read", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", RunOrder: 1,
			InputArtifacts: []string{"src"}, Commands: []string{`test "$(cat page)" = "pushed by git"`},
		}}},
	}}}})
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Contains(c, f.explain(), "is read through connection private, last at")
	}, time.Minute, 20*time.Millisecond)
	return f
}

// explain returns what the server says of the branch, as text.
func (f *findsPushes) explain() string {
	f.t.Helper()
	found, err := f.c.Triggers.ExplainTrigger(f.t.Context(), &v1.ExplainTriggerRequest{Pipeline: webPipeline, Ref: "refs/heads/main"})
	require.NoError(f.t, err)
	return prototext.Format(found)
}

// starts waits until the only execution has succeeded, which holds that its source has fetched a commit and
// that a command has read it.
func (f *findsPushes) starts(commit string) {
	f.t.Helper()
	var e *v1.Execution
	require.Eventually(f.t, func() bool {
		all, err := f.c.Executions.ListExecutions(f.t.Context(), &v1.ListExecutionsRequest{Parent: webPipeline})
		require.NoError(f.t, err)
		if len(all.GetExecutions()) == 0 {
			return false
		}
		require.Len(f.t, all.GetExecutions(), 1)
		e = read(f.t, f.Backend, all.GetExecutions()[0].GetName())
		return e.GetStatus() != v1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS
	}, time.Minute, 20*time.Millisecond)
	require.Equal(f.t, v1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, e.GetStatus(), prototext.Format(e))
	require.Equal(f.t, []string{"refs/heads/main", commit}, []string{e.GetTrigger().GetRef(), e.GetTrigger().GetToCommit()})
	require.Equal(f.t, commit, e.GetStages()[0].GetActions()[0].GetOutputVariables()["CommitId"])
	require.Contains(f.t, f.explain(), "no delivery reported it; a comparison with the remote found it")
}

// TestPollOverSSHStartsAnExecution holds that a push by git to a private repository behind sshd is
// found by polling, and that the execution fetches it, both by the key of the connection.
func TestPollOverSSHStartsAnExecution(t *testing.T) {
	t.Parallel()
	host := gittest.NewHost(t)
	ssh := host.SSH()
	repository := host.Repository("acme/web")
	repository.Commit("main", map[string]string{"page": "first\n"})
	address, err := url.Parse(ssh.URL(repository))
	require.NoError(t, err)
	f := newFindsPushes(t, time.Second, 0,
		&v1.Connection{Type: &v1.Connection_Git{Git: &v1.GitConnection{
			Endpoint: "ssh://" + address.User.String() + "@" + address.Host, KnownHosts: ssh.KnownHosts(),
		}}},
		&v1.ConnectionCredentials{SshPrivateKey: proto.String(string(ssh.Key()))}, strings.TrimPrefix(address.Path, "/"))
	require.Contains(t, f.explain(), "connection private has the type git, which has no webhooks, so pushes are found by polling")

	// A person pushes by SSH as well.
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, ssh.Key(), 0o600))
	known := key + ".known_hosts"
	require.NoError(t, os.WriteFile(known, []byte(ssh.KnownHosts()), 0o600))
	work := filepath.Join(t.TempDir(), "work")
	git := func(dir string, args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
			"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com",
			"GIT_SSH_COMMAND=ssh -F none -o IdentitiesOnly=yes -i "+key+" -o UserKnownHostsFile="+known)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.TrimSpace(string(out))
	}
	git("", "clone", "-q", address.String(), work)
	require.NoError(t, os.WriteFile(filepath.Join(work, "page"), []byte("pushed by git\n"), 0o600))
	git(work, "commit", "-q", "-a", "-m", "Write the page")
	commit := git(work, "rev-parse", "HEAD")
	git(work, "push", "-q", "origin", "main")

	f.starts(commit)
	f.Stop()
	for line := range strings.Lines(string(ssh.Key())) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
			require.NotContains(t, f.log.String(), line)
		}
	}
}

// TestPollOfGiteaStartsAnExecution holds the same of a private repository of a real Gitea that is read
// over HTTPS by a token, which has no webhook.
func TestPollOfGiteaStartsAnExecution(t *testing.T) {
	t.Parallel()
	gitea := giteatest.Start(t)
	repository := gitea.Create("web")
	behind, err := url.Parse(gitea.URL)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) }}
	front := httptest.NewTLSServer(http.HandlerFunc(proxy.ServeHTTP))
	t.Cleanup(front.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	token := gitea.NewToken("poll", "read:repository", "read:user")
	f := newFindsPushes(t, time.Second, 0,
		&v1.Connection{CaCertificate: string(authority), Type: &v1.Connection_Gitea{Gitea: &v1.GiteaConnection{Endpoint: front.URL}}},
		&v1.ConnectionCredentials{Token: proto.String(token)}, repository.FullName)
	require.Contains(t, f.explain(), "no webhook takes deliveries for connection private, so pushes are found by polling")

	clone := gitea.Clone(repository)
	commit := clone.Commit("pushed by git", "page")
	clone.Git("push", "-q", "origin", "main")
	f.starts(commit)
	f.Stop()
	require.NotContains(t, f.log.String(), token)
}

// TestExplainSaysThatPollingIsOff holds that an explanation names what finds pushes on a server that does
// not poll.
func TestExplainSaysThatPollingIsOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		backfill time.Duration
		want     string
		ok       bool
	}{
		"back-fill": {time.Hour, "and the server does not poll (--poll-interval 0s), so pushes are found by the back-fill every 1h0m0s", true},
		"neither":   {0, "and the server does not poll (--poll-interval 0s, --backfill-interval 0s), so pushes are found only after a start of the server", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := gittest.NewHost(t)
			forge := host.HTTP()
			forge.Allow("robot", "password")
			host.Repository("acme/web").Commit("main", nil)
			f := newFindsPushes(t, 0, c.backfill,
				&v1.Connection{Type: &v1.Connection_Git{Git: &v1.GitConnection{Endpoint: forge.Base(), Username: "robot"}}},
				&v1.ConnectionCredentials{Password: proto.String("password")}, "acme/web")
			found, err := f.c.Triggers.ExplainTrigger(t.Context(), &v1.ExplainTriggerRequest{Pipeline: webPipeline, Ref: "main"})
			require.NoError(t, err)
			for _, step := range found.GetSteps() {
				if step.GetStep() == "WEBHOOK" {
					require.Contains(t, step.GetMessage(), c.want)
					require.Equal(t, "Start the server with --poll-interval above 0s.", step.GetNextStep())
					require.Equal(t, c.ok, step.GetOk())
					return
				}
			}
			require.Fail(t, "the answer has no step about webhooks", prototext.Format(found))
		})
	}
}
