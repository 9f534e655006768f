package service

import (
	"context"
	"errors"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/starter"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// StartInput is what an execution starts with.
type StartInput struct {
	Variables map[string]string
	// Overrides ask for revisions instead of the newest.
	Overrides []pipeline.Override
	RequestID string
}

// Start starts one run of the newest version of a pipeline. A repeated request
// id returns the execution that the first one started.
func (x *Executions) Start(ctx context.Context, who auth.Identity, account, pipelineName string, in StartInput) (*execution.Execution, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	repeat := startRequest{account: account, pipeline: pipelineName, method: "StartExecution", id: in.RequestID}
	return x.begin(ctx, repeat, func(ctx context.Context, tx *loop.Tx) (*execution.Change, error) {
		e, err := x.newExecution(ctx, tx, who, account, pipelineName, in)
		if err != nil {
			return nil, err
		}
		return tx.Decide(ctx, e.Scope(), engine.Start{Execution: e})
	})
}

// newExecution makes the record of a new run, pinned to the newest version.
func (x *Executions) newExecution(ctx context.Context, tx store.Tx, who auth.Identity, account, pipelineName string, in StartInput) (*execution.Execution, error) {
	e, err := x.starts.Execution(ctx, tx, account, pipelineName, starter.Input{
		Variables: in.Variables, Overrides: in.Overrides,
		Trigger: execution.Trigger{Type: execution.TriggerStart, Principal: who.Principal},
	})
	if errors.Is(err, store.ErrNotFound) {
		if _, err := findPipeline(ctx, tx, account, pipelineName); err != nil {
			return nil, err
		}
	}
	return e, invalidDefinition(starterRefusal(err), nil, nil)
}
