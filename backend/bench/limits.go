package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // the driver under measurement

	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
)

// commits are what a database takes without Headrace.
type commits struct {
	// one is the median of a durable commit of one hop, in one message where the
	// database is another process.
	one time.Duration
	// rows is how many hops of four inserts a second share commits of 50.
	rows float64
}

// forks are what processes take without Headrace.
type forks struct {
	// one is the median of a fork and exec of true.
	one time.Duration
	// rate is how many a second two loops reach.
	rate float64
}

const (
	samples      = 2000
	rowText      = "a row of about the size of one that a hop writes, with a few words in it"
	perHop       = 4
	hopsAtOnce   = 50
	batchCommits = 200
)

// limitDatabase is a SQLite file that is as durable as the store, without Headrace.
type limitDatabase struct {
	*sql.DB
	insert *sql.Stmt
}

func openLimit(ctx context.Context, path string) (*limitDatabase, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)`); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	insert, err := db.PrepareContext(ctx, `INSERT INTO t (v) VALUES ($1)`)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &limitDatabase{db, insert}, nil
}

// commit makes a row durable.
func (d *limitDatabase) commit(ctx context.Context, text string) error {
	_, err := d.insert.ExecContext(ctx, text)
	return err
}

func (d *limitDatabase) close() error { return errors.Join(d.insert.Close(), d.Close()) }

func sqliteCommits(ctx context.Context, dir string) (c commits, err error) {
	db, err := openLimit(ctx, filepath.Join(dir, "limit.db"))
	if err != nil {
		return c, err
	}
	defer func() { _ = db.close() }()
	if c.one, err = median(samples, func() error { return db.commit(ctx, rowText) }); err != nil {
		return c, err
	}
	c.rows, err = rate(func() error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		statement := tx.StmtContext(ctx, db.insert) //nolint:sqlclosecheck // The transaction closes it.
		for range hopsAtOnce * perHop {
			if _, err := statement.ExecContext(ctx, rowText); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
	return c, err
}

func postgresCommits(ctx context.Context, cluster *postgrestest.Cluster) (c commits, err error) {
	url, err := cluster.Create(ctx)
	if err != nil {
		return c, err
	}
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return c, err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	if _, err := db.Exec(ctx, `CREATE TABLE t (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v TEXT)`); err != nil {
		return c, err
	}
	commit := func(rows int) error {
		batch := &pgx.Batch{}
		batch.Queue("BEGIN")
		for range rows {
			batch.Queue(`INSERT INTO t (v) VALUES ($1)`, rowText)
		}
		batch.Queue("COMMIT")
		return db.SendBatch(ctx, batch).Close()
	}
	if c.one, err = median(samples, func() error { return commit(perHop) }); err != nil {
		return c, err
	}
	c.rows, err = rate(func() error { return commit(hopsAtOnce * perHop) })
	return c, err
}

// rate returns hops a second of a function that commits hopsAtOnce of them.
func rate(commit func() error) (float64, error) {
	begun := time.Now()
	for range batchCommits {
		if err := commit(); err != nil {
			return 0, err
		}
	}
	return batchCommits * hopsAtOnce / time.Since(begun).Seconds(), nil
}

func processForks(ctx context.Context) (f forks, err error) {
	fork := func() error { return exec.CommandContext(ctx, "true").Run() }
	if f.one, err = median(samples/2, fork); err != nil {
		return f, fmt.Errorf("run true: %w", err)
	}
	begun := time.Now()
	var group errgroup.Group
	for range 2 {
		group.Go(func() error {
			for range samples / 2 {
				if err := fork(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return f, err
	}
	f.rate = samples / time.Since(begun).Seconds()
	return f, nil
}

// median runs f n times and returns the median duration.
func median(n int, f func() error) (time.Duration, error) {
	took := make([]time.Duration, n)
	for i := range took {
		begun := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		took[i] = time.Since(begun)
	}
	return at(took, 50), nil
}

// at returns a percentile, and sorts.
func at(took []time.Duration, percent int) time.Duration {
	slices.Sort(took)
	return took[min(len(took)-1, len(took)*percent/100)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
