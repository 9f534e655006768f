package execution

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// summary is what is known of an execution without its stages.
type summary struct {
	Status          types.String     `tfsdk:"status"`
	StatusSummary   types.String     `tfsdk:"status_summary"`
	Number          types.Int64      `tfsdk:"number"`
	PipelineVersion types.Int64      `tfsdk:"pipeline_version"`
	StartedAt       types.String     `tfsdk:"started_at"`
	FinishedAt      types.String     `tfsdk:"finished_at"`
	Trigger         *trigger         `tfsdk:"trigger"`
	Variables       types.Map        `tfsdk:"variables"`
	SourceRevisions []sourceRevision `tfsdk:"source_revisions"`
}

type trigger struct {
	Type      types.String `tfsdk:"type"`
	Detail    types.String `tfsdk:"detail"`
	Principal types.String `tfsdk:"principal"`
}

type sourceRevision struct {
	Action          types.String `tfsdk:"action"`
	RevisionID      types.String `tfsdk:"revision_id"`
	RevisionSummary types.String `tfsdk:"revision_summary"`
	RevisionURL     types.String `tfsdk:"revision_url"`
}

type stage struct {
	Name       types.String `tfsdk:"name"`
	Status     types.String `tfsdk:"status"`
	StartedAt  types.String `tfsdk:"started_at"`
	FinishedAt types.String `tfsdk:"finished_at"`
	Actions    []action     `tfsdk:"actions"`
}

type action struct {
	Name            types.String `tfsdk:"name"`
	Status          types.String `tfsdk:"status"`
	StartedAt       types.String `tfsdk:"started_at"`
	FinishedAt      types.String `tfsdk:"finished_at"`
	Attempt         types.Int64  `tfsdk:"attempt"`
	Summary         types.String `tfsdk:"summary"`
	OutputVariables types.Map    `tfsdk:"output_variables"`
	Error           *failure     `tfsdk:"error"`
}

type failure struct {
	Code    types.String `tfsdk:"code"`
	Message types.String `tfsdk:"message"`
}

// nothing is the summary of an execution that does not exist.
func nothing() summary {
	return summary{Variables: types.MapNull(types.StringType)}
}

func summaryOf(execution *headracev1.Execution) summary {
	s := summary{
		Status:          statusOf(execution.GetStatus()),
		StatusSummary:   values.FromText(execution.GetStatusSummary()),
		Number:          types.Int64Value(execution.GetNumber()),
		PipelineVersion: types.Int64Value(execution.GetPipelineVersion()),
		StartedAt:       values.FromTime(execution.GetStartTime()),
		FinishedAt:      values.FromTime(execution.GetEndTime()),
		Trigger: &trigger{
			Type:      values.FromText(execution.GetTrigger().GetType()),
			Detail:    values.FromText(execution.GetTrigger().GetDetail()),
			Principal: values.FromText(execution.GetTrigger().GetPrincipal()),
		},
		Variables:       values.MapOf(execution.GetVariables()),
		SourceRevisions: []sourceRevision{},
	}
	for _, revision := range execution.GetSourceRevisions() {
		s.SourceRevisions = append(s.SourceRevisions, sourceRevision{
			Action:          types.StringValue(revision.GetAction()),
			RevisionID:      types.StringValue(revision.GetRevisionId()),
			RevisionSummary: values.FromText(revision.GetRevisionSummary()),
			RevisionURL:     values.FromText(revision.GetRevisionUrl()),
		})
	}
	return s
}

func stagesOf(executions []*headracev1.StageExecution) []stage {
	stages := []stage{}
	for _, execution := range executions {
		s := stage{
			Name:       types.StringValue(execution.GetStage()),
			Status:     statusOf(execution.GetStatus()),
			StartedAt:  values.FromTime(execution.GetStartTime()),
			FinishedAt: values.FromTime(execution.GetEndTime()),
			Actions:    []action{},
		}
		for _, done := range execution.GetActions() {
			s.Actions = append(s.Actions, actionOf(done))
		}
		stages = append(stages, s)
	}
	return stages
}

func actionOf(execution *headracev1.ActionExecution) action {
	a := action{
		Name:            types.StringValue(execution.GetAction()),
		Status:          statusOf(execution.GetStatus()),
		StartedAt:       values.FromTime(execution.GetStartTime()),
		FinishedAt:      values.FromTime(execution.GetEndTime()),
		Attempt:         types.Int64Value(int64(execution.GetAttempt())),
		Summary:         values.FromText(execution.GetSummary()),
		OutputVariables: values.MapOf(execution.GetOutputVariables()),
	}
	if execution.GetError() != nil {
		a.Error = &failure{
			Code:    values.FromText(execution.GetError().GetCode()),
			Message: values.FromText(execution.GetError().GetMessage()),
		}
	}
	return a
}

// statusOf returns the status in CodePipeline's words, null where there is none.
func statusOf(status headracev1.ExecutionStatus) types.String {
	return values.FromText(string(pipelinepb.StatusFromProto(status)))
}
