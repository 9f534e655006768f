package service_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// server is the use cases of definitions and executions of a server.
type server struct {
	*service.Pipelines

	parts      *service.Parts
	versions   *service.Versions
	executions *service.Executions
	stages     *service.Stages
	store      store.Store
	reports    *service.Reports
	// clock is the time of its definitions.
	clock func() time.Time
}

// definitionsOf are the use cases of definitions of a server on a database.
func definitionsOf(t *testing.T, config postgres.Config) *server {
	t.Helper()
	opened, err := postgres.Open(context.Background(), config)
	require.NoError(t, err)
	return definitionsIn(t, opened)
}

// definitionsIn are the use cases of definitions of a server on an open store, which is
// closed when the test ends.
func definitionsIn(t *testing.T, opened store.Store) *server {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	kinds, newID := catalog.Builtin().With(noop), func() string { return uuid.Must(uuid.NewV7()).String() }
	runs := loop.New(loop.Config{
		Store: opened, Catalog: kinds, Registry: action.NewRegistry(), Clock: time.Now, NewID: newID, Lease: time.Minute,
		Log: hclog.NewNullLogger(), Queue: embedded.New(embedded.Config{Workers: 1, Clock: time.Now, Log: hclog.NewNullLogger()}),
	})
	reports := service.NewReports(opened, time.Now)
	uses := service.ExecutionsConfig{Store: opened, Loop: runs, Catalog: kinds, Clock: time.Now, NewID: newID}
	s := &server{
		executions: service.NewExecutions(uses),
		stages:     service.NewStages(uses),
		store:      opened,
		reports:    reports,
		clock:      time.Now,
	}
	definitions := service.PipelinesConfig{
		Store: opened, Catalog: kinds, Loop: runs, Clock: func() time.Time { return s.clock() }, NewID: newID, Reports: reports,
	}
	s.Pipelines, s.parts, s.versions = service.NewPipelines(definitions), service.NewParts(definitions), service.NewVersions(definitions)
	return s
}

// twoServers are the use cases of definitions of two servers on one database, with the
// account "default".
func twoServers(t *testing.T) []*server {
	t.Helper()
	config := postgres.Config{URL: cluster.Database(t), Log: hclog.NewNullLogger()}
	_, _, err := postgres.Migrate(t.Context(), config)
	require.NoError(t, err)
	servers := []*server{definitionsOf(t, config), definitionsOf(t, config)}
	withAccount(t, servers[0])
	return servers
}

// oneServer are the use cases of definitions on SQLite, with the account "default".
func oneServer(t *testing.T) []*server {
	t.Helper()
	opened, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "headrace.db")})
	require.NoError(t, err)
	servers := []*server{definitionsIn(t, opened)}
	withAccount(t, servers[0])
	return servers
}

func withAccount(t *testing.T, server *server) {
	t.Helper()
	require.NoError(t, server.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: "default"})
	}))
}

// fetchThen is a definition with a source and a stage of that name.
func fetchThen(stage string) pipeline.Definition {
	return pipeline.Definition{Stages: []pipeline.Stage{
		{Name: "Source", Actions: []pipeline.Action{{
			Name: "Fetch", Category: pipeline.CategorySource, Owner: pipeline.Owner, Provider: "Git", Version: "1",
			Configuration:   map[string]string{"RepositoryUrl": "https://example.com/web.git", "Branch": "main"},
			OutputArtifacts: []pipeline.OutputArtifact{{Name: "source"}},
		}}},
		{Name: stage, Actions: []pipeline.Action{{
			Name: "Wait", Category: noop.ID.Category, Owner: noop.ID.Owner, Provider: noop.ID.Provider, Version: noop.ID.Version,
		}}},
	}}
}

// Writes of one pipeline by two servers at once publish one version after the other.
func TestVersionsOfTwoServers(t *testing.T) {
	t.Parallel()
	servers := twoServers(t)
	input := func(stage string) service.PipelineInput {
		return service.PipelineInput{Account: "default", Name: "web", Definition: fetchThen(stage)}
	}
	_, err := servers[0].Create(t.Context(), admin, input("Begin"))
	require.NoError(t, err)
	const writes = 6
	var group errgroup.Group
	for i := range writes {
		group.Go(func() error {
			_, err := servers[i%2].Update(t.Context(), admin, input(fmt.Sprintf("Stage%d", i)))
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.NoError(t, servers[0].store.View(t.Context(), func(ctx context.Context, r store.Reader) error {
		p, err := r.Pipeline(ctx, "default", "web")
		require.EqualValues(t, 1+writes, p.Version)
		return err
	}))
}
