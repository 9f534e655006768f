package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// with runs f on fresh backends that have a pipeline of one kind of actions.
func with(ctx context.Context, dir string, at place, kind func(string) pipeline.Action, f func(*backend) error) (err error) {
	b, err := start(ctx, dir, at)
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

// hops returns the intervals between the beginnings of actions of one execution after
// the other.
func (b *backend) hops(ctx context.Context, executions int) (hops []time.Duration, err error) {
	for range executions {
		took, err := b.execute(ctx, "chain")
		if err != nil {
			return nil, err
		}
		hops = append(hops, took...)
	}
	return hops, nil
}

func hops(ctx context.Context, dir string, at place, kind func(string) pipeline.Action, executions int) (hops []time.Duration, err error) {
	err = with(ctx, dir, at, kind, func(b *backend) error {
		hops, err = b.hops(ctx, executions)
		return err
	})
	return hops, err
}

// throughput returns actions a second of 50 executions at once.
func throughput(ctx context.Context, dir string, at place, kind func(string) pipeline.Action, rounds int) (float64, error) {
	const atOnce, actions = 50, 100
	rate := 0.0
	err := with(ctx, dir, at, kind, func(b *backend) error {
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

// goals are the design's for one place; empty where it has none.
type goals struct{ hopNoop, hopTrue, rateNoop, rateTrue string }

// measureRuns measures hops and throughput on a place.
func (r *run) measureRuns(ctx context.Context, at place, limit func() (commits, error), f forks, want goals) error {
	if err := r.measureHopsOf(ctx, at, limit, f, want); err != nil {
		return err
	}
	return r.measureThroughput(ctx, at, limit, f, want)
}

func (r *run) measureHopsOf(ctx context.Context, at place, limit func() (commits, error), f forks, want goals) error {
	for _, hop := range []struct {
		name    string
		kind    func(string) pipeline.Action
		limit   time.Duration
		limitIs string
		goal    string
	}{
		{"hop_noop_", noopAction, 0, "one durable commit", want.hopNoop},
		{"hop_true_", trueOne, f.one, "fork+exec of true and one durable commit", want.hopTrue},
	} {
		name := hop.name + at.name
		if at.replicas > 1 || !r.wants(name) {
			continue
		}
		c, err := limit()
		if err != nil {
			return err
		}
		took, err := hops(ctx, filepath.Join(r.dir, name), at, hop.kind, 10)
		if err != nil {
			return err
		}
		r.latency(name, took, c.one+hop.limit, hop.limitIs, hop.goal)
	}
	return nil
}

func (r *run) measureThroughput(ctx context.Context, at place, limit func() (commits, error), f forks, want goals) error {
	for _, t := range []struct {
		name    string
		kind    func(string) pipeline.Action
		rounds  int
		limit   func(commits) float64
		limitIs string
		goal    string
	}{
		{"throughput_noop_", noopAction, 4, func(c commits) float64 { return c.rows }, "hops of four inserts, 50 to a commit", want.rateNoop},
		{"throughput_true_", trueOne, 2, func(commits) float64 { return f.rate }, "two loops of fork+exec of true", want.rateTrue},
	} {
		name := t.name + at.name
		if !r.wants(name) {
			continue
		}
		c, err := limit()
		if err != nil {
			return err
		}
		rate, err := throughput(ctx, filepath.Join(r.dir, name), at, t.kind, t.rounds)
		if err != nil {
			return err
		}
		r.value(name, rate, "actions/s", t.limit(c), t.limitIs, t.goal)
	}
	return nil
}
