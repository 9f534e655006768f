package execution

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const statuses = "`InProgress`, `Succeeded`, `Failed`, `Stopping`, `Stopped`, `Superseded` or `Cancelled`"

// summaryAttributes returns what is read of an execution without its stages.
func summaryAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"status":           text("Status: " + statuses + "."),
		"status_summary":   text("Why it ended as it did, in one sentence. Null while it runs."),
		"number":           whole("1, 2, 3… in each pipeline, in the order of starts."),
		"pipeline_version": whole("Number of the version that it runs, the newest one when it started."),
		"started_at":       text("When it started (RFC 3339, UTC)."),
		"finished_at":      text("When it ended (RFC 3339, UTC). Null while it runs."),
		"trigger": schema.SingleNestedAttribute{
			Computed:            true,
			MarkdownDescription: "What started it.",
			Attributes: map[string]schema.Attribute{
				"type":      text("`StartPipelineExecution` for a start by API, command line or Terraform."),
				"detail":    text("More about it."),
				"principal": text("Who started it."),
			},
		},
		"variables": schema.MapAttribute{
			Computed: true, ElementType: types.StringType,
			MarkdownDescription: "Values of the pipeline's variables in this execution.",
		},
		"source_revisions": schema.ListNestedAttribute{
			Computed:            true,
			MarkdownDescription: "What the source actions fetched.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"action":           text("Name of the source action."),
				"revision_id":      text("The revision, for instance a commit id."),
				"revision_summary": text("What it is about, for instance the commit message."),
				"revision_url":     text("Where to read about it."),
			}},
		},
	}
}

// pipelineAttributes returns the arguments that say whose executions are meant.
func pipelineAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"account": schema.StringAttribute{
			Optional: true, Computed: true,
			MarkdownDescription: "Account of the pipeline. Defaults to the provider's account.",
		},
		"pipeline": schema.StringAttribute{Required: true, MarkdownDescription: "Name of the pipeline."},
	}
}

func stagesAttribute() schema.Attribute {
	return schema.ListNestedAttribute{
		Computed:            true,
		MarkdownDescription: "The stages reached so far, in order.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"name":        text("Name of the stage."),
			"status":      text("Status of the stage, in the words of `status`, or `Skipped`."),
			"started_at":  text("When it started (RFC 3339, UTC). Null while the execution waits in front of it."),
			"finished_at": text("When it ended (RFC 3339, UTC). Null while it runs."),
			"actions": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The actions started so far.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":        text("Name of the action."),
					"status":      text("`InProgress`, `Succeeded`, `Failed` or `Abandoned`."),
					"started_at":  text("When it started (RFC 3339, UTC)."),
					"finished_at": text("When it ended (RFC 3339, UTC). Null while it runs."),
					"attempt":     whole("1 for the first; a lost runner may lead to another."),
					"summary":     text("What the action does or did, in one sentence."),
					"output_variables": schema.MapAttribute{
						Computed: true, ElementType: types.StringType,
						MarkdownDescription: "Output variables of the action.",
					},
					"error": schema.SingleNestedAttribute{
						Computed:            true,
						MarkdownDescription: "Why the action failed. Null where it did not.",
						Attributes: map[string]schema.Attribute{
							"code": text("`JobFailed`, `ConfigurationError`, `PermissionError`, `RevisionUnavailable`, " +
								"`SystemUnavailable`, `TimedOut`, `RunnerLost`, `ApprovalRejected` or `ApprovalExpired`."),
							"message": text("What happened."),
						},
					},
				}},
			},
		}},
	}
}

func text(description string) schema.Attribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func whole(description string) schema.Attribute {
	return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
}

// merged returns the attributes of all maps.
func merged(all ...map[string]schema.Attribute) map[string]schema.Attribute {
	attributes := map[string]schema.Attribute{}
	for _, some := range all {
		maps.Copy(attributes, some)
	}
	return attributes
}
