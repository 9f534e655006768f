package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
)

// A signed delivery starts an execution that says what triggered it, and a person can ask why.
func TestSignedPushStartsAnExecution(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithHooks(), backendtest.WithConfig(func(cfg *config.Config) {
		cfg.PublicURL = "https://hooks.example.com"
	}))
	c := b.Admin()
	const pipelineName, before, after = "accounts/default/pipelines/web", "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"
	_, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{
		// Nobody listens there: a delivery needs no remote.
		Connection:  &v1.Connection{Name: "accounts/default/connections/forge", Type: &v1.Connection_Gitea{Gitea: &v1.GiteaConnection{Endpoint: "https://127.0.0.1:1"}}},
		Credentials: &v1.ConnectionCredentials{Token: proto.String("a token")},
	})
	require.NoError(t, err)
	hook, err := c.Webhooks.CreateWebhook(t.Context(), &v1.CreateWebhookRequest{Webhook: &v1.Webhook{
		Name: "accounts/default/webhooks/forge", Kind: v1.WebhookKind_WEBHOOK_KIND_GITEA, Connection: "accounts/default/connections/forge", Secret: hookSecret,
	}})
	require.NoError(t, err)
	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: pipelineName, Definition: &v1.PipelineDefinition{Stages: []*v1.Stage{
		{Name: "Source", Actions: []*v1.Action{{
			Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1", RunOrder: 1,
			Configuration: map[string]string{"RepositoryUrl": "https://127.0.0.1:1/Acme/Web.git", "Connection": "forge"}, OutputArtifacts: []*v1.OutputArtifact{{Name: "src"}},
		}}},
		{Name: "Release", Actions: []*v1.Action{{Name: "Sign", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1", RunOrder: 1}}},
	}}}})
	require.NoError(t, err)
	declared := &v1.DeclaredTrigger{
		Name: "accounts/default/triggers/web", Pipeline: pipelineName, Source: &v1.DeclaredTrigger_Git{Git: &v1.GitTrigger{
			// The repository is that of the source action, which has its address.
			SourceAction: "Checkout",
			Push:         []*v1.GitPushFilter{{Branches: &v1.GlobFilter{Includes: []string{"main"}}}},
		}},
	}
	created, err := c.Triggers.CreateTrigger(t.Context(), &v1.CreateTriggerRequest{Trigger: declared})
	require.NoError(t, err)
	same, err := c.Triggers.UpdateTrigger(t.Context(), &v1.UpdateTriggerRequest{Trigger: declared})
	require.NoError(t, err)
	require.Equal(t, created.GetTrigger().GetEtag(), same.GetTrigger().GetEtag(), "the same again changes nothing")

	deliver := func(hook *v1.Webhook, body string, headers map[string]string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"http://"+b.HooksAddr+strings.TrimPrefix(hook.GetUrl(), "https://hooks.example.com"), strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	push := func(branch, delivery string) {
		body := `{"ref":"refs/heads/` + branch + `","before":"` + before + `","after":"` + after + `","head_commit":{"id":"` + after +
			`","message":"Ship it"},"repository":{"id":3,"full_name":"acme/web","default_branch":"main"},"pusher":{"login":"ann"}}`
		deliver(hook.GetWebhook(), body, map[string]string{
			"X-Gitea-Event": "push", "X-Gitea-Delivery": delivery, "X-Gitea-Signature": signature(body, hookSecret),
		})
	}
	// explain returns the whole explanation as text.
	explain := func(of *v1.ExplainTriggerRequest) string {
		explained, err := c.Triggers.ExplainTrigger(t.Context(), of)
		require.NoError(t, err)
		lines := []string{explained.GetSummary()}
		for _, step := range explained.GetSteps() {
			lines = append(lines, step.GetMessage(), step.GetNextStep())
		}
		return strings.Join(lines, "\n")
	}
	push("main", "1")
	push("dev", "2")
	found, err := c.Triggers.ListTriggerDecisions(t.Context(), &v1.ListTriggerDecisionsRequest{Parent: pipelineName, Commit: after[:9]})
	require.NoError(t, err)
	require.Len(t, found.GetDecisions(), 2)
	require.Equal(t, "BRANCH_NOT_INCLUDED", found.GetDecisions()[0].GetReason())
	started := found.GetDecisions()[1]
	require.Equal(t, v1.TriggerOutcome_TRIGGER_OUTCOME_STARTED, started.GetOutcome())
	e, err := c.Executions.GetExecution(t.Context(), &v1.GetExecutionRequest{Name: started.GetExecution()})
	require.NoError(t, err)
	of := e.GetExecution().GetTrigger()
	require.Equal(t, []string{"WebhookV2", "accounts/default/triggers/web", "refs/heads/main", before, after, started.GetDelivery(), started.GetId()},
		[]string{of.GetType(), of.GetTrigger(), of.GetRef(), of.GetFromCommit(), of.GetToCommit(), of.GetDelivery(), of.GetDecision()})
	require.Equal(t, after, e.GetExecution().GetSourceRevisionOverrides()[0].GetRevisionValue())

	require.Contains(t, explain(&v1.ExplainTriggerRequest{Pipeline: pipelineName, Commit: after[:9]}), "Commit 222222222 started execution 1 of pipeline web.")
	// The first read of the repository may end between the two.
	require.Eventually(t, func() bool {
		whole := explain(&v1.ExplainTriggerRequest{Pipeline: pipelineName, Ref: "refs/heads/main"})
		return whole == explain(&v1.ExplainTriggerRequest{Pipeline: pipelineName, Ref: "main"})
	}, time.Minute, 10*time.Millisecond, "a branch may be named by its short name")

	// A webhook of the connection that takes the deliveries of another repository says nothing here.
	other, err := c.Webhooks.CreateWebhook(t.Context(), &v1.CreateWebhookRequest{Webhook: &v1.Webhook{
		Name: "accounts/default/webhooks/lib", Kind: v1.WebhookKind_WEBHOOK_KIND_GITEA, Connection: "accounts/default/connections/forge", Secret: hookSecret,
	}})
	require.NoError(t, err)
	about := `{"ref":"refs/heads/main","before":"` + before + `","after":"` + after + `","repository":{"id":4,"full_name":"acme/lib","default_branch":"main"},"pusher":{"login":"ann"}}`
	deliver(other.GetWebhook(), about, map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "lib 1", "X-Gitea-Signature": signature(about, hookSecret)})
	deliver(other.GetWebhook(), about, map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "lib 2", "X-Gitea-Signature": signature(about, "wrong")})
	require.NotContains(t, explain(&v1.ExplainTriggerRequest{Pipeline: pipelineName, Commit: after[:9]}), "webhook lib")
	deliver(hook.GetWebhook(), about, map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "forged", "X-Gitea-Signature": signature(about, "wrong")})
	require.Contains(t, explain(&v1.ExplainTriggerRequest{Pipeline: pipelineName, Commit: after[:9]}), "the newest delivery to webhook forge was refused")
	const again = 60
	for n := range again {
		push("main", "again "+strconv.Itoa(n))
	}
	explained, err := c.Triggers.ExplainTrigger(t.Context(), &v1.ExplainTriggerRequest{Pipeline: pipelineName, Commit: after[:9]})
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(explained.GetDecisions(), func(d *v1.TriggerDecision) bool { return d.GetId() == started.GetId() }),
		"what started is told, however often the change was delivered")
	deliveries := 0
	for _, step := range explained.GetSteps() {
		if step.GetStep() == "DELIVERY" {
			deliveries++
		}
	}
	require.Less(t, deliveries, again/2, "an answer that a person can read")

	refused, err := c.Connections.DeleteConnection(t.Context(), &v1.DeleteConnectionRequest{Name: "accounts/default/connections/forge"})
	require.ErrorContains(t, err, `trigger "web"`, "%v", refused)

	// An event that came before its trigger is decided on by a replay, which says so.
	events, err := c.Webhooks.CreateWebhook(t.Context(), &v1.CreateWebhookRequest{Webhook: &v1.Webhook{
		Name: "accounts/default/webhooks/events", Kind: v1.WebhookKind_WEBHOOK_KIND_GENERIC, Secret: hookSecret,
		Authentication: &v1.WebhookAuthentication{Method: &v1.WebhookAuthentication_Hmac{Hmac: &v1.HmacAuthentication{Header: "X-Signature"}}},
	}})
	require.NoError(t, err)
	deliver(events.GetWebhook(), `{"action":"deploy"}`, map[string]string{"X-Signature": signature(`{"action":"deploy"}`, hookSecret)})
	kept, err := c.Webhooks.ListDeliveries(t.Context(), &v1.ListDeliveriesRequest{Parent: events.GetWebhook().GetName()})
	require.NoError(t, err)
	require.Equal(t, v1.DeliveryStatus_DELIVERY_STATUS_IGNORED, kept.GetDeliveries()[0].GetStatus())
	delivery := kept.GetDeliveries()[0].GetName()
	unused := explain(&v1.ExplainTriggerRequest{Pipeline: pipelineName, Delivery: delivery})
	require.Contains(t, unused, "headrace trigger replay events/")
	_, err = c.Triggers.CreateTrigger(t.Context(), &v1.CreateTriggerRequest{Trigger: &v1.DeclaredTrigger{
		Name: "accounts/default/triggers/events", Pipeline: pipelineName,
		Source: &v1.DeclaredTrigger_Webhook{Webhook: &v1.WebhookTrigger{Webhook: events.GetWebhook().GetName()}},
	}})
	require.NoError(t, err)
	replayed, err := c.Webhooks.ReplayDelivery(t.Context(), &v1.ReplayDeliveryRequest{Name: delivery})
	require.NoError(t, err)
	require.Len(t, replayed.GetDelivery().GetDecisions(), 1)
	require.Equal(t, v1.TriggerOutcome_TRIGGER_OUTCOME_STARTED, replayed.GetDelivery().GetDecisions()[0].GetOutcome())
	require.Contains(t, explain(&v1.ExplainTriggerRequest{Pipeline: pipelineName, Delivery: delivery}), "started execution 2 of pipeline web.")
	deliver(events.GetWebhook(), `{}`, map[string]string{"X-Signature": "00"})
	require.Eventually(t, func() bool {
		return strings.Contains(explain(&v1.ExplainTriggerRequest{Pipeline: pipelineName, Ref: "refs/heads/none"}), "headrace trigger deliveries events --status refused")
	}, time.Minute, 10*time.Millisecond)
}

// The name of a connection may be written in three ways, and is read back as one.
func TestTriggerOfAPipelineNamesItsConnection(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	const connection = "accounts/default/connections/forge"
	_, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{
		Connection:  &v1.Connection{Name: connection, Type: &v1.Connection_Gitea{Gitea: &v1.GiteaConnection{Endpoint: "https://127.0.0.1:1"}}},
		Credentials: &v1.ConnectionCredentials{Token: proto.String("a token")},
	})
	require.NoError(t, err)
	for pipeline, written := range map[string]string{
		"by-name": "forge", "by-resource-name": connection, "by-arn": "arn:headrace:connections::default:connection/forge",
	} {
		_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{
			Name: "accounts/default/pipelines/" + pipeline, Definition: &v1.PipelineDefinition{Stages: []*v1.Stage{
				{Name: "Source", Actions: []*v1.Action{{
					Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1", RunOrder: 1,
					Configuration:   map[string]string{"RepositoryUrl": "acme/web", "Branch": "main", "Connection": written, "DetectChanges": "true"},
					OutputArtifacts: []*v1.OutputArtifact{{Name: "src"}},
				}}},
				{Name: "Release", Actions: []*v1.Action{{Name: "Sign", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1", RunOrder: 1}}},
			}},
		}})
		require.NoError(t, err, written)
		got, err := c.Triggers.GetTrigger(t.Context(), &v1.GetTriggerRequest{Name: "accounts/default/pipelines/" + pipeline + "/triggers/Checkout"})
		require.NoError(t, err, written)
		require.Equal(t, connection, got.GetTrigger().GetGit().GetConnection(), written)
	}
}

// Only the names decide whether a connection is of another account, so that nobody learns which ones that has.
func TestConnectionsOfOtherAccountsAreRefused(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Account("other")
	c := b.Admin()
	_, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{
		Connection:  &v1.Connection{Name: "accounts/other/connections/forge", Type: &v1.Connection_Gitea{Gitea: &v1.GiteaConnection{Endpoint: "https://127.0.0.1:1"}}},
		Credentials: &v1.ConnectionCredentials{Token: proto.String("a token")},
	})
	require.NoError(t, err)
	deployer := b.Client(b.Token("dan", nil, backendtest.Binding("default", v1.Role_ROLE_DEPLOYER)))
	refusal := func(connection string) string {
		stages := []*v1.Stage{
			{Name: "Source", Actions: []*v1.Action{{
				Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
				Configuration:   map[string]string{"RepositoryUrl": "acme/web", "Branch": "main", "Connection": connection},
				OutputArtifacts: []*v1.OutputArtifact{{Name: "src"}},
			}}},
			{Name: "Release", Actions: []*v1.Action{{Name: "Sign", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}}},
		}
		for _, validateOnly := range []bool{true, false} {
			_, err = deployer.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{ValidateOnly: validateOnly, Pipeline: &v1.Pipeline{
				Name: "accounts/default/pipelines/web", Definition: &v1.PipelineDefinition{Stages: stages},
			}})
			require.ErrorContains(t, err, "names a connection of another account; name a connection of account \"default\"")
			require.Equal(t, codes.InvalidArgument, status.Code(err))
			require.Contains(t, fmt.Sprint(status.Convert(err).Details()), "configuration")
		}
		return err.Error()
	}
	for _, form := range []string{"accounts/other/connections/%s", "arn:headrace:connections::other:connection/%s"} {
		there, missing := refusal(fmt.Sprintf(form, "forge")), refusal(fmt.Sprintf(form, "smith"))
		require.Equal(t, there, strings.ReplaceAll(missing, "smith", "forge"), "it does not tell which connections exist")
	}
	_, err = deployer.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: "accounts/default/pipelines/parts", Definition: &v1.PipelineDefinition{}, Composition: v1.Composition_COMPOSITION_COMPOSED}})
	require.NoError(t, err)
	_, err = deployer.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{Stage: &v1.PipelineStage{Name: "accounts/default/pipelines/parts/stages/Source", Order: 1}})
	require.NoError(t, err)
	_, err = deployer.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{Action: &v1.PipelineAction{
		Name: "accounts/default/pipelines/parts/stages/Source/actions/Checkout", Action: &v1.Action{
			Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1", OutputArtifacts: []*v1.OutputArtifact{{Name: "src"}},
			Configuration: map[string]string{"RepositoryUrl": "acme/web", "Connection": "accounts/other/connections/forge"},
		},
	}})
	require.ErrorContains(t, err, "names a connection of another account")
}
