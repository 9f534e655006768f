package service

import (
	"context"
	"time"

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

// ExecutionQuery selects executions of an account. Fields that are not set select all.
type ExecutionQuery struct {
	Pipeline string
	Statuses []pipeline.Status
	// Triggers are how they were started, and Principal who did: a user, or trigger:NAME.
	Triggers  []execution.TriggerType
	Principal string
	// Revision is the start of the id of a revision.
	Revision string
	// From and To bound the time of the start, From included.
	From, To time.Time
	// Number is that of one execution of the pipeline.
	Number int64
	// Before is the id of the last one of the page before.
	Before string
	Size   int
}

// List returns executions, newest first, without stages.
func (x *Executions) List(ctx context.Context, who auth.Identity, account string, query ExecutionQuery) ([]*execution.Execution, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, err
	}
	if query.Number != 0 && query.Pipeline == "" {
		return nil, invalidField(requestPath("number"), "numbers are those of one pipeline: name it in parent")
	}
	return listExecutions(ctx, x.config.Store, query.Pipeline, store.ExecutionFilter{
		Account: account, Statuses: query.Statuses, Triggers: query.Triggers, Principal: query.Principal, Revision: query.Revision,
		From: query.From, To: query.To, Number: query.Number, Before: query.Before, Size: query.Size,
	})
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
