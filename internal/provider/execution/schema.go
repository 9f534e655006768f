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
		"status":         text("Status: " + statuses + "."),
		"status_summary": text("Why it ended as it did, in one sentence. Null while it runs."),
		"number":         whole("1, 2, 3… in each pipeline, in the order of starts."),
		"execution_type": text("`STANDARD`, or `ROLLBACK`, which runs one stage again as an earlier execution did."),
		"attempt":        whole("1, and one more after each retry or override that brought it back after its end."),
		"rollback": schema.SingleNestedAttribute{
			Computed:            true,
			MarkdownDescription: "What a rollback goes back to. Null for the type `STANDARD`.",
			Attributes: map[string]schema.Attribute{
				"target_execution": text("Id of the execution, a UUID."),
				"target_number":    whole("Its number."),
			},
		},
		"pipeline_version": whole("Number of the version that it runs, the newest one when it started."),
		"started_at":       text("When it started (RFC 3339, UTC)."),
		"finished_at":      text("When it ended (RFC 3339, UTC). Null while it runs."),
		"trigger": schema.SingleNestedAttribute{
			Computed:            true,
			MarkdownDescription: "What started it.",
			Attributes: map[string]schema.Attribute{
				"type": text("`StartPipelineExecution` for a start by API, command line or Terraform; `ManualRollback` or " +
					"`AutomatedRollback` for a rollback."),
				"detail":    text("More about it; of a rollback the id of the execution that it goes back to."),
				"principal": text("Principal that started it."),
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
				"author":           text("Author of the revision, as `Name <address>`. Null if the source has no authors."),
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
			"status":      text("`InProgress`, `Succeeded`, `Failed`, `Stopping`, `Stopped`, `Cancelled`, or `Skipped` by its `before_entry`."),
			"started_at":  text("When it started (RFC 3339, UTC). Null while the execution waits in front of it."),
			"finished_at": text("When it ended (RFC 3339, UTC). Null while it runs."),
			"actions": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The actions started so far, in the order of their starts, with those that a retry replaced.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":        text("Name of the action."),
					"status":      text("`InProgress`, `Succeeded`, `Failed` or `Abandoned`."),
					"started_at":  text("When it started (RFC 3339, UTC)."),
					"finished_at": text("When it ended (RFC 3339, UTC). Null while it runs."),
					"attempt":     whole("1 for the first; a lost runner may lead to another."),
					"retried": schema.BoolAttribute{
						Computed:            true,
						MarkdownDescription: "Whether a retry of the stage replaced the action: what it left does not count any more.",
					},
					"summary": text("What the action does or did, in one sentence."),
					"output_variables": schema.MapAttribute{
						Computed: true, ElementType: types.StringType,
						MarkdownDescription: "Output variables of the action.",
					},
					"error": errorAttribute("Why the action failed. Null where it did not."),
				}},
			},
			"conditions": conditionsAttribute(),
			"retry": schema.SingleNestedAttribute{
				Computed:            true,
				MarkdownDescription: "How often the stage was retried. Null where it was not.",
				Attributes: map[string]schema.Attribute{
					"automatic_attempts": whole("How often by its `on_failure`."),
					"manual_attempts":    whole("How often by people."),
					"latest_trigger":     text("`AutomatedStageRetry` or `ManualStageRetry`, whichever was last."),
					"latest_at":          text("When it was last (RFC 3339, UTC)."),
				},
			},
		}},
	}
}

func conditionsAttribute() schema.Attribute {
	return schema.ListNestedAttribute{
		Computed:            true,
		MarkdownDescription: "The conditions of the stage that were checked, oldest first. A retry may check one again.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"kind":   text("`BEFORE_ENTRY`, `ON_SUCCESS` or `ON_FAILURE`."),
			"result": text("What follows where it is not met, or, for `ON_FAILURE`, where it is: `FAIL`, `SKIP` or `ROLLBACK`."),
			"status": text("`InProgress`, `Succeeded` (met), `Failed` (not met), `Errored` (a rule could not be checked), `Cancelled`, " +
				"`Abandoned`, `Overridden` or `Skipped` (by `on_rollback` of the stage)."),
			"summary":     text("The outcome in one sentence."),
			"started_at":  text("When it started (RFC 3339, UTC)."),
			"finished_at": text("When it ended (RFC 3339, UTC). Null while it is checked."),
			"rules": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The rules of the condition.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"id":          text("Id of this check of the rule, under which `headrace logs` finds the log of its commands."),
					"name":        text("Name of the rule."),
					"provider":    text("Provider of the rule type, for example `VariableCheck`."),
					"status":      text("`InProgress`, `Succeeded`, `Failed` or `Abandoned`."),
					"summary":     text("The outcome in one sentence."),
					"started_at":  text("When it started (RFC 3339, UTC). Null while it waits for the windows of its condition."),
					"finished_at": text("When it ended (RFC 3339, UTC)."),
					"opens_at":    text("When the deployment window that it waits for opens (RFC 3339, UTC)."),
					"error":       errorAttribute("Why the rule could not be checked or its commands failed. Null where neither is so."),
				}},
			},
			"override": schema.SingleNestedAttribute{
				Computed:            true,
				MarkdownDescription: "Override of the condition by a person. Null if nobody overrode it.",
				Attributes: map[string]schema.Attribute{
					"principal":     text("Principal that overrode it."),
					"reason":        text("Reason that the principal gave."),
					"overridden_at": text("When (RFC 3339, UTC)."),
				},
			},
		}},
	}
}

func errorAttribute(description string) schema.Attribute {
	return schema.SingleNestedAttribute{
		Computed:            true,
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"code": text("`JobFailed`, `ConfigurationError`, `PermissionError`, `RevisionUnavailable`, " +
				"`SystemUnavailable`, `TimedOut`, `RunnerLost`, `ApprovalRejected`, `ApprovalExpired` or `ApprovalRuleMissing`."),
			"message": text("What happened."),
		},
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
