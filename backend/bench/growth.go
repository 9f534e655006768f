package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// actionsPerExecution is what chain has.
	actionsPerExecution = 100
	manyPipelines       = 1000
	manyWaiting         = 500
	pageSize            = 50
	pages               = 200
)

// measureGrowth measures hops, lists and the memory of a server while the history
// grows, then with many pipelines and many executions that wait.
func (r *run) measureGrowth(ctx context.Context, c commits) (err error) {
	dir := filepath.Join(r.dir, "growth")
	b, err := start(ctx, dir, onSQLite())
	if err != nil {
		return err
	}
	running := true
	defer func() {
		if running {
			err = errors.Join(err, b.stop())
		}
	}()
	if err := b.define(ctx, "chain", chain(noopAction)); err != nil {
		return err
	}
	// The first executions are slower than all others.
	if _, err := b.hops(ctx, 10); err != nil {
		return err
	}
	empty, err := r.measureHops(ctx, b, "history_0_hop_noop", c.one, "one durable commit", "")
	if err != nil {
		return err
	}
	for past, size := 0, 10_000; size <= r.history; past, size = size, size*10 {
		if err := b.remember(ctx, (size-past)/actionsPerExecution); err != nil {
			return err
		}
		name := fmt.Sprintf("history_%d_", size)
		if _, err := r.measureHops(ctx, b, name+"hop_noop", empty, "the same with an empty history", "ratio <= 1.1"); err != nil {
			return err
		}
		if err := r.measureLists(ctx, b, name); err != nil {
			return err
		}
	}
	if err := b.crowd(ctx); err != nil {
		return err
	}
	if _, err := r.measureHops(ctx, b, fmt.Sprintf("hop_noop_among_%d_pipelines_%d_waiting", manyPipelines, manyWaiting), empty,
		"the same with an empty history", "ratio <= 1.1"); err != nil {
		return err
	}
	running = false
	if err := b.stop(); err != nil {
		return err
	}
	return r.measureStart(ctx, "server_of_all_that", dir, "value < 100", "")
}

func (r *run) measureHops(ctx context.Context, b *backend, name string, limit time.Duration, limitIs, goal string) (time.Duration, error) {
	took, err := b.hops(ctx, 20)
	if err != nil {
		return 0, err
	}
	r.latency(name, took, limit, limitIs, goal)
	return at(took, 50), nil
}

// measureLists reads pages of executions: the newest, those deep in the history, and
// those of one status.
func (r *run) measureLists(ctx context.Context, b *backend, name string) error {
	for _, list := range []struct {
		name     string
		pipeline string
		statuses []pipeline.Status
	}{
		{"list_of_a_pipeline", "chain", nil},
		{"list_of_an_account", "", nil},
		{"list_of_one_status", "chain", []pipeline.Status{pipeline.Succeeded}},
		{"list_of_a_rare_status", "chain", []pipeline.Status{pipeline.Failed}},
		{"list_of_an_account_of_a_rare_status", "", []pipeline.Status{pipeline.Failed}},
	} {
		var took []time.Duration
		before := ""
		for range pages {
			begun := time.Now()
			found, err := b.executions().List(ctx, bencher(), account, service.ExecutionQuery{
				Pipeline: list.pipeline, Statuses: list.statuses, Before: before, Size: pageSize,
			})
			if err != nil {
				return err
			}
			took = append(took, time.Since(begun))
			before = ""
			if len(found) == pageSize {
				before = found[pageSize-1].ID
			}
		}
		r.latency(name+list.name, took, listGoal, "the goal of a page of 50", "p99 < 10 ms")
	}
	return nil
}

const listGoal = 10 * time.Millisecond

// remember adds ended executions to the history: copies of one that ran.
func (b *backend) remember(ctx context.Context, executions int) error {
	e, err := b.executions().Start(ctx, bencher(), account, "chain", service.StartInput{})
	if err != nil {
		return err
	}
	return b.copies(ctx, e, executions-1)
}

// copies adds copies of an execution once it has ended.
func (b *backend) copies(ctx context.Context, e *execution.Execution, n int) (err error) {
	var events []execution.Event
	if err := b.executions().Watch(ctx, bencher(), account, e.ID, 0, func(ev execution.Event) error {
		events = append(events, ev)
		return nil
	}); err != nil {
		return err
	}
	if e, err = b.executions().Get(ctx, bencher(), account, e.ID); err != nil {
		return err
	}
	b.mu.Lock()
	delete(b.starts, e.ID)
	b.mu.Unlock()
	var group errgroup.Group
	group.SetLimit(8)
	for range n {
		group.Go(func() error {
			return b.store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
				number, err := tx.NextNumber(ctx, e.PipelineID)
				if err != nil {
					return err
				}
				return tx.Apply(ctx, copied(e, events, number))
			})
		})
	}
	return group.Wait()
}

// copied is a change that makes an ended execution like another one.
func copied(of *execution.Execution, events []execution.Event, number int64) *execution.Change {
	e := *of
	e.ID, e.Number = uuid.Must(uuid.NewV7()).String(), number
	change := &execution.Change{Started: []*execution.Execution{&e}}
	ids := make(map[string]string)
	for _, stage := range of.Stages {
		change.NewStages = append(change.NewStages, execution.StageOf{ExecutionID: e.ID, Stage: stage})
		for _, old := range stage.Actions {
			a := *old
			a.ID = uuid.Must(uuid.NewV7()).String()
			ids[old.ID] = a.ID
			change.NewActions = append(change.NewActions, execution.ActionOf{ExecutionID: e.ID, Action: &a})
		}
	}
	for _, ev := range events {
		ev.ExecutionID, ev.ActionExecutionID = e.ID, ids[ev.ActionExecutionID]
		change.Events = append(change.Events, ev)
	}
	return change
}

// manual is a definition whose executions wait for a person.
func manual() pipeline.Definition {
	return pipeline.Definition{ExecutionMode: pipeline.Superseded, Stages: []pipeline.Stage{{
		Name: "Approve",
		Actions: []pipeline.Action{{
			Name: "Agree", Category: pipeline.CategoryApproval, Owner: pipeline.Owner, Provider: "Manual", Version: "1", RunOrder: 1,
		}},
	}}}
}

// crowd adds many pipelines, and executions of many of them that wait for a person.
func (b *backend) crowd(ctx context.Context) error {
	for i := range manyPipelines {
		name := fmt.Sprintf("crowd%d", i)
		if err := b.define(ctx, name, manual()); err != nil {
			return err
		}
		if i >= manyWaiting {
			continue
		}
		if _, err := b.executions().Start(ctx, bencher(), account, name, service.StartInput{}); err != nil {
			return err
		}
	}
	return nil
}
