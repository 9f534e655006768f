package stagetransition

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

const description = "The transition into a stage of a pipeline, enabled or disabled. While it is disabled, executions wait in front of the " +
	"stage, and newer ones supersede those that wait, or queue after them; an execution that is already in the stage continues. A " +
	"disabled transition stays disabled until somebody enables it. Retries, rollbacks and overrides do not pass it.\n\n" +
	"Every stage has one transition, also the first. Creating the resource sets it as declared, whatever it was, " +
	"and if somebody disables or enables it on the command line, the next plan shows the drift. Declare it for the stages whose transition only " +
	"Terraform should control.\n\n" +
	"Destroying the resource leaves the transition as it is, so that nothing enters a stage because a configuration is removed: see " +
	"`on_destroy`. To lift a freeze, set `enabled = true` and keep the resource.\n\n" +
	"A pipeline that is replaced comes with all transitions enabled. With `replace_triggered_by` and the `uid` of the pipeline, as in the " +
	"example, the same apply sets the transition as declared again.\n\n" +
	"Executions of a pipeline in `PARALLEL` mode pass one another and have no transitions. A pipeline with a disabled " +
	"transition cannot change to that mode."

// Schema returns the arguments.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Resource name of the stage: `accounts/{account}/pipelines/{pipeline}/stages/{stage}`.",
			},
			"account": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Account of the pipeline. Defaults to the provider's account. Another value replaces the " +
					"resource, and `on_destroy` applies to the transition in the old account; if only the provider's account " +
					"changes, the plan is refused.",
			},
			"pipeline": schema.StringAttribute{
				Required:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Name of the pipeline, as in `headrace_pipeline.web.name`. A change replaces the resource, " +
					"and `on_destroy` applies to the old transition.",
			},
			"stage": schema.StringAttribute{
				Required:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Name of the stage that the transition leads into, one of the newest version. A composed pipeline has to " +
					"be published first. A change replaces the resource, and `on_destroy` applies to the old transition, where " +
					"executions of older versions continue to wait.",
			},
			"enabled": schema.BoolAttribute{
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(true),
				MarkdownDescription: "Whether executions may enter the stage. Defaults to `true`.",
			},
			"disabled_reason": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Why the transition is disabled, up to 300 characters on one line: everybody whose execution waits there sees it. " +
					"Required with `enabled = false`, and not allowed otherwise.",
			},
			"on_destroy": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(destroyKeeps),
				Validators: []validator.String{stringvalidator.OneOf(destroyKeeps, destroyEnables)},
				MarkdownDescription: "What becomes of the transition when the resource is destroyed or replaced: `keep` leaves it as it is, so " +
					"that a disabled one stays disabled until somebody enables it by the command line; `enable` enables it, and what waits in front of the stage " +
					"enters it. Terraform destroys a transition before the pipeline that it refers to, so with `enable` a `terraform destroy` " +
					"of both first lets in what was frozen. Use `enable` where the resource is there only while the freeze is, as in " +
					"`count = var.freeze ? 1 : 0`, and apply it before the destroy. Defaults to `keep`.",
			},
		},
	}
}

// IdentitySchema returns what names a transition for good.
func (r *Resource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse,
) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"account":  identityschema.StringAttribute{OptionalForImport: true, Description: "Account of the pipeline; the provider's where left out."},
		"pipeline": identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the pipeline."},
		"stage":    identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the stage that the transition leads into."},
	}}
}
