package provider_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
	"github.com/headrace/terraform-provider-headrace/internal/provider/action"
	"github.com/headrace/terraform-provider-headrace/internal/provider/approvalrule"
	"github.com/headrace/terraform-provider-headrace/internal/provider/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/pipelineversion"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
	"github.com/headrace/terraform-provider-headrace/internal/provider/stage"
	"github.com/headrace/terraform-provider-headrace/internal/provider/stagetransition"
	"github.com/headrace/terraform-provider-headrace/internal/provider/trigger"
	"github.com/headrace/terraform-provider-headrace/internal/provider/webhook"
)

// TestBrokenID shows that a refresh repairs an id that a hand or a script broke in
// the state, instead of failing each time.
func TestBrokenID(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	compose(t, backend)
	listen(t, backend)
	const web = "accounts/default/pipelines/web"
	names := func(pairs ...string) map[string]string {
		names := map[string]string{"account": "default"}
		for i := 0; i < len(pairs); i += 2 {
			names[pairs[i]] = pairs[i+1]
		}
		return names
	}
	tests := map[string]struct {
		resource resource.Resource
		names    map[string]string
		id       string
	}{
		"pipeline": {&pipeline.Resource{}, names("name", "web"), web},
		"version":  {&pipelineversion.Resource{}, names("pipeline", "web"), web},
		"stage":    {&stage.Resource{}, names("pipeline", "web", "name", "Source"), web + "/stages/Source"},
		"action": {
			&action.Resource{}, names("pipeline", "web", "stage", "Source", "name", "Fetch"), web + "/stages/Source/actions/Fetch",
		},
		"transition": {&stagetransition.Resource{}, names("pipeline", "web", "stage", "Source"), web + "/stages/Source"},
		"rule":       {&approvalrule.Resource{}, names("name", "release"), "accounts/default/approvalRules/release"},
		"webhook":    {&webhook.Resource{}, names("name", "releases"), "accounts/default/webhooks/releases"},
		"trigger":    {&trigger.Resource{}, names("name", "released"), "accounts/default/triggers/released"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.id, refreshed(t, backend, test.resource, test.names))
		})
	}
}

// refreshed returns the id that a refresh leaves of an empty one.
func refreshed(t *testing.T, backend *acctest.Backend, managed resource.Resource, names map[string]string) string {
	t.Helper()
	ctx := t.Context()
	configured, ok := managed.(resource.ResourceWithConfigure)
	require.True(t, ok)
	configured.Configure(ctx, resource.ConfigureRequest{
		ProviderData: session.New(session.Config{Client: backend.API, Account: types.StringValue("default")}),
	}, &resource.ConfigureResponse{})
	identified, ok := managed.(resource.ResourceWithIdentity)
	require.True(t, ok)
	var identity resource.IdentitySchemaResponse
	identified.IdentitySchema(ctx, resource.IdentitySchemaRequest{}, &identity)
	var schema resource.SchemaResponse
	managed.Schema(ctx, resource.SchemaRequest{}, &schema)

	state := tfsdk.State{Schema: schema.Schema, Raw: tftypes.NewValue(schema.Schema.Type().TerraformType(ctx), nil)}
	require.False(t, state.SetAttribute(ctx, path.Root("id"), "").HasError())
	for attribute, name := range names {
		require.False(t, state.SetAttribute(ctx, path.Root(attribute), name).HasError())
	}
	response := resource.ReadResponse{State: state, Identity: &tfsdk.ResourceIdentity{
		Schema: identity.IdentitySchema,
		Raw:    tftypes.NewValue(identity.IdentitySchema.Type().TerraformType(ctx), nil),
	}}
	managed.Read(ctx, resource.ReadRequest{State: state}, &response)
	require.False(t, response.Diagnostics.HasError(), response.Diagnostics)
	var id string
	require.False(t, response.State.GetAttribute(ctx, path.Root("id"), &id).HasError())
	return id
}

// compose makes an object of every kind, as somebody other than Terraform would.
func compose(t *testing.T, backend *acctest.Backend) {
	t.Helper()
	const web = "accounts/default/pipelines/web"
	_, err := backend.API.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: web, Definition: &headracev1.PipelineDefinition{}, Composition: headracev1.Composition_COMPOSITION_COMPOSED,
	}})
	require.NoError(t, err)
	for i, action := range []*headracev1.Action{
		{
			Name: "Fetch", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
			OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
			Configuration:   map[string]string{"RepositoryUrl": "https://example.com/web.git"},
		},
		{
			Name: "Compile", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1",
			InputArtifacts: []string{"source"}, Commands: []string{"make"},
		},
	} {
		stage := web + "/stages/" + action.GetCategory()
		_, err = backend.API.Pipelines.CreateStage(t.Context(), &headracev1.CreateStageRequest{
			Stage: &headracev1.PipelineStage{Name: stage, Order: int32(i + 1)},
		})
		require.NoError(t, err)
		_, err = backend.API.Pipelines.CreateAction(t.Context(), &headracev1.CreateActionRequest{
			Action: &headracev1.PipelineAction{Name: stage + "/actions/" + action.GetName(), Action: action},
		})
		require.NoError(t, err)
	}
	_, err = backend.API.ApprovalRules.CreateApprovalRule(t.Context(), &headracev1.CreateApprovalRuleRequest{
		ApprovalRule: &headracev1.ApprovalRule{
			Name: "accounts/default/approvalRules/release", MinimumCount: 1,
			Selector: &headracev1.ApprovalSelector{Pipelines: []string{"web"}},
		},
	})
	require.NoError(t, err)
}

// listen makes a webhook, and a trigger of the pipeline web that reacts to it.
func listen(t *testing.T, backend *acctest.Backend) {
	t.Helper()
	_, err := backend.API.Webhooks.CreateWebhook(t.Context(), &headracev1.CreateWebhookRequest{Webhook: &headracev1.Webhook{
		Name: "accounts/default/webhooks/releases", Kind: headracev1.WebhookKind_WEBHOOK_KIND_GENERIC, Secret: "hunter22-of-the-webhook",
		Authentication: &headracev1.WebhookAuthentication{Method: &headracev1.WebhookAuthentication_Bearer{Bearer: &headracev1.BearerAuthentication{}}},
	}})
	require.NoError(t, err)
	_, err = backend.API.Triggers.CreateTrigger(t.Context(), &headracev1.CreateTriggerRequest{Trigger: &headracev1.DeclaredTrigger{
		Name: "accounts/default/triggers/released", Pipeline: "accounts/default/pipelines/web",
		Source: &headracev1.DeclaredTrigger_Webhook{Webhook: &headracev1.WebhookTrigger{Webhook: "accounts/default/webhooks/releases"}},
	}})
	require.NoError(t, err)
}
