package approvalrule

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// The limits of what is no matter of the rules of the domain, which hold the rest.
const (
	maxDescription = 1000
	maxExpiry      = 86400
)

const defaultCount = 1

// The values of newer_execution.
const (
	newerWaits      = "wait"
	newerSupersedes = "supersede"
)

const description = "Sets who must approve before a stage or a manual approval action continues. A rule is owned apart from the pipelines " +
	"that it guards and finds them by selectors. All rules that match must be met, so the strictest wins.\n\n" +
	"With `actions`, or with `pipelines` alone, a rule guards manual approval actions; with `stages` and no `actions` it guards the " +
	"entry of the stages. A rule is read when a wait begins: a change holds for later waits. Only an admin may write rules.\n\n" +
	"Plan and apply warn of each entry of `pipelines`, `stages` and `actions` that matches nothing, and of users and groups that no " +
	"token with the role approver or admin has. `headrace approval-rule list` shows the same. Without any rule a manual approval " +
	"action needs one approver who did not start the execution.\n\n" +
	"`on_rollback` of a stage can let automatic rollbacks pass without these approvals. In a stage that a rule guards, only an admin " +
	"can publish that."

// Schema returns the arguments.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Resource name: `accounts/{account}/approvalRules/{name}`.",
			},
			"account": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Account that the rule holds in. Defaults to the provider's account. Another value replaces the rule; if only " +
					"the provider's account changes, the plan is refused.",
			},
			"name": schema.StringAttribute{
				Required:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Name, unique in the account: 1 to 100 of `A-Z a-z 0-9 . @ _ -`. A change replaces the rule.",
			},
			"description": schema.StringAttribute{
				Optional:            true,
				Validators:          []validator.String{stringvalidator.UTF8LengthBetween(1, maxDescription)},
				MarkdownDescription: "What the rule is for, up to 1000 characters.",
			},
			"pipelines": schema.SetAttribute{
				Required:            true,
				ElementType:         types.StringType,
				Validators:          []validator.Set{setvalidator.NoNullValues()},
				MarkdownDescription: "Globs over the names of pipelines (`* ? [ ] { }`), 1 to 100; one that matches is enough.",
			},
			"stages":  texts("Globs over the names of stages, up to 100; one that matches is enough. Without it all stages match."),
			"actions": texts("Globs over the names of manual approval actions, up to 100; one that matches is enough."),
			"minimum_count": schema.Int64Attribute{
				Optional:            true,
				Computed:            true,
				Default:             int64default.StaticInt64(defaultCount),
				MarkdownDescription: "How many different people must agree, 1 to 100. Defaults to `1`.",
			},
			"users": texts("Names of the people that may agree, up to 100. Without `users` and `groups` everyone with the approver " +
				"role may."),
			"groups": texts("Groups whose members may agree, each for themselves, up to 100."),
			"require_comment": schema.BoolAttribute{
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(false),
				MarkdownDescription: "Whether a decision needs a comment. Defaults to `false`.",
			},
			"expire_after_minutes": schema.Int64Attribute{
				Optional:   true,
				Validators: []validator.Int64{int64validator.Between(1, maxExpiry)},
				MarkdownDescription: "Minutes until a wait fails, 1 to 86400. Without it the timeout of the action holds; the shortest of " +
					"all that apply counts.",
			},
			"allow_starter": schema.BoolAttribute{
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(false),
				MarkdownDescription: "Whether the one who started the execution counts as an approver. Defaults to `false`. Set it if one person " +
					"must be able to approve their own executions.",
			},
			"newer_execution": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(newerWaits),
				Validators: []validator.String{stringvalidator.OneOf(newerWaits, newerSupersedes)},
				MarkdownDescription: "What a newer execution does that arrives at the stage while an older one waits in it for this approval " +
					"and for nothing else: `wait`, as in CodePipeline, or `supersede` it, which takes its approval away unanswered. " +
					"Only in the execution mode `SUPERSEDED`; where several rules guard what is waited for, all must say `supersede`. " +
					"Defaults to `wait`.",
			},
			"etag": schema.StringAttribute{
				Computed: true,
				MarkdownDescription: "Changes with every change of the rule. An apply and a destroy send it back, so that they fail " +
					"rather than overwrite or delete what somebody else changed since the plan.",
			},
		},
	}
}

// IdentitySchema returns what names a rule for good.
func (r *Resource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse,
) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"account": identityschema.StringAttribute{OptionalForImport: true, Description: "Account of the rule; the provider's where left out."},
		"name":    identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the rule."},
	}}
}

func texts(description string) schema.SetAttribute {
	return schema.SetAttribute{
		Optional:            true,
		ElementType:         types.StringType,
		Validators:          []validator.Set{setvalidator.NoNullValues()},
		MarkdownDescription: description,
	}
}
