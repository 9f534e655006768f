package service

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Get returns an execution with its stages and actions.
func (x *Executions) Get(ctx context.Context, who auth.Identity, account, executionID string) (*execution.Execution, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, err
	}
	return readExecution(ctx, x.config.Store, account, executionID)
}

// List returns executions, newest first, without stages; of all pipelines if
// pipelineName is empty. Before is the id of the last one of the page before.
func (x *Executions) List(ctx context.Context, who auth.Identity, account, pipelineName string, statuses []pipeline.Status, before string, size int) ([]*execution.Execution, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, err
	}
	return listExecutions(ctx, x.config.Store, pipelineName, store.ExecutionFilter{Account: account, Statuses: statuses, Before: before, Size: size})
}

// listExecutions reads the executions of a filter, whose pipeline is named; all if the
// name is empty.
func listExecutions(ctx context.Context, s store.Store, pipelineName string, filter store.ExecutionFilter) ([]*execution.Execution, error) {
	var found []*execution.Execution
	err := s.View(ctx, func(ctx context.Context, r store.Reader) error {
		if pipelineName != "" {
			p, err := findPipeline(ctx, r, filter.Account, pipelineName)
			if err != nil {
				return err
			}
			filter.PipelineID = p.ID
		}
		var err error
		found, err = r.Executions(ctx, filter)
		return err
	})
	return found, err
}

// Counts are what is going on in the store, by all who work on it.
type Counts struct{ Live, Queued, Running int }

// Counts counts live executions, attempts that wait for a runner and those that a
// runner holds.
func (x *Executions) Counts(ctx context.Context) (c Counts, err error) {
	err = x.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if c.Live, err = r.CountLive(ctx); err != nil {
			return err
		}
		c.Queued, c.Running, err = r.CountAttempts(ctx)
		return err
	})
	return c, err
}
