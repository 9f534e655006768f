package stage

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
)

// model is the resource as Terraform has it.
type model struct {
	ID       types.String `tfsdk:"id"`
	Account  types.String `tfsdk:"account"`
	Pipeline types.String `tfsdk:"pipeline"`
	Name     types.String `tfsdk:"name"`
	Order    types.Int64  `tfsdk:"order"`
	definition.StageFields
	ETag types.String `tfsdk:"etag"`
}

// identity is what names a stage for good.
type identity struct {
	Account  types.String `tfsdk:"account"`
	Pipeline types.String `tfsdk:"pipeline"`
	Name     types.String `tfsdk:"name"`
}

func (m model) identity() identity {
	return identity{Account: m.Account, Pipeline: m.Pipeline, Name: m.Name}
}

// resourceName returns what the backend calls the stage. It does not rest on the id,
// which is only shown.
func (m model) resourceName() string {
	return client.StageName(m.Account.ValueString(), m.Pipeline.ValueString(), m.Name.ValueString())
}

// message returns the stage to send, without an etag.
func (m model) message() *headracev1.PipelineStage {
	name := domain.StageName{
		PipelineName: domain.PipelineName{Account: m.Account.ValueString(), Pipeline: m.Pipeline.ValueString()},
		Stage:        m.Name.ValueString(),
	}
	message := pipelinepb.PipelineStageToProto(name, m.Domain(m.Name))
	message.Order = int32(m.Order.ValueInt64())
	return message
}

// modelOf returns what Terraform shows of a stage. The choice between null and
// empty comes from prior.
func modelOf(message *headracev1.PipelineStage, prior model) model {
	name := client.Segment(message.GetName(), "stages")
	return model{
		ID:          types.StringValue(message.GetName()),
		Account:     types.StringValue(client.Segment(message.GetName(), "accounts")),
		Pipeline:    types.StringValue(client.Segment(message.GetName(), "pipelines")),
		Name:        types.StringValue(name),
		Order:       types.Int64Value(int64(message.GetOrder())),
		StageFields: definition.StageFieldsOf(pipelinepb.PipelineStageFromProto(name, message), prior.StageFields),
		ETag:        types.StringValue(message.GetEtag()),
	}
}
