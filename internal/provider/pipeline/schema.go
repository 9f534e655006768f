package pipeline

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
)

const description = "A pipeline: a release process that Headrace runs. Applying it publishes one immutable version of its " +
	"definition and starts nothing; executions that run finish on the version they started with, unless `on_update` says otherwise.\n\n" +
	"With `stage` blocks the pipeline is **inline**, in the shape of `aws_codepipeline`: one apply publishes one version, as a " +
	"whole or not at all. Without them it is **composed** of [`headrace_stage`](stage.md) and [`headrace_action`](action.md) " +
	"resources, for modules and for teams that own different parts. A pipeline is one or the other: going from inline to " +
	"composed, or back, replaces it.\n\n" +
	"~> **A pipeline that is replaced starts anew,** without its history and with all transitions enabled, and a composed one without " +
	"stages and actions. Give the resources that belong to it `replace_triggered_by`, as described at `uid`, so that the same " +
	"apply creates them again; otherwise only the next plan finds them gone.\n\n" +
	"A pipeline with approvals is best inline, or composed with `publish = \"explicit\"`: see `publish`.\n\n" +
	"The definition is checked while Terraform plans, by the rules of the server and without one."

// Schema returns the arguments.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	attributes := definition.SettingsAttributes()
	maps.Copy(attributes, map[string]schema.Attribute{
		"id": schema.StringAttribute{
			Computed:            true,
			MarkdownDescription: "Resource name: `accounts/{account}/pipelines/{name}`.",
		},
		"account": schema.StringAttribute{
			Optional:   true,
			Computed:   true,
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			MarkdownDescription: "Account of the pipeline. Defaults to the provider's account. Another value replaces the " +
				"pipeline, with its versions and its history; if only the provider's account changes, the plan is refused.",
		},
		"name": schema.StringAttribute{
			Required:      true,
			PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			MarkdownDescription: "Name, unique in the account: 1 to 100 of `A-Z a-z 0-9 . @ _ -`. A change replaces the pipeline, " +
				"with its versions and its history.",
		},
		"publish": schema.StringAttribute{
			Optional:   true,
			Computed:   true,
			Validators: []validator.String{stringvalidator.OneOf(publishAuto, publishExplicit)},
			MarkdownDescription: "When a composed pipeline gets a new version: `auto` publishes each change that leaves the whole " +
				"definition valid, `explicit` leaves it to [`headrace_pipeline_version`](pipeline_version.md). Defaults to `auto`. " +
				"Not for inline pipelines, which publish with every apply.\n\n" +
				"  **`auto` publishes in the middle of an apply, too:** every single change of a stage or an action that leaves the " +
				"definition valid is a version of its own. A rename is a delete and a create, so the rename of an approval action " +
				"publishes a version without the approval in between, and an execution that starts then runs without it. Use " +
				"`explicit` with `headrace_pipeline_version` for every pipeline with approvals: it publishes all changes of an apply " +
				"at once.",
		},
		"force_destroy": schema.BoolAttribute{
			Optional: true,
			Computed: true,
			Default:  booldefault.StaticBool(false),
			MarkdownDescription: "Lets a destroy abandon executions that are live. Otherwise a destroy is refused while there are " +
				"any. Defaults to `false`. To use it, apply it before the destroy.",
		},
		"version": schema.Int64Attribute{
			Computed: true,
			MarkdownDescription: "Number of the version that the apply published. Null for a composed pipeline, whose versions come " +
				"after it, with its stages and actions: there use [`headrace_pipeline_version`](pipeline_version.md), or the data " +
				"source [`headrace_pipeline`](../data-sources/pipeline.md).",
		},
		"uid": schema.StringAttribute{
			Computed:      true,
			PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			MarkdownDescription: "Names this pipeline and no other: one that is created again under the same name has another. Transitions, " +
				"stages, actions and versions go with the pipeline that they belong to. Where they are resources of their own, " +
				"`lifecycle { replace_triggered_by = [headrace_pipeline.web.uid] }` in them makes the apply that replaces the pipeline " +
				"create them again.",
		},
		"etag": schema.StringAttribute{
			Computed: true,
			MarkdownDescription: "Changes with every change of the pipeline, but not with stages and actions that are resources of their " +
				"own. An apply and a destroy send it back, so that they fail rather than overwrite or delete what somebody else " +
				"changed since the plan.",
		},
	})
	blocks := definition.SettingsBlocks()
	blocks["stage"] = definition.StageBlock()
	response.Schema = schema.Schema{MarkdownDescription: description, Attributes: attributes, Blocks: definition.Located(blocks)}
}

// IdentitySchema returns what names a pipeline for good.
func (r *Resource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse,
) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"account": identityschema.StringAttribute{OptionalForImport: true, Description: "Account of the pipeline; the provider's where left out."},
		"name":    identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the pipeline."},
	}}
}
