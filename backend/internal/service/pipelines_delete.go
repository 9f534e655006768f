package service

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Delete removes a pipeline with its versions and history. While an execution is
// live it is refused, unless force abandons them first.
func (s *Pipelines) Delete(ctx context.Context, who auth.Identity, account, name, etag string, force bool) ([]Warning, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	var p definition.Pipeline
	var ids []string
	var warnings []Warning
	err := update(ctx, s.config.Loop.Submit, false, func(ctx context.Context, tx *loop.Tx) (err error) {
		if p, err = findPipeline(ctx, tx, account, name); err != nil {
			return err
		}
		// In this transaction: parts of a composed pipeline that are deleted at the same time
		// change its revision, but nothing that the caller read.
		if err := checkEtag(&p, etag); err != nil {
			return err
		}
		if warnings, err = checkApprovalCoverage(ctx, tx, who, &p, &pipeline.Definition{}); err != nil {
			return err
		}
		if err := abandonAll(ctx, tx, who, &p, force); err != nil {
			return err
		}
		if ids, err = executionIDs(ctx, tx, p.ID); err != nil {
			return err
		}
		if err := removeTriggers(ctx, tx, &s.config, &p); err != nil {
			return err
		}
		return tx.DeletePipeline(ctx, p.ID, p.Revision)
	})
	if err != nil {
		return nil, fmt.Errorf("delete pipeline %q: %w", name, err)
	}
	for _, id := range ids {
		if err := s.config.Logs.Remove(ctx, id); err != nil {
			s.config.Log.Warn("logs of a deleted pipeline are left behind", "pipeline", p.Name, "execution", id, "error", err)
		}
	}
	return warnings, nil
}

// abandonAll abandons the live executions of a pipeline that is deleted. Without force it
// refuses to.
func abandonAll(ctx context.Context, tx *loop.Tx, who auth.Identity, p *definition.Pipeline, force bool) error {
	live, err := tx.LiveExecutions(ctx, p.ID)
	if err != nil {
		return err
	}
	if len(live) > 0 && !force {
		return refuse(KindPrecondition, pipeline.ReasonExecutionLive,
			"pipeline %q has %d executions in progress (the oldest is number %d, %s): stop them with 'headrace execution stop', or delete with force, which abandons them",
			p.Name, len(live), live[0].Number, live[0].ID)
	}
	// The newest first, and rollbacks last, which never wait: an execution that waits for
	// another must not start because that one is stopped.
	slices.Reverse(live)
	slices.SortStableFunc(live, func(a, b *execution.Execution) int { return strings.Compare(string(b.Type), string(a.Type)) })
	for _, e := range live {
		in := engine.Stop{ExecutionID: e.ID, Principal: who.Principal, Reason: "the pipeline is deleted", Abandon: true}
		if _, err := tx.Decide(ctx, e.Scope(), in); err != nil {
			return err
		}
	}
	return nil
}

// executionIDs returns the ids of all executions of a pipeline. It reads them by
// pages, since only the ids are kept.
func executionIDs(ctx context.Context, r store.ExecutionReader, pipelineID string) ([]string, error) {
	var ids []string
	filter := store.ExecutionFilter{PipelineID: pipelineID, Size: 1000}
	for {
		page, err := r.Executions(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			ids = append(ids, e.ID)
		}
		if len(page) < filter.Size {
			return ids, nil
		}
		filter.Before = ids[len(ids)-1]
	}
}
