package service

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// publishTriggers writes the triggers of a version: those of trigger blocks, or of source
// actions that detect changes. One that was there before keeps its pause and its decisions.
func publishTriggers(ctx context.Context, tx *loop.Tx, cfg *PipelinesConfig, p *definition.Pipeline, def *pipeline.Definition, now time.Time) error {
	all, err := tx.Triggers(ctx, p.Account, p.Name)
	if err != nil {
		return err
	}
	var before, others []ledger.Trigger
	for i := range all {
		if all[i].Owner == p.Name {
			before = append(before, all[i])
		} else if all[i].Declared.Git != nil {
			others = append(others, all[i])
		}
	}
	if err := followSources(ctx, tx, cfg, p, others, def, now); err != nil {
		return err
	}
	wanted := trigger.InlineTriggers(def, cfg.Catalog)
	tokens, err := tokensBefore(ctx, tx, cfg, p, wanted)
	if err != nil {
		return err
	}
	for i := range wanted {
		name := wanted[i].Git.SourceAction
		n := slices.IndexFunc(before, func(t ledger.Trigger) bool { return t.Name == name })
		t := ledger.Trigger{ID: cfg.NewID(), Account: p.Account, Owner: p.Name, Name: name, Pipeline: p.Name, Revision: 1, CreatedAt: now}
		exists := n >= 0
		if exists {
			t = before[n]
			before = slices.Delete(before, n, n+1)
		}
		if err := publishTrigger(ctx, tx, cfg, t, exists, &wanted[i], tokens[name], now); err != nil {
			return err
		}
	}
	for i := range before {
		if err := removeTrigger(ctx, tx, cfg, &before[i]); err != nil {
			return err
		}
	}
	return nil
}

// followSources makes triggers that are declared on their own watch what their source actions
// fetch in a new version, as far as they declare nothing else.
func followSources(
	ctx context.Context, tx *loop.Tx, cfg *PipelinesConfig, p *definition.Pipeline, triggers []ledger.Trigger, def *pipeline.Definition, now time.Time,
) error {
	if len(triggers) == 0 || p.Version == 1 {
		return nil
	}
	last, err := cfg.Loop.Definition(ctx, tx, p.ID, p.Version-1)
	if err != nil {
		return err
	}
	for i := range triggers {
		lastConnection, lastRepository := watchedBy(last, &triggers[i], cfg.Catalog)
		connection, repository := watchedBy(def, &triggers[i], cfg.Catalog)
		if connection == lastConnection && repository == lastRepository || connection == "" || repository == "" {
			// A version without such a source action leaves the trigger as it is: each start fails
			// and says so.
			continue
		}
		if err := watchOther(ctx, tx, cfg, triggers[i], connection, repository, now); err != nil {
			return err
		}
	}
	return nil
}

// watchOther makes a trigger watch another repository, whose changes start executions from now on.
func watchOther(ctx context.Context, tx *loop.Tx, cfg *PipelinesConfig, t ledger.Trigger, connection, repository string, now time.Time) error {
	before := t.RepositoryID
	repositoryID, invalid, err := watch(ctx, tx, cfg.Watcher, t.Account, connection, repository)
	if invalid != nil {
		return refuse(KindPrecondition, "", "trigger %q watches what source action %q fetches, which connection %q cannot have: %v",
			t.Name, t.Declared.Git.SourceAction, connection, invalid)
	}
	if errors.Is(err, store.ErrNotFound) {
		return refuse(KindPrecondition, pipeline.ReasonNotFound,
			"trigger %q watches what source action %q fetches, through connection %q, which does not exist in account %q; create the connection first",
			t.Name, t.Declared.Git.SourceAction, connection, t.Account)
	}
	if err != nil || repositoryID == before {
		return err
	}
	t.RepositoryID, t.Baselined, t.UpdatedAt = repositoryID, false, now
	if err := tx.UpdateTrigger(ctx, t); err != nil {
		return err
	}
	return cfg.Watcher.Unwatch(ctx, tx, before)
}

// tokensBefore returns the tokens by which the version before read repositories, by the names of
// the source actions that have one now.
func tokensBefore(ctx context.Context, tx *loop.Tx, cfg *PipelinesConfig, p *definition.Pipeline, wanted []trigger.Inline) (map[string]string, error) {
	if p.Version == 1 || !slices.ContainsFunc(wanted, func(w trigger.Inline) bool { return w.Token != "" }) {
		return nil, nil
	}
	last, err := cfg.Loop.Definition(ctx, tx, p.ID, p.Version-1)
	if err != nil {
		return nil, err
	}
	tokens := make(map[string]string)
	for _, before := range trigger.InlineTriggers(last, cfg.Catalog) {
		tokens[before.Git.SourceAction] = before.Token
	}
	return tokens, nil
}

// publishTrigger writes one trigger of a version, unless it is as it was. A new token is tried
// at once: the one before may be the reason why the next poll is late.
func publishTrigger(
	ctx context.Context, tx *loop.Tx, cfg *PipelinesConfig, t ledger.Trigger, exists bool, wanted *trigger.Inline, tokenBefore string, now time.Time,
) error {
	watched := wanted.Git
	watched.Connection = ledger.ConnectionName(t.Account, watched.Connection)
	declared := ledger.Declared{Git: &watched, Detected: wanted.Detected}
	if exists && reflect.DeepEqual(t.Declared, declared) && wanted.Token == tokenBefore {
		return nil
	}
	before := t.RepositoryID
	repositoryID, invalid, err := watchInline(ctx, tx, cfg.Watcher, &t, &watched, wanted.Token != "")
	if errors.Is(err, store.ErrNotFound) {
		return refuse(KindPrecondition, pipeline.ReasonNotFound,
			"source action %q of pipeline %q is to be watched through connection %q, which does not exist in account %q; create the connection first, or turn the detection of changes off",
			t.Name, t.Pipeline, wanted.Git.Connection, t.Account)
	}
	if invalid != nil {
		return refuse(KindPrecondition, "", "source action %q of pipeline %q cannot be watched through connection %q: %v",
			t.Name, t.Pipeline, watched.Connection, invalid)
	}
	if err != nil {
		return err
	}
	if exists && repositoryID == before && reflect.DeepEqual(t.Declared, declared) {
		return nil
	}
	t.Declared, t.RepositoryID, t.UpdatedAt = declared, repositoryID, now
	if !exists {
		return tx.CreateTrigger(ctx, t)
	}
	if repositoryID != before {
		t.Baselined = false
	}
	if err := tx.UpdateTrigger(ctx, t); err != nil {
		return err
	}
	return cfg.Watcher.Unwatch(ctx, tx, before)
}

// watchInline returns the id of the repository that a trigger of a definition watches: through a
// connection, or with the token of its source action.
func watchInline(ctx context.Context, tx *loop.Tx, watcher Watcher, t *ledger.Trigger, git *trigger.Git, ownToken bool) (id string, invalid, err error) {
	if !ownToken {
		return watch(ctx, tx, watcher, t.Account, git.Connection, git.Repository)
	}
	id, err = watcher.Watch(ctx, tx, t.Account, ledger.OwnToken(t.Pipeline, git.SourceAction), git.Repository)
	return id, nil, err
}

// triggersOf returns the triggers that belong to a pipeline.
func triggersOf(ctx context.Context, tx *loop.Tx, p *definition.Pipeline) ([]ledger.Trigger, error) {
	all, err := tx.Triggers(ctx, p.Account, p.Name)
	return slices.DeleteFunc(all, func(t ledger.Trigger) bool { return t.Owner != p.Name }), err
}

// removeTriggers removes the triggers of a pipeline that is deleted.
func removeTriggers(ctx context.Context, tx *loop.Tx, cfg *PipelinesConfig, p *definition.Pipeline) error {
	all, err := triggersOf(ctx, tx, p)
	if err != nil {
		return err
	}
	for i := range all {
		if err := removeTrigger(ctx, tx, cfg, &all[i]); err != nil {
			return err
		}
	}
	return nil
}

func removeTrigger(ctx context.Context, tx *loop.Tx, cfg *PipelinesConfig, t *ledger.Trigger) error {
	if err := tx.DeleteTrigger(ctx, t.ID); err != nil {
		return err
	}
	return cfg.Watcher.Unwatch(ctx, tx, t.RepositoryID)
}
