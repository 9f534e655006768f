package pipeline

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
)

// The values of publish.
const (
	publishAuto     = "auto"
	publishExplicit = "explicit"
)

// model is the resource as Terraform has it.
type model struct {
	ID      types.String `tfsdk:"id"`
	Account types.String `tfsdk:"account"`
	Name    types.String `tfsdk:"name"`
	definition.Settings
	Stages       []definition.Stage `tfsdk:"stage"`
	Publish      types.String       `tfsdk:"publish"`
	ForceDestroy types.Bool         `tfsdk:"force_destroy"`
	Version      types.Int64        `tfsdk:"version"`
	UID          types.String       `tfsdk:"uid"`
	ETag         types.String       `tfsdk:"etag"`
}

// identity is what names a pipeline for good.
type identity struct {
	Account types.String `tfsdk:"account"`
	Name    types.String `tfsdk:"name"`
}

func (m model) identity() identity {
	return identity{Account: m.Account, Name: m.Name}
}

// terraformPath returns where Terraform has a field of the pipeline.
func (m model) terraformPath(fields domain.Path) domain.Path {
	return definition.TerraformPathIn(m.Stages, fields)
}

// resourceName returns what the backend calls the pipeline. It does not rest on
// the id, which is only shown.
func (m model) resourceName() string {
	return client.PipelineName(m.Account.ValueString(), m.Name.ValueString())
}

// message returns the pipeline to send, without an etag.
func (m model) message() *headracev1.Pipeline {
	def := m.Domain()
	def.Stages = definition.StagesDomain(m.Stages)
	pipeline := &headracev1.Pipeline{
		Name:        m.resourceName(),
		Definition:  pipelinepb.ToProto(&def),
		Composition: headracev1.Composition_COMPOSITION_INLINE,
	}
	if len(m.Stages) == 0 {
		pipeline.Composition = headracev1.Composition_COMPOSITION_COMPOSED
		pipeline.Publish = headracev1.PublishPolicy_PUBLISH_POLICY_AUTO
		if m.Publish.ValueString() == publishExplicit {
			pipeline.Publish = headracev1.PublishPolicy_PUBLISH_POLICY_EXPLICIT
		}
	}
	return pipeline
}

// modelOf returns what Terraform shows of a pipeline. What the backend does not
// know, and the choice between null and empty, comes from prior.
func modelOf(pipeline *headracev1.Pipeline, prior model) model {
	def := pipelinepb.FromProto(pipeline.GetDefinition())
	m := model{
		ID:           types.StringValue(pipeline.GetName()),
		Account:      types.StringValue(client.Segment(pipeline.GetName(), "accounts")),
		Name:         types.StringValue(client.Segment(pipeline.GetName(), "pipelines")),
		Settings:     definition.SettingsOf(def, prior.Settings),
		Publish:      publishOf(pipeline),
		ForceDestroy: types.BoolValue(prior.ForceDestroy.ValueBool()),
		UID:          types.StringValue(pipeline.GetUid()),
		ETag:         types.StringValue(pipeline.GetEtag()),
	}
	// The stages of a composed pipeline belong to resources of their own, and so
	// do its versions: they come after its apply, when what refers to this
	// resource was read already.
	if pipeline.GetComposition() == headracev1.Composition_COMPOSITION_INLINE {
		m.Version = types.Int64Value(pipeline.GetVersion())
		m.Stages = definition.StagesOf(def.Stages, prior.Stages)
	}
	return m
}

// publishOf returns null for an inline pipeline, where there is no choice.
func publishOf(pipeline *headracev1.Pipeline) types.String {
	switch {
	case pipeline.GetComposition() == headracev1.Composition_COMPOSITION_INLINE:
		return types.StringNull()
	case pipeline.GetPublish() == headracev1.PublishPolicy_PUBLISH_POLICY_EXPLICIT:
		return types.StringValue(publishExplicit)
	default:
		return types.StringValue(publishAuto)
	}
}
