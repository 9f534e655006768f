package stage

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
)

const maxOrder = 1000000

const description = "A stage of a composed [`headrace_pipeline`](pipeline.md), which is one without `stage` blocks. Its actions are " +
	"[`headrace_action`](action.md) resources. A stage of an inline pipeline is a block of it. The server refuses to mix the two." +
	"\n\n~> **With `publish = \"auto\"`, the default of the pipeline, each change is published by itself**, also between the delete " +
	"and the create that a rename is: renaming a stage, with its approval actions, publishes a version without it in between. For a pipeline with " +
	"approvals set `publish = \"explicit\"` and publish with [`headrace_pipeline_version`](pipeline_version.md)." +
	"\n\nA pipeline that is replaced comes without its stages and actions. With `replace_triggered_by` and the `uid` of the pipeline, as " +
	"in the example, the same apply creates the stage again." +
	"\n\nA stage is deleted once it has no actions. Actions that refer to their stage, as in the example, are deleted before it. " +
	"Without references, Terraform deletes them at the same time. The delete of the stage then waits for them, and fails if no " +
	"action was deleted for 10 seconds; the error names those that remain. With ten or more such stages, Terraform's default " +
	"`-parallelism` leaves no room for the deletes of their actions."

// Schema returns the arguments.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Resource name: `accounts/{account}/pipelines/{pipeline}/stages/{name}`.",
			},
			"account": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Account of the pipeline. Defaults to the provider's account. Another value replaces the stage; if only " +
					"the provider's account changes, the plan is refused.",
			},
			"pipeline": schema.StringAttribute{
				Required:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Name of the composed pipeline, as in `headrace_pipeline.web.name`. A change replaces the stage.",
			},
			"name": schema.StringAttribute{
				Required:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Name of the stage, unique in the pipeline: 1 to 100 of `A-Z a-z 0-9 . @ _ -`. A change replaces " +
					"the stage.",
			},
			"order": schema.Int64Attribute{
				Required:   true,
				Validators: []validator.Int64{int64validator.Between(1, maxOrder)},
				MarkdownDescription: "Place among the stages, 1 to 1000000: ascending, and unique in a pipeline that is published. Leave gaps, as in 10, 20, " +
					"30, so that a stage can be put in between without a change of the others.",
			},
			"etag": schema.StringAttribute{
				Computed: true,
				MarkdownDescription: "Changes with every change of the stage, so it can trigger a " +
					"[`headrace_pipeline_version`](pipeline_version.md). An apply and a destroy send it back, so that they fail " +
					"rather than overwrite or delete what somebody else changed since the plan.",
			},
		},
		Blocks: definition.Located(definition.StageBlocks()),
	}
}

// IdentitySchema returns what names a stage for good.
func (r *Resource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse,
) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"account":  identityschema.StringAttribute{OptionalForImport: true, Description: "Account of the pipeline; the provider's where left out."},
		"pipeline": identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the pipeline."},
		"name":     identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the stage."},
	}}
}
