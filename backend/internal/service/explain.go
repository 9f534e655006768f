package service

import (
	"context"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Explanations are the use case that says why an execution waits and what can be done.
type Explanations struct {
	config ExecutionsConfig
}

// NewExplanations returns the use case of explanations.
func NewExplanations(config ExecutionsConfig) *Explanations { return &Explanations{config: config} }

// Explanation says why an execution is where it is.
type Explanation struct {
	Status  pipeline.Status
	Summary string
	Reasons []engine.Reason
	// Steps are what can be done now, the most likely first.
	Steps []engine.Step
	// Refusals say why a retry or an override is not among them.
	Refusals []StepRefusal
	// Notes are what else an operator has to know.
	Notes []string
}

// Explain says why an execution waits.
func (x *Explanations) Explain(ctx context.Context, who auth.Identity, account, executionID string) (Explanation, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return Explanation{}, err
	}
	var found Explanation
	err := x.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		// It runs again where the view is done again.
		found = Explanation{}
		e, err := findExecution(ctx, r.ExecutionHead, account, executionID)
		if err != nil {
			return err
		}
		if e.Status.Terminal() {
			// The scope does not hold it.
			if e, err = r.Execution(ctx, executionID); err != nil {
				return err
			}
		}
		found.Status, found.Summary = e.Status, fmt.Sprintf("execution %d of %s is %s", e.Number, e.Pipeline, e.Status)
		if e.Status.Terminal() && e.Summary != "" {
			found.Summary += ": " + e.Summary
		}
		scope, err := x.config.Loop.Scope(ctx, r, e.Scope(), e.Version)
		if err != nil {
			return err
		}
		if found.Notes, err = x.notesOf(ctx, r, scope.State, e); err != nil {
			return err
		}
		if err := x.next(ctx, r, scope, e, &found); err != nil {
			return err
		}
		found.limit(who, e, scope)
		if whole := scope.Find(e.ID); whole != nil {
			e = whole
		}
		abandons, err := r.TurnsOf(ctx, engine.AbandonTurns(e))
		if err != nil {
			return err
		}
		found.Notes = append(found.Notes, engine.Unconfirmed(e, abandons)...)
		if e.Status.Terminal() {
			return nil
		}
		work, err := pendingWork(ctx, r, engine.WorkOf(scope, e.ID))
		if err != nil {
			return err
		}
		found.Reasons = engine.Explain(scope, e.ID, work, x.config.Clock())
		unmet, err := unmetNotes(ctx, r, who, account, found.Reasons, x.config.Clock())
		found.Notes = append(found.Notes, unmet...)
		return err
	})
	if err != nil {
		return found, err
	}
	if err := x.config.Store.Ready(ctx); err != nil {
		noteStoreDown(found.Reasons, err)
	}
	if x.config.Storage != nil && x.config.Storage(ctx) != nil {
		noteStorageDown(found.Reasons)
	}
	if x.config.Runner != nil {
		if err := x.config.Runner(); err != nil {
			noteRunnerSick(found.Reasons)
		}
	}
	return found, nil
}

// pendingWork returns the pending work of actions and rules.
func pendingWork(ctx context.Context, r store.WorkReader, ids []string) (engine.Work, error) {
	work := engine.Work{Leases: make(map[string]*execution.Lease), Turns: make(map[string]*execution.Turn)}
	leases, err := r.LeasesOf(ctx, ids)
	if err != nil {
		return work, err
	}
	for _, l := range leases {
		work.Leases[l.Attempt.ActionExecutionID] = l
	}
	turns, err := r.TurnsOf(ctx, ids)
	for _, t := range turns {
		work.Turns[t.ID] = t
	}
	return work, err
}
