package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/command"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// backend is a whole backend without its network, or several on one store: store,
// engine, queue and runner.
type backend struct {
	replicas []*useCases
	store    store.Store
	stop     func() error

	next   atomic.Uint64
	mu     sync.Mutex
	starts map[string][]time.Time // by execution, when its actions began
}

// useCases are what a replica offers of its executions.
type useCases struct {
	*service.Executions
	*service.Explanations
	*service.Streams
}

const (
	account      = "bench"
	databaseFile = "headrace.db"
)

func bencher() auth.Identity {
	return auth.Identity{Principal: "bench", Bindings: []auth.Binding{{Account: account, Role: auth.Admin}}}
}

// noop is an action that succeeds in a turn of its own.
func noop() pipeline.Type {
	return pipeline.Type{
		ID:   pipeline.TypeID{Category: pipeline.CategoryTest, Owner: pipeline.Owner, Provider: "Noop", Version: "1"},
		Work: pipeline.WorkTurn,
	}
}

// Take implements action.TurnExecutor.
func (b *backend) Take(_ context.Context, turn action.Turn, _ action.Tools) action.Outcome {
	b.began(turn.ExecutionID)
	return action.Outcome{}
}

// Abandon implements action.TurnExecutor: what is done in one turn has nothing to abandon.
func (b *backend) Abandon(context.Context, action.Turn, action.Tools) error { return nil }

func (b *backend) began(executionID string) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.starts[executionID] = append(b.starts[executionID], now)
}

// timed notes when an attempt begins and runs it.
type timed struct {
	action.AttemptExecutor
	began func(executionID string)
}

// Execute implements action.AttemptExecutor.
func (t timed) Execute(ctx context.Context, attempt action.Attempt, workspace action.Workspace) action.Result {
	t.began(attempt.ExecutionID)
	return t.AttemptExecutor.Execute(ctx, attempt, workspace)
}

// start starts the backends of a place on a fresh store below a directory.
func start(ctx context.Context, dir string, at place) (*backend, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	open, err := at.fresh(ctx, dir)
	if err != nil {
		return nil, err
	}
	b := &backend{starts: make(map[string][]time.Time)}
	running, cancel := context.WithCancel(ctx)
	group, running := errgroup.WithContext(running)
	var stores []store.Store
	b.stop = func() error {
		cancel()
		err := group.Wait()
		for _, s := range stores {
			err = errors.Join(err, s.Close())
		}
		return err
	}
	for i := range at.replicas {
		opened, err := b.replica(ctx, running, group, filepath.Join(dir, strconv.Itoa(i)), open, at)
		if err != nil {
			return nil, errors.Join(err, b.stop())
		}
		stores = append(stores, opened)
	}
	b.store = stores[0]
	return b, b.store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: account, CreatedAt: time.Now()})
	})
}

// replica starts one backend, which the group's context ends.
func (b *backend) replica(ctx, running context.Context, group *errgroup.Group, dir string, open opener, at place) (store.Store, error) {
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Error})
	db, queue, err := open(ctx, log)
	if err != nil {
		return nil, err
	}
	url := blob.DirectoryURL(dir)
	bucket, err := blob.Open(ctx, url, "logs")
	if err != nil {
		return db, err
	}
	trees, err := blob.Open(ctx, url, "artifacts")
	if err != nil {
		return db, err
	}
	logStore := logs.New(bucket.Unsynced(), logs.Config{Limit: 1 << 20, Small: service.SmallLogs{Store: db}})
	registry := action.NewRegistry()
	registry.AddTurn(noop().ID, b)
	trueType, _ := catalog.Builtin().Lookup(trueAction("").TypeID())
	registry.AddAttempt(trueType.ID, timed{command.New(), b.began})
	kinds, newID := catalog.Builtin().With(noop()), func() string { return uuid.Must(uuid.NewV7()).String() }
	stored := artifact.New(trees, dir)
	runs := loop.New(loop.Config{
		Store: db, Queue: queue, Catalog: kinds, Registry: registry, Clock: time.Now, NewID: newID, Lease: 30 * time.Second,
		Shared: at.replicas > 1 || at.name != "sqlite", Log: log,
		Artifacts: stored, Logs: logStore,
	})
	uses := service.ExecutionsConfig{
		Store: db, Loop: runs, Catalog: kinds, Logs: logStore, Clock: time.Now, NewID: newID,
	}
	if err := runs.Recover(ctx); err != nil {
		return db, err
	}
	b.replicas = append(b.replicas, &useCases{service.NewExecutions(uses), service.NewExplanations(uses), service.NewStreams(uses)})
	group.Go(func() error { return runs.Run(running) })
	if at.slots == 0 {
		return db, nil
	}
	work, err := runner.New(runner.Config{
		ID: "bench " + dir, Slots: at.slots, Jobs: runs, Registry: registry, WorkDir: filepath.Join(dir, "work"),
		Artifacts: stored, Logs: logStore, Lease: 30 * time.Second, Log: log,
	})
	if err != nil {
		return db, err
	}
	group.Go(func() error { return work.Run(running) })
	return db, nil
}

// executions are the replicas in turn.
func (b *backend) executions() *useCases {
	return b.replicas[b.next.Add(1)%uint64(len(b.replicas))]
}

func (b *backend) define(ctx context.Context, name string, def pipeline.Definition) error {
	id := uuid.NewString()
	return b.store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreatePipeline(ctx, definition.Pipeline{ID: id, Account: account, Name: name, Version: 1, Revision: 1}); err != nil {
			return err
		}
		return tx.CreatePipelineVersion(ctx, definition.Version{PipelineID: id, Version: 1, Definition: def})
	})
}

// execute runs a pipeline to its end and returns the intervals between the
// beginnings of its actions.
func (b *backend) execute(ctx context.Context, name string) ([]time.Duration, error) {
	executions := b.executions()
	e, err := executions.Start(ctx, bencher(), account, name, service.StartInput{})
	if err != nil {
		return nil, err
	}
	if err := executions.Watch(ctx, bencher(), account, e.ID, 0, func(execution.Event) error { return nil }); err != nil {
		return nil, err
	}
	if e, err = executions.Get(ctx, bencher(), account, e.ID); err != nil {
		return nil, err
	}
	if e.Status != pipeline.Succeeded {
		return nil, fmt.Errorf("execution of %s is %s: %s", name, e.Status, e.Summary)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	begun := b.starts[e.ID]
	delete(b.starts, e.ID)
	hops := make([]time.Duration, 0, len(begun))
	for i := 1; i < len(begun); i++ {
		hops = append(hops, begun[i].Sub(begun[i-1]))
	}
	return hops, nil
}

func noopAction(name string) pipeline.Action {
	id := noop().ID
	return pipeline.Action{Name: name, Category: id.Category, Owner: id.Owner, Provider: id.Provider, Version: id.Version}
}

func trueAction(name string) *pipeline.Action {
	return &pipeline.Action{
		Name: name, Category: pipeline.CategoryBuild, Owner: pipeline.Owner, Provider: "Commands", Version: "1",
		Commands: []string{"true"},
	}
}

// chain is a definition of ten stages with ten actions each, one after the other.
func chain(kind func(name string) pipeline.Action) pipeline.Definition {
	def := pipeline.Definition{ExecutionMode: pipeline.Parallel}
	for i := range 10 {
		stage := pipeline.Stage{Name: fmt.Sprintf("Stage%d", i)}
		for j := range 10 {
			a := kind(fmt.Sprintf("Action%d", j))
			a.RunOrder = j + 1
			stage.Actions = append(stage.Actions, a)
		}
		def.Stages = append(def.Stages, stage)
	}
	return def
}
