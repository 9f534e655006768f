package trigger

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
)

// The values that the server takes for those that are not set.
const (
	defaultNewBranch   = string(domain.NewBranchCompareDefault)
	defaultMovedTag    = string(domain.MovedTagRefuse)
	defaultUnknownDiff = string(domain.UnknownDiffStart)
	defaultCoalesce    = string(domain.CoalesceLatest)
)

// maxFilters is the limit of the domain, with which Terraform underlines the blocks.
const maxFilters = 50

const description = "Starts executions of a pipeline by itself: when a branch, a tag or a pull request of a repository changes (`git`), or when " +
	"a generic webhook gets an event (`webhook`). Exactly one of the two blocks is needed.\n\n" +
	"Creating or changing a trigger starts nothing: what the repository has then is what later changes are compared with. A change " +
	"starts at most one execution of each trigger, whether a webhook, a poll or a delivery that is sent again reports it. `trigger` " +
	"blocks and `DetectChanges` of the pipeline start executions in addition to this resource. A `trigger` block turns `DetectChanges` off.\n\n" +
	"Every decision is recorded with its reason: `headrace trigger explain PIPELINE --commit SHA` says why a push started nothing. `headrace " +
	"trigger pause NAME` keeps a trigger from starting executions and is not part of the configuration. Plan and apply warn of filters that " +
	"can never match, and of those that match no branch or tag that the repository has now."

// Schema returns the arguments.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Resource name: `accounts/{account}/triggers/{name}`.",
			},
			"account": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Validators: notEmpty(),
				MarkdownDescription: "Account of the trigger and its pipeline. Defaults to the provider's account. Another value replaces the " +
					"trigger; if only the provider's account changes, the plan is refused.",
			},
			"name": schema.StringAttribute{
				Required:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Name, unique in the account: 1 to 100 of `A-Z a-z 0-9 . @ _ -`. A change replaces the trigger.",
			},
			"pipeline": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Name of the pipeline that it starts.",
			},
			"description": optionalText("What the trigger is for, up to 1000 characters."),
			"variables": schema.MapAttribute{
				Optional:    true,
				ElementType: types.StringType,
				Validators:  []validator.Map{mapvalidator.NoNullValues()},
				MarkdownDescription: "Values of variables of the pipeline. A value is text, or an expression in CEL over the event if it begins with " +
					"`=`, such as `=event.branch` or `=body.release.tag`. The guide on triggers lists the fields of `event`. Variables without a default need a value.",
			},
			"etag": schema.StringAttribute{
				Computed: true,
				MarkdownDescription: "Changes with every change of the trigger. An apply and a destroy send it back, so that they fail " +
					"rather than overwrite or delete what somebody else changed since the plan.",
			},
		},
		Blocks: map[string]schema.Block{"git": gitSchema(), "webhook": webhookSchema()},
	}
}

func gitSchema() schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: "Repository that is watched, and the events that start an execution. Without `push` and `pull_request`, every push " +
			"of a branch does. At most one.",
		Validators: []validator.List{listvalidator.SizeAtMost(1)},
		NestedObject: schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"source_action": schema.StringAttribute{
					Required:            true,
					MarkdownDescription: "Name of the source action that gets the exact commit.",
				},
				"connection": optionalText("Name of the connection that reaches the repository. Defaults to the one of the source action."),
				"repository": optionalText("Repository as the forge names it, such as `acme/web`; with a `git` connection the path below its endpoint. " +
					"Defaults to the one of the source action."),
				"new_branch": choice(defaultNewBranch, "What the first push of a branch does if an entry filters by file paths: `compare_default` compares "+
					"it with the merge base of the default branch, `start` starts an execution whatever files it has, `ignore` starts none, as in CodePipeline."),
				"moved_tag": choice(defaultMovedTag, "What happens if a tag moves to another commit: `refuse` starts nothing, since somebody may have replaced a "+
					"release; `allow` starts an execution as a new tag does."),
				"skip_markers": schema.BoolAttribute{
					Optional: true,
					Computed: true,
					Default:  booldefault.StaticBool(true),
					MarkdownDescription: "Whether a head commit of a branch or pull request can ask to start nothing, with " + definition.SkipMarkers +
						". Defaults to `true`.",
				},
				"on_unknown_diff": choice(defaultUnknownDiff, "What happens if an entry filters by file paths and the changed files of a push or pull request cannot be determined: "+
					"`start` an execution, or `ignore` it."),
				"coalesce": choice(defaultCoalesce, "How several moves of a branch or tag that are seen together are handled, for example after an outage: `latest` "+
					"starts one execution for the newest, `each` one for each recorded move in order."),
			},
			Blocks: definition.GitFilterBlocks(definition.FilterTexts{
				Nothing:     "Nothing starts if a branch or tag is deleted. `moved_tag` and `skip_markers` say what else starts nothing.",
				NewBranch:   "`new_branch` says what the first push of a branch does.",
				UnknownDiff: "If the changed files cannot be determined, `on_unknown_diff` decides.",
			}),
		},
	}
}

func webhookSchema() schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: "Generic webhook whose events start an execution. At most one.",
		Validators:          []validator.List{listvalidator.SizeAtMost(1)},
		NestedObject: schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"webhook": schema.StringAttribute{
					Required:            true,
					MarkdownDescription: "Name of a `headrace_webhook` of the kind `generic`.",
				},
				"when": optionalText("Condition in CEL over `body` and `headers`, such as `body.action == \"released\" && !body.draft`."),
				"source_revisions": schema.MapAttribute{
					Optional:            true,
					ElementType:         types.StringType,
					Validators:          []validator.Map{mapvalidator.NoNullValues()},
					MarkdownDescription: "Revisions that source actions fetch: by the name of the action an expression in CEL, such as `body.commit`.",
				},
				"idempotency_key": optionalText("Expression in CEL for the key by which repeated events are recognized, such as `body.id`. Defaults to the " +
					"id of the delivery: the header `webhook-id` or `Idempotency-Key`, `ce-source` with `ce-id`, or the hash of the body within 24 hours."),
			},
			Blocks: map[string]schema.Block{
				"filter": schema.ListNestedBlock{
					MarkdownDescription: "CodePipeline's filters, up to 50. All of them have to match.",
					Validators:          []validator.List{listvalidator.SizeAtMost(maxFilters)},
					NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
						"json_path": schema.StringAttribute{
							Required:            true,
							MarkdownDescription: "JSONPath (RFC 9535) into the body, such as `$.ref`, 1 to 150 characters.",
						},
						"match_equals": schema.StringAttribute{
							Required: true,
							MarkdownDescription: "Required value, 1 to 150 characters. `{Key}` stands for the value of that key in the " +
								"configuration of the pipeline's source action, such as `refs/heads/{Branch}`.",
						},
					}},
				},
			},
		},
	}
}

func notEmpty() []validator.String {
	return []validator.String{stringvalidator.LengthAtLeast(1)}
}

func optionalText(text string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, Validators: notEmpty(), MarkdownDescription: text}
}

// choice is an attribute with a word, which the rules of the domain check.
func choice(usual, text string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, Computed: true, Default: stringdefault.StaticString(usual), Validators: notEmpty(),
		MarkdownDescription: text + " Defaults to `" + usual + "`.",
	}
}

// IdentitySchema returns what names a trigger for good.
func (r *Resource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse,
) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"account": identityschema.StringAttribute{OptionalForImport: true, Description: "Account of the trigger. Defaults to the provider's account."},
		"name":    identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the trigger."},
	}}
}
