package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	explains      = 500
	explainGoal   = 5 * time.Millisecond
	otherAccounts = 100
	// changesACommit is how many executions that wait are added at once.
	changesACommit = 50
	feedPages      = 200
	feedPage       = 500
)

// measureWaiting measures what reads the work that is pending and the events that were
// committed: first alone, then while many approvals and attempts wait in other accounts.
func (r *run) measureWaiting(ctx context.Context, at place) (err error) {
	// A runner would take the attempts.
	at.slots = 0
	b, err := start(ctx, filepath.Join(r.dir, "waiting_"+at.name), at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	ids, err := b.waiting(ctx)
	if err != nil {
		return err
	}
	watch, err := r.measureReads(ctx, b, "waiting_"+at.name+"_alone", ids, 0)
	if err != nil {
		return err
	}
	if err := b.crowdOthers(ctx, ids[0], r.waiting); err != nil {
		return err
	}
	name := fmt.Sprintf("waiting_%s_among_%d", at.name, 2*r.waiting)
	if _, err := r.measureReads(ctx, b, name, ids, watch); err != nil {
		return err
	}
	return r.measureFeed(ctx, b, name)
}

// waiting starts an execution that waits for a person and one that waits for a runner.
func (b *backend) waiting(ctx context.Context) ([]string, error) {
	build := pipeline.Definition{ExecutionMode: pipeline.Superseded, Stages: []pipeline.Stage{{
		Name: "Build", Actions: []pipeline.Action{*trueAction("Build")},
	}}}
	var ids []string
	for name, def := range map[string]pipeline.Definition{"manual": manual(), "build": build} {
		if err := b.define(ctx, name, def); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"manual", "build"} {
		e, err := b.executions().Start(ctx, bencher(), account, name, service.StartInput{})
		if err != nil {
			return nil, err
		}
		ids = append(ids, e.ID)
	}
	return ids, nil
}

// measureReads explains executions, and reads the attempts that runners hold, as each
// replica does every few seconds. It returns how long the latter takes.
func (r *run) measureReads(ctx context.Context, b *backend, name string, ids []string, alone time.Duration) (time.Duration, error) {
	var explained, watched []time.Duration
	for range explains {
		for _, id := range ids {
			begun := time.Now()
			found, err := b.executions().Explain(ctx, bencher(), account, id)
			if err != nil {
				return 0, err
			}
			explained = append(explained, time.Since(begun))
			if len(found.Reasons) != 1 {
				return 0, fmt.Errorf("execution %s has %d reasons to wait", id, len(found.Reasons))
			}
		}
		begun := time.Now()
		if err := b.store.View(ctx, func(ctx context.Context, r store.Reader) error {
			_, err := r.HeldLeases(ctx)
			return err
		}); err != nil {
			return 0, err
		}
		watched = append(watched, time.Since(begun))
	}
	r.latency(name+"_explain", explained, explainGoal, "the goal of explain", "p99 < 5 ms")
	median := at(watched, 50)
	if alone == 0 {
		r.latency(name+"_watch_runners", watched, median, "itself", "")
		return median, nil
	}
	r.latency(name+"_watch_runners", watched, alone, "the same alone", "ratio <= 2")
	return median, nil
}

// measureFeed reads all events in pages, of all accounts and of the one that has nearly
// none of them.
func (r *run) measureFeed(ctx context.Context, b *backend, name string) error {
	for _, of := range []string{"", account} {
		var took []time.Duration
		for after := int64(0); len(took) < feedPages; {
			begun := time.Now()
			var page store.FeedPage
			if err := b.store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
				page, err = r.Feed(ctx, store.FeedQuery{Account: of, After: after, Size: feedPage})
				return err
			}); err != nil {
				return err
			}
			took = append(took, time.Since(begun))
			if page.Next == after {
				break
			}
			after = page.Next
		}
		figure := name + "_feed_of_all"
		if of != "" {
			figure = name + "_feed_of_an_account"
		}
		r.latency(figure, took, listGoal, fmt.Sprintf("the goal of a page, of %d events", feedPage), "p99 < 10 ms")
	}
	return nil
}

// crowdOthers adds executions of other accounts that are like one which waits for a person,
// and as many that wait for a runner.
func (b *backend) crowdOthers(ctx context.Context, like string, each int) error {
	var of *execution.Execution
	if err := b.store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		of, err = r.Execution(ctx, like)
		return err
	}); err != nil {
		return err
	}
	for i := range otherAccounts {
		name := fmt.Sprintf("other%d", i)
		if err := b.store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			if err := tx.CreateAccount(ctx, auth.Account{Name: name, CreatedAt: time.Now()}); err != nil {
				return err
			}
			return tx.CreatePipeline(ctx, definition.Pipeline{ID: name, Account: name, Name: name, Version: 1, Revision: 1})
		}); err != nil {
			return err
		}
		for n := 0; n < 2*each/otherAccounts; n += changesACommit {
			if err := b.store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
				for k := range changesACommit {
					if err := tx.Apply(ctx, waitingCopy(of, name, int64(n+k+1))); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitingCopy is a change that makes an execution of another account, which waits for a
// runner if its number is even, and else for a person until it expires.
func waitingCopy(of *execution.Execution, account string, number int64) *execution.Change {
	e := *of
	e.Account, e.PipelineID, e.Pipeline, e.Mode = account, account, account, pipeline.Parallel
	change := copied(&e, []execution.Event{{At: e.StartedAt, Subject: execution.SubjectExecution, State: execution.EventStarted, Attempt: 1}}, number)
	made := change.Started[0]
	a := change.NewActions[0].Action
	if number%2 == 0 {
		a.Work = pipeline.WorkAttempt
		lease := &execution.Lease{Scope: made.Scope(), QueuedAt: time.Now()}
		lease.Attempt.Account, lease.Attempt.Pipeline = account, account
		lease.Attempt.ExecutionID, lease.Attempt.ActionExecutionID, lease.Attempt.Number = made.ID, a.ID, 1
		lease.Attempt.Action = *trueAction("Build")
		change.Leases = append(change.Leases, lease)
		return change
	}
	change.Turns = append(change.Turns, &execution.Turn{
		ID: a.ID, Kind: execution.TurnExpire, Scope: made.Scope(), ExecutionID: made.ID, DueAt: time.Now().Add(7 * 24 * time.Hour),
	})
	return change
}
