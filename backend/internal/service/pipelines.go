package service

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// PipelinesConfig is what the use cases of definitions need: Pipelines, Parts and Versions.
type PipelinesConfig struct {
	Store   store.Store
	Reports *Reports
	Catalog *pipeline.Catalog
	Loop    *loop.Loop
	// Watcher keeps the ledger of what the triggers of definitions watch.
	Watcher Watcher
	// Sealer seals secret values of configurations.
	Sealer Sealer
	// Logs are removed with the executions of a deleted pipeline.
	Logs  LogRemover
	Clock func() time.Time
	// NewID returns ids that ascend with time.
	NewID func() string
	Log   hclog.Logger
	// NotIsolated is why this server runs no commands, nil if it does.
	NotIsolated error
}

// Pipelines are the use cases of pipelines.
type Pipelines struct {
	config PipelinesConfig
}

// NewPipelines returns the use cases of pipelines.
func NewPipelines(cfg PipelinesConfig) *Pipelines {
	return &Pipelines{config: cfg}
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
	definition.Pipeline
	// Unpublished tells that parts changed since the newest version.
	Unpublished bool
	// Warnings are set after a write.
	Warnings []Warning
}

func viewOf(p definition.Pipeline) PipelineView {
	return PipelineView{Pipeline: p, Unpublished: p.Changed()}
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
	if err := s.config.sealDefinition(ctx, &in, requestPath("pipeline", "definition")); err != nil {
		return PipelineView{}, fmt.Errorf("create pipeline %q: %w", in.Name, err)
	}
	now := s.config.Clock()
	id := s.config.NewID()
	var created definition.Pipeline
	var skipped []Warning
	var watched map[string]string
	err := update(ctx, s.config.Loop.Submit, in.ValidateOnly, func(ctx context.Context, tx *loop.Tx) error {
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
		p := definition.Pipeline{
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
			if err := publishTriggers(ctx, tx, &s.config, &p, &p.Definition, now); err != nil {
				return err
			}
		}
		if err := repeat.save(ctx, tx, now); err != nil {
			return err
		}
		if created, err = tx.Pipeline(ctx, in.Account, in.Name); err != nil {
			return err
		}
		if watched, err = watchedRepositories(ctx, tx, &created, s.config.Catalog); err != nil {
			return err
		}
		return repeat.remember(ctx, tx, pipelineMark(&created), now)
	})
	if err != nil {
		return PipelineView{}, fmt.Errorf("create pipeline %q: %w", in.Name, err)
	}
	view := viewOf(created)
	view.Warnings = slices.Concat(skipped, definitionWarnings(&created.Definition, s.config.Catalog, requestPath("pipeline", "definition"), now),
		refWarnings(ctx, s.config.Store, &created.Definition, s.config.Catalog, watched, requestPath("pipeline", "definition")),
		missingSecrets(ctx, s.config.Store, in.Account, &created.Definition, nil, requestPath("pipeline", "definition")),
		notIsolated(s.config.NotIsolated, &created.Definition, nil, requestPath("pipeline", "definition")),
		s.config.Reports.ofPipeline(ctx, who, &created))
	return view, nil
}

// Get returns a pipeline.
func (s *Pipelines) Get(ctx context.Context, who auth.Identity, account, name string) (PipelineView, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return PipelineView{}, err
	}
	var p definition.Pipeline
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
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
	var found []definition.Pipeline
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
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
	if err := s.config.sealDefinition(ctx, &in, requestPath("pipeline", "definition")); err != nil {
		return PipelineView{}, fmt.Errorf("update pipeline %q: %w", in.Name, err)
	}
	now := s.config.Clock()
	var updated definition.Pipeline
	var warnings []Warning
	var watched map[string]string
	err := update(ctx, s.config.Loop.Submit, in.ValidateOnly, func(ctx context.Context, tx *loop.Tx) error {
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
		if warnings, err = savePipeline(ctx, tx, &s.config, who, &before, &p, now); err != nil {
			return err
		}
		if updated, err = findPipeline(ctx, tx, in.Account, in.Name); err != nil {
			return err
		}
		watched, err = watchedRepositories(ctx, tx, &updated, s.config.Catalog)
		return err
	})
	if err != nil {
		return PipelineView{}, fmt.Errorf("update pipeline %q: %w", in.Name, err)
	}
	view := viewOf(updated)
	view.Warnings = slices.Concat(warnings, definitionWarnings(&updated.Definition, s.config.Catalog, requestPath("pipeline", "definition"), now),
		refWarnings(ctx, s.config.Store, &updated.Definition, s.config.Catalog, watched, requestPath("pipeline", "definition")),
		missingSecrets(ctx, s.config.Store, in.Account, &updated.Definition, nil, requestPath("pipeline", "definition")),
		notIsolated(s.config.NotIsolated, &updated.Definition, nil, requestPath("pipeline", "definition")),
		s.config.Reports.ofPipeline(ctx, who, &updated))
	return view, nil
}

// check validates what the input declares, as far as it holds it.
func (s *Pipelines) check(in *PipelineInput) error {
	path := requestPath("pipeline", "definition")
	if in.composition() == Inline {
		if in.Publish == PublishExplicit {
			return invalidField(requestPath("pipeline", "publish"),
				"only composed pipelines are published explicitly; an inline one gets a version with every change")
		}
		return invalidDefinition(validate(in.Account, &in.Definition, s.config.Catalog), nil, path)
	}
	def := in.Definition
	if len(def.Stages) > 0 {
		return invalidField(path.Field("stages"),
			"the stages of a composed pipeline are objects of their own (headrace_stage); remove them here, or make it inline")
	}
	// The validator takes a stage that is not known yet for any number of stages.
	def.Stages = []pipeline.Stage{{Name: pipeline.Unknown}}
	return invalidDefinition(pipeline.Validate(&def, s.config.Catalog), nil, path)
}

// checkEtag refuses a write that is based on an older state of the pipeline.
func checkEtag(p *definition.Pipeline, etag string) error {
	if etag == "" || etag == p.Etag() {
		return nil
	}
	return refuse(KindConflict, pipeline.ReasonEtagMismatch,
		"pipeline %q changed since it was read (last at %s, version %d): read it again and retry",
		p.Name, p.UpdatedAt.UTC().Format(time.RFC3339), p.Version)
}

// checkComposition refuses to turn an inline pipeline into a composed one, or
// the reverse.
func checkComposition(p *definition.Pipeline, in *PipelineInput) error {
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
	case reflect.DeepEqual(in.Definition.Stages, p.Declared().Stages):
		// A client that writes back what it read sends the stages along.
		in.Definition.Stages = nil
	}
	return nil
}
