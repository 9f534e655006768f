package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Publish makes a version of a composed pipeline's parts as they are now, or
// returns the newest version where nothing changed since.
func (s *Pipelines) Publish(ctx context.Context, who auth.Identity, account, name string) (store.PipelineVersion, []Warning, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return store.PipelineVersion{}, nil, err
	}
	now := s.Clock()
	var version store.PipelineVersion
	var published store.Pipeline
	var warnings []Warning
	err := update(ctx, s.Runs.Write, false, func(ctx context.Context, tx Publication) error {
		warnings = nil
		tx.lost = &warnings
		p, err := findPipeline(ctx, tx, account, name)
		if err != nil {
			return err
		}
		published = p
		if !p.Composed {
			return refuse(KindPrecondition, pipeline.ReasonCompositionMismatch,
				"pipeline %q is inline: every change of it is published at once, there is nothing to publish by hand", name)
		}
		if len(p.Draft) == 0 {
			return refuse(KindPrecondition, pipeline.ReasonNothingToPublish,
				"pipeline %q has no stages yet; add headrace_stage and headrace_action resources first", name)
		}
		def := assembled(&p)
		if pipeline.Digest(def) == p.Digest {
			version, err = tx.PipelineVersion(ctx, p.ID, p.Version)
			return err
		}
		if err := invalidDefinition(s.whole(&p, def), nil, nil); err != nil {
			return err
		}
		p.UpdatedAt = now
		if err := nextVersion(ctx, tx, who, &p, def, now); err != nil {
			return err
		}
		if err := tx.UpdatePipeline(ctx, p); err != nil {
			return err
		}
		version, err = tx.PipelineVersion(ctx, p.ID, p.Version)
		return err
	})
	if err != nil {
		return store.PipelineVersion{}, nil, fmt.Errorf("publish pipeline %q: %w", name, err)
	}
	warnings = append(warnings, definitionWarnings(&version.Definition, nil, now)...)
	return version, append(warnings, s.Reports.ofPipeline(ctx, who, &published)...), nil
}

// Version returns one version of a pipeline.
func (s *Pipelines) Version(ctx context.Context, who auth.Identity, account, name string, number int64) (store.PipelineVersion, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return store.PipelineVersion{}, err
	}
	var version store.PipelineVersion
	err := s.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		p, err := findPipeline(ctx, r, account, name)
		if err != nil {
			return err
		}
		version, err = r.PipelineVersion(ctx, p.ID, number)
		if errors.Is(err, store.ErrNotFound) {
			return refuse(KindNotFound, pipeline.ReasonNotFound,
				"pipeline %q has no version %d; its newest is %d", name, number, p.Version)
		}
		return err
	})
	if err != nil {
		return store.PipelineVersion{}, fmt.Errorf("get version %d of pipeline %q: %w", number, name, err)
	}
	return version, nil
}

// Versions returns at most size versions of a pipeline, newest first, those
// before a number, or the newest where that is 0. The second result is the
// number to go on before, 0 at the end.
func (s *Pipelines) Versions(
	ctx context.Context, who auth.Identity, account, name string, before int64, size int,
) ([]store.PipelineVersion, int64, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, 0, err
	}
	var versions []store.PipelineVersion
	err := s.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		p, err := findPipeline(ctx, r, account, name)
		if err != nil {
			return err
		}
		versions, err = r.PipelineVersions(ctx, p.ID, before, size+1)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list versions of pipeline %q: %w", name, err)
	}
	next := int64(0)
	if len(versions) > size {
		versions = versions[:size]
		next = versions[size-1].Version
	}
	return versions, next, nil
}
