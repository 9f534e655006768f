package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/trigger"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Backfilled is what a comparison with a remote found.
type Backfilled = trigger.Backfilled

// DecisionsConfig is what Decisions needs.
type DecisionsConfig struct {
	Store  store.Store
	Intake *trigger.Intake
	Clock  func() time.Time
	// Poll and Backfill are how often this server looks for pushes that no webhook reported; 0 turns
	// that off. Shared is set if other servers may use the store.
	Poll, Backfill time.Duration
	Shared         bool
}

// Decisions are the use cases of what triggers decided, and of what they would decide.
type Decisions struct {
	config DecisionsConfig
}

// NewDecisions returns the use cases of decisions.
func NewDecisions(cfg DecisionsConfig) *Decisions { return &Decisions{config: cfg} }

// DecisionsQuery selects decisions.
type DecisionsQuery struct {
	Account string
	// Pipeline is a name, empty for all; Trigger is nil for all.
	Pipeline string
	Trigger  *pipeline.TriggerName
	// Commit is the beginning of a commit, Ref a whole ref; empty for all.
	Commit, Ref string
	// Before is the id of the last decision of the page before.
	Before string
	Size   int
}

// minCommit is how much of a commit has to be given.
const minCommit = 7

// checkCommitPrefix refuses what is too short to mean a commit, or is none.
func checkCommitPrefix(commit string) error {
	if commit == "" {
		return nil
	}
	digits := strings.Trim(strings.ToLower(commit), "0123456789abcdef")
	if len(commit) < minCommit || digits != "" {
		return invalidField(requestPath("commit"), fmt.Sprintf("%q is not the beginning of a commit id; give at least %d hexadecimal digits", commit, minCommit))
	}
	return nil
}

// List returns a page of decisions, newest first. The second result is the id to continue
// before, empty at the end.
func (s *Decisions) List(ctx context.Context, who auth.Identity, q DecisionsQuery) ([]ledger.Decision, string, error) {
	if err := authorize(who, auth.Read, q.Account); err != nil {
		return nil, "", err
	}
	if err := checkCommitPrefix(q.Commit); err != nil {
		return nil, "", err
	}
	filter := store.DecisionFilter{
		Account: q.Account, Pipeline: q.Pipeline, Commit: strings.ToLower(q.Commit), Ref: q.Ref, Before: q.Before, Size: q.Size + 1,
	}
	var found []ledger.Decision
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		if err := s.scope(ctx, r, q.Account, q.Pipeline, q.Trigger, &filter.TriggerID); err != nil {
			return err
		}
		var err error
		found, err = r.Decisions(ctx, filter)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list decisions: %w", err)
	}
	next := ""
	if len(found) > q.Size {
		found = found[:q.Size]
		next = found[q.Size-1].ID
	}
	return found, next, nil
}

// scope refuses a parent that does not exist, and returns the id of a trigger.
func (s *Decisions) scope(ctx context.Context, r store.Reader, account, pipelineName string, name *pipeline.TriggerName, triggerID *string) error {
	if err := accountExists(ctx, r, account); err != nil {
		return err
	}
	if pipelineName != "" {
		if _, err := findPipeline(ctx, r, account, pipelineName); err != nil {
			return err
		}
	}
	if name == nil {
		return nil
	}
	t, err := findTrigger(ctx, r, *name)
	*triggerID = t.ID
	return err
}

// TestEvent is an event to decide on without any effect.
type TestEvent = trigger.TestEvent

// Test decides on an event without any effect.
func (s *Decisions) Test(ctx context.Context, who auth.Identity, name pipeline.TriggerName, e TestEvent) ([]ledger.Decision, error) {
	if err := authorize(who, auth.Read, name.Account); err != nil {
		return nil, err
	}
	var t ledger.Trigger
	if err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		t, err = findTrigger(ctx, r, name)
		return err
	}); err != nil {
		return nil, fmt.Errorf("test trigger %q: %w", name.Trigger, err)
	}
	decisions, err := s.config.Intake.Test(ctx, &t, e)
	var unreadable *trigger.UnreadableError
	if errors.As(err, &unreadable) {
		return nil, invalidField(requestPath("body"), unreadable.Error())
	}
	return decisions, err
}

// BackfillQuery says what to compare with remotes: an account, a pipeline or a trigger.
type BackfillQuery struct {
	Account, Pipeline string
	Trigger           *pipeline.TriggerName
}

// Backfill compares repositories with their remotes now.
func (s *Decisions) Backfill(ctx context.Context, who auth.Identity, q BackfillQuery) ([]Backfilled, error) {
	if err := authorize(who, auth.Deploy, q.Account); err != nil {
		return nil, err
	}
	var repositories []string
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		triggerID := ""
		if err := s.scope(ctx, r, q.Account, q.Pipeline, q.Trigger, &triggerID); err != nil {
			return err
		}
		triggers, err := r.Triggers(ctx, q.Account, q.Pipeline)
		seen := make(map[string]bool)
		for i := range triggers {
			id := triggers[i].RepositoryID
			if id == "" || seen[id] || triggerID != "" && triggers[i].ID != triggerID {
				continue
			}
			seen[id] = true
			repositories = append(repositories, id)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compare repositories: %w", err)
	}
	return s.config.Intake.Backfill(ctx, repositories)
}
