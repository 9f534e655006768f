package crashtest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
)

const gitToken = "sentinel-token-of-the-git-server"

// watched is a server with a trigger on a repository of a real git server.
type watched struct {
	*server

	repo *gittest.Repository
	git  *gittest.HTTPServer
}

// watch starts a server, with a pipeline that waits for an approval after its source and a
// trigger on all branches and tags.
func watch(t *testing.T, flags ...string) *watched {
	t.Helper()
	host := gittest.NewHost(t)
	w := &watched{server: newServer(t), repo: host.Repository("acme/web"), git: host.HTTP()}
	w.git.Allow("deploy", gitToken)
	w.repo.Commit("main", nil)
	w.flags, w.log = flags, logFile(t, 0)
	w.start()
	connection, password := client.ConnectionName("default", "git"), gitToken
	_, err := w.client.Connections.CreateConnection(t.Context(), &headracev1.CreateConnectionRequest{
		Connection: &headracev1.Connection{Name: connection, Type: &headracev1.Connection_Git{
			Git: &headracev1.GitConnection{Endpoint: w.git.Base(), Username: "deploy"},
		}},
		Credentials: &headracev1.ConnectionCredentials{Password: &password},
	})
	require.NoError(t, err)
	_, err = w.client.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: client.PipelineName("default", "web"),
		Definition: &headracev1.PipelineDefinition{
			ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL,
			Stages: []*headracev1.Stage{
				{Name: "Source", Actions: []*headracev1.Action{{
					Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
					Configuration:   map[string]string{"RepositoryUrl": "acme/web.git", "Branch": "main", "Connection": "git"},
					OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
				}}},
				{Name: "Approve", Actions: []*headracev1.Action{{Name: "Manual", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}}},
			},
		},
	}})
	require.NoError(t, err)
	_, err = w.client.Triggers.CreateTrigger(t.Context(), &headracev1.CreateTriggerRequest{Trigger: &headracev1.DeclaredTrigger{
		Name: client.TriggerName("default", "web"), Pipeline: client.PipelineName("default", "web"),
		Source: &headracev1.DeclaredTrigger_Git{Git: &headracev1.GitTrigger{
			SourceAction: "Checkout",
			Push:         []*headracev1.GitPushFilter{{}, {Tags: &headracev1.GlobFilter{Includes: []string{"**"}}}},
		}},
	}})
	require.NoError(t, err)
	w.backfill()
	return w
}

// backfill compares with the remote at once.
func (w *watched) backfill() {
	w.t.Helper()
	resp, err := w.client.Triggers.Backfill(w.t.Context(), &headracev1.BackfillRequest{Parent: "accounts/default"})
	require.NoError(w.t, err)
	require.Len(w.t, resp.GetRepositories(), 1)
	require.Empty(w.t, resp.GetRepositories()[0].GetProblem())
}

// started returns the commits that executions were started with by ref, each as often as
// there were executions.
func (w *watched) started() map[string][]string {
	w.t.Helper()
	started := make(map[string][]string)
	page := ""
	for {
		resp, err := w.client.Triggers.ListTriggerDecisions(w.t.Context(), &headracev1.ListTriggerDecisionsRequest{
			Parent: client.TriggerName("default", "web"), PageSize: 1000, PageToken: page,
		})
		require.NoError(w.t, err)
		for _, d := range resp.GetDecisions() {
			if d.GetOutcome() == headracev1.TriggerOutcome_TRIGGER_OUTCOME_STARTED {
				started[d.GetRef()] = append(started[d.GetRef()], d.GetToCommit())
			}
		}
		if page = resp.GetNextPageToken(); page == "" {
			break
		}
	}
	for _, commits := range started {
		slices.Reverse(commits)
	}
	return started
}

// executions returns how many executions there are.
func (w *watched) executions() int {
	w.t.Helper()
	resp, err := w.client.Executions.ListExecutions(w.t.Context(), &headracev1.ListExecutionsRequest{
		Parent: client.PipelineName("default", "web"), PageSize: 100,
	})
	require.NoError(w.t, err)
	return len(resp.GetExecutions())
}

// What is pushed while the server is down starts one execution for each branch and tag, with
// its newest commit: whether polling is on or not, and also if the server is killed again
// while it looks for what it missed.
func TestDowntimeLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"polling":   {"--poll-interval", "1s"},
		"back-fill": {"--poll-interval", "0s", "--backfill-interval", "1s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, flags...)
			want := make(map[string][]string)
			heads := maps.Clone(w.repo.Refs())
			for round := range 4 {
				w.kill()
				w.repo.Commit("main", nil)
				w.repo.Commit("main", nil)
				first := w.repo.Commit("feature", nil)
				w.repo.Make(gittest.Commit{Branch: "feature", Onto: first})
				w.repo.Tag("v"+string(rune('0'+round)), first)
				w.repo.Branch("gone", first)
				w.repo.Delete("refs/heads/gone")
				for ref, head := range w.repo.Refs() {
					if heads[ref] != head {
						want[ref] = append(want[ref], head)
					}
				}
				heads = maps.Clone(w.repo.Refs())
				w.start()
				for range round {
					timer := time.NewTimer(rand.N(400 * time.Millisecond))
					<-timer.C
					w.kill()
					w.start()
				}
				require.Eventually(t, func() bool {
					started := w.started()
					return len(started["refs/heads/main"]) == round+1 && len(started["refs/heads/feature"]) == round+1 && len(started) == 2+round+1
				}, patience, 20*time.Millisecond, "%v instead of %v\n%s", w.started(), want, w.output)
			}
			w.backfill()
			w.kill()
			w.start()
			w.backfill()
			require.Equal(t, want, w.started())
			total := 0
			for _, commits := range want {
				total += len(commits)
			}
			require.Equal(t, total, w.executions())
			require.NotContains(t, w.output.String(), gitToken)
		})
	}
}
