package service

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// TriggersConfig is what Triggers needs.
type TriggersConfig struct {
	Store   store.Store
	Loop    *loop.Loop
	Catalog *pipeline.Catalog
	Watcher Watcher
	Clock   func() time.Time
	// NewID returns ids that ascend with time.
	NewID func() string
}

// Triggers are the use cases of what starts executions by itself.
type Triggers struct {
	config TriggersConfig
}

// NewTriggers returns the use cases of triggers.
func NewTriggers(cfg TriggersConfig) *Triggers { return &Triggers{config: cfg} }

// TriggerView is a trigger as callers see it.
type TriggerView struct {
	ledger.Trigger
	Warnings []Warning
	// Latest is the newest decision, nil for none.
	Latest *ledger.Decision
}

// Create stores a trigger, or only checks that. It starts nothing.
func (s *Triggers) Create(ctx context.Context, who auth.Identity, t ledger.Trigger, requestID string, validateOnly bool) (TriggerView, error) {
	if err := s.allow(who, &t); err != nil {
		return TriggerView{}, err
	}
	if err := checkDeclaration(&t); err != nil {
		return TriggerView{}, err
	}
	now := s.config.Clock()
	t.ID, t.Revision, t.CreatedAt, t.UpdatedAt = s.config.NewID(), 1, now, now
	repeat := request{t.Account, "CreateTrigger", requestID, t.ResourceName(), who.Principal}
	var view TriggerView
	err := update(ctx, s.config.Loop.Submit, validateOnly, func(ctx context.Context, tx *loop.Tx) error {
		done, err := repeat.done(ctx, tx)
		if err != nil {
			return err
		}
		if !done {
			if err := accountExists(ctx, tx, t.Account); err != nil {
				return err
			}
			if done, err = adoptTrigger(ctx, tx, repeat, &t, now); err != nil {
				return err
			}
		}
		if !done {
			created := t
			if err := s.place(ctx, tx, &created); err != nil {
				return err
			}
			err := tx.CreateTrigger(ctx, created)
			if errors.Is(err, store.ErrAlreadyExists) {
				return refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
					"trigger %q exists in account %q; import it, or choose another name", t.Name, t.Account)
			}
			if err != nil {
				return err
			}
			if err := repeat.save(ctx, tx, now); err != nil {
				return err
			}
			if err := repeat.remember(ctx, tx, etagMark(&created), now); err != nil {
				return err
			}
		}
		view, err = s.find(ctx, tx, pipeline.TriggerName{Account: t.Account, Trigger: t.Name})
		return err
	})
	if err != nil {
		return TriggerView{}, fmt.Errorf("create trigger %q: %w", t.Name, err)
	}
	return view, nil
}

// allow authorizes the write of a trigger and checks it as far as it holds it.
func (s *Triggers) allow(who auth.Identity, t *ledger.Trigger) error {
	if err := authorize(who, auth.Deploy, t.Account); err != nil {
		return err
	}
	if t.Inline() {
		return refuse(KindPrecondition, "", "trigger %q belongs to pipeline %q and is written with it; change the trigger block or the source action there",
			t.Name, t.Owner)
	}
	if err := pipeline.CheckTrigger(t.Name); err != nil {
		return invalidField(requestPath("trigger", "name"), err.Error())
	}
	return nil
}

// checkDeclaration refuses a declaration that is wrong by itself.
func checkDeclaration(t *ledger.Trigger) error {
	return invalidDefinition(declaration(t).Validate(), nil, requestPath("trigger"))
}

// place checks a declared trigger against its pipeline, and says what it watches.
func (s *Triggers) place(ctx context.Context, tx *loop.Tx, t *ledger.Trigger) error {
	p, err := tx.Pipeline(ctx, t.Account, t.Pipeline)
	if errors.Is(err, store.ErrNotFound) {
		return invalidField(requestPath("trigger", "pipeline"), fmt.Sprintf("pipeline %q does not exist in account %q", t.Pipeline, t.Account))
	}
	if err != nil {
		return err
	}
	var def *pipeline.Definition
	if p.Version > 0 {
		if def, err = s.config.Loop.Definition(ctx, tx, p.ID, p.Version); err != nil {
			return err
		}
		if err := declaration(t).ValidateFor(def, s.config.Catalog); err != nil {
			return invalidDefinition(err, nil, requestPath("trigger"))
		}
	}
	if t.Declared.Event != nil {
		return s.placeEvent(ctx, tx, t)
	}
	connection, repository := watchedBy(def, t, s.config.Catalog)
	root := requestPath("trigger", "git")
	switch {
	case connection == "":
		return invalidField(root.Field("connection"), "the connection is missing, and the source action has none; name one")
	case repository == "":
		return invalidField(root.Field("repository"), "the repository is missing, and the source action has none; name one")
	}
	var invalid error
	t.RepositoryID, invalid, err = watch(ctx, tx, s.config.Watcher, t.Account, connection, repository)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return invalidField(requestPath("trigger", "git", "connection"), fmt.Sprintf("connection %q does not exist in account %q", connection, t.Account))
	case invalid != nil && t.Declared.Git.Repository != "":
		return invalidField(requestPath("trigger", "git", "repository"), invalid.Error())
	case invalid != nil:
		return invalidField(requestPath("trigger", "git", "source_action"), fmt.Sprintf("source action %q: %v", t.Declared.Git.SourceAction, invalid))
	}
	return err
}

func (s *Triggers) placeEvent(ctx context.Context, tx *loop.Tx, t *ledger.Trigger) error {
	path := requestPath("trigger", "webhook", "webhook")
	w, err := tx.Webhook(ctx, t.Account, t.Declared.Event.Webhook)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return invalidField(path, fmt.Sprintf("webhook %q does not exist in account %q", t.Declared.Event.Webhook, t.Account))
	case err != nil:
		return err
	case w.Connection != "":
		return invalidField(path, fmt.Sprintf("webhook %q takes deliveries of %s; a webhook trigger needs a generic one, and a git trigger reacts to this one", w.Name, w.Kind))
	}
	t.Webhook = w.Name
	return nil
}

// Get returns a trigger.
func (s *Triggers) Get(ctx context.Context, who auth.Identity, name pipeline.TriggerName) (TriggerView, error) {
	if err := authorize(who, auth.Read, name.Account); err != nil {
		return TriggerView{}, err
	}
	var view TriggerView
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		view, err = s.find(ctx, r, name)
		return err
	})
	if err != nil {
		return TriggerView{}, fmt.Errorf("get trigger %q: %w", name.Trigger, err)
	}
	return view, nil
}

// find returns a trigger with its newest decision.
func (s *Triggers) find(ctx context.Context, r store.Reader, name pipeline.TriggerName) (TriggerView, error) {
	t, err := findTrigger(ctx, r, name)
	if err != nil {
		return TriggerView{}, err
	}
	return triggerView(ctx, r, t, make(map[string]*pipeline.KnownRefs))
}

// triggerView returns what callers see of a trigger. refs are those of repositories that were
// read before, to which it adds: many triggers may watch one repository.
func triggerView(ctx context.Context, r store.Reader, t ledger.Trigger, refs map[string]*pipeline.KnownRefs) (TriggerView, error) {
	view := TriggerView{Trigger: t}
	latest, err := r.Decisions(ctx, store.DecisionFilter{TriggerID: t.ID, Size: 1})
	if err == nil && len(latest) > 0 {
		view.Latest = &latest[0]
	}
	if err != nil || t.RepositoryID == "" {
		return view, err
	}
	repo, err := r.Repository(ctx, t.RepositoryID)
	if errors.Is(err, store.ErrNotFound) {
		return view, nil
	}
	if err != nil {
		return view, err
	}
	known, read := refs[t.RepositoryID]
	if !read {
		if known, err = knownRefs(ctx, r, t.RepositoryID); err != nil {
			return view, err
		}
		refs[t.RepositoryID] = known
	}
	view.Warnings = declarationWarnings(&t, known)
	if problem := repo.Unreadable(); problem != "" {
		view.Warnings = append(view.Warnings, Warning{
			Reason: pipeline.ReasonRepositoryUnreadable,
			Message: fmt.Sprintf("trigger %s: the repository %s cannot be read %s since %s, so polls find no changes: %s",
				t.ResourceName(), repo.FullName, repo.Access(), moment(repo.FailingSince), problem),
		})
	}
	return view, nil
}

// List returns at most size triggers of an account or one of its pipelines by resource name,
// those after the given name. The second result is the name to continue after, empty at the
// end.
func (s *Triggers) List(ctx context.Context, who auth.Identity, account, pipelineName, after string, size int) ([]TriggerView, string, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, "", err
	}
	var views []TriggerView
	next := ""
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		if err := accountExists(ctx, r, account); err != nil {
			return err
		}
		if pipelineName != "" {
			if _, err := findPipeline(ctx, r, account, pipelineName); err != nil {
				return err
			}
		}
		found, err := r.Triggers(ctx, account, pipelineName)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(t ledger.Trigger) bool { return t.ResourceName() <= after })
		slices.SortFunc(found, func(a, b ledger.Trigger) int { return strings.Compare(a.ResourceName(), b.ResourceName()) })
		if len(found) > size {
			found = found[:size]
			next = found[size-1].ResourceName()
		}
		refs := make(map[string]*pipeline.KnownRefs)
		for i := range found {
			view, err := triggerView(ctx, r, found[i], refs)
			if err != nil {
				return err
			}
			for n := range view.Warnings {
				// The others name the trigger.
				if w := &view.Warnings[n]; w.Reason != pipeline.ReasonRepositoryUnreadable {
					w.Message = fmt.Sprintf("trigger %s: %s", found[i].ResourceName(), w.Message)
				}
			}
			views = append(views, view)
		}
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("list triggers: %w", err)
	}
	return views, next, nil
}

// Update replaces a trigger, or only checks that. Changes before it start nothing.
func (s *Triggers) Update(
	ctx context.Context, who auth.Identity, t ledger.Trigger, etag string, validateOnly bool, check Check[ledger.Trigger],
) (TriggerView, error) {
	if err := s.allow(who, &t); err != nil {
		return TriggerView{}, err
	}
	if err := checkDeclaration(&t); err != nil {
		return TriggerView{}, err
	}
	now := s.config.Clock()
	var view TriggerView
	err := update(ctx, s.config.Loop.Submit, validateOnly, func(ctx context.Context, tx *loop.Tx) error {
		name := pipeline.TriggerName{Account: t.Account, Trigger: t.Name}
		before, err := matchTrigger(ctx, tx, name, etag)
		if err != nil {
			return err
		}
		next := before
		next.Pipeline, next.Declared = t.Pipeline, t.Declared
		if err := check.allows(before, next); err != nil {
			return err
		}
		if !reflect.DeepEqual(before, next) {
			next.UpdatedAt, next.RepositoryID, next.Webhook = now, "", ""
			if err := s.place(ctx, tx, &next); err != nil {
				return err
			}
			if moved := next.RepositoryID != before.RepositoryID; moved {
				next.Baselined = false
			}
			if err := tx.UpdateTrigger(ctx, next); err != nil {
				return err
			}
			if err := s.config.Watcher.Unwatch(ctx, tx, before.RepositoryID); err != nil {
				return err
			}
		}
		view, err = s.find(ctx, tx, name)
		return err
	})
	if err != nil {
		return TriggerView{}, fmt.Errorf("update trigger %q: %w", t.Name, err)
	}
	return view, nil
}

// Delete removes a trigger. Its decisions stay.
func (s *Triggers) Delete(ctx context.Context, who auth.Identity, name pipeline.TriggerName, etag string) error {
	if err := s.allow(who, &ledger.Trigger{Account: name.Account, Owner: name.Pipeline, Name: name.Trigger}); err != nil {
		return err
	}
	err := update(ctx, s.config.Loop.Submit, false, func(ctx context.Context, tx *loop.Tx) error {
		t, err := matchTrigger(ctx, tx, name, etag)
		if err != nil {
			return err
		}
		if err := tx.DeleteTrigger(ctx, t.ID); err != nil {
			return err
		}
		return s.config.Watcher.Unwatch(ctx, tx, t.RepositoryID)
	})
	if err != nil {
		return fmt.Errorf("delete trigger %q: %w", name.Trigger, err)
	}
	return nil
}

// Pause keeps a trigger from starting executions.
func (s *Triggers) Pause(ctx context.Context, who auth.Identity, name pipeline.TriggerName, reason string) (TriggerView, error) {
	if err := checkReason(reason); err != nil {
		return TriggerView{}, err
	}
	return s.setPause(ctx, who, name, &ledger.Pause{Principal: who.Principal, Reason: reason, At: s.config.Clock()})
}

// Resume ends the pause of a trigger.
func (s *Triggers) Resume(ctx context.Context, who auth.Identity, name pipeline.TriggerName) (TriggerView, error) {
	return s.setPause(ctx, who, name, nil)
}

func (s *Triggers) setPause(ctx context.Context, who auth.Identity, name pipeline.TriggerName, pause *ledger.Pause) (TriggerView, error) {
	if err := authorize(who, auth.Deploy, name.Account); err != nil {
		return TriggerView{}, err
	}
	var view TriggerView
	err := update(ctx, s.config.Store.Update, false, func(ctx context.Context, tx store.Tx) error {
		t, err := findTrigger(ctx, tx, name)
		if err != nil {
			return err
		}
		// The first pause stays: who asks again learns who was first.
		if (t.Pause == nil) != (pause == nil) {
			if err := tx.SetTriggerPause(ctx, t.ID, pause); err != nil {
				return err
			}
		}
		view, err = s.find(ctx, tx, name)
		return err
	})
	if err != nil {
		return TriggerView{}, fmt.Errorf("pause or resume trigger %q: %w", name.Trigger, err)
	}
	return view, nil
}

// ConfirmCreate notes that the answer of a create of a trigger arrived.
func (s *Triggers) ConfirmCreate(ctx context.Context, who auth.Identity, c Created) error {
	return confirm(ctx, s.config.Store, who, c)
}

// adoptTrigger tells whether the create of a trigger is answered with the one that exists.
func adoptTrigger(ctx context.Context, tx store.Tx, create request, asked *ledger.Trigger, at time.Time) (bool, error) {
	if !create.confirms() {
		return false, nil
	}
	existing, err := tx.Trigger(ctx, asked.Account, "", asked.Name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil || existing.Pipeline != asked.Pipeline || !reflect.DeepEqual(existing.Declared, asked.Declared) {
		return false, err
	}
	return create.adopt(ctx, tx, etagMark(&existing), at)
}

func findTrigger(ctx context.Context, r store.TriggerReader, name pipeline.TriggerName) (ledger.Trigger, error) {
	t, err := r.Trigger(ctx, name.Account, name.Pipeline, name.Trigger)
	if errors.Is(err, store.ErrNotFound) {
		return t, refuse(KindNotFound, pipeline.ReasonNotFound, "trigger %q does not exist%s", name, nearestTrigger(ctx, r, name))
	}
	return t, err
}

// nearestTrigger asks whether the trigger is meant whose name comes nearest. An inline trigger
// is compared with those of its pipeline.
func nearestTrigger(ctx context.Context, r store.TriggerReader, name pipeline.TriggerName) string {
	found, err := r.Triggers(ctx, name.Account, name.Pipeline)
	if err != nil {
		return ""
	}
	var names []string
	for i := range found {
		if found[i].Owner == name.Pipeline {
			names = append(names, found[i].Name)
		}
	}
	return didYouMean(name.Trigger, names)
}

// matchTrigger returns a trigger that is what the caller read.
func matchTrigger(ctx context.Context, r store.TriggerReader, name pipeline.TriggerName, etag string) (ledger.Trigger, error) {
	t, err := findTrigger(ctx, r, name)
	if err == nil && etag != "" && etag != t.Etag() {
		return t, refuse(KindConflict, pipeline.ReasonEtagMismatch,
			"trigger %q changed since it was read (last at %s): read it again and retry",
			name.Trigger, t.UpdatedAt.UTC().Format(time.RFC3339))
	}
	return t, err
}
