package engine

import (
	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Input is something that happened. It answers for itself what a decision about it needs.
type Input interface {
	// Versions are those of the pipeline that the input reads beside the ones that live
	// executions are pinned to.
	Versions() []int64
	// Owner returns the account and the name of the pipeline if the input holds them; they
	// are empty for inputs about live executions, which have them.
	Owner() (account, pipeline string)
	// Begins reports whether the input begins an execution: its pipeline must exist, and
	// the scope of a PARALLEL execution begins with it.
	Begins() bool
	// apply changes the scope, or refuses and changes nothing.
	apply(d *decision) error
}

// onLive is part of inputs about live executions: the scope has all that they need.
type onLive struct{}

// Versions implements Input.
func (onLive) Versions() []int64 { return nil }

// Owner implements Input.
func (onLive) Owner() (account, pipeline string) { return "", "" }

// Begins implements Input.
func (onLive) Begins() bool { return false }

// Start adds an execution. Its stages are empty and its status InProgress.
type Start struct{ Execution *execution.Execution }

func (in Start) apply(d *decision) error {
	return d.start(in)
}

// Versions implements Input.
func (in Start) Versions() []int64 { return []int64{in.Execution.Version} }

// Owner implements Input.
func (in Start) Owner() (account, pipeline string) {
	return in.Execution.Account, in.Execution.Pipeline
}

// Begins implements Input.
func (Start) Begins() bool { return true }

// Finish is the result of an attempt or a turn. Attempt 0 stands for a turn. The
// id is an action execution's or that of a rule that runs.
type Finish struct {
	onLive

	ExecutionID, ActionExecutionID string
	Attempt                        int
	Result                         action.Result
	// Unanswered is set if the executor did not give the result, so that what it began
	// may still run.
	Unanswered bool
}

func (in Finish) apply(d *decision) error {
	d.onFinish(in)
	return nil
}

// Again carries a turn on later.
type Again struct {
	onLive

	ExecutionID, ActionExecutionID string
	Again                          action.Again
	// Turn is the one that answered. If nobody waits for its work any more, the work is
	// abandoned.
	Turn *action.Turn
}

func (in Again) apply(d *decision) error {
	d.again(in)
	return nil
}

// Lost says that the runner of an attempt went away.
type Lost struct {
	onLive

	ExecutionID, ActionExecutionID string
	Attempt                        int
	Reason                         string
}

func (in Lost) apply(d *decision) error {
	d.change.Lost = in.ActionExecutionID
	d.onRunnerLost(in)
	return nil
}

// Approve is one person's decision on an open approval.
type Approve struct {
	onLive

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

func (in Approve) apply(d *decision) error {
	return d.approve(in)
}

// Expire reports that an approval has expired. ID is the turn's.
type Expire struct {
	onLive

	ExecutionID, ID string
}

func (in Expire) apply(d *decision) error {
	d.expire(in)
	return nil
}

// Recheck looks again at a condition that waits for a time. ID is the turn's.
type Recheck struct {
	onLive

	ExecutionID, ID string
}

func (in Recheck) apply(d *decision) error {
	d.recheck(in)
	return nil
}

// Stop ends an execution: once its actions ended, or at once.
type Stop struct {
	onLive

	ExecutionID string
	Principal   string
	Reason      string
	Abandon     bool
}

func (in Stop) apply(d *decision) error {
	return d.stop(in)
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

func (in Retry) apply(d *decision) error {
	return d.retry(in)
}

// Versions implements Input.
func (in Retry) Versions() []int64 { return []int64{in.Execution.Version} }

// Owner implements Input.
func (in Retry) Owner() (account, pipeline string) {
	return in.Execution.Account, in.Execution.Pipeline
}

// Begins implements Input.
func (Retry) Begins() bool { return false }

// Rollback runs a stage again as the target did, in a new execution.
type Rollback struct {
	Target    *execution.Execution
	Stage     string
	Principal string
	// Newest is the newest version of the pipeline.
	Newest int64
}

func (in Rollback) apply(d *decision) error {
	return d.rollBack(in)
}

// Versions implements Input.
func (in Rollback) Versions() []int64 { return []int64{in.Newest} }

// Owner implements Input.
func (in Rollback) Owner() (account, pipeline string) { return in.Target.Account, in.Target.Pipeline }

// Begins implements Input.
func (Rollback) Begins() bool { return false }

// Override lets an execution go on that a condition stopped or holds. The
// execution is given as in Retry.
type Override struct {
	Execution *execution.Execution
	Stage     string
	Condition pipeline.ConditionKind
	Principal string
	Reason    string
}

func (in Override) apply(d *decision) error {
	return d.override(in)
}

// Versions implements Input.
func (in Override) Versions() []int64 { return []int64{in.Execution.Version} }

// Owner implements Input.
func (in Override) Owner() (account, pipeline string) {
	return in.Execution.Account, in.Execution.Pipeline
}

// Begins implements Input.
func (Override) Begins() bool { return false }

// SetTransition disables or enables the inbound transition of a stage.
type SetTransition struct {
	onLive

	Stage     string
	Enabled   bool
	Reason    string
	Principal string
	// Newest is the newest version of the pipeline.
	Newest int64
}

func (in SetTransition) apply(d *decision) error {
	return d.setTransition(in)
}

// Versions implements Input.
func (in SetTransition) Versions() []int64 { return []int64{in.Newest} }

// Cancel ends the executions of versions before this one, once their running
// actions ended.
type Cancel struct {
	onLive

	Version   int64
	Principal string
}

func (in Cancel) apply(d *decision) error {
	d.cancel(in)
	return nil
}
