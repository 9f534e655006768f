package service

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// Stop stops an execution, by waiting for its running actions or abandoning them.
func (x *Executions) Stop(ctx context.Context, who auth.Identity, account, executionID string, abandon bool, reason string) (*execution.Execution, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	in := engine.Stop{ExecutionID: executionID, Principal: who.Principal, Reason: reason, Abandon: abandon}
	return x.input(ctx, account, executionID, in)
}
