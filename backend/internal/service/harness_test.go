package service_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// lab is a server's execution part on a file that outlives it, with a clock that
// the test sets and a store that fails when told to. The test is the runner.
type lab struct {
	*service.Executions
	*service.Stages
	*service.Explanations
	*service.Streams
	*loop.Loop

	definitions *service.Pipelines

	t     *testing.T
	dir   string
	clock atomic.Int64
	ids   atomic.Int64
	lease time.Duration
	store *faultyStore
	logs  *logs.Store
	// artifacts are stored by the test.
	artifacts *artifact.Store
	// full lets the first updates of the next boot fail for want of space.
	full int64
	// open opens what the next boot works on, which others share where shared is set.
	open   func(context.Context) opened
	shared bool
	// withoutNotices is set if the test alone passes on the notices of other servers.
	withoutNotices bool
	log            hclog.Logger
	// take answers turns; nil lets them succeed.
	take func(context.Context, action.Turn, action.Tools) action.Outcome
	// abandon answers abandons; nil lets them succeed.
	abandon func(context.Context, action.Turn, action.Tools) error
	// abandoned receives how abandons went; may be nil.
	abandoned func(execution.AbandonResult)
	// storage returns nil while artifacts can be stored; may be nil.
	storage func(context.Context) error
	// history compares commits for explanations; may be nil.
	history service.History
	// downgraded is set if the next boot has no executor for turns.
	downgraded bool
	stop       func()
}

// opened is a store with the queue of its turns, which close closes both.
type opened struct {
	store store.Store
	queue dispatch.Queue
	close func() error
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := unbooted(t)
	l.boot()
	l.accounts()
	return l
}

func unbooted(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), lease: 30 * time.Millisecond, log: hclog.NewNullLogger()}
	l.clock.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	l.open = l.embedded
	return l
}

func (l *lab) accounts() {
	l.t.Helper()
	require.NoError(l.t, l.store.Update(l.t.Context(), func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.CreateAccount(ctx, auth.Account{Name: "default"}), tx.CreateAccount(ctx, auth.Account{Name: "other"}))
	}))
}

// embedded opens the store and the queue that only one server works on.
func (l *lab) embedded(ctx context.Context) opened {
	l.t.Helper()
	inner, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(l.dir, "headrace.db")})
	require.NoError(l.t, err)
	return opened{store: inner, queue: embedded.New(embedded.Config{Workers: 8, Clock: l.now, Retry: time.Millisecond, Log: l.log}), close: inner.Close}
}

func (l *lab) now() time.Time        { return time.Unix(0, l.clock.Load()).UTC() }
func (l *lab) later(d time.Duration) { l.clock.Add(int64(d)) }
func (l *lab) Take(ctx context.Context, turn action.Turn, tools action.Tools) action.Outcome {
	if l.take == nil {
		return action.Outcome{}
	}
	return l.take(ctx, turn, tools)
}

func (l *lab) Abandon(ctx context.Context, turn action.Turn, tools action.Tools) error {
	if l.abandon == nil {
		return nil
	}
	return l.abandon(ctx, turn, tools)
}

// boot starts a server on the lab's directory.
func (l *lab) boot() {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	on := l.open(ctx)
	l.store = &faultyStore{Store: on.store, withoutNotices: l.withoutNotices, listening: make(chan func(store.Notice), 1)}
	l.store.failing.Store(l.full)
	bucket, err := blob.Open(ctx, "file://"+l.dir, "logs")
	require.NoError(l.t, err)
	l.logs = logs.New(bucket.Unsynced(), logs.Config{Small: service.SmallLogs{Store: l.store}})
	objects, err := blob.Open(ctx, "file://"+l.dir, "artifacts")
	require.NoError(l.t, err)
	l.artifacts = artifact.New(objects, l.dir)
	registry := action.NewRegistry()
	if !l.downgraded {
		registry.AddTurn(noop.ID, l)
	}
	kinds, newID := catalog.Builtin().With(noop), func() string { return fmt.Sprintf("id%08d", l.ids.Add(1)) }
	l.Loop = loop.New(loop.Config{
		Store: l.store, Catalog: kinds, Registry: registry, Clock: l.now, Stored: l.artifacts.Has, NewID: newID, Lease: l.lease, Log: l.log,
		Queue: on.queue, Shared: l.shared, Artifacts: l.artifacts, Logs: l.logs, Abandoned: l.abandoned, Storage: l.storage,
	})
	uses := service.ExecutionsConfig{
		Store: l.store, Loop: l.Loop, Catalog: kinds, Logs: l.logs, Clock: l.now, NewID: newID, History: l.history,
	}
	l.Executions, l.Stages = service.NewExecutions(uses), service.NewStages(uses)
	l.Explanations, l.Streams = service.NewExplanations(uses), service.NewStreams(uses)
	l.definitions = service.NewPipelines(service.PipelinesConfig{
		Store: l.store, Loop: l.Loop, Catalog: kinds, Clock: l.now, NewID: newID, Logs: l.logs, Log: l.log,
		Reports: service.NewReports(l.store, l.now),
	})
	require.NoError(l.t, l.Recover(ctx))
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	l.stop = sync.OnceFunc(func() {
		l.EndStreams()
		cancel()
		require.NoError(l.t, <-done)
		require.NoError(l.t, on.close())
	})
	l.t.Cleanup(l.stop)
}

// restart stops the server and starts another on the same file.
func (l *lab) restart() {
	l.t.Helper()
	l.stop()
	l.boot()
}

// pipeline makes a pipeline of the account default, in version 1.
func (l *lab) pipeline(name string, def pipeline.Definition) {
	l.t.Helper()
	id := uuid.NewString()
	require.NoError(l.t, l.store.Update(l.t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreatePipeline(ctx, definition.Pipeline{ID: id, Account: "default", Name: name, Version: 1, Revision: 1}); err != nil {
			return err
		}
		return tx.CreatePipelineVersion(ctx, definition.Version{PipelineID: id, Version: 1, Definition: def})
	}))
}

func (l *lab) stored(name string) definition.Pipeline {
	l.t.Helper()
	var p definition.Pipeline
	require.NoError(l.t, l.store.View(l.t.Context(), func(ctx context.Context, r store.Reader) (err error) {
		p, err = r.Pipeline(ctx, "default", name)
		return err
	}))
	return p
}

func (l *lab) start(name string) *execution.Execution {
	l.t.Helper()
	e, err := l.Start(l.t.Context(), admin, "default", name, service.StartInput{})
	require.NoError(l.t, err)
	return e
}

func (l *lab) get(id string) *execution.Execution {
	l.t.Helper()
	e, err := l.Get(l.t.Context(), admin, "default", id)
	require.NoError(l.t, err)
	return e
}

// becomes waits for a status of an execution.
func (l *lab) becomes(id string, status pipeline.Status) *execution.Execution {
	l.t.Helper()
	var e *execution.Execution
	require.Eventually(l.t, func() bool {
		e = l.get(id)
		return e.Status == status
	}, 10*time.Second, time.Millisecond, "execution %s never becomes %s", id, status)
	return e
}

// acquire takes an attempt that must be there soon.
func (l *lab) acquire(name string) runner.Assignment {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 10*time.Second)
	defer cancel()
	a, err := l.Acquire(ctx, name)
	require.NoError(l.t, err)
	return a
}

// idle checks that there is no attempt to take.
func (l *lab) idle() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := l.Acquire(ctx, "idle")
	require.ErrorIs(l.t, err, context.DeadlineExceeded)
}

func (l *lab) report(name string, a runner.Assignment, result action.Result) *runner.Assignment {
	l.t.Helper()
	answer, err := l.Report(l.t.Context(), name, a.Attempt, result)
	require.NoError(l.t, err)
	return answer.Next
}

// succeed starts an execution of nothing but commands and carries it to its end.
func (l *lab) succeed(name string) *execution.Execution {
	l.t.Helper()
	e := l.start(name)
	a := l.acquire("r1")
	for next := &a; next != nil; {
		next = l.report("r1", *next, action.Result{})
	}
	e = l.get(e.ID)
	require.Equal(l.t, pipeline.Succeeded, e.Status)
	return e
}

func revoked(a runner.Assignment) bool {
	select {
	case <-a.Revoked:
		return true
	default:
		return false
	}
}

// held returns the attempts that runners hold.
func (l *lab) held() (leases []*execution.Lease) {
	l.t.Helper()
	require.NoError(l.t, l.store.View(l.t.Context(), func(ctx context.Context, r store.Reader) (err error) {
		leases, err = r.HeldLeases(ctx)
		return err
	}))
	return leases
}

// turns returns the pending turns.
func (l *lab) turns() (turns []*execution.Turn) {
	l.t.Helper()
	require.NoError(l.t, l.store.View(l.t.Context(), func(ctx context.Context, r store.Reader) (err error) {
		turns, err = r.Turns(ctx)
		return err
	}))
	return turns
}

// stages makes a definition of one stage for each list of actions, whose names
// say what they are: "?sign" an approval, "~noop" a turn, others commands. The
// actions of a stage follow each other.
func stages(mode pipeline.ExecutionMode, lists ...[]string) pipeline.Definition {
	def := pipeline.Definition{ExecutionMode: mode}
	for i, list := range lists {
		stage := pipeline.Stage{Name: fmt.Sprintf("S%d", i)}
		for j, name := range list {
			a := pipeline.Action{Name: name, Category: pipeline.CategoryBuild, Owner: pipeline.Owner, Provider: "Commands", Version: "1", RunOrder: j + 1}
			switch name[0] {
			case '?':
				a.Name, a.Category, a.Provider = name[1:], pipeline.CategoryApproval, "Manual"
			case '~':
				a.Name, a.Category, a.Provider = name[1:], noop.ID.Category, noop.ID.Provider
			}
			stage.Actions = append(stage.Actions, a)
		}
		def.Stages = append(def.Stages, stage)
	}
	return def
}

// requireRefused checks that a caller was refused for a reason.
func requireRefused(t *testing.T, err error, kind service.Kind, reason pipeline.Reason) {
	t.Helper()
	var refused *service.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, kind, refused.Kind, "%s", err)
	require.Equal(t, reason, refused.Reason, "%s", err)
}

func identity(role auth.Role, account string) auth.Identity {
	return auth.Identity{Principal: string(role) + "@" + account, Bindings: []auth.Binding{{Account: account, Role: role}}}
}

// attempts returns how many attempts wait for a runner and how many run.
func (l *lab) attempts() (queued, running int) {
	l.t.Helper()
	c, err := l.Counts(l.t.Context())
	require.NoError(l.t, err)
	return c.Queued, c.Running
}
