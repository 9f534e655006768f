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
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// savePipeline writes a changed pipeline and publishes where its policy says so. Nothing
// is written where nothing changed, so that the etag stays.
func savePipeline(ctx context.Context, tx *loop.Tx, cfg *PipelinesConfig, who auth.Identity, before, p *definition.Pipeline, now time.Time) (warnings []Warning, err error) {
	if reflect.DeepEqual(before, p) {
		return nil, nil
	}
	p.UpdatedAt = now
	def := p.Declared()
	// An inline definition was validated as a whole before.
	publish := !p.Composed || !p.Explicit && checkWhole(cfg.Catalog, p, def) == nil
	if publish && pipeline.Digest(def) != p.Digest {
		if warnings, err = nextVersion(ctx, tx, cfg, who, p, def, now); err != nil {
			return nil, err
		}
	}
	return warnings, tx.UpdatePipeline(ctx, *p)
}

// checkWhole says what keeps the parts of a pipeline from being a version. Two stages
// may have the same order for a moment: while stages swap places, one of them changes first.
func checkWhole(kinds *pipeline.Catalog, p *definition.Pipeline, def *pipeline.Definition) error {
	for i := 1; i < len(p.Draft); i++ {
		before, after := p.Draft[i-1], p.Draft[i]
		if before.Order == after.Order {
			return &pipeline.ValidationError{Violations: []pipeline.Violation{{
				Path:    pipeline.Path(nil).At("stages", i),
				Message: fmt.Sprintf("Stages %q and %q have the same order %d; give each its own.", before.Stage.Name, after.Stage.Name, after.Order),
			}}}
		}
	}
	return pipeline.Validate(def, kinds)
}

// nextVersion makes the next version of a pipeline, which is to be updated then, and
// does to live executions what it says. It returns warnings about what approval rules
// guarded in the version before.
func nextVersion(ctx context.Context, tx *loop.Tx, cfg *PipelinesConfig, who auth.Identity, p *definition.Pipeline, def *pipeline.Definition, now time.Time) ([]Warning, error) {
	lost, err := checkApprovalCoverage(ctx, tx, who, p, def)
	if err != nil {
		return nil, err
	}
	skips, err := skipsGuards(ctx, tx, who, p, p.Version, def)
	if err != nil {
		return nil, err
	}
	warnings := slices.Concat(lost, skipWarnings(skips, p.Name))
	if err := checkDisabledTransitions(ctx, tx, p, def); err != nil {
		return nil, err
	}
	p.Version++
	p.Digest = pipeline.Digest(def)
	err = tx.CreatePipelineVersion(ctx, versionOf(p, def, who, now))
	if errors.Is(err, store.ErrAlreadyExists) {
		// Another server was first: p is not the newest any more.
		return nil, store.ErrStale
	}
	if err != nil {
		return nil, err
	}
	if err := publishTriggers(ctx, tx, cfg, p, def, now); err != nil || def.OnUpdate != pipeline.OnUpdateCancel {
		return warnings, err
	}
	_, err = tx.Decide(ctx, execution.ScopeKey{PipelineID: p.ID}, engine.Cancel{Version: p.Version, Principal: who.Principal})
	return warnings, err
}

// checkDisabledTransitions refuses the mode PARALLEL while a transition is disabled: executions
// pass no transitions there, so what somebody held back would run.
func checkDisabledTransitions(ctx context.Context, r store.ExecutionReader, p *definition.Pipeline, def *pipeline.Definition) error {
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

func versionOf(p *definition.Pipeline, def *pipeline.Definition, who auth.Identity, now time.Time) definition.Version {
	return definition.Version{
		PipelineID: p.ID, Version: p.Version, Definition: *def, Digest: p.Digest, Principal: who.Principal, CreatedAt: now,
	}
}
