package service

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// RetryInput says what of an execution to retry.
type RetryInput struct {
	// Stage may be empty for the one where the execution ended.
	Stage string
	// Mode is FAILED_ACTIONS where it is empty.
	Mode pipeline.RetryMode
}

// Retry runs the actions of a stage that failed or was stopped again.
func (x *Executions) Retry(ctx context.Context, who auth.Identity, account, executionID string, in RetryInput) (*execution.Execution, error) {
	return nil, refuse(KindPrecondition, "", "not built")
}

// RollbackInput says what to roll back, and to which execution.
type RollbackInput struct {
	Stage, TargetID, RequestID string
}

// Rollback starts an execution that runs a stage again as an earlier one did.
func (x *Executions) Rollback(ctx context.Context, who auth.Identity, account, pipelineName string, in RollbackInput) (*execution.Execution, error) {
	return nil, refuse(KindPrecondition, "", "not built")
}

// OverrideInput names a condition that does not matter this time, and says why.
type OverrideInput struct {
	Stage     string
	Condition pipeline.ConditionKind
	Reason    string
}

// Override lets an execution go on that a condition stopped or holds.
func (x *Executions) Override(ctx context.Context, who auth.Identity, account, executionID string, in OverrideInput) (*execution.Execution, error) {
	return nil, refuse(KindPrecondition, "", "not built")
}

// TransitionInput disables or enables the transition into a stage.
type TransitionInput struct {
	Stage   string
	Enabled bool
	Reason  string
}

// SetTransition disables or enables the transition into a stage.
func (x *Executions) SetTransition(ctx context.Context, who auth.Identity, account, pipelineName string, in TransitionInput) (StageView, error) {
	return StageView{}, refuse(KindPrecondition, "", "not built")
}

// StateView is what happens in a pipeline now.
type StateView struct {
	Version int64
	Mode    pipeline.ExecutionMode
	// Stages are those of the newest version in order; none in PARALLEL mode.
	Stages []StageView
}

// StageView is what happens in a stage now. The strings are ids of executions.
type StageView struct {
	Name       string
	Transition *execution.Transition
	Current    string
	Inbound    []string
	Latest     string
	Succeeded  string
}

// State returns what happens in a pipeline now.
func (x *Executions) State(ctx context.Context, who auth.Identity, account, pipelineName string) (StateView, error) {
	return StateView{}, refuse(KindPrecondition, "", "not built")
}
