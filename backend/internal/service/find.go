package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/starter"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// findPipeline returns the pipeline of that name. The caller must have a role in
// the account.
func findPipeline(ctx context.Context, r store.DefinitionReader, account, name string) (definition.Pipeline, error) {
	p, err := r.Pipeline(ctx, account, name)
	if errors.Is(err, store.ErrNotFound) {
		return p, refuse(KindNotFound, pipeline.ReasonNotFound, "pipeline %q does not exist in account %q%s", name, account, nearestPipeline(ctx, r, account, name))
	}
	return p, err
}

// nearestPipeline asks whether the pipeline is meant whose name comes nearest, as the end of a
// sentence. Without a suggestion it is empty, also if the names cannot be read.
func nearestPipeline(ctx context.Context, r store.DefinitionReader, account, name string) string {
	found, err := r.PipelineHeads(ctx, account)
	if err != nil {
		return ""
	}
	names := make([]string, len(found))
	for i := range found {
		names[i] = found[i].Name
	}
	return didYouMean(name, names)
}

func didYouMean(name string, names []string) string {
	if nearest := pipeline.Nearest(name, names); nearest != "" {
		return fmt.Sprintf("; did you mean %q?", nearest)
	}
	return ""
}

// newestVersions calls visit with the newest version of each pipeline of an account, by name.
func newestVersions(
	ctx context.Context, r store.DefinitionReader, account string, visit func(*definition.Pipeline, *pipeline.Definition),
) error {
	const size = 100
	for page := (store.Page{Size: size}); ; {
		found, err := r.Pipelines(ctx, account, page)
		if err != nil {
			return err
		}
		for i := range found {
			if found[i].Version == 0 {
				continue
			}
			version, err := r.PipelineVersion(ctx, found[i].ID, found[i].Version)
			if err != nil {
				return err
			}
			visit(&found[i], &version.Definition)
		}
		if len(found) < size {
			return nil
		}
		page.After = found[size-1].Name
	}
}

// published returns a pipeline that has a version.
func published(ctx context.Context, r store.DefinitionReader, account, name string) (definition.Pipeline, error) {
	p, err := findPipeline(ctx, r, account, name)
	if err == nil && p.Version == 0 {
		err = starterRefusal(starter.Unpublished(name))
	}
	return p, err
}

// findExecution reads an execution of an account; one of another account does not exist
// for the caller.
func findExecution(ctx context.Context, read func(context.Context, string) (*execution.Execution, error), account, executionID string) (*execution.Execution, error) {
	e, err := read(ctx, executionID)
	if errors.Is(err, store.ErrNotFound) || (err == nil && e.Account != account) {
		return nil, refuse(KindNotFound, pipeline.ReasonNotFound, "execution %q does not exist in account %q", executionID, account)
	}
	return e, err
}

// readExecution reads an execution of an account with its stages and actions.
func readExecution(ctx context.Context, s store.Store, account, executionID string) (*execution.Execution, error) {
	var e *execution.Execution
	err := s.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		e, err = findExecution(ctx, r.Execution, account, executionID)
		return err
	})
	return e, err
}

// accountExists refuses an account that does not exist. The caller must have a role in
// it, or in all.
func accountExists(ctx context.Context, r store.AccountReader, name string) error {
	_, err := findAccount(ctx, r, name)
	return err
}

// findAccount returns the account of that name, as accountExists does.
func findAccount(ctx context.Context, r store.AccountReader, name string) (auth.Account, error) {
	account, err := r.Account(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return account, refuse(KindNotFound, pipeline.ReasonNotFound,
			"account %q does not exist; create it with: headrace account create %s", name, name)
	}
	return account, err
}

// removedByRetention refuses what needs the outputs of an execution that are gone.
func removedByRetention(e *execution.Execution) error {
	return refuse(KindPrecondition, pipeline.ReasonOutputsRemoved,
		"the logs and artifacts of execution %d of %s were removed by retention on %s", e.Number, e.Pipeline,
		e.OutputsRemovedAt.Format(time.DateOnly))
}

func pipelineName(account, name string) string {
	return pipeline.PipelineName{Account: account, Pipeline: name}.String()
}

func stageName(account, name, stage string) string {
	return pipelineName(account, name) + "/stages/" + stage
}

func actionName(account, name, stage, action string) string {
	return stageName(account, name, stage) + "/actions/" + action
}

// moment writes a time for people.
func moment(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 MST") }
