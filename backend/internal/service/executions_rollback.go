package service

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
)

// RollbackInput says what to roll back, and to which execution.
type RollbackInput struct {
	Stage, TargetID, RequestID string
}

// Rollback starts an execution that runs a stage again as an earlier one did. A
// repeated request id returns the execution that the first one started.
func (x *Executions) Rollback(ctx context.Context, who auth.Identity, account, pipelineName string, in RollbackInput) (*execution.Execution, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	repeat := startRequest{account: account, pipeline: pipelineName, method: "RollbackStage", id: in.RequestID}
	return x.begin(ctx, repeat, func(ctx context.Context, tx *loop.Tx) (*execution.Change, error) {
		p, err := published(ctx, tx, account, pipelineName)
		if err != nil {
			return nil, err
		}
		target, err := findExecution(ctx, tx.Execution, account, in.TargetID)
		if err != nil {
			return nil, err
		}
		return tx.Decide(ctx, execution.ScopeKey{PipelineID: p.ID}, engine.Rollback{
			Target: target, Stage: in.Stage, Principal: who.Principal, Newest: p.Version,
		})
	})
}
