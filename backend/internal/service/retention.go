package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/retention"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// outputsAtOnce bounds the executions of one transaction.
	outputsAtOnce = 200
	// successesAtOnce is small: rollbacks in a row are few.
	successesAtOnce = 10
	// ListedRemovals bounds the executions that a RetentionResult lists.
	ListedRemovals = 1000
)

// LogRemover is what retention needs of the log store.
type LogRemover interface {
	// Remove deletes the logs of an execution. It is no error if there are none.
	Remove(ctx context.Context, executionID string) error
}

// RetentionConfig is what Retention needs.
type RetentionConfig struct {
	Store     store.Store
	Artifacts Trees
	Logs      LogRemover
	Policy    retention.Policy
	// Every is how often the policy is applied.
	Every time.Duration
	// After is how long after the start it is applied first: until then a dry run shows
	// what a new policy would remove.
	After time.Duration
	Clock func() time.Time
	// Observe is told of removed trees, for metrics; may be nil.
	Observe func(trees int, bytes int64)
	Log     hclog.Logger
}

// Retention removes what the policy does not keep. Any number of servers may do so at
// once on one store, and be killed at any point: what was begun is found again.
type Retention struct {
	config RetentionConfig
}

// NewRetention returns the use case. Run applies the policy by itself.
func NewRetention(config RetentionConfig) *Retention {
	return &Retention{config: config}
}

// Run applies the policy until the context ends. A policy that keeps everything
// removes no trees either: that nobody uses one may be a mistake in how servers are set
// up, so somebody has to ask for it.
func (r *Retention) Run(ctx context.Context) error {
	next := time.NewTimer(r.config.After)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		if err := r.turn(ctx); err != nil && ctx.Err() == nil {
			r.config.Log.Warn("Retention could not do all, will try again", "in", r.config.Every, "error", err)
		}
		next.Reset(r.config.Every)
	}
}

func (r *Retention) turn(ctx context.Context) error {
	if r.config.Policy.Off() {
		// Those of deleted pipelines.
		return r.removeLogs(ctx)
	}
	result, err := r.apply(ctx, false)
	if result.ExecutionCount > 0 || result.Removed.Trees > 0 {
		r.config.Log.Info("Retention", "executions", result.ExecutionCount, "trees", result.Removed.Trees, "bytes", result.Removed.Bytes)
	}
	return err
}

// Policy returns what is kept.
func (r *Retention) Policy() retention.Policy { return r.config.Policy }

// Apply removes what the policy does not keep and trees that nobody uses. A dry run
// says what that is and removes nothing. It takes an admin of all accounts.
func (r *Retention) Apply(ctx context.Context, who auth.Identity, dryRun bool) (RetentionResult, error) {
	if err := authorize(who, auth.Administer, auth.Every); err != nil {
		return RetentionResult{}, err
	}
	return r.apply(ctx, dryRun)
}

func (r *Retention) apply(ctx context.Context, dryRun bool) (RetentionResult, error) {
	pass := &retentionPass{config: r.config, dryRun: dryRun, now: r.config.Clock(), leaving: make(map[string]int)}
	if err := pass.executions(ctx); err != nil {
		return pass.result, fmt.Errorf("remove outputs of executions: %w", err)
	}
	var logs error
	if !dryRun {
		if err := r.removeLogs(ctx); err != nil {
			logs = fmt.Errorf("remove logs: %w", err)
		}
	}
	if err := pass.trees(ctx); err != nil {
		return pass.result, errors.Join(logs, fmt.Errorf("remove artifacts: %w", err))
	}
	return pass.result, logs
}

// removeLogs removes the logs of those executions of which it is decided. Those that
// cannot be removed keep none of the others: the next pass tries again.
func (r *Retention) removeLogs(ctx context.Context) error {
	for {
		var ids []string
		err := r.config.Store.View(ctx, func(ctx context.Context, read store.Reader) (err error) {
			ids, err = read.LogRemovals(ctx, outputsAtOnce)
			return err
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		var failed error
		removed := slices.DeleteFunc(ids, func(id string) bool {
			err := r.config.Logs.Remove(ctx, id)
			failed = errors.Join(failed, err)
			return err != nil
		})
		if err := r.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error { return tx.FinishLogRemovals(ctx, removed) }); err != nil {
			return errors.Join(failed, err)
		}
		if failed != nil {
			return failed
		}
	}
}

// retentionPass is one application of the policy.
type retentionPass struct {
	config RetentionConfig
	dryRun bool
	now    time.Time
	// leaving counts, in a dry run, the uses of trees that would end.
	leaving map[string]int
	result  RetentionResult
}

func (p *retentionPass) executions(ctx context.Context) error {
	if p.config.Policy.Off() {
		return nil
	}
	return p.eachPipeline(ctx, func(pipelineID string) error {
		for after, done := int64(0), false; !done; {
			var err error
			if after, done, err = p.outputs(ctx, pipelineID, after); errors.Is(err, store.ErrNotFound) {
				// Deleted meanwhile.
				return nil
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *retentionPass) eachPipeline(ctx context.Context, do func(pipelineID string) error) error {
	var accounts []auth.Account
	if err := p.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		accounts, err = r.Accounts(ctx, store.Page{})
		return err
	}); err != nil {
		return err
	}
	for _, account := range accounts {
		for page := (store.Page{Size: 100}); ; {
			var found []definition.Pipeline
			if err := p.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
				found, err = r.Pipelines(ctx, account.Name, page)
				return err
			}); err != nil {
				return err
			}
			for i := range found {
				if err := do(found[i].ID); err != nil {
					return err
				}
			}
			if len(found) < page.Size {
				break
			}
			page.After = found[len(found)-1].Name
		}
	}
	return nil
}

// outputs decides about the executions of a pipeline after a number, as many as one
// transaction takes, and returns the number to go on after.
func (p *retentionPass) outputs(ctx context.Context, pipelineID string, after int64) (next int64, done bool, err error) {
	var removals []retention.Removal
	var uses []store.ArtifactUse
	err = p.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		of, err := successes(ctx, r, pipelineID)
		if err != nil {
			return err
		}
		found, err := r.ExecutionsWithOutputs(ctx, pipelineID, after, outputsAtOnce)
		if err != nil {
			return err
		}
		removals, done = retention.Plan(p.config.Policy, p.now, of, found)
		if len(found) < outputsAtOnce {
			done = true
		} else {
			next = found[len(found)-1].Number
		}
		if p.dryRun {
			uses, err = r.ArtifactUses(ctx, idsOf(removals))
		}
		return err
	})
	if err != nil || len(removals) == 0 {
		return next, done, err
	}
	if p.dryRun {
		for _, use := range uses {
			p.leaving[use.Digest]++
		}
	} else if removals, err = p.removeOutputs(ctx, removals); err != nil {
		return next, done, err
	}
	p.result.ExecutionCount += len(removals)
	room := ListedRemovals - len(p.result.Executions)
	p.result.Executions = append(p.result.Executions, removals[:min(room, len(removals))]...)
	return next, done, nil
}

// successes reads what a plan has to know of a pipeline.
func successes(ctx context.Context, r store.ExecutionReader, pipelineID string) (retention.Pipeline, error) {
	newest, state, err := r.PipelineState(ctx, pipelineID)
	if err != nil {
		return retention.Pipeline{}, err
	}
	of := retention.Pipeline{Newest: newest, Successful: make(map[string]bool)}
	for _, stage := range state.Stages {
		if stage.Succeeded != nil {
			of.Successful[stage.Succeeded.ExecutionID] = true
		}
	}
	return of, wholeSuccesses(ctx, r, pipelineID, of.Successful)
}

// wholeSuccesses adds the newest execution that succeeded as a whole, since those of a
// PARALLEL pipeline pass no doors, and the newest of them that is no rollback. What the
// rollbacks since then went back to is in their stages now.
func wholeSuccesses(ctx context.Context, r store.ExecutionReader, pipelineID string, keep map[string]bool) error {
	filter := store.ExecutionFilter{PipelineID: pipelineID, Statuses: []pipeline.Status{pipeline.Succeeded}, Size: successesAtOnce}
	for {
		found, err := r.Executions(ctx, filter)
		if err != nil {
			return err
		}
		for i, e := range found {
			standard := e.Type != pipeline.TypeRollback
			if standard || i == 0 && filter.Before == "" {
				keep[e.ID] = true
			}
			if standard {
				return nil
			}
			keep[e.Rollback.TargetID] = true
		}
		if len(found) < filter.Size {
			return nil
		}
		filter.Before = found[len(found)-1].ID
	}
}

// removeOutputs removes what was planned, but for what somebody retried meanwhile.
func (p *retentionPass) removeOutputs(ctx context.Context, planned []retention.Removal) ([]retention.Removal, error) {
	ended := time.Time{}
	for _, removal := range planned {
		if removal.Execution.EndedAt.After(ended) {
			ended = removal.Execution.EndedAt
		}
	}
	went := make(map[string]bool)
	err := p.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		clear(went)
		ids, err := tx.RemoveOutputs(ctx, idsOf(planned), ended, p.now)
		for _, id := range ids {
			went[id] = true
		}
		return err
	})
	var removed []retention.Removal
	for _, removal := range planned {
		if went[removal.Execution.ID] {
			removed = append(removed, removal)
		}
	}
	return removed, err
}

func idsOf(removals []retention.Removal) []string {
	ids := make([]string, len(removals))
	for i := range removals {
		ids[i] = removals[i].Execution.ID
	}
	return ids
}
