package rpc

import (
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
)

func nameOf(e *execution.Execution) pipeline.ExecutionName {
	return pipeline.ExecutionName{PipelineName: pipeline.PipelineName{Account: e.Account, Pipeline: e.Pipeline}, ID: e.ID}
}

func executionToProto(e *execution.Execution) *headracev1.Execution {
	p := &headracev1.Execution{
		Name: nameOf(e).String(), Id: e.ID, Number: e.Number, PipelineVersion: e.Version,
		ExecutionMode: pipelinepb.ModeToProto(e.Mode), Status: pipelinepb.StatusToProto(e.Status), StatusSummary: e.Summary,
		Trigger:   &headracev1.ExecutionTrigger{Type: e.Trigger.Type, Detail: e.Trigger.Detail, Principal: e.Trigger.Principal},
		Variables: e.Variables,
		SourceRevisions: each(e.Revisions, func(r execution.SourceRevision) *headracev1.SourceRevision {
			return &headracev1.SourceRevision{Action: r.Action, RevisionId: r.ID, RevisionSummary: r.Summary, RevisionUrl: r.URL}
		}),
		Stages:    each(e.Stages, stageExecutionToProto),
		StartTime: timestamp(e.StartedAt), EndTime: timestamp(e.EndedAt), UpdateTime: timestamp(e.UpdatedAt),
	}
	if e.Stop != nil {
		p.Stop = &headracev1.StopRequest{
			Principal: e.Stop.Principal, Reason: e.Stop.Reason, Abandon: e.Stop.Abandon, RequestTime: timestamp(e.Stop.At),
		}
	}
	return p
}

func stageExecutionToProto(s *execution.Stage) *headracev1.StageExecution {
	return &headracev1.StageExecution{
		Stage: s.Name, Status: pipelinepb.StatusToProto(s.Status), StartTime: timestamp(s.StartedAt), EndTime: timestamp(s.EndedAt),
		Actions: each(s.Actions, actionExecutionToProto), EntryApproval: approvalToProto(s.Entry, nil),
	}
}

func actionExecutionToProto(a *execution.Action) *headracev1.ActionExecution {
	d := &a.Details
	p := &headracev1.ActionExecution{
		Id: a.ID, Action: a.Name, Category: string(a.Category), Provider: a.Provider,
		RunOrder: int32(a.RunOrder), Attempt: int32(a.Attempt),
		Status: pipelinepb.StatusToProto(a.Status), StartTime: timestamp(a.StartedAt), EndTime: timestamp(a.EndedAt),
		Summary: d.Summary, OutputVariables: d.Variables, ResolvedConfiguration: d.Configuration,
		InputArtifacts: each(d.Inputs, artifactToProto), OutputArtifacts: each(d.Outputs, artifactToProto),
		ExternalExecutionId: d.ExternalID, ExternalExecutionUrl: d.ExternalURL,
		Approval: approvalToProto(d.Approval, d.Configuration), Namespace: a.Namespace, HasLog: a.Work == pipeline.WorkAttempt,
	}
	if d.Failure != nil {
		p.Error = &headracev1.ErrorDetails{Code: d.Failure.Code, Message: d.Failure.Message}
	}
	return p
}

func artifactToProto(a action.Artifact) *headracev1.Artifact {
	return &headracev1.Artifact{Name: a.Name, Digest: a.Digest, SizeBytes: a.Size}
}

// approvalToProto returns an approval, with what the action's configuration says
// about it; nil of nil.
func approvalToProto(a *execution.Approval, configuration map[string]string) *headracev1.Approval {
	if a == nil {
		return nil
	}
	return &headracev1.Approval{
		Requirements: each(a.Requirements, func(r execution.Requirement) *headracev1.ApprovalRequirement {
			return &headracev1.ApprovalRequirement{
				Rule: r.Rule, MinimumCount: int32(r.MinimumCount),
				Users: r.Users, Groups: r.Groups, RequireComment: r.RequireComment, AllowStarter: r.AllowStarter,
				ApprovedCount: int32(engine.Count(a, r)),
			}
		}),
		Decisions: each(a.Decisions, func(v execution.Verdict) *headracev1.ApprovalDecision {
			return &headracev1.ApprovalDecision{
				Principal: v.Principal, Groups: v.Groups, Approved: v.Approved, Comment: v.Comment, DecideTime: timestamp(v.At),
				PipelineVersion: v.Version, Artifacts: each(v.Artifacts, artifactToProto),
			}
		}),
		ExpireTime: timestamp(a.ExpiresAt),
		CustomData: configuration["CustomData"], ExternalEntityLink: configuration["ExternalEntityLink"],
	}
}

// configurationOf returns the configuration of the action that was decided upon.
func configurationOf(d service.Decided) map[string]string {
	for _, stage := range d.Execution.Stages {
		for _, a := range stage.Actions {
			if stage.Name == d.Stage && a.Name == d.Action {
				return a.Details.Configuration
			}
		}
	}
	return nil
}

// waitToProto converts the reasons of an execution of that pipeline.
func waitToProto(name pipeline.PipelineName) func(engine.Reason) *headracev1.WaitReason {
	return func(r engine.Reason) *headracev1.WaitReason {
		p := &headracev1.WaitReason{
			Kind: waitKindToProto(r.Kind), Message: r.Message, Stage: r.Stage, Action: r.Action,
			Since: timestamp(r.Since), Until: timestamp(r.Until), Approval: approvalToProto(r.Approval, nil),
		}
		if r.BlockingExecution != "" {
			p.BlockingExecution = pipeline.ExecutionName{PipelineName: name, ID: r.BlockingExecution}.String()
		}
		return p
	}
}

func waitKindToProto(kind engine.WaitKind) headracev1.WaitKind {
	switch kind {
	case engine.WaitAction:
		return headracev1.WaitKind_WAIT_KIND_ACTION_RUNNING
	case engine.WaitApproval:
		return headracev1.WaitKind_WAIT_KIND_APPROVAL
	case engine.WaitLock:
		return headracev1.WaitKind_WAIT_KIND_STAGE_LOCK
	case engine.WaitRunner:
		return headracev1.WaitKind_WAIT_KIND_RUNNER
	case engine.WaitTimer:
		return headracev1.WaitKind_WAIT_KIND_TIMER
	case engine.WaitStopping:
		return headracev1.WaitKind_WAIT_KIND_STOPPING
	default:
		return headracev1.WaitKind_WAIT_KIND_UNSPECIFIED
	}
}

func eventToProto(name pipeline.ExecutionName, e execution.Event) *headracev1.Event {
	return &headracev1.Event{
		Position: e.Position, EventTime: timestamp(e.At), Subject: subjectToProto(e.Subject), State: e.State,
		Execution: name.String(), Stage: e.Stage, Action: e.Action, ActionExecutionId: e.ActionExecutionID,
		Attempt: int32(e.Attempt), Principal: e.Principal, Message: e.Message,
	}
}

func subjectToProto(subject execution.Subject) headracev1.EventSubject {
	switch subject {
	case execution.SubjectExecution:
		return headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION
	case execution.SubjectStage:
		return headracev1.EventSubject_EVENT_SUBJECT_STAGE_EXECUTION
	case execution.SubjectAction:
		return headracev1.EventSubject_EVENT_SUBJECT_ACTION_EXECUTION
	default:
		return headracev1.EventSubject_EVENT_SUBJECT_UNSPECIFIED
	}
}
