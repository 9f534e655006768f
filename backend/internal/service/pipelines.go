package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Runs is what definitions need of executions; Executions is the one.
type Runs interface {
	// DeletePipeline removes a pipeline that still has the etag, with its history. It
	// refuses while executions are live, unless forced.
	// It returns what an admin has to know about it.
	DeletePipeline(ctx context.Context, who auth.Identity, account, name, etag string, force bool) ([]Warning, error)
	// Write is the Update of a store for writes that may publish a version.
	Write(ctx context.Context, fn func(context.Context, Publication) error) error
}

// Publication is a transaction in which a version may be published.
type Publication struct {
	store.Tx
	// Cancel ends the live executions of versions before this one, once their running
	// actions ended.
	Cancel func(ctx context.Context, pipelineID string, version int64, principal string) error
	// lost receives the warnings about what rules guarded before the version.
	lost *[]Warning
}

// PipelinesConfig is what Pipelines needs.
type PipelinesConfig struct {
	Store   store.Store
	Reports *Reports
	Catalog *pipeline.Catalog
	Runs    Runs
	Clock   func() time.Time
	// NewID returns ids that ascend with time.
	NewID func() string
}

// Pipelines keeps definitions: pipelines, their parts and their versions.
type Pipelines struct {
	PipelinesConfig
}

// NewPipelines returns the use cases of definitions.
func NewPipelines(cfg PipelinesConfig) *Pipelines {
	return &Pipelines{PipelinesConfig: cfg}
}

// Composition says who holds the stages of a pipeline. The empty one is left to
// what the definition holds.
type Composition string

// The compositions.
const (
	Inline   Composition = "inline"
	Composed Composition = "composed"
)

// Publish says when a composed pipeline gets a new version. The empty one is
// PublishAuto.
type Publish string

// The publish policies.
const (
	PublishAuto     Publish = "auto"
	PublishExplicit Publish = "explicit"
)

// PipelineInput is a pipeline as a caller declares it.
type PipelineInput struct {
	Account     string
	Name        string
	Definition  pipeline.Definition
	Composition Composition
	Publish     Publish
	// Etag is what the caller read, empty where it does not matter.
	Etag string
	// RequestID makes a repeated create return the first one's pipeline.
	RequestID string
	// ValidateOnly checks everything and stores nothing.
	ValidateOnly bool
	// Check is made by an update.
	Check Check[PipelineView]
}

// composition returns the composition that the input asks for.
func (in *PipelineInput) composition() Composition {
	switch {
	case in.Composition != "":
		return in.Composition
	case len(in.Definition.Stages) > 0:
		return Inline
	default:
		return Composed
	}
}

// PipelineView is a pipeline as callers see it.
type PipelineView struct {
	store.Pipeline
	// Unpublished tells that parts changed since the newest version.
	Unpublished bool
	// Warnings are set after a write.
	Warnings []Warning
}

// Etag returns what a write of the pipeline has to match.
func (v *PipelineView) Etag() string { return pipelineEtag(&v.Pipeline) }

// Declared returns the definition with the stages of a composed pipeline filled
// in from its parts.
func (v *PipelineView) Declared() *pipeline.Definition { return assembled(&v.Pipeline) }

// pipelineEtag names what is declared, not the revision: parts of a composed
// pipeline and its versions may change without getting in the way of a change
// of its settings.
func pipelineEtag(p *store.Pipeline) string {
	etag := pipeline.Digest(&p.Definition)[:16]
	if p.Explicit {
		etag += "-explicit"
	}
	return etag
}

func viewOf(p store.Pipeline) PipelineView {
	unpublished := p.Composed && (p.Version > 0 || len(p.Draft) > 0) && pipeline.Digest(assembled(&p)) != p.Digest
	return PipelineView{Pipeline: p, Unpublished: unpublished}
}

// assembled returns what a version of the pipeline would freeze now.
func assembled(p *store.Pipeline) *pipeline.Definition {
	def := p.Definition
	if p.Composed {
		def.Stages = make([]pipeline.Stage, len(p.Draft))
		for i := range p.Draft {
			def.Stages[i] = p.Draft[i].Stage
		}
	}
	return &def
}

// Create stores a pipeline. An inline one is published as version 1 with it.
func (s *Pipelines) Create(ctx context.Context, who auth.Identity, in PipelineInput) (PipelineView, error) {
	if err := authorize(who, auth.Deploy, in.Account); err != nil {
		return PipelineView{}, err
	}
	if err := pipeline.CheckPipeline(in.Name); err != nil {
		return PipelineView{}, invalidField(requestPath("pipeline", "name"), err.Error())
	}
	if err := s.check(&in); err != nil {
		return PipelineView{}, err
	}
	now := s.Clock()
	id := s.NewID()
	var created store.Pipeline
	var skipped []Warning
	err := update(ctx, s.Store.Update, in.ValidateOnly, func(ctx context.Context, tx store.Tx) error {
		repeat := request{in.Account, "CreatePipeline", in.RequestID, pipelineName(in.Account, in.Name), who.Principal}
		if done, err := repeat.done(ctx, tx); err != nil || done {
			if err == nil {
				created, err = findPipeline(ctx, tx, in.Account, in.Name)
			}
			return err
		}
		if err := accountExists(ctx, tx, in.Account); err != nil {
			return err
		}
		p := store.Pipeline{
			ID: id, Account: in.Account, Name: in.Name,
			Composed: in.composition() == Composed, Explicit: in.Publish == PublishExplicit,
			Definition: in.Definition, Revision: 1, CreatedAt: now, UpdatedAt: now,
		}
		if !p.Composed {
			p.Version, p.Digest = 1, pipeline.Digest(&p.Definition)
		}
		adopted, err := adoptPipeline(ctx, tx, repeat, &p, now)
		if err == nil && adopted {
			created, err = tx.Pipeline(ctx, in.Account, in.Name)
		}
		if err != nil || adopted {
			return err
		}
		err = tx.CreatePipeline(ctx, p)
		if errors.Is(err, store.ErrAlreadyExists) {
			return refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
				"pipeline %q exists in account %q; import it, or choose another name", in.Name, in.Account)
		}
		if err != nil {
			return err
		}
		if !p.Composed {
			skips, err := skipsGuards(ctx, tx, who, &p, 0, &p.Definition)
			if err != nil {
				return err
			}
			skipped = skipWarnings(skips, p.Name)
			if err := tx.CreatePipelineVersion(ctx, versionOf(&p, &p.Definition, who, now)); err != nil {
				return err
			}
		}
		if err := repeat.save(ctx, tx, now); err != nil {
			return err
		}
		if created, err = tx.Pipeline(ctx, in.Account, in.Name); err != nil {
			return err
		}
		return repeat.remember(ctx, tx, pipelineMark(&created), now)
	})
	if err != nil {
		return PipelineView{}, fmt.Errorf("create pipeline %q: %w", in.Name, err)
	}
	view := viewOf(created)
	view.Warnings = slices.Concat(skipped, definitionWarnings(&created.Definition, requestPath("pipeline", "definition"), now),
		s.Reports.ofPipeline(ctx, who, &created))
	return view, nil
}

// Get returns a pipeline.
func (s *Pipelines) Get(ctx context.Context, who auth.Identity, account, name string) (PipelineView, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return PipelineView{}, err
	}
	var p store.Pipeline
	err := s.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		p, err = findPipeline(ctx, r, account, name)
		return err
	})
	if err != nil {
		return PipelineView{}, fmt.Errorf("get pipeline %q: %w", name, err)
	}
	return viewOf(p), nil
}

// List returns at most size pipelines of an account by name, those after the
// given name. The second result is the name to go on after, empty at the end.
func (s *Pipelines) List(ctx context.Context, who auth.Identity, account, after string, size int) ([]PipelineView, string, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, "", err
	}
	var found []store.Pipeline
	err := s.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if err = accountExists(ctx, r, account); err != nil {
			return err
		}
		// One more than asked for tells whether there is a next page.
		found, err = r.Pipelines(ctx, account, store.Page{Size: size + 1, After: after})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list pipelines: %w", err)
	}
	next := ""
	if len(found) > size {
		found = found[:size]
		next = found[size-1].Name
	}
	views := make([]PipelineView, len(found))
	for i := range found {
		views[i] = viewOf(found[i])
	}
	return views, next, nil
}

// Update replaces the settings of a pipeline and, of an inline one, the stages.
// A definition that differs is published as the next version.
func (s *Pipelines) Update(ctx context.Context, who auth.Identity, in PipelineInput) (PipelineView, error) {
	if err := authorize(who, auth.Deploy, in.Account); err != nil {
		return PipelineView{}, err
	}
	now := s.Clock()
	var updated store.Pipeline
	var warnings []Warning
	err := update(ctx, s.Runs.Write, in.ValidateOnly, func(ctx context.Context, tx Publication) error {
		warnings = nil
		tx.lost = &warnings
		p, err := findPipeline(ctx, tx, in.Account, in.Name)
		if err != nil {
			return err
		}
		if err := checkEtag(&p, in.Etag); err != nil {
			return err
		}
		if err := checkComposition(&p, &in); err != nil {
			return err
		}
		if err := s.check(&in); err != nil {
			return err
		}
		before := p
		p.Definition, p.Explicit = in.Definition, in.Publish == PublishExplicit
		if p.Composed {
			p.Definition.Stages = nil
		}
		if err := in.Check.allows(viewOf(before), viewOf(p)); err != nil {
			return err
		}
		if err := s.save(ctx, tx, who, &before, &p, now); err != nil {
			return err
		}
		updated, err = findPipeline(ctx, tx, in.Account, in.Name)
		return err
	})
	if err != nil {
		return PipelineView{}, fmt.Errorf("update pipeline %q: %w", in.Name, err)
	}
	view := viewOf(updated)
	view.Warnings = slices.Concat(warnings, definitionWarnings(&updated.Definition, requestPath("pipeline", "definition"), now),
		s.Reports.ofPipeline(ctx, who, &updated))
	return view, nil
}

// Delete removes a pipeline with its versions and history. While an execution is
// live it is refused, unless force abandons them first.
func (s *Pipelines) Delete(ctx context.Context, who auth.Identity, account, name, etag string, force bool) ([]Warning, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	var warnings []Warning
	err := retry(func() (err error) {
		warnings, err = s.Runs.DeletePipeline(ctx, who, account, name, etag, force)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("delete pipeline %q: %w", name, err)
	}
	return warnings, nil
}

// check validates what the input declares, as far as it holds it.
func (s *Pipelines) check(in *PipelineInput) error {
	path := requestPath("pipeline", "definition")
	if in.composition() == Inline {
		if in.Publish == PublishExplicit {
			return invalidField(requestPath("pipeline", "publish"),
				"only composed pipelines are published explicitly; an inline one gets a version with every change")
		}
		return invalidDefinition(pipeline.Validate(&in.Definition, s.Catalog), nil, path)
	}
	def := in.Definition
	if len(def.Stages) > 0 {
		return invalidField(path.Field("stages"),
			"the stages of a composed pipeline are objects of their own (headrace_stage); remove them here, or make it inline")
	}
	// The validator takes a stage that is not known yet for any number of stages.
	def.Stages = []pipeline.Stage{{Name: pipeline.Unknown}}
	return invalidDefinition(pipeline.Validate(&def, s.Catalog), nil, path)
}

// save writes a changed pipeline and publishes where its policy says so. Nothing
// is written where nothing changed, so that the etag stays.
func (s *Pipelines) save(ctx context.Context, tx Publication, who auth.Identity, before, p *store.Pipeline, now time.Time) error {
	if reflect.DeepEqual(before, p) {
		return nil
	}
	p.UpdatedAt = now
	def := assembled(p)
	// An inline definition was validated as a whole before.
	publish := !p.Composed || !p.Explicit && s.whole(p, def) == nil
	if publish && pipeline.Digest(def) != p.Digest {
		if err := nextVersion(ctx, tx, who, p, def, now); err != nil {
			return err
		}
	}
	return tx.UpdatePipeline(ctx, *p)
}

// nextVersion makes the next version of a pipeline, which is to be updated then, and
// does to live executions what it says.
func nextVersion(ctx context.Context, tx Publication, who auth.Identity, p *store.Pipeline, def *pipeline.Definition, now time.Time) error {
	lost, err := staysGuarded(ctx, tx, who, p, def)
	if err != nil {
		return err
	}
	skips, err := skipsGuards(ctx, tx, who, p, p.Version, def)
	if err != nil {
		return err
	}
	*tx.lost = slices.Concat(lost, skipWarnings(skips, p.Name))
	if err := losesNoFreeze(ctx, tx, p, def); err != nil {
		return err
	}
	p.Version++
	p.Digest = pipeline.Digest(def)
	err = tx.CreatePipelineVersion(ctx, versionOf(p, def, who, now))
	if errors.Is(err, store.ErrAlreadyExists) {
		// Another server was first: p is not the newest any more.
		return store.ErrStale
	}
	if err != nil {
		return err
	}
	if def.OnUpdate != pipeline.OnUpdateCancel {
		return nil
	}
	return tx.Cancel(ctx, p.ID, p.Version, who.Principal)
}

// losesNoFreeze refuses the mode PARALLEL while a transition is disabled: executions
// pass no transitions there, so what somebody held back would run.
func losesNoFreeze(ctx context.Context, r store.Reader, p *store.Pipeline, def *pipeline.Definition) error {
	if def.Mode() != pipeline.Parallel {
		return nil
	}
	found, err := r.LiveScope(ctx, execution.ScopeKey{PipelineID: p.ID})
	if err != nil || found.State == nil {
		return err
	}
	for _, stage := range slices.Sorted(maps.Keys(found.State.Stages)) {
		if t := found.State.Stages[stage].Transition; t != nil && t.Disabled {
			return refuse(KindPrecondition, pipeline.ReasonNoTransitions,
				"the transition into stage %q of pipeline %q is disabled (%s), and executions in PARALLEL mode would pass it; "+
					"enable it first, or keep another mode", stage, p.Name, t.Reason)
		}
	}
	return nil
}

func versionOf(p *store.Pipeline, def *pipeline.Definition, who auth.Identity, now time.Time) store.PipelineVersion {
	return store.PipelineVersion{
		PipelineID: p.ID, Version: p.Version, Definition: *def, Digest: p.Digest, Principal: who.Principal, CreatedAt: now,
	}
}

// findPipeline returns the pipeline of that name. The caller must have a role in
// the account.
func findPipeline(ctx context.Context, r store.Reader, account, name string) (store.Pipeline, error) {
	p, err := r.Pipeline(ctx, account, name)
	if errors.Is(err, store.ErrNotFound) {
		return p, refuse(KindNotFound, pipeline.ReasonNotFound, "pipeline %q does not exist in account %q", name, account)
	}
	return p, err
}

// checkEtag refuses a write that is based on an older state of the pipeline.
func checkEtag(p *store.Pipeline, etag string) error {
	if etag == "" || etag == pipelineEtag(p) {
		return nil
	}
	return refuse(KindConflict, pipeline.ReasonEtagMismatch,
		"pipeline %q changed since it was read (last at %s, version %d): read it again, look at the difference and repeat",
		p.Name, p.UpdatedAt.UTC().Format(time.RFC3339), p.Version)
}

// checkComposition refuses to turn an inline pipeline into a composed one, or
// the reverse.
func checkComposition(p *store.Pipeline, in *PipelineInput) error {
	switch {
	case p.Composed && in.composition() == Inline:
		return refuse(KindPrecondition, pipeline.ReasonCompositionMismatch,
			"pipeline %q is composed: its stages are headrace_stage resources; remove the stages from the pipeline, "+
				"or delete it and create it inline", p.Name)
	case !p.Composed && in.Composition == Composed:
		return refuse(KindPrecondition, pipeline.ReasonCompositionMismatch,
			"pipeline %q is inline: its stages are part of it; give it stages, or delete it and create it composed", p.Name)
	case !p.Composed:
		in.Composition = Inline
	case reflect.DeepEqual(in.Definition.Stages, assembled(p).Stages):
		// A client that writes back what it read sends the stages along.
		in.Definition.Stages = nil
	}
	return nil
}

func pipelineName(account, name string) string {
	return pipeline.PipelineName{Account: account, Pipeline: name}.String()
}

// requestPath names a field of a request.
func requestPath(fields ...string) pipeline.Path {
	var path pipeline.Path
	for _, field := range fields {
		path = path.Field(field)
	}
	return path
}
