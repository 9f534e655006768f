package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Versions are the use cases of versions of pipelines.
type Versions struct {
	config PipelinesConfig
}

// NewVersions returns the use cases of versions.
func NewVersions(config PipelinesConfig) *Versions { return &Versions{config: config} }

// Publish makes a version of a composed pipeline's parts as they are now, or
// returns the newest version where nothing changed since.
func (s *Versions) Publish(ctx context.Context, who auth.Identity, account, name string) (definition.Version, []Warning, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return definition.Version{}, nil, err
	}
	now := s.config.Clock()
	var version definition.Version
	var published definition.Pipeline
	var warnings []Warning
	var watched map[string]string
	err := update(ctx, s.config.Loop.Submit, false, func(ctx context.Context, tx *loop.Tx) error {
		warnings, watched = nil, nil
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
		def := p.Declared()
		if pipeline.Digest(def) == p.Digest {
			version, err = tx.PipelineVersion(ctx, p.ID, p.Version)
			return err
		}
		if err := invalidDefinition(checkWhole(s.config.Catalog, &p, def), nil, nil); err != nil {
			return err
		}
		p.UpdatedAt = now
		if warnings, err = nextVersion(ctx, tx, &s.config, who, &p, def, now); err != nil {
			return err
		}
		if err := tx.UpdatePipeline(ctx, p); err != nil {
			return err
		}
		if version, err = tx.PipelineVersion(ctx, p.ID, p.Version); err != nil {
			return err
		}
		watched, err = watchedRepositories(ctx, tx, &p, s.config.Catalog)
		return err
	})
	if err != nil {
		return definition.Version{}, nil, fmt.Errorf("publish pipeline %q: %w", name, err)
	}
	warnings = append(warnings, definitionWarnings(&version.Definition, s.config.Catalog, nil, now)...)
	warnings = append(warnings, refWarnings(ctx, s.config.Store, &version.Definition, s.config.Catalog, watched, nil)...)
	warnings = append(warnings, missingSecrets(ctx, s.config.Store, account, &version.Definition, nil, nil)...)
	warnings = append(warnings, notIsolated(s.config.NotIsolated, &version.Definition, nil, nil)...)
	return version, append(warnings, s.config.Reports.ofPipeline(ctx, who, &published)...), nil
}

// Get returns one version of a pipeline.
func (s *Versions) Get(ctx context.Context, who auth.Identity, account, name string, number int64) (definition.Version, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return definition.Version{}, err
	}
	var version definition.Version
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
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
		return definition.Version{}, fmt.Errorf("get version %d of pipeline %q: %w", number, name, err)
	}
	return version, nil
}

// List returns at most size versions of a pipeline, newest first, those
// before a number, or the newest where that is 0. The second result is the
// number to go on before, 0 at the end.
func (s *Versions) List(
	ctx context.Context, who auth.Identity, account, name string, before int64, size int,
) ([]definition.Version, int64, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, 0, err
	}
	var versions []definition.Version
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
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
