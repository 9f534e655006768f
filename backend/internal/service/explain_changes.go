package service

import (
	"context"
	"errors"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/trigger"
)

// History compares commits of repositories that triggers watch.
type History interface {
	// Since fails with trigger.ErrNoHistory where nothing is known.
	Since(ctx context.Context, repositoryID, released, head string) (mirror.History, error)
}

// SourceChange compares what a source action fetched with the last release of a stage.
type SourceChange struct {
	Action, Stage string
	// Release is the number of the execution whose release the stage has, and Commit what its
	// source action fetched.
	Release int64
	Commit  string
	mirror.History
}

// comparison is a SourceChange before the commits were compared.
type comparison struct {
	change             SourceChange
	repositoryID, head string
}

// Changes compares what an execution fetched with the last release of the stage where it is.
// Sources of which no mirror has the commits are left out.
func (x *Explanations) Changes(ctx context.Context, who auth.Identity, account, executionID string) ([]SourceChange, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, err
	}
	if x.config.History == nil {
		return nil, nil
	}
	var wanted []comparison
	err := x.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		wanted, err = x.comparisons(ctx, r, account, executionID)
		return err
	})
	if err != nil {
		return nil, err
	}
	// Git is run outside of the transaction.
	var found []SourceChange
	for _, c := range wanted {
		history, err := x.config.History.Since(ctx, c.repositoryID, c.change.Commit, c.head)
		if errors.Is(err, trigger.ErrNoHistory) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.change.History = history
		found = append(found, c.change)
	}
	return found, nil
}

// comparisons says which commits are compared.
func (x *Explanations) comparisons(ctx context.Context, r store.Reader, account, executionID string) ([]comparison, error) {
	head, err := findExecution(ctx, r.ExecutionHead, account, executionID)
	if err != nil {
		return nil, err
	}
	e, err := r.Execution(ctx, head.ID)
	if err != nil || e.Current() == nil {
		return nil, err
	}
	scope, err := x.config.Loop.Scope(ctx, r, e.Scope(), e.Version)
	if err != nil {
		return nil, err
	}
	stage := e.Current().Name
	last := scope.State.Stage(stage).Succeeded
	if last == nil || last.ExecutionID == e.ID {
		return nil, nil
	}
	released, err := r.Execution(ctx, last.ExecutionID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	triggers, err := r.Triggers(ctx, account, e.Pipeline)
	if err != nil {
		return nil, err
	}
	repositories := make(map[string]string)
	for i := range triggers {
		if git := triggers[i].Declared.Git; git != nil {
			repositories[git.SourceAction] = triggers[i].RepositoryID
		}
	}
	var wanted []comparison
	for _, revision := range e.Revisions {
		before := revisionOf(released, revision.Action)
		if before == "" || repositories[revision.Action] == "" {
			continue
		}
		wanted = append(wanted, comparison{
			change:       SourceChange{Action: revision.Action, Stage: stage, Release: released.Number, Commit: before},
			repositoryID: repositories[revision.Action], head: revision.ID,
		})
	}
	return wanted, nil
}

// revisionOf returns what a source action of an execution fetched, empty for nothing.
func revisionOf(e *execution.Execution, action string) string {
	for _, revision := range e.Revisions {
		if revision.Action == action {
			return revision.ID
		}
	}
	return ""
}
