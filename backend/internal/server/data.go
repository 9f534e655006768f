package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/river"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
)

const (
	// localRunner names the built-in runner. Where no other process uses the store it
	// is the same after every start.
	localRunner = "local"
	// replicaDead is how long a server may be silent before others carry on with the
	// turns that it carried.
	replicaDead = 5 * time.Second
)

// data is where a server keeps what outlives it, and who carries its turns.
type data struct {
	store store.Store
	queue dispatch.Queue
	// name says which engine it is.
	name string
	// place is where it is, for people.
	place string
	// several is set where other servers may work on the same store.
	several bool
	// runner names the built-in runner.
	runner string
}

func (s *Server) openData(ctx context.Context, dir *dataDir, clock func() time.Time) (*data, error) {
	d := &data{}
	if s.config.DatabaseURL == "" {
		return d, s.openEmbedded(ctx, dir, clock, d)
	}
	return d, s.openReplica(ctx, clock, d)
}

func (s *Server) openEmbedded(ctx context.Context, dir *dataDir, clock func() time.Time, d *data) error {
	path := dir.join(databaseFile)
	if err := errors.Join(dir.movedDatabase(), dir.lostDatabase()); err != nil {
		return err
	}
	// Made here, since SQLite would let others read it.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	opened, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		return err
	}
	s.onClose(opened.Close)
	d.store, d.name, d.place, d.runner = opened, "sqlite", path, localRunner
	d.queue = embedded.New(embedded.Config{Workers: turnWorkers, Clock: clock, Retry: turnRetry, Log: s.log.Named("dispatch")})
	return nil
}

func (s *Server) openReplica(ctx context.Context, clock func() time.Time, d *data) error {
	queue, err := openQueue(ctx, s.config.DatabaseURL, clock, s.log)
	if err != nil {
		return err
	}
	s.onClose(queue.Close)
	opened, err := postgres.Open(ctx, postgres.Config{URL: s.config.DatabaseURL, Jobs: queue, Log: s.log.Named("store")})
	if err != nil {
		return err
	}
	s.onClose(opened.Close)
	if err := errors.Join(opened.Ready(ctx), queue.Ready(ctx)); err != nil {
		return err
	}
	queue.Use(opened)
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name the runner: %w", err)
	}
	// Another one after every start: what an earlier process held is not its.
	d.runner = localRunner + "-" + host + "-" + uuid.NewString()[:8]
	d.store, d.queue, d.name, d.several = opened, queue, "postgres", true
	d.place, err = postgres.Shown(s.config.DatabaseURL)
	return err
}

func openQueue(ctx context.Context, url string, clock func() time.Time, log hclog.Logger) (*river.Queue, error) {
	return river.Open(ctx, river.Config{
		URL: url, Workers: turnWorkers, Clock: clock, Retry: turnRetry,
		Longest: service.TurnTimeout, Dead: replicaDead, Log: log.Named("dispatch"),
	})
}

// Migrate brings the schema of a PostgreSQL up to date and says what it did.
func Migrate(ctx context.Context, cfg config.Config) (string, error) {
	if cfg.DatabaseURL == "" {
		return "", errors.New("database-url: name the PostgreSQL to migrate; the embedded database is migrated by every start")
	}
	from, to, err := postgres.Migrate(ctx, postgres.Config{URL: cfg.DatabaseURL})
	if err != nil {
		return "", err
	}
	steps, err := river.Migrate(ctx, cfg.DatabaseURL)
	if err != nil {
		return "", err
	}
	place, err := postgres.Shown(cfg.DatabaseURL)
	if err != nil {
		return "", err
	}
	if from == to && steps == 0 {
		return fmt.Sprintf("the schema of the database %s is version %d already", place, to), nil
	}
	return fmt.Sprintf("migrated the schema of the database %s from version %d to %d, and the work queue's by %d steps", place, from, to, steps), nil
}
