package action

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
)

// model is the resource as Terraform has it.
type model struct {
	ID           types.String `tfsdk:"id"`
	Account      types.String `tfsdk:"account"`
	Pipeline     types.String `tfsdk:"pipeline"`
	Stage        types.String `tfsdk:"stage"`
	Name         types.String `tfsdk:"name"`
	ProviderName types.String `tfsdk:"provider_name"`
	definition.ActionFields
	ETag types.String `tfsdk:"etag"`
}

// identity is what names an action for good.
type identity struct {
	Account  types.String `tfsdk:"account"`
	Pipeline types.String `tfsdk:"pipeline"`
	Stage    types.String `tfsdk:"stage"`
	Name     types.String `tfsdk:"name"`
}

func (m model) identity() identity {
	return identity{Account: m.Account, Pipeline: m.Pipeline, Stage: m.Stage, Name: m.Name}
}

// resourceName returns what the backend calls the action. It does not rest on the id,
// which is only shown.
func (m model) resourceName() string {
	return client.ActionName(m.Account.ValueString(), m.Pipeline.ValueString(), m.Stage.ValueString(), m.Name.ValueString())
}

// message returns the action to send, without an etag.
func (m model) message() *headracev1.PipelineAction {
	return &headracev1.PipelineAction{
		Name:   m.resourceName(),
		Action: pipelinepb.ActionToProto(m.Domain(m.Name, m.ProviderName)),
	}
}

// modelOf returns what Terraform shows of an action. The choice between null and
// empty comes from prior.
func modelOf(message *headracev1.PipelineAction, prior model) model {
	name := message.GetName()
	action := pipelinepb.ActionFromProto(message.GetAction())
	return model{
		ID:           types.StringValue(name),
		Account:      types.StringValue(client.Segment(name, "accounts")),
		Pipeline:     types.StringValue(client.Segment(name, "pipelines")),
		Stage:        types.StringValue(client.Segment(name, "stages")),
		Name:         types.StringValue(client.Segment(name, "actions")),
		ProviderName: types.StringValue(action.Provider),
		ActionFields: definition.ActionFieldsOf(action, prior.ActionFields),
		ETag:         types.StringValue(message.GetEtag()),
	}
}
