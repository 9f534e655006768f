package execution

import (
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// summary is what is known of an execution without its stages.
type summary struct {
	Status          types.String     `tfsdk:"status"`
	StatusSummary   types.String     `tfsdk:"status_summary"`
	Number          types.Int64      `tfsdk:"number"`
	ExecutionType   types.String     `tfsdk:"execution_type"`
	Attempt         types.Int64      `tfsdk:"attempt"`
	Rollback        *rollback        `tfsdk:"rollback"`
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

type rollback struct {
	TargetExecution types.String `tfsdk:"target_execution"`
	TargetNumber    types.Int64  `tfsdk:"target_number"`
}

type sourceRevision struct {
	Action          types.String `tfsdk:"action"`
	RevisionID      types.String `tfsdk:"revision_id"`
	RevisionSummary types.String `tfsdk:"revision_summary"`
	RevisionURL     types.String `tfsdk:"revision_url"`
	Author          types.String `tfsdk:"author"`
}

type stage struct {
	Name       types.String `tfsdk:"name"`
	Status     types.String `tfsdk:"status"`
	StartedAt  types.String `tfsdk:"started_at"`
	FinishedAt types.String `tfsdk:"finished_at"`
	Actions    []action     `tfsdk:"actions"`
	Conditions []condition  `tfsdk:"conditions"`
	Retry      *retry       `tfsdk:"retry"`
}

type retry struct {
	AutomaticAttempts types.Int64  `tfsdk:"automatic_attempts"`
	ManualAttempts    types.Int64  `tfsdk:"manual_attempts"`
	LatestTrigger     types.String `tfsdk:"latest_trigger"`
	LatestAt          types.String `tfsdk:"latest_at"`
}

type condition struct {
	Kind       types.String `tfsdk:"kind"`
	Result     types.String `tfsdk:"result"`
	Status     types.String `tfsdk:"status"`
	Summary    types.String `tfsdk:"summary"`
	StartedAt  types.String `tfsdk:"started_at"`
	FinishedAt types.String `tfsdk:"finished_at"`
	Rules      []rule       `tfsdk:"rules"`
	Override   *override    `tfsdk:"override"`
}

type rule struct {
	ID         types.String `tfsdk:"id"`
	Name       types.String `tfsdk:"name"`
	Provider   types.String `tfsdk:"provider"`
	Status     types.String `tfsdk:"status"`
	Summary    types.String `tfsdk:"summary"`
	StartedAt  types.String `tfsdk:"started_at"`
	FinishedAt types.String `tfsdk:"finished_at"`
	OpensAt    types.String `tfsdk:"opens_at"`
	Error      *failure     `tfsdk:"error"`
}

type override struct {
	Principal    types.String `tfsdk:"principal"`
	Reason       types.String `tfsdk:"reason"`
	OverriddenAt types.String `tfsdk:"overridden_at"`
}

type action struct {
	Name            types.String `tfsdk:"name"`
	Status          types.String `tfsdk:"status"`
	StartedAt       types.String `tfsdk:"started_at"`
	FinishedAt      types.String `tfsdk:"finished_at"`
	Attempt         types.Int64  `tfsdk:"attempt"`
	Retried         types.Bool   `tfsdk:"retried"`
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
		ExecutionType:   word(execution.GetExecutionType().String(), "EXECUTION_TYPE_"),
		Attempt:         types.Int64Value(int64(execution.GetAttempt())),
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
	if target := execution.GetRollback(); target != nil {
		s.Rollback = &rollback{
			TargetExecution: values.FromText(client.Segment(target.GetTargetExecution(), "executions")),
			TargetNumber:    types.Int64Value(target.GetTargetNumber()),
		}
	}
	for _, revision := range execution.GetSourceRevisions() {
		s.SourceRevisions = append(s.SourceRevisions, sourceRevision{
			Action:          types.StringValue(revision.GetAction()),
			RevisionID:      types.StringValue(revision.GetRevisionId()),
			RevisionSummary: values.FromText(revision.GetRevisionSummary()),
			RevisionURL:     values.FromText(revision.GetRevisionUrl()),
			Author:          values.FromText(revision.GetAuthor()),
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
			Conditions: []condition{},
		}
		if done := execution.GetRetry(); done != nil {
			s.Retry = &retry{
				AutomaticAttempts: types.Int64Value(int64(done.GetAutomaticAttempts())),
				ManualAttempts:    types.Int64Value(int64(done.GetManualAttempts())),
				LatestTrigger:     values.FromText(done.GetLatestTrigger()),
				LatestAt:          values.FromTime(done.GetLatestTime()),
			}
		}
		for _, checked := range execution.GetConditions() {
			s.Conditions = append(s.Conditions, conditionOf(checked))
		}
		for _, done := range execution.GetActions() {
			s.Actions = append(s.Actions, actionOf(done))
		}
		stages = append(stages, s)
	}
	return stages
}

func conditionOf(execution *headracev1.ConditionExecution) condition {
	c := condition{
		Kind:       word(execution.GetKind().String(), "CONDITION_KIND_"),
		Result:     values.FromText(execution.GetResult()),
		Status:     statusOf(execution.GetStatus()),
		Summary:    values.FromText(execution.GetSummary()),
		StartedAt:  values.FromTime(execution.GetStartTime()),
		FinishedAt: values.FromTime(execution.GetEndTime()),
		Rules:      []rule{},
	}
	for _, checked := range execution.GetRules() {
		c.Rules = append(c.Rules, rule{
			ID:         types.StringValue(checked.GetId()),
			Name:       types.StringValue(checked.GetRule()),
			Provider:   values.FromText(checked.GetProvider()),
			Status:     statusOf(checked.GetStatus()),
			Summary:    values.FromText(checked.GetSummary()),
			StartedAt:  values.FromTime(checked.GetStartTime()),
			FinishedAt: values.FromTime(checked.GetEndTime()),
			OpensAt:    values.FromTime(checked.GetOpenTime()),
			Error:      failureOf(checked.GetError()),
		})
	}
	if word := execution.GetOverride(); word != nil {
		c.Override = &override{
			Principal:    values.FromText(word.GetPrincipal()),
			Reason:       values.FromText(word.GetReason()),
			OverriddenAt: values.FromTime(word.GetOverrideTime()),
		}
	}
	return c
}

func actionOf(execution *headracev1.ActionExecution) action {
	return action{
		Name:            types.StringValue(execution.GetAction()),
		Status:          statusOf(execution.GetStatus()),
		StartedAt:       values.FromTime(execution.GetStartTime()),
		FinishedAt:      values.FromTime(execution.GetEndTime()),
		Attempt:         types.Int64Value(int64(execution.GetAttempt())),
		Retried:         types.BoolValue(execution.GetRetried()),
		Summary:         values.FromText(execution.GetSummary()),
		OutputVariables: values.MapOf(execution.GetOutputVariables()),
		Error:           failureOf(execution.GetError()),
	}
}

func failureOf(details *headracev1.ErrorDetails) *failure {
	if details == nil {
		return nil
	}
	return &failure{Code: values.FromText(details.GetCode()), Message: values.FromText(details.GetMessage())}
}

// statusOf returns the status in CodePipeline's words, null where there is none.
func statusOf(status headracev1.ExecutionStatus) types.String {
	return values.FromText(string(pipelinepb.StatusFromProto(status)))
}

// word returns the name of a value of an enum without its prefix, null where none
// is given.
func word(name, prefix string) types.String {
	name = strings.TrimPrefix(name, prefix)
	if name == "UNSPECIFIED" {
		return types.StringNull()
	}
	return types.StringValue(name)
}
