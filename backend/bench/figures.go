package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// with runs f on a fresh backend that has a pipeline of one kind of actions.
func with(ctx context.Context, dir string, kind func(string) pipeline.Action, f func(*backend) error) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	b, err := start(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.define(ctx, "chain", chain(kind)); err != nil {
		return err
	}
	return f(b)
}

func trueOne(name string) pipeline.Action { return *trueAction(name) }

// hop returns the median interval between the beginnings of actions of one
// execution after the other.
func hop(ctx context.Context, dir string, kind func(string) pipeline.Action, executions int) (time.Duration, error) {
	var hops []time.Duration
	err := with(ctx, dir, kind, func(b *backend) error {
		for range executions {
			took, err := b.execute(ctx, "chain")
			if err != nil {
				return err
			}
			hops = append(hops, took...)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return middle(hops), nil
}

// throughput returns actions a second of 50 executions at once.
func throughput(ctx context.Context, dir string, kind func(string) pipeline.Action, rounds int) (float64, error) {
	const atOnce, actions = 50, 100
	rate := 0.0
	err := with(ctx, dir, kind, func(b *backend) error {
		begun := time.Now()
		for range rounds {
			group, ctx := errgroup.WithContext(ctx)
			for range atOnce {
				group.Go(func() error {
					_, err := b.execute(ctx, "chain")
					return err
				})
			}
			if err := group.Wait(); err != nil {
				return err
			}
		}
		rate = float64(rounds*atOnce*actions) / time.Since(begun).Seconds()
		return nil
	})
	return rate, err
}

func hopNoop(ctx context.Context, dir string, l limits) (figure, error) {
	took, err := hop(ctx, filepath.Join(dir, "hop-noop"), noopAction, 20)
	return newFigure("hop_noop_sqlite_p50", milliseconds(took), "ms", milliseconds(l.commit),
		"one durable commit", "ratio <= 1.5"), err
}

func hopTrue(ctx context.Context, dir string, l limits) (figure, error) {
	took, err := hop(ctx, filepath.Join(dir, "hop-true"), trueOne, 10)
	return newFigure("hop_true_sqlite_p50", milliseconds(took), "ms", milliseconds(l.commit+l.fork),
		"fork+exec of true and one durable commit", "ratio <= 1.5"), err
}

func throughputNoop(ctx context.Context, dir string, l limits) (figure, error) {
	rate, err := throughput(ctx, filepath.Join(dir, "rate-noop"), noopAction, 10)
	return newFigure("throughput_noop_sqlite", rate, "actions/s", l.rows,
		"hops of four inserts, 50 to a commit", "value >= 10000"), err
}

func throughputTrue(ctx context.Context, dir string, l limits) (figure, error) {
	rate, err := throughput(ctx, filepath.Join(dir, "rate-true"), trueOne, 2)
	return newFigure("throughput_true_sqlite", rate, "actions/s", l.forks,
		"two loops of fork+exec of true", "ratio >= 0.6"), err
}
