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
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
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
	// store is damage, which every use goes through.
	store  store.Store
	damage *damageWatch
	queue  dispatch.Queue
	// name says which engine it is.
	name string
	// place is where it is, for people.
	place string
	// shared is set if other servers may work on the same store.
	shared bool
	// runner names the built-in runner.
	runner string
	// now returns the time of the database's machine; nil if that is this one.
	now func(context.Context) (time.Time, error)
}

func (s *start) openData(ctx context.Context, dir *dataDir) error {
	s.data = &data{}
	if s.config.DatabaseURL == "" {
		return s.openEmbedded(ctx, dir, s.data)
	}
	return s.openReplica(ctx, s.data)
}

func (d *data) use(opened store.Store) {
	d.damage = &damageWatch{Store: opened}
	d.store = d.damage
}

func (s *start) openEmbedded(ctx context.Context, dir *dataDir, d *data) error {
	path := dir.join(databaseFile)
	if err := errors.Join(dir.refuseMovedDatabase(), dir.refuseLostDatabase()); err != nil {
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
	d.place = path
	opened, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		return err
	}
	s.opened.add(opened.Close)
	d.use(opened)
	d.name, d.runner = "sqlite", localRunner
	d.queue = embedded.New(embedded.Config{Workers: turnWorkers, Clock: s.clock, Retry: turnRetry, Log: s.log.Named("dispatch")})
	return nil
}

func (s *start) openReplica(ctx context.Context, d *data) error {
	queue, err := openQueue(ctx, s.config.DatabaseURL, s.clock, s.log)
	if err != nil {
		return err
	}
	s.opened.add(queue.Close)
	opened, err := postgres.Open(ctx, postgres.Config{URL: s.config.DatabaseURL, Jobs: queue, Log: s.log.Named("store")})
	if err != nil {
		return err
	}
	s.opened.add(opened.Close)
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
	d.use(opened)
	d.queue, d.name, d.shared, d.now = queue, "postgres", true, opened.Now
	d.place, err = postgres.Shown(s.config.DatabaseURL)
	return err
}

func openQueue(ctx context.Context, url string, clock func() time.Time, log hclog.Logger) (*river.Queue, error) {
	return river.Open(ctx, river.Config{
		URL: url, Workers: turnWorkers, Clock: clock, Retry: turnRetry,
		Longest: loop.TurnTimeout, Dead: replicaDead, Log: log.Named("dispatch"),
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
