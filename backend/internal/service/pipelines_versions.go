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
		version, err = findVersion(ctx, r, &p, number)
		return err
	})
	if err != nil {
		return definition.Version{}, fmt.Errorf("get version %d of pipeline %q: %w", number, name, err)
	}
	return version, nil
}

// findVersion returns one version of a pipeline.
func findVersion(ctx context.Context, r store.Reader, p *definition.Pipeline, number int64) (definition.Version, error) {
	version, err := r.PipelineVersion(ctx, p.ID, number)
	if errors.Is(err, store.ErrNotFound) {
		return version, refuse(KindNotFound, pipeline.ReasonNotFound,
			"pipeline %q has no version %d; its newest is %d", p.Name, number, p.Version)
	}
	return version, err
}

// DiffOf says which definitions of a pipeline to compare.
type DiffOf struct {
	// From is 0 for the version before To, or for the newest one if Unpublished is set. To is
	// 0 for the newest.
	From, To int64
	// Unpublished compares with the parts of a composed pipeline as they are now.
	Unpublished bool
}

// VersionDiff is what differs between two definitions of a pipeline.
type VersionDiff struct {
	// Of is what was compared, with the numbers of the versions.
	Of      DiffOf
	Changes []pipeline.Change
}

// Diff returns what differs between two versions of a pipeline, or between one and its parts.
func (s *Versions) Diff(ctx context.Context, who auth.Identity, account, name string, of DiffOf) (VersionDiff, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return VersionDiff{}, err
	}
	if of.Unpublished && of.To > 0 {
		return VersionDiff{}, invalidField(pipeline.Path(nil).Field("to_version"), "must not be set beside unpublished")
	}
	diff := VersionDiff{Of: of}
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		p, err := findPipeline(ctx, r, account, name)
		if err != nil {
			return err
		}
		if diff.Of, err = diffOf(&p, of); err != nil {
			return err
		}
		from, err := findVersion(ctx, r, &p, diff.Of.From)
		if err != nil {
			return err
		}
		if of.Unpublished {
			diff.Changes = pipeline.Diff(&from.Definition, p.Declared())
			return nil
		}
		to, err := findVersion(ctx, r, &p, diff.Of.To)
		if err != nil {
			return err
		}
		diff.Changes = pipeline.Diff(&from.Definition, &to.Definition)
		return nil
	})
	if err != nil {
		return VersionDiff{}, fmt.Errorf("compare versions of pipeline %q: %w", name, err)
	}
	return diff, nil
}

// diffOf fills in the numbers of versions that were left out.
func diffOf(p *definition.Pipeline, of DiffOf) (DiffOf, error) {
	switch {
	case of.Unpublished && !p.Composed:
		return of, refuse(KindPrecondition, pipeline.ReasonCompositionMismatch,
			"pipeline %q is inline: every change of it is published at once", p.Name)
	case p.Version == 0:
		return of, refuse(KindNotFound, pipeline.ReasonNotFound, "pipeline %q has no version yet", p.Name)
	case of.Unpublished && of.From == 0:
		of.From = p.Version
		return of, nil
	case of.Unpublished:
		return of, nil
	}
	if of.To == 0 {
		of.To = p.Version
	}
	if of.From == 0 {
		of.From = of.To - 1
	}
	if of.From == 0 {
		return of, refuse(KindNotFound, pipeline.ReasonNotFound, "version %d of pipeline %q is its first: there is none before it", of.To, p.Name)
	}
	return of, nil
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
