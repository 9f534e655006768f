package definition

import (
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// What a rule_type_id block says besides the provider: constants of the shape.
const (
	ruleCategory       = "Rule"
	ruleOwner          = "Headrace"
	defaultRuleVersion = "1"
)

// StageBlock returns the stage block of headrace_pipeline.
func StageBlock() schema.Block {
	blocks := StageBlocks()
	blocks["action"] = actionBlock()
	return schema.ListNestedBlock{
		MarkdownDescription: "Stage of the pipeline, 2 to 50, in order. With any stage block the pipeline is inline; without one it " +
			"is composed of `headrace_stage` and `headrace_action` resources.",
		NestedObject: schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"name": schema.StringAttribute{
					Required:            true,
					MarkdownDescription: "Name of the stage, unique in the pipeline: 1 to 100 of `A-Z a-z 0-9 . @ _ -`.",
				},
			},
			Blocks: blocks,
		},
	}
}

// StageBlocks returns the blocks that a stage has wherever it is written.
func StageBlocks() map[string]schema.Block {
	const rollback = "rolls it back to the last execution that succeeded in it, if the stage, and what it uses from other stages, is the " +
		"same in the version of that execution. It is not available in the first stage or in `PARALLEL` mode"
	const unchecked = " A rule that cannot be checked, for example because a variable has no value, fails the stage whatever the result."
	return map[string]schema.Block{
		"before_entry": one("Condition that is checked when an execution has entered the stage, after the approval of the entry and "+
			"before the first action; other executions wait for the stage meanwhile. A retry of a stage that ended checks it again.",
			schema.NestedBlockObject{Blocks: map[string]schema.Block{
				"condition": conditionBlock("What happens if a rule is not met: `FAIL` fails the stage; `SKIP` skips its actions and continues " +
					"with the next stage, and allows only rules of " + catalog.ProvidersText(skipPages()) + "." + unchecked),
			}}),
		"on_success": one("Condition that is checked after all actions of the stage succeed.",
			schema.NestedBlockObject{Blocks: map[string]schema.Block{
				"condition": conditionBlock("What happens if a rule is not met: `FAIL` fails the stage; `ROLLBACK` fails it and " +
					rollback + "." + unchecked),
			}}),
		"on_failure": one("What happens if an action of the stage fails. It does not apply if the approval of the entry, "+
			"`before_entry` or `on_success` failed the stage.", schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"result": optionalText("`RETRY` runs the stage once more, at most once in an execution of the stage, and not if somebody rejected " +
					"a manual approval or nobody answered it in time. `FAIL` leaves it failed, as without the block. `ROLLBACK` " + rollback + ". " +
					"With a `condition`, only `RETRY` and `FAIL` are allowed, and the condition is checked after the last attempt."),
			},
			Blocks: map[string]schema.Block{
				"retry_configuration": one("How `RETRY` runs the stage. Defaults to `FAILED_ACTIONS`.", schema.NestedBlockObject{
					Attributes: map[string]schema.Attribute{
						"retry_mode": schema.StringAttribute{
							Required:   true,
							Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
							MarkdownDescription: "`FAILED_ACTIONS` keeps what succeeded and runs the rest; `ALL_ACTIONS` runs all actions again, " +
								"from the first run order.",
						},
					},
				}),
				"condition": conditionBlock("What happens if all rules are met, for example because a check finds the release broken: " +
					"`ROLLBACK` rolls the stage back as `result` does; `FAIL` leaves it failed, and so does a rule that cannot be " +
					"checked."),
			},
		}),
		"on_rollback": one("Gates that an automatic rollback of the stage passes without waiting, so that a failed release does not stay "+
			"deployed until a window opens or people answer. A rollback that a person starts skips nothing. Requires the result "+
			"`ROLLBACK` in `on_failure` or `on_success`. A block that skips nothing is the same as no block. In a stage that an approval "+
			"rule guards, only an admin can publish a version that skips more than the version before.", schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"skip_conditions": flag("Skips the condition `before_entry`, its deployment windows included. In `on_success` and " +
					"`on_failure`, deployment windows count as open, and all other rules are checked: a smoke test that still fails after the " +
					"rollback fails it. Defaults to `false`."),
				"skip_approvals": flag("Counts the approval of the entry and the manual approval actions of the stage as given, without " +
					"anyone's decision. The execution shows that they were skipped. Defaults to `false`."),
			},
		}),
	}
}

// flag returns a choice that is false if it is left out.
func flag(description string) schema.Attribute {
	return schema.BoolAttribute{
		Optional: true, Computed: true, Default: booldefault.StaticBool(false), MarkdownDescription: description,
	}
}

func conditionBlock(result string) schema.Block {
	return one("The condition; exactly one, as in CodePipeline. It first waits until the windows of all `DeploymentWindow` rules are "+
		"open, and then checks the other rules.", schema.NestedBlockObject{
		Attributes: map[string]schema.Attribute{
			"result": required(result),
		},
		Blocks: map[string]schema.Block{"rule": ruleBlock()},
	})
}

func ruleBlock() schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: "Check of the condition, 1 to 5.",
		NestedObject: schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"name": schema.StringAttribute{
					Required:            true,
					MarkdownDescription: "Name of the rule, unique in the condition.",
				},
				"configuration": schema.MapAttribute{
					Optional:      true,
					ElementType:   types.StringType,
					PlanModifiers: []planmodifier.Map{nullsAreAbsent{}},
					MarkdownDescription: "Settings of the rule type. " + catalog.ConfigurationText(rulePages()) + " See also the guide [Gates](../guides/gates.md). Values may refer to variables, except in an expression, which reads " +
						"them by name. A null entry counts as absent. Do not write secrets here.",
				},
				"commands": texts("Shell lines of a `Commands` rule, 1 to 50 of up to 1000 characters each; the rule is met if all " +
					"succeed. They run like those of a `Commands` action, and may not refer to variables either: pass those in an " +
					"`environment_variable`."),
				"input_artifacts": texts("Names of artifacts that a `Commands` rule reads, up to 10."),
				"role_arn":        optionalText("IAM role that the rule assumes, for rules that work in AWS." + refused),
				"region":          optionalText("AWS region that the rule works in, for rules that work in AWS." + refused),
				"timeout_in_minutes": schema.Int64Attribute{
					Optional:            true,
					Validators:          []validator.Int64{int64validator.AtLeast(1)},
					MarkdownDescription: "Minutes until the rule fails, 5 to 86400. Defaults to " + catalog.TimeoutsText(rulePages()) + ".",
				},
			},
			Blocks: map[string]schema.Block{
				"environment_variable": environmentBlock("rule"),
				"rule_type_id": schema.ListNestedBlock{
					MarkdownDescription: "Type of the rule; exactly one.",
					Validators:          []validator.List{listvalidator.IsRequired(), listvalidator.SizeAtMost(1)},
					NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
						"category": schema.StringAttribute{
							Optional:            true,
							Computed:            true,
							Default:             stringdefault.StaticString(ruleCategory),
							Validators:          []validator.String{stringvalidator.OneOf(ruleCategory)},
							MarkdownDescription: "Always `Rule`, which is the default.",
						},
						"owner": schema.StringAttribute{
							Optional:      true,
							Computed:      true,
							Default:       stringdefault.StaticString(ruleOwner),
							PlanModifiers: []planmodifier.String{importedOwner{}},
							Validators:    []validator.String{stringvalidator.LengthAtLeast(1), ownsRule{}},
							MarkdownDescription: "Owner of the rule type. Defaults to `Headrace`. For a provider that this version knows, `AWS` means " +
								"the same, so a block copied from `aws_codepipeline` works unchanged. For any other provider, an owner other than " +
								"`Headrace` leaves the decision to the server.",
						},
						"provider": schema.StringAttribute{
							Required:            true,
							MarkdownDescription: "Provider of the rule. Providers of the owner `Headrace`: " + catalog.ProvidersText(rulePages()) + ".",
						},
						"version": schema.StringAttribute{
							Optional:            true,
							Computed:            true,
							Default:             stringdefault.StaticString(defaultRuleVersion),
							Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
							MarkdownDescription: "Version of the rule type. Defaults to `1`.",
						},
					}},
				},
			},
		},
	}
}

// rulePages returns the built-in types of rules.
func rulePages() []catalog.Page { return catalog.Pages(catalog.Builtin().Rules()) }

// skipPages returns the built-in types of rules that a condition with the result SKIP may have.
func skipPages() []catalog.Page {
	return catalog.Pages(slices.DeleteFunc(catalog.Builtin().Rules(), func(t pipeline.Type) bool { return !t.MaySkip }))
}

// one returns a block that occurs at most once. It is a list, as in
// aws_codepipeline, so that references and dynamic blocks move over too.
func one(description string, object schema.NestedBlockObject) schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: description + " At most one.",
		Validators:          []validator.List{listvalidator.SizeAtMost(1)},
		NestedObject:        object,
	}
}
