package definition

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// What a rule_type_id block says besides the provider: constants of the shape.
const (
	ruleCategory       = "Rule"
	ruleOwner          = "Headrace"
	ruleOwnerAWS       = "AWS"
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
	return map[string]schema.Block{
		"before_entry": one("Condition that must hold before the stage starts."+refused, schema.NestedBlockObject{
			Blocks: map[string]schema.Block{"condition": conditionBlock("`FAIL` or `SKIP`")},
		}),
		"on_success": one("Condition that must hold after the stage succeeded."+refused, schema.NestedBlockObject{
			Blocks: map[string]schema.Block{"condition": conditionBlock("`FAIL` or `ROLLBACK`")},
		}),
		"on_failure": one("What happens when the stage failed."+refused, schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"result": optionalText("`ROLLBACK` goes back to the last execution that succeeded; `RETRY` tries once more."),
			},
			Blocks: map[string]schema.Block{
				"retry_configuration": one("How a `RETRY` is done.", schema.NestedBlockObject{
					Attributes: map[string]schema.Attribute{
						"retry_mode": schema.StringAttribute{
							Required:            true,
							Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
							MarkdownDescription: "`FAILED_ACTIONS` or `ALL_ACTIONS`.",
						},
					},
				}),
				"condition": conditionBlock("`ROLLBACK`"),
			},
		}),
	}
}

func conditionBlock(results string) schema.Block {
	return one("The condition; exactly one, as in CodePipeline.", schema.NestedBlockObject{
		Attributes: map[string]schema.Attribute{
			"result": optionalText("What happens when the rules are not met: " + results + "."),
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
					Optional:            true,
					ElementType:         types.StringType,
					Validators:          []validator.Map{mapvalidator.NoNullValues()},
					MarkdownDescription: "Settings of the rule. Do not write secrets here.",
				},
				"commands":        texts("Shell lines of a `Commands` rule, 1 to 50 of up to 1000 characters each."),
				"input_artifacts": texts("Names of artifacts that the rule reads."),
				"role_arn":        optionalText("IAM role that the rule assumes, for rules that work in AWS."),
				"region":          optionalText("AWS region that the rule works in, for rules that work in AWS."),
				"timeout_in_minutes": schema.Int64Attribute{
					Optional:            true,
					Validators:          []validator.Int64{int64validator.AtLeast(1)},
					MarkdownDescription: "Minutes until the rule fails, 5 to 86400.",
				},
			},
			Blocks: map[string]schema.Block{
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
							Optional:   true,
							Computed:   true,
							Default:    stringdefault.StaticString(ruleOwner),
							Validators: []validator.String{stringvalidator.OneOf(ruleOwner, ruleOwnerAWS)},
							MarkdownDescription: "`Headrace`, which is the default, or `AWS`, so that the block of an `aws_codepipeline` moves " +
								"over unchanged. Both mean the same.",
						},
						"provider": schema.StringAttribute{
							Required:            true,
							MarkdownDescription: "Provider of the rule, for instance `VariableCheck`.",
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

// one returns a block that occurs at most once. It is a list, as in
// aws_codepipeline, so that references and dynamic blocks move over too.
func one(description string, object schema.NestedBlockObject) schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: description + " At most one.",
		Validators:          []validator.List{listvalidator.SizeAtMost(1)},
		NestedObject:        object,
	}
}
