package service

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// OverrideInput names a condition that does not matter this time, and says why.
type OverrideInput struct {
	Stage     string
	Condition pipeline.ConditionKind
	Reason    string
}

// Override lets an execution go on that a condition stopped or holds.
func (x *Executions) Override(ctx context.Context, who auth.Identity, account, executionID string, in OverrideInput) (*execution.Execution, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	if err := checkReason(in.Reason); err != nil {
		return nil, err
	}
	return x.again(ctx, who, account, executionID, func(e *execution.Execution, _ int64) engine.Input {
		return engine.Override{Execution: e, Stage: in.Stage, Condition: in.Condition, Principal: who.Principal, Reason: in.Reason}
	})
}
