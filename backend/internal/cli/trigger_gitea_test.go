package cli_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea/giteatest"
)

// giteaPatience is for a Gitea on a busy machine, which delivers when it gets to it.
const giteaPatience = 2 * time.Minute

// forged is a backend that a real Gitea delivers to, through a hook that the backend made.
type forged struct {
	*backendtest.Backend

	t          *testing.T
	admin      *client.Client
	gitea      *giteatest.Server
	repository giteatest.Repository
	clone      *giteatest.Clone
	webhook    string
	// expected is how many executions there must be.
	expected int
}

func listenAddress(t *testing.T) string {
	t.Helper()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

const firstSecret = "the first secret of the hook"

// newForged starts both, with a private repository and a pipeline that checks it out. Polling and back-fill
// are off: what starts was delivered.
func newForged(t *testing.T, git *headracev1.GitTrigger) *forged {
	t.Helper()
	f := &forged{t: t, gitea: giteatest.Start(t), webhook: client.WebhookName("default", "gitea")}
	f.repository = f.gitea.Create("web")
	f.clone = f.gitea.Clone(f.repository)
	address := listenAddress(t)
	f.Backend = backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) {
		cfg.HooksListen, cfg.PublicURL = address, "http://"+address
		cfg.PollInterval, cfg.BackfillInterval = 0, 0
	}))
	f.admin = f.Admin()
	connection, token := client.ConnectionName("default", "gitea"), f.gitea.Token
	_, err := f.admin.Connections.CreateConnection(t.Context(), &headracev1.CreateConnectionRequest{
		Connection:  &headracev1.Connection{Name: connection, Type: &headracev1.Connection_Gitea{Gitea: &headracev1.GiteaConnection{Endpoint: f.gitea.URL}}},
		Credentials: &headracev1.ConnectionCredentials{Token: &token},
	})
	require.NoError(t, err)
	_, err = f.admin.Webhooks.CreateWebhook(t.Context(), &headracev1.CreateWebhookRequest{Webhook: &headracev1.Webhook{
		Name: f.webhook, Kind: headracev1.WebhookKind_WEBHOOK_KIND_GITEA, Connection: connection, Secret: firstSecret, Manage: true,
	}})
	require.NoError(t, err)
	_, err = f.admin.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: client.PipelineName("default", "web"),
		Definition: &headracev1.PipelineDefinition{
			ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL,
			Stages: []*headracev1.Stage{
				{Name: "Source", Actions: []*headracev1.Action{{
					Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1", Namespace: "Checkout",
					Configuration:   map[string]string{"RepositoryUrl": f.repository.FullName, "Branch": "main", "Connection": "gitea"},
					OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
				}}},
				{Name: "Build", Actions: []*headracev1.Action{{
					Name: "Read", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1",
					InputArtifacts:       []string{"source"},
					EnvironmentVariables: []*headracev1.EnvironmentVariable{{Name: "MESSAGE", Value: "#{Checkout.CommitMessage}"}},
					// The tree is that of the commit.
					Commands: []string{`test "$(cat page.txt)" = "$MESSAGE"`},
				}}},
			},
		},
	}})
	require.NoError(t, err)
	git.SourceAction = "Checkout"
	_, err = f.admin.Triggers.CreateTrigger(t.Context(), &headracev1.CreateTriggerRequest{Trigger: &headracev1.DeclaredTrigger{
		Name: client.TriggerName("default", "web"), Pipeline: client.PipelineName("default", "web"),
		Source: &headracev1.DeclaredTrigger_Git{Git: git},
	}})
	require.NoError(t, err)
	return f
}

// hook is a webhook as Gitea has it.
type hook struct {
	ID     int64
	Active bool
	Events []string
	Config struct{ URL string }
}

func (f *forged) hooks() (all []hook) {
	f.t.Helper()
	f.gitea.Call(http.MethodGet, "/repos/"+f.repository.FullName+"/hooks", nil, &all)
	return all
}

// hooked waits until Gitea has one active hook of the webhook, and returns it.
func (f *forged) hooked(fits func(hook) bool) (found hook) {
	f.t.Helper()
	require.EventuallyWithT(f.t, func(c *assert.CollectT) {
		got, err := f.admin.Webhooks.GetWebhook(f.t.Context(), &headracev1.GetWebhookRequest{Name: f.webhook})
		require.NoError(c, err)
		managed := got.GetWebhook().GetManagedHooks()
		require.Len(c, managed, 1)
		require.Empty(c, managed[0].GetProblem())
		require.True(c, managed[0].GetActive())
		require.Equal(c, f.repository.FullName, managed[0].GetRepository())
		all := f.hooks()
		require.Len(c, all, 1)
		found = all[0]
		require.True(c, found.Active)
		require.Equal(c, got.GetWebhook().GetUrl(), found.Config.URL)
		require.Equal(c, managed[0].GetHookId(), fmt.Sprint(found.ID))
		require.True(c, fits(found))
	}, giteaPatience, 50*time.Millisecond)
	return found
}

// update changes the webhook, which makes the server look at its hooks.
func (f *forged) update(change func(*headracev1.Webhook)) {
	f.t.Helper()
	got, err := f.admin.Webhooks.GetWebhook(f.t.Context(), &headracev1.GetWebhookRequest{Name: f.webhook})
	require.NoError(f.t, err)
	change(got.GetWebhook())
	_, err = f.admin.Webhooks.UpdateWebhook(f.t.Context(), &headracev1.UpdateWebhookRequest{Webhook: got.GetWebhook()})
	require.NoError(f.t, err)
}

// decided waits for the decision on a commit of a ref, and returns it.
func (f *forged) decided(ref, commit string) (found *headracev1.TriggerDecision) {
	f.t.Helper()
	require.EventuallyWithT(f.t, func(c *assert.CollectT) {
		resp, err := f.admin.Triggers.ListTriggerDecisions(f.t.Context(), &headracev1.ListTriggerDecisionsRequest{
			Parent: client.TriggerName("default", "web"), Ref: ref,
		})
		require.NoError(c, err)
		found = nil
		for _, d := range resp.GetDecisions() {
			require.NotEqual(c, headracev1.TriggerOutcome_TRIGGER_OUTCOME_PENDING, d.GetOutcome(), "%v", d)
			if d.GetToCommit() == commit && d.GetOutcome() != headracev1.TriggerOutcome_TRIGGER_OUTCOME_DUPLICATE {
				found = d
			}
		}
		require.NotNil(c, found, "no decision on %s at %s: %v", ref, commit, resp.GetDecisions())
	}, giteaPatience, 50*time.Millisecond)
	return found
}

// starts waits for the execution of a commit, which has to succeed, and returns the variables of its source.
func (f *forged) starts(ref, commit string) map[string]string {
	f.t.Helper()
	d := f.decided(ref, commit)
	require.Equal(f.t, headracev1.TriggerOutcome_TRIGGER_OUTCOME_STARTED, d.GetOutcome(), "%v", d)
	f.expected++
	var e *headracev1.Execution
	require.Eventually(f.t, func() bool {
		resp, err := f.admin.Executions.GetExecution(f.t.Context(), &headracev1.GetExecutionRequest{Name: d.GetExecution()})
		require.NoError(f.t, err)
		e = resp.GetExecution()
		return e.GetStatus() != headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS
	}, giteaPatience, 50*time.Millisecond)
	require.Equal(f.t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, e.GetStatus(), "%v", e)
	require.Equal(f.t, "WebhookV2", e.GetTrigger().GetType())
	require.Equal(f.t, ref, e.GetTrigger().GetRef())
	require.Equal(f.t, commit, e.GetTrigger().GetToCommit())
	variables := e.GetStages()[0].GetActions()[0].GetOutputVariables()
	require.Equal(f.t, commit, variables["CommitId"])
	return variables
}

// refrains waits for the decision that a commit starts nothing, which explain has to give the reason of.
func (f *forged) refrains(ref, commit, because string) {
	f.t.Helper()
	d := f.decided(ref, commit)
	require.Equal(f.t, headracev1.TriggerOutcome_TRIGGER_OUTCOME_NOT_STARTED, d.GetOutcome(), "%v", d)
	args := []string{"trigger", "explain", "web", "--commit", commit}
	if commit == "" {
		args = []string{"trigger", "explain", "web", "--ref", ref}
	}
	got := headrace(f.t, f.Backend, f.AdminToken, args...)
	require.Equal(f.t, cli.ExitOK, got.code, got.stderr)
	require.Contains(f.t, got.stdout, because)
}

// Pushes, tags and pull requests to a real Gitea start executions of their commits, as the trigger declares;
// what starts nothing is explained. Nobody set up the hook in Gitea but the server.
func TestPushesToARealGitea(t *testing.T) {
	t.Parallel()
	globs := func(includes ...string) *headracev1.GlobFilter { return &headracev1.GlobFilter{Includes: includes} }
	f := newForged(t, &headracev1.GitTrigger{
		Push: []*headracev1.GitPushFilter{
			{Branches: globs("main"), FilePaths: &headracev1.GlobFilter{Includes: []string{"**"}, Excludes: []string{"docs/**"}}},
			{Branches: globs("feature/**")},
			{Tags: globs("v*")},
		},
		PullRequest: []*headracev1.GitPullRequestFilter{{Branches: globs("main"), Events: []string{"OPEN", "UPDATED"}}},
	})
	f.hooked(func(hook) bool { return true })
	c := f.clone

	pushed := c.Commit("Write the page", "page.txt")
	c.Git("push", "-q", "origin", "main")
	variables := f.starts("refs/heads/main", pushed)
	require.Equal(t, "main", variables["BranchName"])
	require.Equal(t, "Write the page", variables["CommitMessage"])

	documented := c.Commit("Explain the page", "docs/page.md")
	c.Git("push", "-q", "origin", "main")
	f.refrains("refs/heads/main", documented, "docs/**")

	skipped := c.Commit("Write it again [skip ci]", "page.txt")
	c.Git("push", "-q", "origin", "main")
	f.refrains("refs/heads/main", skipped, "[skip ci]")

	c.Git("switch", "-q", "-c", "try")
	tried := c.Commit("Try", "page.txt")
	c.Git("push", "-q", "origin", "try")
	f.refrains("refs/heads/try", tried, "feature/**")

	c.Git("tag", "v1", pushed)
	c.Git("tag", "-a", "-m", "Annotated", "v2", pushed)
	c.Git("tag", "nightly", pushed)
	c.Git("push", "-q", "origin", "v1", "v2", "nightly")
	require.Equal(t, "v1", f.starts("refs/tags/v1", pushed)["TagName"])

	c.Git("switch", "-q", "-c", "feature/one", pushed)
	head := c.Commit("Work", "page.txt")
	c.Git("push", "-q", "origin", "feature/one")
	require.Equal(t, "feature/one", f.starts("refs/heads/feature/one", head)["BranchName"])

	f.gitea.Call(http.MethodPost, "/repos/"+f.repository.FullName+"/pulls", map[string]any{"head": "feature/one", "base": "main", "title": "One"}, nil)
	variables = f.starts("refs/pull/1/head", head)
	require.Equal(t, "1", variables["PullRequestId"])
	require.Equal(t, "One", variables["PullRequestTitle"])
	require.Equal(t, "feature/one", variables["SourceBranchName"])
	require.Equal(t, "main", variables["DestinationBranchName"])

	c.Git("reset", "-q", "--hard", pushed)
	forced := c.Commit("Work, done otherwise", "page.txt")
	c.Git("push", "-q", "--force", "origin", "feature/one")
	f.starts("refs/heads/feature/one", forced)
	f.starts("refs/pull/1/head", forced)

	c.Git("push", "-q", "origin", ":try")
	f.refrains("refs/heads/try", "", "delete")
	c.Git("push", "-q", "origin", ":feature/one")
	f.refrains("refs/heads/feature/one", "", "delete")

	// The tag v2, whose commit is that of v1.
	require.EventuallyWithT(t, func(col *assert.CollectT) {
		listed, err := f.admin.Executions.ListExecutions(t.Context(), &headracev1.ListExecutionsRequest{Parent: client.PipelineName("default", "web")})
		require.NoError(col, err)
		require.Len(col, listed.GetExecutions(), f.expected+1)
	}, giteaPatience, 50*time.Millisecond)
	annotated, err := f.admin.Triggers.ListTriggerDecisions(t.Context(), &headracev1.ListTriggerDecisionsRequest{
		Parent: client.TriggerName("default", "web"), Ref: "refs/tags/v2",
	})
	require.NoError(t, err)
	require.Len(t, annotated.GetDecisions(), 1)
	require.NotEmpty(t, annotated.GetDecisions()[0].GetExecution())
}

// The server keeps the hook in Gitea as it has to be, and takes it away with the webhook.
func TestHooksOfARealGitea(t *testing.T) {
	t.Parallel()
	f := newForged(t, &headracev1.GitTrigger{Push: []*headracev1.GitPushFilter{{Branches: &headracev1.GlobFilter{Includes: []string{"main"}}}}})
	made := f.hooked(func(hook) bool { return true })
	path := "/repos/" + f.repository.FullName + "/hooks"
	delivered := func() {
		t.Helper()
		commit := f.clone.Commit("Change at "+time.Now().String(), "page.txt")
		f.clone.Git("push", "-q", "origin", "main")
		f.starts("refs/heads/main", commit)
	}
	delivered()

	f.gitea.Call(http.MethodPatch, path+"/"+fmt.Sprint(made.ID), map[string]any{"active": false}, nil)
	f.update(func(w *headracev1.Webhook) { w.Description = "Somebody switched the hook off." })
	made = f.hooked(func(hook) bool { return true })
	delivered()

	f.gitea.Call(http.MethodDelete, path+"/"+fmt.Sprint(made.ID), nil, nil)
	f.update(func(w *headracev1.Webhook) { w.Description = "Somebody deleted the hook." })
	f.hooked(func(h hook) bool { return h.ID != made.ID })
	delivered()

	f.update(func(w *headracev1.Webhook) { w.Secret = "the second secret of the hook" })
	// Gitea signs by it soon, and every delivery before that is taken too.
	for end := time.Now().Add(giteaPatience); !f.used(2); {
		require.True(t, time.Now().Before(end), "Gitea does not sign by the new secret")
		delivered()
	}
	_, err := f.admin.Webhooks.RetireWebhookSecret(t.Context(), &headracev1.RetireWebhookSecretRequest{Name: f.webhook})
	require.NoError(t, err)
	delivered()

	_, err = f.admin.Webhooks.DeleteWebhook(t.Context(), &headracev1.DeleteWebhookRequest{Name: f.webhook})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(f.hooks()) == 0 }, giteaPatience, 50*time.Millisecond)

	// Nothing delivers now.
	var told []string
	for _, d := range f.executions() {
		told = append(told, d.GetName())
	}
	require.Len(t, told, f.expected, strings.Join(told, "\n"))
}

// used tells whether a delivery was signed by a version of the secret.
func (f *forged) used(version int64) bool {
	f.t.Helper()
	got, err := f.admin.Webhooks.GetWebhook(f.t.Context(), &headracev1.GetWebhookRequest{Name: f.webhook})
	require.NoError(f.t, err)
	for _, secret := range got.GetWebhook().GetSecrets() {
		if secret.GetVersion() == version {
			return secret.GetLastUseTime() != nil
		}
	}
	return false
}

func (f *forged) executions() []*headracev1.Execution {
	f.t.Helper()
	listed, err := f.admin.Executions.ListExecutions(f.t.Context(), &headracev1.ListExecutionsRequest{Parent: client.PipelineName("default", "web"), PageSize: 100})
	require.NoError(f.t, err)
	return listed.GetExecutions()
}
