package action

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
)

const description = "An action of a [`headrace_stage`](stage.md) of a composed [`headrace_pipeline`](pipeline.md). Its arguments are " +
	"those of an `action` block, but for `provider_name`, since `provider` is Terraform's own word." +
	"\n\n~> **With `publish = \"auto\"`, the default of the pipeline, each change is published by itself**, also between the delete " +
	"and the create that a rename is: renaming an approval action publishes a version without it in between. For a pipeline with " +
	"approvals set `publish = \"explicit\"` and publish with [`headrace_pipeline_version`](pipeline_version.md)." +
	"\n\nA pipeline that is replaced comes without its stages and actions. With `replace_triggered_by` and the `uid` of the pipeline, as " +
	"in the example, the same apply creates the action again."

// Schema returns the arguments.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	attributes := definition.ActionAttributes()
	maps.Copy(attributes, map[string]schema.Attribute{
		"id": schema.StringAttribute{
			Computed:            true,
			MarkdownDescription: "Resource name: `accounts/{account}/pipelines/{pipeline}/stages/{stage}/actions/{name}`.",
		},
		"account": schema.StringAttribute{
			Optional:   true,
			Computed:   true,
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			MarkdownDescription: "Account of the pipeline. Defaults to the provider's account. Another value replaces the action; if only " +
				"the provider's account changes, the plan is refused.",
		},
		"pipeline": schema.StringAttribute{
			Required:            true,
			PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			MarkdownDescription: "Name of the composed pipeline, as in `headrace_pipeline.web.name`. A change replaces the action.",
		},
		"stage": schema.StringAttribute{
			Required:            true,
			PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			MarkdownDescription: "Name of the stage, as in `headrace_stage.build.name`. A change replaces the action.",
		},
		"name": schema.StringAttribute{
			Required:      true,
			PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			MarkdownDescription: "Name of the action, unique in the stage: 1 to 100 of `A-Z a-z 0-9 . @ _ -`. A change replaces the " +
				"action.",
		},
		"provider_name": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "Action provider, which an `action` block calls `provider`. " + definition.ActionProviders(),
		},
		"etag": schema.StringAttribute{
			Computed: true,
			MarkdownDescription: "Changes with every change of the action, so it can trigger a " +
				"[`headrace_pipeline_version`](pipeline_version.md). An apply and a destroy send it back, so that they fail rather " +
				"than overwrite or delete what somebody else changed since the plan.",
		},
	})
	response.Schema = schema.Schema{
		MarkdownDescription: description, Attributes: attributes, Blocks: definition.Located(definition.ActionBlocks()),
	}
}

// IdentitySchema returns what names an action for good.
func (r *Resource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse,
) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"account":  identityschema.StringAttribute{OptionalForImport: true, Description: "Account of the pipeline; the provider's where left out."},
		"pipeline": identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the pipeline."},
		"stage":    identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the stage."},
		"name":     identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the action."},
	}}
}
