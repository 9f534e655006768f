package store

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
)

// DefinitionReader reads pipelines and their versions.
type DefinitionReader interface {
	Pipeline(ctx context.Context, account, name string) (definition.Pipeline, error)
	// PipelineHead returns a pipeline with only id, account, name, version, revision and the
	// time of the last change.
	PipelineHead(ctx context.Context, account, name string) (definition.Pipeline, error)
	// Pipelines returns pipelines by name. Page.After is a name.
	Pipelines(ctx context.Context, account string, page Page) ([]definition.Pipeline, error)
	// PipelineHeads returns all pipelines of an account by name, with only id, account,
	// name, revision and the time of the last change.
	PipelineHeads(ctx context.Context, account string) ([]definition.Pipeline, error)
	PipelineVersion(ctx context.Context, pipelineID string, version int64) (definition.Version, error)
	// PipelineVersions returns versions before a number, newest first; before 0 starts at
	// the newest.
	PipelineVersions(ctx context.Context, pipelineID string, before int64, size int) ([]definition.Version, error)
}

// DefinitionWriter reads and writes pipelines and their versions.
type DefinitionWriter interface {
	DefinitionReader

	CreatePipeline(ctx context.Context, p definition.Pipeline) error
	// UpdatePipeline writes the record if its revision is still p.Revision, and adds one
	// to the revision; else ErrStale.
	UpdatePipeline(ctx context.Context, p definition.Pipeline) error
	// DeletePipeline removes a pipeline that still has that revision, with its versions,
	// executions, events and work; else ErrStale. It also releases the artifacts of its
	// executions and marks their logs for removal.
	DeletePipeline(ctx context.Context, id string, revision int64) error
	CreatePipelineVersion(ctx context.Context, v definition.Version) error
}
