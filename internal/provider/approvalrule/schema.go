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

const description = "Sets who must approve before a stage or a manual approval action continues. A rule is independent of the " +
	"pipelines that it guards, and selects them by name. All rules that match must be met, so the strictest wins.\n\n" +
	"With `actions`, or with `pipelines` alone, a rule guards manual approval actions; with `stages` and no `actions` it guards the " +
	"entry of the stages. A rule is read when an approval opens: a change applies to approvals that open later. Only an admin may write rules.\n\n" +
	"Plan and apply warn of each entry of `pipelines`, `stages` and `actions` that matches nothing, of pipelines in which the " +
	"rule guards nothing, and of users and groups that no token with the role approver or admin has. `headrace approval-rule list` shows the same.\n\n" +
	"A manual approval action that no rule matches needs one approver who did not start the execution. If one person works alone, " +
	"create a rule with `allow_starter = true`. `headrace account set NAME --require-approval-rule` makes approvals without a rule " +
	"fail instead.\n\n" +
	"`on_rollback` of a stage can let automatic rollbacks pass without these approvals. In a stage that a rule guards, only an admin " +
	"can publish such a version."

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
				MarkdownDescription: "Account of the rule. Defaults to the provider's account. Another value replaces the rule; if only " +
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
				MarkdownDescription: "Globs over the names of pipelines (`* ? [ ] { }`), 1 to 100. A pipeline must match one of them.",
			},
			"stages":  texts("Globs over the names of stages, up to 100. A stage must match one of them. If not set, all stages match."),
			"actions": texts("Globs over the names of manual approval actions, up to 100. An action must match one of them."),
			"minimum_count": schema.Int64Attribute{
				Optional:            true,
				Computed:            true,
				Default:             int64default.StaticInt64(defaultCount),
				MarkdownDescription: "Number of different users who must approve, 1 to 100. Defaults to `1`.",
			},
			"users": texts("Names of the users who may approve, up to 100. If neither `users` nor `groups` is set, anyone with the " +
				"approver role may approve."),
			"groups": texts("Groups whose members may approve, up to 100. Each member counts once."),
			"require_comment": schema.BoolAttribute{
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(false),
				MarkdownDescription: "Whether a decision needs a comment. Defaults to `false`.",
			},
			"expire_after_minutes": schema.Int64Attribute{
				Optional:   true,
				Validators: []validator.Int64{int64validator.Between(1, maxExpiry)},
				MarkdownDescription: "Minutes until an open approval fails, 1 to 86400. If not set, the timeout of the action applies. If " +
					"several apply, the shortest counts.",
			},
			"allow_starter": schema.BoolAttribute{
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(false),
				MarkdownDescription: "Whether the user who started the execution counts as an approver. Defaults to `false`. Set it if one person " +
					"must be able to approve their own executions. Of an execution that a trigger started, nobody counts as the starter but a user who " +
					"replayed its delivery: users of a forge are not users of Headrace, so the person who pushed may approve. To prevent that, let the " +
					"forge require a review before a branch can be pushed to, or list approvers who cannot push.",
			},
			"newer_execution": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(newerWaits),
				Validators: []validator.String{stringvalidator.OneOf(newerWaits, newerSupersedes)},
				MarkdownDescription: "What a newer execution does if it arrives at the stage while an older one waits there for this " +
					"approval and for nothing else: `wait`, as in CodePipeline, or `supersede` the older one, which closes its approval " +
					"without a decision. `supersede` works only in the execution mode `SUPERSEDED`, and only if all rules that apply set " +
					"it. Defaults to `wait`.",
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
