package rpc

import (
	"slices"

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
		Trigger: triggerToProto(&e.Trigger), Variables: e.Variables,
		SourceRevisions: each(e.Revisions, func(r execution.SourceRevision) *headracev1.SourceRevision {
			return &headracev1.SourceRevision{
				Action: r.Action, RevisionId: r.ID, RevisionSummary: r.Summary, RevisionUrl: r.URL, Author: authorOf(e, r),
			}
		}),
		Stages:    each(e.Stages, stageExecutionToProto(e)),
		StartTime: timestamp(e.StartedAt), EndTime: timestamp(e.EndedAt), UpdateTime: timestamp(e.UpdatedAt),
		OutputsRemoveTime: timestamp(e.OutputsRemovedAt),
		ExecutionType:     pipelinepb.TypeToProto(e.Type), Attempt: int32(e.Attempt),
		SourceRevisionOverrides: each(e.Overrides, func(o pipeline.Override) *headracev1.SourceRevisionOverride {
			return &headracev1.SourceRevisionOverride{Action: o.Action, RevisionType: o.Type, RevisionValue: o.Value}
		}),
	}
	if e.Rollback != nil {
		target := nameOf(e)
		target.ID = e.Rollback.TargetID
		p.Rollback = &headracev1.RollbackMetadata{TargetExecution: target.String(), TargetNumber: e.Rollback.TargetNumber}
	}
	if e.Cancel != nil {
		p.Cancel = &headracev1.CancelRequest{
			Principal: e.Cancel.Principal, PipelineVersion: e.Cancel.Version, RequestTime: timestamp(e.Cancel.At),
		}
	}
	if e.Stop != nil {
		p.Stop = &headracev1.StopRequest{
			Principal: e.Stop.Principal, Reason: e.Stop.Reason, Abandon: e.Stop.Abandon, RequestTime: timestamp(e.Stop.At),
		}
	}
	return p
}

// authorOf returns who wrote a revision. Servers before kept that in the output variables
// of the action alone.
func authorOf(e *execution.Execution, r execution.SourceRevision) string {
	if r.Author != "" {
		return r.Author
	}
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			if a.Name == r.Action && a.Category == pipeline.CategorySource && a.Details.Variables["CommitId"] == r.ID {
				return action.Author(a.Details.Variables["AuthorDisplayName"], a.Details.Variables["AuthorEmail"])
			}
		}
	}
	return ""
}

func triggerToProto(t *execution.Trigger) *headracev1.ExecutionTrigger {
	p := &headracev1.ExecutionTrigger{
		Type: string(t.Type), Detail: t.Detail, Principal: t.Principal, Trigger: t.Name,
		Ref: t.Ref, FromCommit: t.From, ToCommit: t.To, Delivery: t.Delivery, ReplayedBy: t.ReplayedBy, Decision: t.Decision,
		Repository: t.Repository, Forced: t.Forced, Pusher: t.Pusher, Forge: t.Forge,
	}
	if pr := t.PullRequest; pr != nil {
		p.PullRequest = &headracev1.TriggeringPullRequest{
			Number: pr.Number, Event: pr.Event, Title: pr.Title, Author: pr.Author, Url: pr.URL,
			SourceBranch: pr.SourceBranch, DestinationBranch: pr.DestinationBranch, Merged: pr.Merged,
		}
	}
	return p
}

func sourceChangeToProto(c service.SourceChange) *headracev1.SourceChange {
	return &headracev1.SourceChange{
		Action: c.Action, Stage: c.Stage, ReleaseNumber: c.Release, ReleaseCommit: c.Commit,
		Relation: relationEnum.ToProto(c.Relation),
		Commits:  int32(c.Commits), MoreCommits: c.More, Authors: c.Authors, MoreAuthors: c.MoreAuthors,
	}
}

// stageExecutionToProto converts the stages of an execution.
func stageExecutionToProto(e *execution.Execution) func(*execution.Stage) *headracev1.StageExecution {
	return func(s *execution.Stage) *headracev1.StageExecution {
		p := &headracev1.StageExecution{
			Stage: s.Name, Status: pipelinepb.StatusToProto(s.Status), StartTime: timestamp(s.StartedAt), EndTime: timestamp(s.EndedAt),
			Actions: each(s.Actions, actionExecutionToProto(e, s)), EntryApproval: approvalToProto(engine.Wait{Execution: e, Stage: s}),
			Conditions: each(s.Conditions, conditionExecutionToProto),
			EarlierEntryApprovals: each(s.EarlierEntries, func(a *execution.Approval) *headracev1.Approval {
				return approvalToProto(engine.Wait{Execution: e, Stage: &execution.Stage{Position: s.Position, Name: s.Name, Entry: a}})
			}),
		}
		if s.Retries != nil {
			p.Retry = &headracev1.RetryStageMetadata{
				AutomaticAttempts: int32(s.Retries.Automatic), ManualAttempts: int32(s.Retries.Manual),
				LatestTrigger: string(s.Retries.Last), LatestTime: timestamp(s.Retries.LastAt),
			}
		}
		return p
	}
}

func conditionExecutionToProto(c *execution.Condition) *headracev1.ConditionExecution {
	p := &headracev1.ConditionExecution{
		Kind: pipelinepb.ConditionKindToProto(c.Kind), Result: string(c.Result), Status: pipelinepb.StatusToProto(c.Status),
		Summary: c.Summary, StartTime: timestamp(c.StartedAt), EndTime: timestamp(c.EndedAt),
		Rules: each(c.Rules, ruleExecutionToProto),
	}
	if c.Override != nil {
		p.Override = &headracev1.ConditionOverride{
			Principal: c.Override.Principal, Reason: c.Override.Reason, OverrideTime: timestamp(c.Override.At),
		}
	}
	return p
}

func ruleExecutionToProto(r *execution.Rule) *headracev1.RuleExecution {
	return &headracev1.RuleExecution{
		Id: r.ID, Rule: r.Name, Provider: r.Provider, Status: pipelinepb.StatusToProto(r.Status), Summary: r.Summary,
		Error: failureToProto(r.Failure), ResolvedConfiguration: pipeline.ShownConfiguration(r.Configuration),
		StartTime: timestamp(r.StartedAt), EndTime: timestamp(r.EndedAt), OpenTime: timestamp(r.Opens),
		HasLog:              r.Attempt > 0 || r.Work == pipeline.WorkTurn,
		ExternalExecutionId: r.ExternalID, ExternalExecutionUrl: r.ExternalURL,
	}
}

func failureToProto(f *action.Failure) *headracev1.ErrorDetails {
	if f == nil {
		return nil
	}
	return &headracev1.ErrorDetails{Code: string(f.Code), Message: f.Message}
}

// actionExecutionToProto converts the actions of a stage of an execution.
func actionExecutionToProto(e *execution.Execution, s *execution.Stage) func(*execution.Action) *headracev1.ActionExecution {
	return func(a *execution.Action) *headracev1.ActionExecution {
		d := &a.Details
		return &headracev1.ActionExecution{
			Id: a.ID, Action: a.Name, Category: string(a.Category), Provider: a.Provider,
			RunOrder: int32(a.RunOrder), Attempt: int32(a.Attempt),
			Status: pipelinepb.StatusToProto(a.Status), StartTime: timestamp(a.StartedAt), EndTime: timestamp(a.EndedAt),
			Summary: d.Summary, OutputVariables: d.Variables, ResolvedConfiguration: pipeline.ShownConfiguration(d.Configuration),
			InputArtifacts: each(d.Inputs, artifactToProto), OutputArtifacts: each(d.Outputs, artifactToProto),
			ExternalExecutionId: d.ExternalID, ExternalExecutionUrl: d.ExternalURL,
			Approval: approvalToProto(engine.Wait{Execution: e, Stage: s, Action: a}), Namespace: a.Namespace, HasLog: a.Work == pipeline.WorkAttempt || a.Work == pipeline.WorkTurn,
			Error: failureToProto(d.Failure), Retried: a.Retried,
		}
	}
}

func artifactToProto(a action.Artifact) *headracev1.Artifact {
	return &headracev1.Artifact{Name: a.Name, Digest: a.Digest, SizeBytes: a.Size}
}

// approvalToProto returns an approval as every answer has it, nil if nothing was asked.
func approvalToProto(w engine.Wait) *headracev1.Approval {
	a := w.Approval()
	if a == nil {
		return nil
	}
	approvers := w.Approvers()
	p := &headracev1.Approval{
		Id: w.ID(),
		Requirements: each(a.Requirements, func(r execution.Requirement) *headracev1.ApprovalRequirement {
			return &headracev1.ApprovalRequirement{
				Rule: r.Rule, MinimumCount: int32(r.MinimumCount),
				Users: r.Users, Groups: r.Groups, RequireComment: r.RequireComment, AllowStarter: r.AllowStarter,
				ApprovedCount: int32(engine.Count(a, r)), Supersede: r.Supersede,
			}
		}),
		Decisions: each(a.Decisions, func(v execution.ApprovalDecision) *headracev1.ApprovalDecision {
			return &headracev1.ApprovalDecision{
				Principal: v.Principal, Groups: v.Groups, Approved: v.Approved, Comment: v.Comment, DecideTime: timestamp(v.At),
				PipelineVersion: v.Version, Artifacts: each(v.Artifacts, artifactToProto),
			}
		}),
		ExpireTime:    timestamp(a.ExpiresAt),
		EligibleUsers: approvers.Users, EligibleGroups: approvers.Groups,
		AnyApprover: approvers.Anyone, ExcludedUsers: approvers.Excluded, Skipped: a.Skipped,
	}
	if w.Action != nil {
		p.CustomData, p.ExternalEntityLink = w.Action.Details.Configuration["CustomData"], w.Action.Details.Configuration["ExternalEntityLink"]
	}
	return p
}

// waitToProto converts the reasons of an execution of that pipeline.
func waitToProto(name pipeline.PipelineName) func(engine.Reason) *headracev1.WaitReason {
	return func(r engine.Reason) *headracev1.WaitReason {
		p := &headracev1.WaitReason{
			Kind: waitKindEnum.ToProto(r.Kind), Message: r.Message, Stage: r.Stage, Action: r.Action,
			Since: timestamp(r.Since), Until: timestamp(r.Until),
			BlockingExecution: nameIn(name, r.BlockingExecution), QueuePosition: int32(r.Place),
			Rule: r.Rule, Condition: pipelinepb.ConditionKindToProto(r.Condition),
			Causes: each(r.Causes, waitToProto(name)), Ender: enderToProto(name, r.Ender), Steps: each(r.Ender.Steps, stepKindEnum.ToProto),
		}
		if r.Wait != nil {
			p.Approval = approvalToProto(*r.Wait)
		}
		if r.Transition != nil {
			p.Transition = transitionToProto(r.Transition)
		}
		return p
	}
}

// enderToProto converts who can end a wait of an execution of that pipeline.
func enderToProto(name pipeline.PipelineName, ends engine.Ender) *headracev1.WaitEnder {
	roles := service.RolesForSteps(ends.Steps)
	// A role is enough, except for approvals.
	anyone := len(roles) > 0 && !slices.Contains(ends.Steps, engine.StepDecide)
	return &headracev1.WaitEnder{
		Automatic: ends.Automatic, Execution: nameIn(name, ends.ExecutionID), Roles: each(roles, roleEnum.ToProto),
		Anyone: anyone || ends.Approvers.Anyone,
		Users:  ends.Approvers.Users, Groups: ends.Approvers.Groups, ExcludedUsers: ends.Approvers.Excluded,
	}
}

// stepToProto converts what can be done about the executions of that pipeline.
func stepToProto(name pipeline.PipelineName) func(engine.Step) *headracev1.NextStep {
	return func(s engine.Step) *headracev1.NextStep {
		return &headracev1.NextStep{
			Kind: stepKindEnum.ToProto(s.Kind), Execution: nameIn(name, s.ExecutionID), Stage: s.Stage, Action: s.Action,
			Condition: pipelinepb.ConditionKindToProto(s.Condition), RetryMode: pipelinepb.RetryModeToProto(s.Mode),
			ApprovalId: s.ApprovalID, RequiresComment: s.RequiresComment, Variables: s.Variables,
		}
	}
}

func stepRefusalToProto(r service.StepRefusal) *headracev1.StepRefusal {
	return &headracev1.StepRefusal{
		Kind: stepKindEnum.ToProto(r.Kind), Stage: r.Stage, Condition: pipelinepb.ConditionKindToProto(r.Condition),
		Reason: string(r.Reason), Message: r.Message, ApprovalId: r.ApprovalID,
	}
}

// nameIn returns the name of an execution of that pipeline, empty of no id.
func nameIn(name pipeline.PipelineName, id string) string {
	if id == "" {
		return ""
	}
	return pipeline.ExecutionName{PipelineName: name, ID: id}.String()
}

// transitionToProto returns a transition, of nil that which nobody touched.
func transitionToProto(t *execution.Transition) *headracev1.StageTransition {
	if t == nil {
		return &headracev1.StageTransition{Enabled: true}
	}
	return &headracev1.StageTransition{
		Enabled: !t.Disabled, DisabledReason: t.Reason, Principal: t.Principal, ChangeTime: timestamp(t.At),
	}
}

func eventToProto(name pipeline.ExecutionName, e service.EventDetail) *headracev1.Event {
	p := &headracev1.Event{
		Position: e.Position, EventTime: timestamp(e.At), Subject: subjectEnum.ToProto(e.Subject), State: string(e.State),
		Execution: name.String(), Stage: e.Stage, Action: e.Action, ActionExecutionId: e.ActionExecutionID,
		Attempt: int32(e.Attempt), Principal: e.Principal, Message: e.Message,
		PipelineVersion: e.Version, ExecutionAttempt: int32(e.ExecutionAttempt),
		Condition: pipelinepb.ConditionKindToProto(e.Condition),
		StartTime: timestamp(e.Started), StageLastRetryAttemptTime: timestamp(e.Retried),
	}
	if e.Trigger != nil {
		p.Trigger = triggerToProto(e.Trigger)
	}
	if e.Acted == nil {
		return p
	}
	d := &e.Acted.Details
	p.ActionType = typeIDToProto(e.ActionType)
	p.InputArtifacts = each(d.Inputs, artifactToProto)
	if e.Ended {
		p.OutputArtifacts = each(d.Outputs, artifactToProto)
		p.ExecutionResult = &headracev1.ActionExecutionResult{
			ExternalExecutionId: d.ExternalID, ExternalExecutionUrl: d.ExternalURL, ExternalExecutionSummary: d.Summary,
			ErrorCode: failureToProto(d.Failure).GetCode(),
		}
	}
	return p
}
