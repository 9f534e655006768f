package service

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// patchEvery is the least time between two patches of a stream: people see no more, and
	// what changes in between is sent once.
	patchEvery = 250 * time.Millisecond
	// heartbeatEvery is the longest time between two patches, so that a client notices a
	// stream that no longer arrives.
	heartbeatEvery = 10 * time.Second
)

// AccountWatch is what a stream shows of an account.
type AccountWatch struct {
	// Overview asks for a summary of each pipeline.
	Overview bool
	// Pipelines are names of pipelines whose state is sent with their summary.
	Pipelines []string
	// Executions are sent with their actions. The pipeline in a name may be pipeline.AnyPipeline.
	Executions []pipeline.ExecutionName
}

// AccountPatch is what changed in an account since the patch before. What it holds is shared
// with other streams and must not be changed.
type AccountPatch struct {
	// Snapshot is set if the patch holds all that the watch asks for.
	Snapshot bool
	// Pipelines are in the order of their names.
	Pipelines []*PipelineSummary
	// DeletedPipelines are names of pipelines that do not exist any more or never did.
	DeletedPipelines []string
	States           []*NamedState
	// Executions are whole, except that their stages hold only the actions that changed.
	Executions []*execution.Execution
	// DeletedExecutions are names, as the watch has them, of executions that do not exist any
	// more or never did.
	DeletedExecutions []pipeline.ExecutionName
	Time              time.Time
}

// empty tells whether the patch holds nothing but the time.
func (p *AccountPatch) empty() bool {
	return !p.Snapshot && len(p.Pipelines)+len(p.DeletedPipelines)+len(p.States)+len(p.Executions)+len(p.DeletedExecutions) == 0
}

// WatchAccount emits a snapshot of what is watched and then patches, until the context ends.
// A caller that is slow to take a patch gets the newest state of all that changed since in
// the next one, or another snapshot: nothing is queued for it.
func (x *Streams) WatchAccount(ctx context.Context, who auth.Identity, account string, watch AccountWatch, emit func(*AccountPatch) error) error {
	if err := authorize(who, auth.Read, account); err != nil {
		return err
	}
	if err := x.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		return accountExists(ctx, r, account)
	}); err != nil {
		return err
	}
	b := x.boards.join(account, &watch)
	defer x.boards.leave(b, &watch)
	seen := int64(unseen)
	heartbeat := time.NewTimer(x.heartbeat)
	defer heartbeat.Stop()
	pace := time.NewTimer(0)
	defer pace.Stop()
	for beat := false; ; {
		patch, position, changed, err := b.since(seen, &watch)
		if err != nil {
			return err
		}
		if patch != nil && (beat || !patch.empty()) {
			patch.Time = x.config.Clock()
			if err := emit(patch); err != nil {
				return err
			}
			seen = position
			heartbeat.Reset(x.heartbeat)
			pace.Reset(patchEvery)
			if err := pause(ctx, x.stopping, pace.C); err != nil {
				return err
			}
			beat = false
			continue
		}
		select {
		case <-changed:
			beat = false
		case <-heartbeat.C:
			beat = true
		case <-x.stopping:
			return ErrStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
