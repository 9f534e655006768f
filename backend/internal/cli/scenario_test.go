package cli_test

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

const (
	runID      = "6f1c2d3e-0000-4000-8000-000000000003"
	olderID    = "6f1c2d3e-0000-4000-8000-000000000001"
	rollbackID = "6f1c2d3e-0000-4000-8000-000000000004"
	web        = "accounts/default/pipelines/web"
	runName    = web + "/executions/" + runID
	oldName    = web + "/executions/" + olderID
	revision   = "0123456789abcdef0123456789abcdef01234567"
)

func at(seconds int) *timestamppb.Timestamp {
	return timestamppb.New(start.Add(time.Duration(seconds) * time.Second))
}

// succeeded lets the fake hold web#3, which ran well, and web#1, which did not.
func (f *fake) succeeded() {
	f.executions = []*headracev1.Execution{
		{
			Name: runName, Id: runID, Number: 3, PipelineVersion: 4, StartTime: at(0), EndTime: at(12),
			Status:    headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED,
			Trigger:   &headracev1.ExecutionTrigger{Type: "StartPipelineExecution", Principal: "bob"},
			Variables: map[string]string{"Size": "M", "Color": "red"},
			SourceRevisions: []*headracev1.SourceRevision{
				{Action: "Checkout", RevisionId: revision, RevisionSummary: "Add \x1b[31mgreeting\n\nlong text"},
			},
			Stages: []*headracev1.StageExecution{
				{
					Stage: "Source", Status: headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, StartTime: at(0), EndTime: at(1),
					Actions: []*headracev1.ActionExecution{{
						Id: "a1", Action: "Checkout", Category: "Source", HasLog: true, Attempt: 1, StartTime: at(0), EndTime: at(1),
						Status: headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, Summary: "fetched 0123456",
					}},
				},
				{
					Stage: "Build", Status: headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, StartTime: at(1), EndTime: at(12),
					Actions: []*headracev1.ActionExecution{
						{
							Id: "a2", Action: "Compile", Category: "Build", HasLog: true, Attempt: 2, StartTime: at(1), EndTime: at(12),
							Status:  headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED,
							Summary: "ran 1 command; discarded 1 file outside the work directory: /tmp/site",
						},
						{
							Id: "a3", Action: "Checkout", Category: "Build", Attempt: 1, StartTime: at(1), EndTime: at(12),
							Status: headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED,
						},
					},
				},
			},
		},
		{
			Name: oldName, Id: olderID, Number: 1, PipelineVersion: 2, StartTime: at(-100), EndTime: at(-40),
			Status: headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED, StatusSummary: "Build failed",
		},
	}
	f.logs = map[string]string{"a1": "cloning\ndone\n", "a2": "compiling\nok\n"}
	f.events = []*headracev1.Event{
		{Position: 1, EventTime: at(0), Subject: headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION, State: "STARTED", Principal: "bob"},
		{Position: 2, EventTime: at(0), Subject: headracev1.EventSubject_EVENT_SUBJECT_STAGE_EXECUTION, State: "STARTED", Stage: "Source"},
		{
			Position: 3, EventTime: at(1), Subject: headracev1.EventSubject_EVENT_SUBJECT_ACTION_EXECUTION, State: "SUCCEEDED",
			Stage: "Source", Action: "Checkout", Attempt: 1, Message: "fetched 0123456",
		},
		{
			Position: 4, EventTime: at(12), Subject: headracev1.EventSubject_EVENT_SUBJECT_ACTION_EXECUTION, State: "SUCCEEDED",
			Stage: "Build", Action: "Compile", Attempt: 2,
		},
		{Position: 5, EventTime: at(12), Subject: headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION, State: "SUCCEEDED"},
	}
}

// failed lets the fake hold a web#3 whose build failed.
func (f *fake) failed() {
	f.succeeded()
	e := f.executions[0]
	e.Status = headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED
	e.StatusSummary = "stage Build failed"
	compile := e.GetStages()[1].GetActions()[0]
	compile.Status = headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED
	compile.Error = &headracev1.ErrorDetails{Code: "JobFailed", Message: "go build exited with 1"}
	f.steps[runName] = []*headracev1.NextStep{
		retryStep(runName, "Build", headracev1.RetryMode_RETRY_MODE_FAILED_ACTIONS),
		{Kind: headracev1.NextStepKind_NEXT_STEP_KIND_START_EXECUTION, Variables: map[string]string{"Color": "it's red"}},
	}
}

func retryStep(execution, stage string, mode headracev1.RetryMode) *headracev1.NextStep {
	return &headracev1.NextStep{
		Kind: headracev1.NextStepKind_NEXT_STEP_KIND_RETRY_STAGE, Execution: execution, Stage: stage, RetryMode: mode,
	}
}

func overrideStep(execution, stage string, kind headracev1.ConditionKind) *headracev1.NextStep {
	return &headracev1.NextStep{
		Kind: headracev1.NextStepKind_NEXT_STEP_KIND_OVERRIDE_CONDITION, Execution: execution, Stage: stage, Condition: kind,
	}
}

// waits lets the fake hold a web#3 that waits for an approval.
func (f *fake) waits() {
	f.succeeded()
	e := f.executions[0]
	e.Status = headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS
	e.EndTime = nil
	f.waiting = make(chan struct{})
	f.reasons = []*headracev1.WaitReason{{
		Kind: headracev1.WaitKind_WAIT_KIND_APPROVAL, Stage: "Approve", Action: "Approve", Since: at(0), Until: at(3600),
		Message: "1 of 1 approvals is missing",
		Approval: &headracev1.Approval{
			Id: "a4", ExpireTime: at(3600), EligibleUsers: []string{"alice"}, ExcludedUsers: []string{"bob"},
			Requirements: []*headracev1.ApprovalRequirement{{
				Rule: "accounts/default/approvalRules/prod", MinimumCount: 1, Users: []string{"alice", "bob"}, RequireComment: true,
			}},
		},
	}}
	f.steps[runName] = []*headracev1.NextStep{decideStep(runName), {
		Kind: headracev1.NextStepKind_NEXT_STEP_KIND_STOP_EXECUTION, Execution: runName,
	}}
}

func decideStep(execution string) *headracev1.NextStep {
	return &headracev1.NextStep{
		Kind: headracev1.NextStepKind_NEXT_STEP_KIND_DECIDE_APPROVAL, Execution: execution,
		Stage: "Approve", Action: "Approve", ApprovalId: "a4", RequiresComment: true,
	}
}

// conditioned lets the fake hold a web#3 of two attempts: its build was retried, and
// a rule before the entry of Deploy, which runs commands, was not met.
func (f *fake) conditioned() {
	f.failed()
	e := f.executions[0]
	e.Attempt, e.StatusSummary = 2, "the before-entry condition of stage Deploy was not met"
	build := e.GetStages()[1]
	build.Status, build.Retry = headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, &headracev1.RetryStageMetadata{ManualAttempts: 1}
	build.GetActions()[0].Retried = true
	build.Actions = append(build.Actions, &headracev1.ActionExecution{
		Id: "a4", Action: "Compile", Category: "Build", HasLog: true, Attempt: 1, StartTime: at(6), EndTime: at(12),
		Status: headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED,
	})
	build.Conditions = []*headracev1.ConditionExecution{{
		Kind: headracev1.ConditionKind_CONDITION_KIND_ON_SUCCESS, Result: "FAIL", StartTime: at(12), EndTime: at(12),
		Status:   headracev1.ExecutionStatus_EXECUTION_STATUS_OVERRIDDEN,
		Override: &headracev1.ConditionOverride{Principal: "ann", Reason: "coverage is fine", OverrideTime: at(12)},
	}}
	e.Stages = append(e.GetStages(), &headracev1.StageExecution{
		Stage: "Canary", Status: headracev1.ExecutionStatus_EXECUTION_STATUS_SKIPPED, StartTime: at(12), EndTime: at(12),
		Conditions: []*headracev1.ConditionExecution{{
			Kind: headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY, Result: "SKIP", StartTime: at(12), EndTime: at(12),
			Status: headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED, Summary: "rule Size was not met",
			Rules: []*headracev1.RuleExecution{{
				Id: "r1", Rule: "Size", Provider: "VariableCheck", Status: headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED,
				Summary: "M is not XL", StartTime: at(12), EndTime: at(12),
			}},
		}},
	}, &headracev1.StageExecution{
		Stage: "Deploy", Status: headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED, StartTime: at(12), EndTime: at(14),
		Conditions: []*headracev1.ConditionExecution{{
			Kind: headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY, Result: "FAIL", StartTime: at(12), EndTime: at(14),
			Status: headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED, Summary: "rule Smoke was not met",
			Rules: []*headracev1.RuleExecution{{
				Id: "r2", Rule: "Smoke", Provider: "Commands", Status: headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED,
				Error:     &headracev1.ErrorDetails{Code: "JobFailed", Message: "./smoke exited with 1"},
				StartTime: at(12), EndTime: at(14), HasLog: true,
			}, {
				Id: "r3", Rule: "Region", Provider: "VariableCheck", Status: headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED,
				Summary: "eu is not us", StartTime: at(12), EndTime: at(12),
			}},
		}},
	})
	f.steps[runName] = []*headracev1.NextStep{
		retryStep(runName, "Deploy", headracev1.RetryMode_RETRY_MODE_ALL_ACTIONS),
		overrideStep(runName, "Deploy", headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY),
	}
	f.logs["a4"], f.logs["r2"] = "compiling again\n", "no smoke\n"
}

// rolledBack lets the fake hold a web#4 that rolls Deploy back to web#1.
func (f *fake) rolledBack() {
	f.succeeded()
	f.executions = append([]*headracev1.Execution{{
		Name: web + "/executions/" + rollbackID, Id: rollbackID, Number: 4, PipelineVersion: 4, Attempt: 1, StartTime: at(20), EndTime: at(30),
		Status:        headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED,
		Trigger:       &headracev1.ExecutionTrigger{Type: "AutomatedRollback", Detail: olderID},
		ExecutionType: headracev1.ExecutionType_EXECUTION_TYPE_ROLLBACK,
		Rollback:      &headracev1.RollbackMetadata{TargetExecution: oldName, TargetNumber: 1},
		SourceRevisionOverrides: []*headracev1.SourceRevisionOverride{
			{Action: "Checkout", RevisionType: "COMMIT_ID", RevisionValue: revision},
		},
		Stages: []*headracev1.StageExecution{{
			Stage: "Deploy", Status: headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, StartTime: at(20), EndTime: at(30),
		}},
	}}, f.executions...)
}

// queued lets the fake hold a web#3 that waits behind web#1, which waits itself.
func (f *fake) queued() {
	f.waits()
	approval := f.reasons[0]
	approval.GetApproval().Decisions = []*headracev1.ApprovalDecision{{Principal: "zoe", Approved: true, DecideTime: at(30), Comment: "fine"}}
	f.reasons = []*headracev1.WaitReason{
		{
			Kind: headracev1.WaitKind_WAIT_KIND_STAGE_LOCK, Stage: "Approve", Since: at(0), BlockingExecution: oldName, QueuePosition: 2,
			Message: "waits for stage Approve, which execution 1 is in", Causes: []*headracev1.WaitReason{approval},
		},
		{
			Kind: headracev1.WaitKind_WAIT_KIND_TRANSITION, Stage: "Deploy", Since: at(0), QueuePosition: 1,
			Message: "the transition into stage Deploy is disabled", Transition: &headracev1.StageTransition{
				DisabledReason: "freeze", Principal: "ann", ChangeTime: at(-60),
			},
		},
		{
			Kind: headracev1.WaitKind_WAIT_KIND_WINDOW, Stage: "Deploy", Rule: "Night", Since: at(0), Until: at(3600),
			Condition: headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY, Message: "the deployment window is closed",
		},
	}
	f.steps[runName] = []*headracev1.NextStep{
		decideStep(oldName),
		{Kind: headracev1.NextStepKind_NEXT_STEP_KIND_ENABLE_TRANSITION, Execution: runName, Stage: "Deploy"},
		overrideStep(runName, "Deploy", headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY),
	}
}
