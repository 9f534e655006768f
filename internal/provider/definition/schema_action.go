package definition

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// refused is said of what can be written and is checked, but is not run yet.
const refused = " This version checks it and then refuses it, because it does not support it yet."

// ActionAttributes returns the attributes that an action has wherever it is
// written: all but its name and its action provider.
func ActionAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"category": schema.StringAttribute{
			Required: true,
			MarkdownDescription: "Kind of the action: `Source`, `Build`, `Test`, `Deploy`, `Approval`, `Invoke` or `Compute`. " +
				"The first stage has only source actions, and no other stage has any.",
		},
		"owner": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "Owner of the action type. The built-in action types belong to `Headrace`.",
		},
		"version": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "Version of the action type; `1` for the built-in ones.",
		},
		"run_order": schema.Int64Attribute{
			Optional: true,
			Computed: true,
			Default:  int64default.StaticInt64(defaultRunOrder),
			// The rules of the definition hold the rest; 0 means to them that none is
			// given.
			Validators: []validator.Int64{int64validator.AtLeast(defaultRunOrder)},
			MarkdownDescription: "Place among the actions of the stage, 1 to 999. Actions of equal run order run in parallel, " +
				"lower ones first; gaps are allowed. Defaults to `1`.",
		},
		"configuration": schema.MapAttribute{
			Optional:      true,
			ElementType:   types.StringType,
			PlanModifiers: []planmodifier.Map{nullsAreAbsent{}},
			MarkdownDescription: "Settings of the action type. " + catalog.ConfigurationText(actionPages()) + " Values may refer to variables as `#{variables.name}` and `#{namespace.key}`. A null entry counts as absent. Do not " +
				"write secrets here: values are part of the definition and of Terraform's state.",
		},
		"commands": texts("Shell lines of a `Commands` action, run in order until one fails: 1 to 50 of up to 1000 characters each. " +
			"They may not refer to variables, whose values would become shell code: pass those in an `environment_variable`."),
		"input_artifacts": texts("Names of artifacts of earlier actions that are placed in the work directory. The commands start in the " +
			"first one."),
		"output_artifacts": texts("Names of artifacts that the action leaves behind, unique in the pipeline."),
		"output_artifact_files": schema.MapAttribute{
			Optional:      true,
			ElementType:   types.ListType{ElemType: types.StringType},
			PlanModifiers: []planmodifier.Map{nullsAreAbsent{}},
			MarkdownDescription: "Globs below the work directory that say which files an output artifact holds, by the artifact's " +
				"name, which `output_artifacts` must hold too: 1 to 10 of up to 128 characters each. An artifact that is not named " +
				"here holds everything. Only of `Commands` actions.",
		},
		"output_variables": texts("Names of environment variables that a `Commands` action publishes when it succeeded, up to 15. " +
			"Later actions refer to them through `namespace`."),
		"namespace": optionalText("Publishes the output variables of the action as `#{namespace.key}` to later actions. Unique in the " +
			"pipeline; `variables` and `codepipeline` are taken."),
		"role_arn": optionalText("IAM role that the action assumes, for action types that work in AWS." + refused),
		"region":   optionalText("AWS region that the action works in, for action types that work in AWS." + refused),
		"timeout_in_minutes": schema.Int64Attribute{
			Optional:   true,
			Validators: []validator.Int64{int64validator.AtLeast(1)},
			MarkdownDescription: "Minutes until the action fails, up to 86400. Defaults to " +
				catalog.TimeoutsText(actionPages()) + ".",
		},
		"on_lost": schema.StringAttribute{
			Optional:   true,
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			MarkdownDescription: "What happens to the action if its runner is lost: `fail`, or `retry` as another attempt. Defaults to " +
				catalog.OnLostText(actionPages()) + ".",
		},
	}
}

// ActionBlocks returns the blocks that an action has wherever it is written.
func ActionBlocks() map[string]schema.Block {
	return map[string]schema.Block{
		"environment_variable": environmentBlock("action"),
	}
}

// actionPages returns the built-in types of actions, those that differ in their category alone
// together.
func actionPages() []catalog.Page { return catalog.Pages(catalog.Builtin().Actions()) }

// ActionProviders describes the built-in providers of actions.
func ActionProviders() string {
	return "Providers of the owner `Headrace`, with their categories: " + catalog.ProvidersText(actionPages()) + "."
}

// environmentBlock returns the environment_variable block of an action or a rule.
func environmentBlock(of string) schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: "Environment variable of the processes of a `Commands` " + of + ", up to 10.",
		NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Name: letters, digits and underscores, unique in the " + of + ".",
			},
			"value": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Value, which may refer to variables, or with `type = \"SECRET\"` the name of a secret. Do not write secrets here.",
			},
			"type": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(defaultEnvironmentType),
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "What the value is: the value itself (`PLAINTEXT`), or the name of a `headrace_secret` of the account (`SECRET`), whose " +
					"value the commands get. A secret is masked in logs, output variables and errors. Defaults to `PLAINTEXT`. CodePipeline's `SECRETS_MANAGER` is refused by " +
					"this version.",
			},
		}},
	}
}

// actionBlock returns the action block of a stage block.
func actionBlock() schema.Block {
	attributes := maps.Clone(ActionAttributes())
	attributes["name"] = schema.StringAttribute{
		Required:            true,
		MarkdownDescription: "Name of the action, unique in the stage: 1 to 100 of `A-Z a-z 0-9 . @ _ -`.",
	}
	attributes["provider"] = schema.StringAttribute{
		Required:            true,
		MarkdownDescription: "Action provider. " + ActionProviders(),
	}
	return schema.ListNestedBlock{
		MarkdownDescription: "Action of the stage, 1 to 50.",
		NestedObject:        schema.NestedBlockObject{Attributes: attributes, Blocks: ActionBlocks()},
	}
}

// optionalText is an attribute of a string that is left out or not empty.
func optionalText(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional:            true,
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		MarkdownDescription: description,
	}
}

// texts is an attribute of a list of strings.
func texts(description string) schema.ListAttribute {
	return schema.ListAttribute{
		Optional:            true,
		ElementType:         types.StringType,
		MarkdownDescription: description,
	}
}
