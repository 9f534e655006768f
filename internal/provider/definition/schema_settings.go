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
			MarkdownDescription: "Starts executions when the repository of a source action changes, up to 50, one for each source action. " +
				"The action fetches the commit of the event. A pipeline with a trigger block starts by its trigger blocks only: `DetectChanges` " +
				"and `PollForSourceChanges` of its source actions have no effect.",
			NestedObject: schema.NestedBlockObject{
				Attributes: map[string]schema.Attribute{
					"provider_type": required("Type of the events: `CodeStarSourceConnection`, for every source action that has a connection."),
				},
				Blocks: map[string]schema.Block{"git_configuration": gitConfigurationBlock()},
			},
		},
	}
}

func gitConfigurationBlock() schema.Block {
	return one("Source action whose repository is watched, and the events that start an execution. Without `push` and `pull_request`, "+
		"pushes to the branch of the source action do.", schema.NestedBlockObject{
		Attributes: map[string]schema.Attribute{
			"source_action_name": required("Name of the source action. It needs a connection."),
		},
		Blocks: GitFilterBlocks(FilterTexts{
			Nothing: "Nothing starts if a branch or tag is deleted, if a tag moves to another commit, or if the head commit of a branch has " +
				SkipMarkers + ".",
			NewBranch:   "A new branch is compared with the merge base of the default branch.",
			UnknownDiff: "If the changed files cannot be determined, an execution starts.",
		}),
	})
}

// SkipMarkers lists what a head commit has that asks to start nothing.
const SkipMarkers = "`[skip ci]`, `[ci skip]`, `[no ci]`, `[skip-ci]` or `[ci-skip]` in its subject or the trailer `skip-checks: true`"

// FilterTexts is what the descriptions of filters say differently in the pipeline and in a trigger
// of its own.
type FilterTexts struct {
	// Nothing says which pushes start no execution, whatever the filters are.
	Nothing string
	// NewBranch says what a new branch is compared with, UnknownDiff what happens if the changed
	// files cannot be determined.
	NewBranch, UnknownDiff string
}

// GitFilterBlocks returns the blocks that say which events of a repository start an execution.
func GitFilterBlocks(say FilterTexts) map[string]schema.Block {
	return map[string]schema.Block{
		"push": schema.ListNestedBlock{
			MarkdownDescription: "Pushes that start an execution, up to 50 blocks, of which one has to match. All filters of a block have to match. " +
				"A block with `tags` matches pushes of tags, any other block pushes of branches, so do not combine `tags` with other filters. " +
				"An empty block matches every push of a branch. " + say.Nothing,
			Validators: []validator.List{listvalidator.SizeAtMost(maxFilterBlocks)},
			NestedObject: schema.NestedBlockObject{Blocks: map[string]schema.Block{
				"branches": globsBlock("Names of branches."),
				"file_paths": globsBlock("Paths of changed files: those that differ from the commit that the trigger evaluated last on the branch. One file that matches is enough. " +
					say.NewBranch + " " + say.UnknownDiff),
				"tags": globsBlock("Names of tags."),
			}},
		},
		"pull_request": schema.ListNestedBlock{
			MarkdownDescription: "Events of pull requests that start an execution, up to 50 blocks, of which one has to match. All filters of a block " +
				"have to match. An empty block matches every event. Pull requests from forks start nothing in this version, and neither do those " +
				"whose head commit asks for it as for a push.",
			Validators: []validator.List{listvalidator.SizeAtMost(maxFilterBlocks)},
			NestedObject: schema.NestedBlockObject{
				Attributes: map[string]schema.Attribute{
					"events": texts("Events: `OPEN`, `UPDATED` (new commits) and `CLOSED` (merged or not). Defaults to all of them."),
				},
				Blocks: map[string]schema.Block{
					"branches": globsBlock("Names of the branches that the pull request goes to."),
					"file_paths": globsBlock("Paths of changed files: those that differ from the merge base of both branches. One file that matches is enough. " +
						say.UnknownDiff),
				},
			},
		},
	}
}

// maxFilterBlocks is the limit of the domain, with which Terraform underlines the blocks.
const maxFilterBlocks = 50

func globsBlock(what string) schema.Block {
	return one(what, schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
		"includes": texts("Patterns of which one has to match, up to 100 of 1 to 255 characters. Without any, everything is included. `*` stands for " +
			"any characters except a slash, `**` for any characters, `**/` also for no directory, `?` for one character, `[abc]`, `[a-z]` and `[!a]` for " +
			"one of a set, `{a,b}` for either, and a backslash escapes the next character. Case matters."),
		"excludes": texts("Patterns of which none may match, up to 100. They win over `includes`."),
	}})
}

func required(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Required:            true,
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		MarkdownDescription: description,
	}
}
