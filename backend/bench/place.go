package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/river"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
)

// place is where backends keep their state: a store and the queue beside it.
type place struct {
	name string
	// replicas is how many backends work on it at once.
	replicas int
	// slots are those of each backend's runner; it has none for 0.
	slots int
	// fresh makes an empty store below a directory; what it returns opens it for one
	// replica.
	fresh func(ctx context.Context, dir string) (opener, error)
}

type opener func(ctx context.Context, log hclog.Logger) (store.Store, dispatch.Queue, error)

const (
	workers   = 64
	slots     = 4
	turnRetry = time.Second
)

func onSQLite() place {
	return place{name: "sqlite", replicas: 1, slots: slots, fresh: func(_ context.Context, dir string) (opener, error) {
		return func(ctx context.Context, log hclog.Logger) (store.Store, dispatch.Queue, error) {
			opened, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, databaseFile)})
			return opened, embedded.New(embedded.Config{Workers: workers, Clock: time.Now, Retry: turnRetry, Log: log}), err
		}, nil
	}}
}

func onPostgres(cluster *postgrestest.Cluster, replicas int) place {
	name := "postgres"
	if replicas > 1 {
		name = fmt.Sprintf("postgres_%d_replicas", replicas)
	}
	return place{name: name, replicas: replicas, slots: slots, fresh: func(ctx context.Context, _ string) (opener, error) {
		url, err := cluster.Create(ctx)
		if err != nil {
			return nil, err
		}
		if _, _, err := postgres.Migrate(ctx, postgres.Config{URL: url}); err != nil {
			return nil, err
		}
		if _, err := river.Migrate(ctx, url); err != nil {
			return nil, err
		}
		return func(ctx context.Context, log hclog.Logger) (store.Store, dispatch.Queue, error) {
			return openPostgres(ctx, url, log)
		}, nil
	}}
}

func openPostgres(ctx context.Context, url string, log hclog.Logger) (store.Store, dispatch.Queue, error) {
	queue, err := river.Open(ctx, river.Config{
		URL: url, Workers: workers, Clock: time.Now, Retry: turnRetry, Longest: time.Minute, Dead: 5 * time.Second, Log: log,
	})
	if err != nil {
		return nil, nil, err
	}
	opened, err := postgres.Open(ctx, postgres.Config{URL: url, Jobs: queue, Log: log})
	if err != nil {
		return nil, nil, err
	}
	queue.Use(opened)
	return closing{opened, queue}, queue, nil
}

// closing is a store that closes its queue after itself.
type closing struct {
	store.Store
	queue *river.Queue
}

// Close implements store.Store.
func (c closing) Close() error {
	err := c.Store.Close()
	if e := c.queue.Close(); err == nil {
		err = e
	}
	return err
}
