package store

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// OverviewReader reads what happens in many pipelines at once. The number of its statements
// does not depend on how many, and no statement reads the history of a pipeline.
type OverviewReader interface {
	// PipelineMarks returns a mark of each pipeline of an account, by name.
	PipelineMarks(ctx context.Context, account string) ([]PipelineMark, error)
	// PipelinesOf returns the ids of the pipelines of executions. Executions that do not
	// exist have none.
	PipelinesOf(ctx context.Context, executionIDs []string) ([]string, error)
	// Overviews returns what happens in pipelines, by name, without those that do not exist.
	Overviews(ctx context.Context, pipelineIDs []string) ([]PipelineOverview, error)
	// NewestVersions returns the newest version of each of the pipelines that has one.
	NewestVersions(ctx context.Context, pipelineIDs []string) ([]definition.Version, error)
}

// PipelineMark names a state of a pipeline: it is another one after each change of the
// pipeline, of its transitions and, except in PARALLEL mode, of its executions.
type PipelineMark struct {
	ID, Name string
	// Revision is that of the pipeline, Decisions that of its scope.
	Revision, Decisions int64
}

// PipelineOverview is what happens in a pipeline.
type PipelineOverview struct {
	PipelineMark

	// Version is the newest one, 0 if there is none.
	Version int64
	// State is never nil.
	State *execution.PipelineState
	// Latest is the execution that started last, without stages; nil if there is none.
	Latest *execution.Execution
	// Stages are those of Latest and those that State says were entered last, with
	// ExecutionID, Position, Name, Status, StartedAt and EndedAt.
	Stages []execution.StageOf
	// Live is how many executions are live.
	Live int
	// Waiting is how many of them wait in front of a stage, and Approvals how many
	// approvals are open in it, by its name.
	Waiting, Approvals map[string]int
}
