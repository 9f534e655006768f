package crashtest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
)

// hookSecret is what deliveries are signed with.
const hookSecret = "sentinel-secret-of-the-webhook"

// push is a change of a branch that a forge delivers.
type push struct {
	repository, ref string
	before, after   string
}

// body returns the delivery of a push as Gitea writes it, with the commits of a large push.
func (p push) body(padding int) ([]byte, error) {
	return json.Marshal(map[string]any{
		"ref": p.ref, "before": orZero(p.before), "after": orZero(p.after),
		"repository":  map[string]any{"full_name": p.repository, "default_branch": "main"},
		"pusher":      map[string]any{"login": "ann"},
		"sender":      map[string]any{"login": "ann"},
		"head_commit": map[string]any{"id": p.after, "message": "Change"},
		"commits":     []map[string]any{{"id": p.after, "message": strings.Repeat("a long message ", padding/15)}},
	})
}

func orZero(commit string) string {
	if commit == "" {
		return gittest.Zero
	}
	return commit
}

// sender delivers to a webhook as Gitea and GitHub do: once, whatever the answer is.
type sender struct {
	http http.Client
	url  string
}

// newSender sends to a webhook of a server that listens for deliveries at an address.
func newSender(address string, webhook *headracev1.Webhook) (*sender, error) {
	at, err := url.Parse(webhook.GetUrl())
	if err != nil {
		return nil, err
	}
	return &sender{
		url:  "http://" + address + at.Path,
		http: http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 100}},
	}, nil
}

// send signs and delivers a push, and returns the status, 0 if there was no answer.
func (s *sender) send(ctx context.Context, id, secret string, p push, padding int) (int, error) {
	body, err := p.body(padding)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Gitea-Event", "push")
	request.Header.Set("X-Gitea-Delivery", id)
	request.Header.Set("X-Gitea-Signature", hex.EncodeToString(mac.Sum(nil)))
	response, err := s.http.Do(request)
	if err != nil {
		// The server was killed or does not listen.
		return 0, ctx.Err()
	}
	_, err = io.Copy(io.Discard, response.Body)
	_ = errors.Join(err, response.Body.Close())
	return response.StatusCode, nil
}

// moveRef puts a ref of a repository at a commit.
func moveRef(ctx context.Context, repo *gittest.Repository, ref, commit string) error {
	out, err := exec.CommandContext(ctx, "git", "--git-dir", repo.Dir, "update-ref", ref, commit).CombinedOutput()
	if err != nil {
		return fmt.Errorf("move %s: %w: %s", ref, err, out)
	}
	return nil
}

// remoteRefs returns what git ls-remote says of the branches of a repository.
func (s *server) remoteRefs(address string) map[string]string {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), "git", "ls-remote", "--heads", address).Output()
	require.NoError(s.t, err)
	refs := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		id, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
		refs[ref] = id
	}
	return refs
}

// connectGitea makes a connection of a Gitea at an address, and a webhook that takes its deliveries.
func (s *server) connectGitea(endpoint, token string) *headracev1.Webhook {
	s.t.Helper()
	connection := client.ConnectionName("default", "gitea")
	_, err := s.client.Connections.CreateConnection(s.t.Context(), &headracev1.CreateConnectionRequest{
		Connection:  &headracev1.Connection{Name: connection, Type: &headracev1.Connection_Gitea{Gitea: &headracev1.GiteaConnection{Endpoint: endpoint}}},
		Credentials: &headracev1.ConnectionCredentials{Token: &token},
	})
	require.NoError(s.t, err)
	created, err := s.client.Webhooks.CreateWebhook(s.t.Context(), &headracev1.CreateWebhookRequest{Webhook: &headracev1.Webhook{
		Name: client.WebhookName("default", "gitea"), Kind: headracev1.WebhookKind_WEBHOOK_KIND_GITEA, Connection: connection, Secret: hookSecret,
	}})
	require.NoError(s.t, err)
	return created.GetWebhook()
}

// watchPushes makes a pipeline that fetches a repository and waits for an approval, and a trigger on all branches.
func (s *server) watchPushes(name, repository string, mode headracev1.ExecutionMode) {
	s.t.Helper()
	_, err := s.client.Pipelines.CreatePipeline(s.t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: client.PipelineName("default", name),
		Definition: &headracev1.PipelineDefinition{
			ExecutionMode: mode,
			Stages: []*headracev1.Stage{
				{Name: "Source", Actions: []*headracev1.Action{{
					Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
					Configuration:   map[string]string{"RepositoryUrl": repository, "Branch": "main", "Connection": "gitea"},
					OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
				}}},
				{Name: "Approve", Actions: []*headracev1.Action{{Name: manual, Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}}},
			},
		},
	}})
	require.NoError(s.t, err)
	_, err = s.client.Triggers.CreateTrigger(s.t.Context(), &headracev1.CreateTriggerRequest{Trigger: &headracev1.DeclaredTrigger{
		Name: client.TriggerName("default", name), Pipeline: client.PipelineName("default", name),
		Source: &headracev1.DeclaredTrigger_Git{Git: &headracev1.GitTrigger{
			SourceAction: "Checkout", Push: []*headracev1.GitPushFilter{{Branches: &headracev1.GlobFilter{Includes: []string{"**"}}}},
		}},
	}})
	require.NoError(s.t, err)
}

// compareAll compares the ledger with the remotes at once and returns how many refs had moved unseen. A remote
// that does not answer in time on a busy machine is asked again.
func (s *server) compareAll(repositories int) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*patience)
	defer cancel()
	moved, problem := 0, ""
	for {
		resp, err := s.client.Triggers.Backfill(ctx, &headracev1.BackfillRequest{Parent: "accounts/default"})
		require.NoError(s.t, err, "%s", problem)
		require.Len(s.t, resp.GetRepositories(), repositories)
		again := false
		for _, r := range resp.GetRepositories() {
			problem = cmp.Or(r.GetProblem(), problem)
			moved += int(r.GetMovedRefs())
			again = again || r.GetMovedRefs() > 0 || r.GetProblem() != ""
		}
		if !again {
			return moved
		}
	}
}

// decisions returns what a trigger decided, oldest first, once nothing is pending.
func (s *server) decisions(trigger string) (all []*headracev1.TriggerDecision) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		all = nil
		for page := ""; ; {
			resp, err := s.client.Triggers.ListTriggerDecisions(s.t.Context(), &headracev1.ListTriggerDecisionsRequest{
				Parent: client.TriggerName("default", trigger), PageSize: 1000, PageToken: page,
			})
			require.NoError(s.t, err)
			for _, d := range resp.GetDecisions() {
				if d.GetOutcome() == headracev1.TriggerOutcome_TRIGGER_OUTCOME_PENDING {
					return false
				}
				all = append([]*headracev1.TriggerDecision{d}, all...)
			}
			if page = resp.GetNextPageToken(); page == "" {
				return true
			}
		}
	}, 2*patience, 50*time.Millisecond, "decisions stay pending\n%s", s.output)
	return all
}

// deliveries returns all deliveries of the webhook with a status.
func (s *server) deliveries(status headracev1.DeliveryStatus) (all []*headracev1.Delivery) {
	s.t.Helper()
	for page := ""; ; {
		resp, err := s.client.Webhooks.ListDeliveries(s.t.Context(), &headracev1.ListDeliveriesRequest{
			Parent: client.WebhookName("default", "gitea"), Status: status, PageSize: 1000, PageToken: page,
		})
		require.NoError(s.t, err)
		all = append(all, resp.GetDeliveries()...)
		if page = resp.GetNextPageToken(); page == "" {
			return all
		}
	}
}

// executionsOf returns all executions of a pipeline, newest first.
func (s *server) executionsOf(pipeline string) (all []*headracev1.Execution) {
	s.t.Helper()
	for page := ""; ; {
		resp, err := s.client.Executions.ListExecutions(s.t.Context(), &headracev1.ListExecutionsRequest{
			Parent: client.PipelineName("default", pipeline), PageSize: 100, PageToken: page,
		})
		require.NoError(s.t, err)
		all = append(all, resp.GetExecutions()...)
		if page = resp.GetNextPageToken(); page == "" {
			return all
		}
	}
}
