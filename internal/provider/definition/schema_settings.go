package definition

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// SettingsAttributes returns the attributes of a definition but for its stages.
func SettingsAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"description": optionalText("What the pipeline is for, in words for people."),
		"execution_mode": schema.StringAttribute{
			Optional:   true,
			Computed:   true,
			Default:    stringdefault.StaticString(string(domain.Superseded)),
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			MarkdownDescription: "How executions meet: `SUPERSEDED` (a newer one overtakes a waiting one), `QUEUED` or `PARALLEL`. " +
				"Defaults to `SUPERSEDED`.",
		},
		"on_update": schema.StringAttribute{
			Optional:   true,
			Computed:   true,
			Default:    stringdefault.StaticString(string(domain.OnUpdateFinish)),
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			MarkdownDescription: "What the publication of a version does to executions of older versions that are live then: `finish` " +
				"lets them finish on the version that they started with; `cancel`, as in CodePipeline, cancels those that wait at once and " +
				"the others when their running actions ended. What the new version says counts. Executions in `PARALLEL` mode always " +
				"finish. Defaults to `finish`.",
		},
		"pipeline_type": schema.StringAttribute{
			Optional:            true,
			Computed:            true,
			Default:             stringdefault.StaticString(defaultPipelineType),
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			MarkdownDescription: "CodePipeline's type of pipeline. Defaults to `V2`, the only one that is run.",
		},
		"role_arn": optionalText("IAM role of the pipeline, for action types that work in AWS." + refused),
	}
}

// SettingsBlocks returns the blocks of a definition but for its stages.
func SettingsBlocks() map[string]schema.Block {
	return map[string]schema.Block{
		"artifact_store": schema.ListNestedBlock{
			MarkdownDescription: "CodePipeline's bucket for artifacts. Headrace keeps artifacts in a store of its own." + refused,
			NestedObject: schema.NestedBlockObject{
				Attributes: map[string]schema.Attribute{
					"location": required("Name of the bucket."),
					"type":     required("Type of the store: `S3`."),
					"region":   optionalText("AWS region of the bucket."),
				},
				Blocks: map[string]schema.Block{
					"encryption_key": one("Key that encrypts the artifacts.", schema.NestedBlockObject{
						Attributes: map[string]schema.Attribute{
							"id":   required("Id, ARN or alias ARN of the key. It identifies a key and is not a secret."),
							"type": required("Type of the key: `KMS`."),
						},
					}),
				},
			},
		},
		"variable": schema.ListNestedBlock{
			MarkdownDescription: "Variable of the pipeline, referred to as `#{variables.name}`, up to 50.",
			NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
				"name": schema.StringAttribute{
					Required:            true,
					MarkdownDescription: "Name, unique in the pipeline: 1 to 128 of `A-Z a-z 0-9 @ _ -`.",
				},
				"default_value": schema.StringAttribute{
					Optional: true,
					MarkdownDescription: "Value where the start of an execution gives none, 1 to 1000 characters. Without a default the " +
						"variable must be given at the start.",
				},
				"description": optionalText("What the variable is for, up to 200 characters."),
			}},
		},
		"trigger": schema.ListNestedBlock{
			MarkdownDescription: "Starts executions from events of a repository, up to 50." + refused,
			NestedObject: schema.NestedBlockObject{
				Attributes: map[string]schema.Attribute{
					"provider_type": required("Where the events come from, for instance `CodeStarSourceConnection`."),
				},
				Blocks: map[string]schema.Block{"git_configuration": gitConfigurationBlock()},
			},
		},
	}
}

func gitConfigurationBlock() schema.Block {
	return one("What the trigger listens to.", schema.NestedBlockObject{
		Attributes: map[string]schema.Attribute{
			"source_action_name": required("Name of the source action whose repository is meant."),
		},
		Blocks: map[string]schema.Block{
			"push": schema.ListNestedBlock{
				MarkdownDescription: "Pushes that start an execution, up to 3. All filters of one block must match.",
				Validators:          []validator.List{listvalidator.SizeAtMost(3)},
				NestedObject: schema.NestedBlockObject{Blocks: map[string]schema.Block{
					"branches":   globsBlock("Branches."),
					"file_paths": globsBlock("Changed files; one that matches is enough."),
					"tags":       globsBlock("Tags."),
				}},
			},
			"pull_request": schema.ListNestedBlock{
				MarkdownDescription: "Pull requests that start an execution, up to 3. All filters of one block must match.",
				Validators:          []validator.List{listvalidator.SizeAtMost(3)},
				NestedObject: schema.NestedBlockObject{
					Attributes: map[string]schema.Attribute{
						"events": texts("Events of the pull request: `OPEN`, `UPDATED` and `CLOSED`."),
					},
					Blocks: map[string]schema.Block{
						"branches":   globsBlock("Branches that the pull request goes to."),
						"file_paths": globsBlock("Changed files; one that matches is enough."),
					},
				},
			},
		},
	})
}

func globsBlock(what string) schema.Block {
	return one(what, schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
		"includes": texts("Globs that match, 1 to 8 of up to 255 characters each."),
		"excludes": texts("Globs that do not; they win over `includes`."),
	}})
}

func required(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Required:            true,
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		MarkdownDescription: description,
	}
}
