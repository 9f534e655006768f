package pipelineversion

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

const description = "The newest published version of a composed [`headrace_pipeline`](pipeline.md), best one with " +
	"`publish = \"explicit\"`: all stages and actions are published at once, or the apply fails with the reasons why they do not " +
	"fit together.\n\n" +
	"It publishes when it is created, when its `triggers` change, and when it finds changes that are not published or a version " +
	"that somebody else published. A destroy " +
	"only removes it from the state: versions remain until the pipeline is deleted."

// Schema returns the arguments.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Resource name of the pipeline: `accounts/{account}/pipelines/{pipeline}`.",
			},
			"account": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Account of the pipeline. Defaults to the provider's account. Another value replaces the resource; " +
					"if only the provider's account changes, the plan is refused.",
			},
			"pipeline": schema.StringAttribute{
				Required:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Name of the composed pipeline. A change replaces the resource.",
			},
			"triggers": schema.MapAttribute{
				Optional:    true,
				ElementType: types.StringType,
				MarkdownDescription: "Values whose change publishes, such as `headrace_stage.build.etag`. They also make the version wait " +
					"for its stages and actions: name all of them.",
			},
			"version": schema.Int64Attribute{
				Computed:            true,
				MarkdownDescription: "Number of the version.",
			},
			"digest": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "SHA-256 of the definition, as hex: equal definitions have equal digests.",
			},
			"unpublished_changes": schema.BoolAttribute{
				Computed: true,
				MarkdownDescription: "Whether there is something to publish: stages or actions changed since the version, or somebody " +
					"else published one since the last apply. After an apply it is `false`; when a refresh finds `true`, the plan " +
					"publishes.",
			},
		},
	}
}

// IdentitySchema returns what names the resource for good.
func (r *Resource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse,
) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"account":  identityschema.StringAttribute{OptionalForImport: true, Description: "Account of the pipeline; the provider's where left out."},
		"pipeline": identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the pipeline."},
	}}
}

// model is the resource as Terraform has it.
type model struct {
	ID                 types.String `tfsdk:"id"`
	Account            types.String `tfsdk:"account"`
	Pipeline           types.String `tfsdk:"pipeline"`
	Triggers           types.Map    `tfsdk:"triggers"`
	Version            types.Int64  `tfsdk:"version"`
	Digest             types.String `tfsdk:"digest"`
	UnpublishedChanges types.Bool   `tfsdk:"unpublished_changes"`
}

// identity is what names the resource for good.
type identity struct {
	Account  types.String `tfsdk:"account"`
	Pipeline types.String `tfsdk:"pipeline"`
}

func (m model) identity() identity {
	return identity{Account: m.Account, Pipeline: m.Pipeline}
}

// pipelineName returns the resource name of the pipeline. It does not rest on the
// id, which is only shown.
func (m model) pipelineName() string {
	return client.PipelineName(m.Account.ValueString(), m.Pipeline.ValueString())
}

// refreshed returns the model with the newest version that the backend has. A
// version that this resource did not publish asks for another one, until an apply
// has made sure that what is published are the parts as they are then.
func (m model) refreshed(version *headracev1.PipelineVersion, unpublished bool) model {
	foreign := !m.Digest.IsNull() && m.Digest.ValueString() != version.GetDigest()
	return m.with(version, unpublished || foreign || m.UnpublishedChanges.ValueBool())
}

// with returns the model with the version that the backend has.
func (m model) with(version *headracev1.PipelineVersion, unpublished bool) model {
	m.ID = types.StringValue(m.pipelineName())
	m.Version = types.Int64Value(version.GetVersion())
	m.Digest = types.StringValue(version.GetDigest())
	m.UnpublishedChanges = types.BoolValue(unpublished)
	return m
}
