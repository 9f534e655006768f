package main

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // the driver under measurement
)

// limits are what the machine takes without Headrace.
type limits struct {
	// commit is the median of a durable SQLite commit of one row.
	commit time.Duration
	// fork is the median of a fork and exec of true.
	fork time.Duration
	// forks is how many a second two loops reach.
	forks float64
	// rows is how many hops of four statements a second share commits of 50.
	rows float64
}

const samples = 2000

func measureLimits(ctx context.Context, dir string) (limits, error) {
	var l limits
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "limit.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return l, err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)`); err != nil {
		return l, err
	}
	insert, err := db.PrepareContext(ctx, `INSERT INTO t (v) VALUES ($1)`)
	if err != nil {
		return l, err
	}
	defer func() { _ = insert.Close() }()
	if l.commit, err = median(samples, func() error {
		_, err := insert.ExecContext(ctx, "a row of about the size of one that a hop writes, with a few words in it")
		return err
	}); err != nil {
		return l, err
	}
	if l.rows, err = sharedCommits(ctx, db, insert); err != nil {
		return l, err
	}
	fork := func() error { return exec.CommandContext(ctx, "true").Run() }
	if l.fork, err = median(samples/2, fork); err != nil {
		return l, fmt.Errorf("run true: %w", err)
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
		return l, err
	}
	l.forks = samples / time.Since(begun).Seconds()
	return l, nil
}

// sharedCommits returns hops a second: four statements each, 50 to a commit.
func sharedCommits(ctx context.Context, db *sql.DB, insert *sql.Stmt) (float64, error) {
	const commits, hops, statements = 200, 50, 4
	begun := time.Now()
	for range commits {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		statement := tx.StmtContext(ctx, insert) //nolint:sqlclosecheck // The transaction closes it.
		for range hops * statements {
			if _, err := statement.ExecContext(ctx, "a row"); err != nil {
				return 0, err
			}
		}
		if err := tx.Commit(); err != nil {
			return 0, err
		}
	}
	return commits * hops / time.Since(begun).Seconds(), nil
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
	return middle(took), nil
}

func middle(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
