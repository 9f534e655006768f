package service_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/river"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// counted lets turns succeed and counts them.
type counted struct{ turns atomic.Int64 }

func (c *counted) Take(context.Context, action.Turn) action.Outcome {
	c.turns.Add(1)
	return action.Outcome{}
}

// What carries a turn carries on with what it made ready: a chain is one job, and no
// turn is carried twice.
func TestChainIsOneJob(t *testing.T) {
	t.Parallel()
	url := cluster.Database(t)
	log := hclog.NewNullLogger()
	_, _, err := postgres.Migrate(t.Context(), postgres.Config{URL: url})
	require.NoError(t, err)
	_, err = river.Migrate(t.Context(), url)
	require.NoError(t, err)
	queue, err := river.Open(t.Context(), river.Config{
		URL: url, Workers: 4, Clock: time.Now, Retry: time.Second, Longest: time.Minute, Dead: time.Minute, Log: log,
	})
	require.NoError(t, err)
	opened, err := postgres.Open(t.Context(), postgres.Config{URL: url, Jobs: queue, Log: log})
	require.NoError(t, err)
	queue.Use(opened)
	registry, turns := action.NewRegistry(), &counted{}
	registry.AddTurn(noop.ID, turns)
	x := service.NewExecutions(service.ExecutionsConfig{
		Store: opened, Catalog: pipeline.BuiltinCatalog().With(noop), Registry: registry, Clock: time.Now,
		NewID: uuid.NewString, Lease: time.Minute, Queue: queue, Shared: true, Log: log,
	})
	require.NoError(t, x.Recover(t.Context()))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	t.Cleanup(func() {
		x.EndStreams()
		stop()
		require.NoError(t, <-done)
		require.NoError(t, opened.Close())
		require.NoError(t, queue.Close())
	})

	const links = 40
	var chain []string
	for i := range links {
		chain = append(chain, fmt.Sprintf("~a%d", i))
	}
	require.NoError(t, opened.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreateAccount(ctx, store.Account{Name: "default"}); err != nil {
			return err
		}
		if err := tx.CreatePipeline(ctx, store.Pipeline{ID: "p", Account: "default", Name: "web", Version: 1, Revision: 1}); err != nil {
			return err
		}
		return tx.CreatePipelineVersion(ctx, store.PipelineVersion{PipelineID: "p", Version: 1, Definition: stages("", chain[:links/2], chain[links/2:])})
	}))
	e, err := x.Start(t.Context(), admin, "default", "web", service.StartInput{})
	require.NoError(t, err)
	require.NoError(t, x.Watch(t.Context(), admin, "default", e.ID, 0, func(execution.Event) error { return nil }))
	require.EqualValues(t, links, turns.turns.Load())

	db, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(t.Context())) }()
	var jobs, completed int
	require.NoError(t, db.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE state = 'completed') FROM river_job`).Scan(&jobs, &completed))
	require.Equal(t, completed, jobs, "the commit that ended the chain completed it")
	// A chain that takes long is carried on by another job now and then.
	require.Less(t, jobs, links/4)
}
