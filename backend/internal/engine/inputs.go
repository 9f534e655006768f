package engine

import (
	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Input is something that happened. Decide knows the types of this package.
type Input interface{ input() }

// Start adds an execution. Its stages are empty and its status InProgress.
type Start struct{ Execution *execution.Execution }

// Finish is the result of an attempt or a turn. Attempt 0 stands for a turn. The
// id is an action execution's or that of a rule that a runner carries out.
type Finish struct {
	ExecutionID, ActionExecutionID string
	Attempt                        int
	Result                         action.Result
}

// Again carries a turn on later.
type Again struct {
	ExecutionID, ActionExecutionID string
	Again                          action.Again
}

// Lost says that the runner of an attempt went away.
type Lost struct {
	ExecutionID, ActionExecutionID string
	Attempt                        int
	Reason                         string
}

// Approve is one person's decision on an open approval.
type Approve struct {
	ExecutionID string
	// Stage and Action name the approval; both may be empty when only one is open.
	Stage, Action string
	// ApprovalID is the wait that the person was shown, empty if that is not known.
	ApprovalID string
	Principal  string
	Groups     []string
	Approved   bool
	Comment    string
}

// Expire says that the time of an approval is over. ID is the turn's.
type Expire struct{ ExecutionID, ID string }

// Recheck looks again at a condition that waits for a time. ID is the turn's.
type Recheck struct{ ExecutionID, ID string }

// Stop ends an execution: once its actions ended, or at once.
type Stop struct {
	ExecutionID string
	Principal   string
	Reason      string
	Abandon     bool
}

// Retry runs a stage of an execution again, which may have ended: the execution is
// given as the store has it, and is ignored where the scope knows it as live.
type Retry struct {
	Execution *execution.Execution
	// Stage may be empty for the one where the execution is or ended.
	Stage     string
	Mode      pipeline.RetryMode
	Principal string
	// Newest is the newest version of the pipeline.
	Newest int64
}

// Rollback runs a stage again as the target did, in a new execution.
type Rollback struct {
	Target    *execution.Execution
	Stage     string
	Principal string
	// Newest is the newest version of the pipeline.
	Newest int64
}

// Override lets an execution go on that a condition stopped or holds. The
// execution is given as in Retry.
type Override struct {
	Execution *execution.Execution
	Stage     string
	Condition pipeline.ConditionKind
	Principal string
	Reason    string
}

// SetTransition disables or enables the inbound transition of a stage.
type SetTransition struct {
	Stage     string
	Enabled   bool
	Reason    string
	Principal string
	// Newest is the newest version of the pipeline.
	Newest int64
}

// Cancel ends the executions of versions before this one, once their running
// actions ended.
type Cancel struct {
	Version   int64
	Principal string
}

func (Start) input()         {}
func (Finish) input()        {}
func (Again) input()         {}
func (Lost) input()          {}
func (Approve) input()       {}
func (Expire) input()        {}
func (Recheck) input()       {}
func (Stop) input()          {}
func (Retry) input()         {}
func (Rollback) input()      {}
func (Override) input()      {}
func (SetTransition) input() {}
func (Cancel) input()        {}
