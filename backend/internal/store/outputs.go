package store

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// OutputReader reads which artifacts and logs are kept and which are being removed.
type OutputReader interface {
	// ExecutionsWithOutputs returns the executions of a pipeline, after a number and by
	// number, whose logs and artifacts retention has not removed. They have no stages.
	ExecutionsWithOutputs(ctx context.Context, pipelineID string, after int64, size int) ([]*execution.Execution, error)
	// ArtifactUses returns the artifacts that executions made or received, each artifact
	// of an execution once.
	ArtifactUses(ctx context.Context, executionIDs []string) ([]ArtifactUse, error)
	// CountUses returns how many executions use each of the artifacts. Artifacts that
	// none uses are left out.
	CountUses(ctx context.Context, digests []string) (map[string]int, error)
	// ArtifactRemovals returns the removals of those of the artifacts that are being
	// removed or were removed lately.
	ArtifactRemovals(ctx context.Context, digests []string) (map[string]ArtifactRemoval, error)
	// SmallLogs returns the logs that commits of results kept of an action or rule execution,
	// by attempt.
	SmallLogs(ctx context.Context, executionID, actionExecutionID string) ([]execution.Log, error)
	// LogRemovals returns at most size executions whose logs are to be removed.
	LogRemovals(ctx context.Context, size int) ([]string, error)
}

// OutputWriter reads and writes which artifacts and logs are kept.
type OutputWriter interface {
	OutputReader

	// RemoveOutputs releases the artifacts of executions that ended by a time, removes the logs
	// that the store keeps of them, and marks the others for removal. It returns the executions that this call did so for: others
	// lost their outputs before, or are live again.
	RemoveOutputs(ctx context.Context, executionIDs []string, ended, at time.Time) ([]string, error)
	// FinishLogRemovals records that the logs of executions were removed.
	FinishLogRemovals(ctx context.Context, executionIDs []string) error
	// MarkArtifacts records the time from which artifacts are unused, for those that are
	// unused and not marked yet.
	MarkArtifacts(ctx context.Context, digests []string, at time.Time) error
	// ClaimArtifact lets the caller remove an unused artifact if its removal still is as
	// seen; else ErrStale. From then on no execution can start to use it.
	ClaimArtifact(ctx context.Context, digest string, seen ArtifactRemoval, at time.Time) error
	// FinishArtifactRemoval records that an artifact was removed that was claimed at that time;
	// else ErrStale.
	FinishArtifactRemoval(ctx context.Context, digest string, claimed, at time.Time) error
	// RestoreArtifact makes an artifact usable again that is marked (claimed is zero) or was
	// claimed at that time; else ErrStale.
	RestoreArtifact(ctx context.Context, digest string, claimed time.Time) error
	// PruneRemovals deletes the records of marks and removals from before a time.
	PruneRemovals(ctx context.Context, before time.Time) error
}

// ArtifactUse is an artifact that an execution made or received.
type ArtifactUse struct {
	ExecutionID, Digest string
	// Size is in bytes, as stored.
	Size int64
}

// ArtifactRemoval is the progress of the removal of an artifact.
type ArtifactRemoval struct {
	// MarkedAt is when the artifact was first seen unused.
	MarkedAt time.Time
	// ClaimedAt is when a caller began to remove it, zero before.
	ClaimedAt time.Time
	// RemovedAt is when it was removed, zero before.
	RemovedAt time.Time
}
