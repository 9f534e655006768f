package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action/git"
	"github.com/headrace/terraform-provider-headrace/backend/internal/connection/access"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/generic"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/github"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitlab"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/trigger"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// formats are how the kinds of webhooks write deliveries.
func formats() map[forge.Kind]forge.Format {
	return map[forge.Kind]forge.Format{
		forge.GitHub: github.Deliveries{}, forge.GitLab: gitlab.Deliveries{}, forge.Gitea: gitea.Deliveries{}, forge.Generic: generic.Deliveries{},
	}
}

// connectionKinds says whose repositories connections reach.
type connectionKinds struct{}

// Kind implements trigger.Connections.
func (connectionKinds) Kind(ctx context.Context, r store.Reader, account, connection string) (forge.Kind, error) {
	if _, _, own := ledger.ParseOwnToken(connection); own {
		// Only sources of GitHub have tokens of their own.
		return forge.GitHub, nil
	}
	c, err := r.Connection(ctx, account, connection)
	return c.Kind(), err
}

// forges are the clients of forges, for back-fill and for the hooks that the server manages.
type forges struct{ connections *access.Resolver }

// Forge implements trigger.Forges.
func (f forges) Forge(ctx context.Context, account, connection string) (trigger.ForgeClient, error) {
	return f.connections.Forge(ctx, account, connection)
}

// openTriggers opens the mirrors, and what takes deliveries.
func (s withArtifacts) openTriggers(types *pipeline.Catalog, runs *loop.Loop) (*trigger.Intake, *mirror.Mirrors, error) {
	mirrors, err := mirror.Open(mirror.Config{
		Dir: s.dir.join("mirrors"), Limit: int64(s.config.MirrorLimit) << 20, Remote: s.remoteOf, Clock: s.clock, Log: s.log.Named("mirrors"),
	})
	if err != nil {
		return nil, nil, err
	}
	s.opened.add(mirrors.Close)
	return trigger.New(trigger.Config{
		Store: s.data.store, Loop: runs, Catalog: types, Mirror: mirrors, Connections: connectionKinds{}, Secrets: s.sealer,
		Formats: formats(), Clock: s.clock, NewID: s.newID, Log: s.log.Named("triggers"),
		Forges: forges{s.connections}, HookURL: s.hookURL, Poll: s.config.PollInterval, Backfill: s.config.BackfillInterval, Shared: s.data.shared,
	}), mirrors, nil
}

// remoteOf finds the remote of a repository by its connection, or by the source action whose
// token reads it.
func (s withArtifacts) remoteOf(ctx context.Context, r mirror.Repository) (gitauth.Remote, error) {
	if pipelineName, action, own := ledger.ParseOwnToken(r.Connection); own {
		return s.remoteByToken(ctx, r, pipelineName, action)
	}
	return s.connections.Git(ctx, r.Account, r.Connection, r.Name)
}

// remoteByToken returns the remote of a repository that a source action reads with a token of
// its own: that of the newest version of its pipeline.
func (s withArtifacts) remoteByToken(ctx context.Context, r mirror.Repository, pipelineName, actionName string) (gitauth.Remote, error) {
	var configuration map[string]string
	err := s.data.store.View(ctx, func(ctx context.Context, reader store.Reader) error {
		head, err := reader.PipelineHead(ctx, r.Account, pipelineName)
		if err != nil {
			return err
		}
		version, err := reader.PipelineVersion(ctx, head.ID, head.Version)
		if err != nil {
			return err
		}
		var found bool
		if configuration, found = ownSource(&version.Definition, actionName, r.Name); !found {
			return store.ErrNotFound
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return gitauth.Remote{}, fmt.Errorf("source action %q of pipeline %q does not fetch the repository %s any more", actionName, pipelineName, r.Name)
	}
	if err != nil {
		return gitauth.Remote{}, err
	}
	token, err := service.OpenSealed(ctx, s.sealer, r.Account, pipelineName, configuration["OAuthToken"])
	if err != nil {
		return gitauth.Remote{}, fmt.Errorf("open the token of source action %q of pipeline %q: %w", actionName, pipelineName, err)
	}
	return git.TokenRemote(s.options.github(), configuration["Owner"], configuration["Repo"], token)
}

// ownSource returns the configuration of a source action whose own token reads a repository. Its token
// is for that repository alone, also while something still asks for one that the action fetched before.
func ownSource(def *pipeline.Definition, action, repository string) (configuration map[string]string, found bool) {
	source := ledger.SourceAction(def, action)
	if source == nil || source.TypeID() != catalog.GitHub().ID {
		return nil, false
	}
	return source.Configuration, strings.EqualFold(source.Configuration["Owner"]+"/"+source.Configuration["Repo"], repository)
}
