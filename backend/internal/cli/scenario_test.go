package cli_test

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

const (
	runID    = "6f1c2d3e-0000-4000-8000-000000000003"
	olderID  = "6f1c2d3e-0000-4000-8000-000000000001"
	web      = "accounts/default/pipelines/web"
	runName  = web + "/executions/" + runID
	oldName  = web + "/executions/" + olderID
	revision = "0123456789abcdef0123456789abcdef01234567"
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
							Status: headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED,
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
		Approval: &headracev1.Approval{Requirements: []*headracev1.ApprovalRequirement{{
			Rule: "accounts/default/approvalRules/prod", MinimumCount: 1, Users: []string{"alice"}, RequireComment: true,
		}}},
	}}
}
