package service

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// knownRefs returns the branches and tags that the ledger has of a repository, nil while
// nobody has read them. The newest read may be older than what the remote has now.
func knownRefs(ctx context.Context, r store.Reader, repositoryID string) (*pipeline.KnownRefs, error) {
	repository, err := r.Repository(ctx, repositoryID)
	if errors.Is(err, store.ErrNotFound) || err == nil && repository.ObservedAt.IsZero() {
		return nil, nil //nolint:nilnil // No refs are known, which is usual for a new repository.
	}
	if err != nil {
		return nil, err
	}
	all, err := r.Refs(ctx, repositoryID)
	if err != nil {
		return nil, err
	}
	refs := &pipeline.KnownRefs{DefaultBranch: repository.DefaultBranch}
	for i := range all {
		if all[i].Head == "" {
			continue
		}
		if name, ok := strings.CutPrefix(all[i].Ref, "refs/heads/"); ok {
			refs.Branches = append(refs.Branches, name)
		} else if name, ok := strings.CutPrefix(all[i].Ref, "refs/tags/"); ok {
			refs.Tags = append(refs.Tags, name)
		}
	}
	return refs, nil
}

// watchedRepositories returns the ids of the repositories that the triggers of a definition
// watch, by source action. A definition that is not published yet may watch others than the
// pipeline does; those are left out.
func watchedRepositories(ctx context.Context, tx *loop.Tx, p *definition.Pipeline, catalog *pipeline.Catalog) (map[string]string, error) {
	published, err := triggersOf(ctx, tx, p)
	if err != nil {
		return nil, err
	}
	wanted := trigger.InlineTriggers(p.Declared(), catalog)
	ids := make(map[string]string, len(wanted))
	for i := range wanted {
		git := &wanted[i].Git
		// As publishTrigger keeps it.
		connection := ledger.ConnectionName(p.Account, git.Connection)
		for n := range published {
			is := published[n].Declared.Git
			if published[n].Name == git.SourceAction && is != nil && is.Connection == connection && is.Repository == git.Repository {
				ids[git.SourceAction] = published[n].RepositoryID
			}
		}
	}
	return ids, nil
}

// refWarnings returns which triggers of a definition match none of the refs that are known of
// their repositories. A store that cannot be read warns of nothing: the write is done.
func refWarnings(
	ctx context.Context, s store.Store, def *pipeline.Definition, catalog *pipeline.Catalog, repositories map[string]string, outer pipeline.Path,
) []Warning {
	if len(repositories) == 0 {
		return nil
	}
	known := make(map[string]*pipeline.KnownRefs, len(repositories))
	err := s.View(ctx, func(ctx context.Context, r store.Reader) error {
		for action, id := range repositories {
			refs, err := knownRefs(ctx, r, id)
			if err != nil {
				return err
			}
			known[action] = refs
		}
		return nil
	})
	if err != nil {
		return nil
	}
	of := func(sourceAction string) *pipeline.KnownRefs { return known[sourceAction] }
	var warnings []Warning
	for _, w := range slices.Concat(pipeline.TriggerWarnings(def, of), pipeline.BranchWarnings(def, catalog, of)) {
		// The others need no refs and are in definitionWarnings.
		if w.Reason == pipeline.WarningTriggerMatchesNoRef {
			warnings = append(warnings, Warning{Path: slices.Concat(outer, w.Path), Reason: w.Reason, Message: w.Message})
		}
	}
	return bounded(warnings)
}

// declarationWarnings returns what cannot match in a trigger, by the refs that are known of
// its repository.
func declarationWarnings(t *ledger.Trigger, refs *pipeline.KnownRefs) []Warning {
	var warnings []Warning
	for _, w := range declaration(t).Warnings(refs) {
		of := Warning{Reason: w.Reason, Message: w.Message}
		if !t.Inline() {
			of.Path = slices.Concat(requestPath("trigger"), w.Path)
		}
		warnings = append(warnings, of)
	}
	return bounded(warnings)
}
