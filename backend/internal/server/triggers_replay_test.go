package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
)

// Somebody who may deploy and approve cannot release alone by a replay.
func TestReplayMakesAStarter(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithHooks(), backendtest.WithConfig(func(cfg *config.Config) {
		cfg.PublicURL = "https://hooks.example.com"
	}))
	c := b.Admin()
	const pipelineName = "accounts/default/pipelines/web"
	_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: pipelineName, Definition: &v1.PipelineDefinition{Stages: []*v1.Stage{
		{Name: "Source", Actions: []*v1.Action{{
			Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1", RunOrder: 1,
			Configuration: map[string]string{"RepositoryUrl": "https://127.0.0.1:1/acme/web.git"}, OutputArtifacts: []*v1.OutputArtifact{{Name: "src"}},
		}}},
		{Name: "Release", Actions: []*v1.Action{{Name: "Sign", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1", RunOrder: 1}}},
	}}}})
	require.NoError(t, err)
	_, err = c.ApprovalRules.CreateApprovalRule(t.Context(), &v1.CreateApprovalRuleRequest{ApprovalRule: &v1.ApprovalRule{
		Name: "accounts/default/approvalRules/entry", Selector: &v1.ApprovalSelector{Pipelines: []string{"web"}, Stages: []string{"Source"}},
		MinimumCount: 1, Groups: []string{"ops"},
	}})
	require.NoError(t, err)
	hook, err := c.Webhooks.CreateWebhook(t.Context(), &v1.CreateWebhookRequest{Webhook: &v1.Webhook{
		Name: "accounts/default/webhooks/events", Kind: v1.WebhookKind_WEBHOOK_KIND_GENERIC, Secret: hookSecret,
		Authentication: &v1.WebhookAuthentication{Method: &v1.WebhookAuthentication_Hmac{Hmac: &v1.HmacAuthentication{Header: "X-Signature"}}},
	}})
	require.NoError(t, err)
	deliver := func(body string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"http://"+b.HooksAddr+strings.TrimPrefix(hook.GetWebhook().GetUrl(), "https://hooks.example.com"), strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-Signature", signature(body, hookSecret))
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusAccepted, response.StatusCode)
	}
	deliver(`{"action":"deploy"}`)
	_, err = c.Triggers.CreateTrigger(t.Context(), &v1.CreateTriggerRequest{Trigger: &v1.DeclaredTrigger{
		Name: "accounts/default/triggers/events", Pipeline: pipelineName,
		Source: &v1.DeclaredTrigger_Webhook{Webhook: &v1.WebhookTrigger{Webhook: hook.GetWebhook().GetName()}},
	}})
	require.NoError(t, err)
	kept, err := c.Webhooks.ListDeliveries(t.Context(), &v1.ListDeliveriesRequest{Parent: hook.GetWebhook().GetName()})
	require.NoError(t, err)

	both := []*v1.RoleBinding{backendtest.Binding("default", v1.Role_ROLE_DEPLOYER), backendtest.Binding("default", v1.Role_ROLE_APPROVER)}
	dan := b.Client(b.Token("dan", []string{"ops"}, both...))
	eve := b.Client(b.Token("eve", []string{"ops"}, both...))
	replayed, err := dan.Webhooks.ReplayDelivery(t.Context(), &v1.ReplayDeliveryRequest{Name: kept.GetDeliveries()[0].GetName()})
	require.NoError(t, err)
	decision := replayed.GetDelivery().GetDecisions()[0]
	require.Equal(t, v1.TriggerOutcome_TRIGGER_OUTCOME_STARTED, decision.GetOutcome())
	require.Equal(t, "dan", decision.GetReplayedBy())
	got, err := c.Executions.GetExecution(t.Context(), &v1.GetExecutionRequest{Name: decision.GetExecution()})
	require.NoError(t, err)
	require.Equal(t, "dan", got.GetExecution().GetTrigger().GetReplayedBy())
	approval := got.GetExecution().GetStages()[0].GetEntryApproval()
	require.Equal(t, []string{"dan"}, approval.GetExcludedUsers(), "and not the trigger, as which nobody approves")
	decide := &v1.DecideApprovalRequest{Name: decision.GetExecution(), Stage: "Source", ApprovalId: approval.GetId(), Approve: true}
	_, err = dan.Executions.DecideApproval(t.Context(), decide)
	require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
	require.ErrorContains(t, err, "dan replayed the delivery that started execution 1, and rule entry does not let the starter decide on the entry of stage Source")
	_, err = eve.Executions.DecideApproval(t.Context(), decide)
	require.NoError(t, err)

	// What nobody replayed has no person who started it.
	deliver(`{"action":"deploy again"}`)
	list, err := c.Executions.ListExecutions(t.Context(), &v1.ListExecutionsRequest{Parent: pipelineName})
	require.NoError(t, err)
	require.Len(t, list.GetExecutions(), 2)
	require.Empty(t, list.GetExecutions()[0].GetTrigger().GetReplayedBy())
}
