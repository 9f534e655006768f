package stagetransition

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// The values of on_destroy.
const (
	destroyKeeps   = "keep"
	destroyEnables = "enable"
)

// model is the resource as Terraform has it.
type model struct {
	ID             types.String `tfsdk:"id"`
	Account        types.String `tfsdk:"account"`
	Pipeline       types.String `tfsdk:"pipeline"`
	Stage          types.String `tfsdk:"stage"`
	Enabled        types.Bool   `tfsdk:"enabled"`
	DisabledReason types.String `tfsdk:"disabled_reason"`
	OnDestroy      types.String `tfsdk:"on_destroy"`
}

// identity is what names a transition for good.
type identity struct {
	Account  types.String `tfsdk:"account"`
	Pipeline types.String `tfsdk:"pipeline"`
	Stage    types.String `tfsdk:"stage"`
}

func (m model) identity() identity {
	return identity{Account: m.Account, Pipeline: m.Pipeline, Stage: m.Stage}
}

// pipelineName returns what the backend calls the pipeline. It does not rest on
// the id, which is only shown.
func (m model) pipelineName() string {
	return client.PipelineName(m.Account.ValueString(), m.Pipeline.ValueString())
}

// request returns the request that makes the transition what the model says.
func (m model) request() *headracev1.SetStageTransitionRequest {
	return &headracev1.SetStageTransitionRequest{
		Pipeline: m.pipelineName(),
		Stage:    m.Stage.ValueString(),
		Enabled:  m.Enabled.ValueBool(),
		Reason:   m.DisabledReason.ValueString(),
	}
}

// says tells whether two models say the same of the transition.
func (m model) says(other model) bool {
	return m.Enabled.Equal(other.Enabled) && m.DisabledReason.Equal(other.DisabledReason)
}

// modelOf returns what Terraform shows of the transition of a stage. What the
// backend does not know comes from prior.
func modelOf(stage *headracev1.StageState, prior model) model {
	m := model{
		ID:        types.StringValue(client.StageName(prior.Account.ValueString(), prior.Pipeline.ValueString(), prior.Stage.ValueString())),
		Account:   prior.Account,
		Pipeline:  prior.Pipeline,
		Stage:     prior.Stage,
		Enabled:   types.BoolValue(true),
		OnDestroy: prior.OnDestroy,
	}
	if m.OnDestroy.IsNull() {
		// An import does not bring it, nor does the state of an older provider.
		m.OnDestroy = types.StringValue(destroyKeeps)
	}
	if transition := stage.GetTransition(); transition != nil && !transition.GetEnabled() {
		m.Enabled = types.BoolValue(false)
		m.DisabledReason = values.FromText(transition.GetDisabledReason())
	}
	return m
}
