package store

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// ExecutionReader reads executions, scopes and events.
type ExecutionReader interface {
	// Execution returns an execution with its stages by position. The actions of each
	// stage are ordered by id, which ascends in the order of their starts.
	Execution(ctx context.Context, id string) (*execution.Execution, error)
	// ExecutionHead returns an execution without its stages.
	ExecutionHead(ctx context.Context, id string) (*execution.Execution, error)
	// ActionStatus returns the status of an action of an execution.
	ActionStatus(ctx context.Context, executionID, actionExecutionID string) (pipeline.Status, error)
	// Executions returns executions without stages, newest first.
	Executions(ctx context.Context, filter ExecutionFilter) ([]*execution.Execution, error)
	// LiveScope returns a scope as a decision needs it.
	LiveScope(ctx context.Context, key execution.ScopeKey) (LiveScope, error)
	// LiveExecutions returns the live executions of a pipeline in every scope, by number,
	// without stages.
	LiveExecutions(ctx context.Context, pipelineID string) ([]*execution.Execution, error)
	// CountLive returns how many executions of all accounts are live.
	CountLive(ctx context.Context) (int, error)
	// CountLiveOf returns how many executions of a pipeline are live in every scope.
	CountLiveOf(ctx context.Context, pipelineID string) (int, error)
	// PipelineState returns the number of the newest execution of a pipeline, and the
	// pipeline's state.
	PipelineState(ctx context.Context, pipelineID string) (newest int64, state *execution.PipelineState, err error)
	// Events returns at most size events of an execution after a position, in order.
	Events(ctx context.Context, executionID string, after int64, size int) ([]execution.Event, error)
}

// ExecutionWriter reads and writes executions, scopes and events. Executions change only
// by Apply.
type ExecutionWriter interface {
	ExecutionReader

	// NextNumber returns the next execution number of a pipeline.
	NextNumber(ctx context.Context, pipelineID string) (int64, error)
	// ClaimScope changes the revision of a scope from this one to next and keeps others
	// out until the transaction ends. If the scope has another revision, it returns
	// ErrStale. A caller that keeps its decision in memory by the revision must choose a
	// next one that no other caller chooses.
	ClaimScope(ctx context.Context, key execution.ScopeKey, revision, next int64) error
	// Apply writes all of a change. The scope of a PARALLEL execution is removed when the
	// execution ends and created again, at revision 0, when it is resumed. Apply returns
	// ErrStale if a resumed execution is live already or lost its outputs, ErrNotFound for
	// a state of a pipeline that no longer exists, and ErrRemoving if a caller claimed an
	// output of an action in order to remove it. A state of a PARALLEL scope is an error.
	Apply(ctx context.Context, change *execution.Change) error
}

// ExecutionFilter selects executions.
type ExecutionFilter struct {
	Account string
	// PipelineID is empty for all pipelines of the account.
	PipelineID string
	// Statuses is empty for all.
	Statuses []pipeline.Status
	// Triggers is empty for all, and Principal for all who started executions.
	Triggers  []execution.TriggerType
	Principal string
	// Revision is the start of the id of a revision that a source fetched, or of the commit
	// that started the execution; empty for all.
	Revision string
	// From and To bound the time of the start, From included; zero for no bound.
	From, To time.Time
	// Number is that of one execution, 0 for all.
	Number int64
	// Before is the id of the last execution of the page before; "" for the
	// newest. Ids ascend with the time of their start.
	Before string
	Size   int
}

// LiveScope is the input of one decision.
type LiveScope struct {
	// Live are the live executions, by number, with stages and actions.
	Live []*execution.Execution
	// State is that of the pipeline, never nil. The scope of a PARALLEL execution
	// has an empty one.
	State *execution.PipelineState
	// Revision is the one to claim the scope by.
	Revision int64
}
