package service

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
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

// Retry runs the actions of a stage that failed or was stopped again, in the same
// execution.
func (x *Executions) Retry(ctx context.Context, who auth.Identity, account, executionID string, in RetryInput) (*execution.Execution, error) {
	if in.Mode == "" {
		in.Mode = pipeline.RetryFailedActions
	}
	return x.again(ctx, who, account, executionID, func(e *execution.Execution, newest int64) engine.Input {
		return engine.Retry{Execution: e, Stage: in.Stage, Mode: in.Mode, Principal: who.Principal, Newest: newest}
	})
}
