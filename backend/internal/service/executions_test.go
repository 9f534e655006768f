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

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// approver did not start what the tests start.
var approver = identity(auth.Approver, "default")

var admin = auth.Identity{Principal: "admin", Bindings: []auth.Binding{{Account: auth.Every, Role: auth.Admin}}}

// noop is an action type whose turns succeed at once.
var noop = pipeline.Type{
	ID:   pipeline.TypeID{Category: pipeline.CategoryInvoke, Owner: pipeline.Owner, Provider: "Noop", Version: "1"},
	Work: pipeline.WorkTurn, DefaultTimeout: 7 * 24 * time.Hour,
}

type noopExecutor struct{}

func (noopExecutor) Take(context.Context, action.Turn, action.Tools) action.Outcome {
	return action.Outcome{}
}

func (noopExecutor) Abandon(context.Context, action.Turn, action.Tools) error { return nil }

type harness struct {
	*service.Executions
	*service.Streams

	store store.Store
}

func start(tb testing.TB) *harness {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(tb.TempDir(), "headrace.db")})
	require.NoError(tb, err)
	bucket, err := blob.Open(ctx, "file://"+tb.TempDir(), "logs")
	require.NoError(tb, err)
	l := logs.New(bucket.Unsynced(), logs.Config{})
	registry := action.NewRegistry()
	registry.AddTurn(noop.ID, noopExecutor{})
	log := hclog.NewNullLogger()
	catalog, newID := pipeline.NewCatalog(noop), func() string { return uuid.Must(uuid.NewV7()).String() }
	runs := loop.New(loop.Config{
		Store: s, Catalog: catalog, Registry: registry, Clock: time.Now, NewID: newID, Lease: 30 * time.Second, Log: log,
		Queue: embedded.New(embedded.Config{Workers: 64, Clock: time.Now, Retry: time.Second, Log: log}), Logs: l,
	})
	uses := service.ExecutionsConfig{Store: s, Loop: runs, Catalog: catalog, Logs: l, Clock: time.Now, NewID: newID}
	require.NoError(tb, runs.Recover(ctx))
	done := make(chan error, 1)
	go func() { done <- runs.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		require.NoError(tb, <-done)
		require.NoError(tb, s.Close())
	})
	require.NoError(tb, s.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: "default", CreatedAt: time.Now()})
	}))
	return &harness{Executions: service.NewExecutions(uses), Streams: service.NewStreams(uses), store: s}
}

func (h *harness) pipeline(tb testing.TB, name string, def pipeline.Definition) {
	tb.Helper()
	id := uuid.NewString()
	require.NoError(tb, h.store.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreatePipeline(ctx, definition.Pipeline{ID: id, Account: "default", Name: name, Version: 1, Revision: 1}); err != nil {
			return err
		}
		return tx.CreatePipelineVersion(ctx, definition.Version{PipelineID: id, Version: 1, Definition: def})
	}))
}

// chain is a definition of stages of one no-op action each, or of one stage with
// a run order each.
func chain(stages, actions int) pipeline.Definition {
	def := pipeline.Definition{}
	for i := range stages {
		stage := pipeline.Stage{Name: fmt.Sprintf("S%d", i)}
		for j := range actions {
			stage.Actions = append(stage.Actions, pipeline.Action{
				Name: fmt.Sprintf("A%d", j), Category: noop.ID.Category, Owner: noop.ID.Owner,
				Provider: noop.ID.Provider, Version: noop.ID.Version, RunOrder: j + 1,
			})
		}
		def.Stages = append(def.Stages, stage)
	}
	return def
}

func (h *harness) wait(tb testing.TB, id string) *execution.Execution {
	tb.Helper()
	require.NoError(tb, h.Watch(tb.Context(), admin, "default", id, 0, func(execution.Event) error { return nil }))
	e, err := h.Get(tb.Context(), admin, "default", id)
	require.NoError(tb, err)
	return e
}

func TestExecutionRunsToItsEnd(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.pipeline(t, "web", chain(3, 2))
	e, err := h.Start(t.Context(), admin, "default", "web", service.StartInput{})
	require.NoError(t, err)
	e = h.wait(t, e.ID)
	require.Equal(t, pipeline.Succeeded, e.Status)
	require.Len(t, e.Stages, 3)
	for _, stage := range e.Stages {
		require.Equal(t, pipeline.Succeeded, stage.Status)
		require.Len(t, stage.Actions, 2)
	}
}

func BenchmarkHop(b *testing.B) {
	h := start(b)
	h.pipeline(b, "web", chain(10, 20))
	for b.Loop() {
		e, err := h.Start(b.Context(), admin, "default", "web", service.StartInput{})
		require.NoError(b, err)
		h.wait(b, e.ID)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*200), "us/hop")
}

func BenchmarkThroughput(b *testing.B) {
	h := start(b)
	for i := range 50 {
		h.pipeline(b, fmt.Sprintf("p%d", i), chain(10, 20))
	}
	for b.Loop() {
		var ids []string
		for i := range 50 {
			e, err := h.Start(b.Context(), admin, "default", fmt.Sprintf("p%d", i), service.StartInput{})
			require.NoError(b, err)
			ids = append(ids, e.ID)
		}
		for _, id := range ids {
			h.wait(b, id)
		}
	}
	b.ReportMetric(float64(b.N*200*50)/b.Elapsed().Seconds(), "actions/s")
}
