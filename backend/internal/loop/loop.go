// Package loop decides, commits and wakes: it takes inputs through the engine in
// transactions of the store, hands attempts to runners and runs turns when they are due.
// It must never authorise anybody, and holds no noun of the API and no rule of the domain.
package loop

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// maxTries bounds how often a transaction is tried again because another came first.
const maxTries = 10

// Config is what a Loop needs.
type Config struct {
	Store    store.Store
	Queue    dispatch.Queue
	Catalog  *pipeline.Catalog
	Registry *action.Registry
	// Stored reports whether an artifact is stored, for those that retention was about to
	// remove when an action stored them again.
	Stored func(ctx context.Context, digest string) (bool, error)
	Clock  func() time.Time
	// NewID returns ids that ascend with time, since pages are ordered by them.
	NewID func() string
	// Storage returns nil while artifacts and logs can be stored, for which runners wait;
	// may be nil.
	Storage func(context.Context) error
	// Lease is how long a runner may be silent before its attempts are lost.
	Lease time.Duration
	// StopGrace is how long runners let the processes of an attempt end by themselves.
	StopGrace time.Duration
	// Shared is set if other processes may work on the same store.
	Shared bool
	// Observe receives every committed change, for metrics; may be nil. It reads the
	// events alone: the records may have changed again.
	Observe func(*execution.Change)
	// Abandoned receives how each try to abandon work went, for metrics; may be nil.
	Abandoned func(execution.AbandonResult)
	// Artifacts and Logs are for turns.
	Artifacts action.Artifacts
	Logs      TurnLogs
	// Credentials hands out credentials to turns. Nil hands out none.
	Credentials action.CredentialsOf
	// Secrets hands out secrets to turns. Nil hands out none.
	Secrets action.SecretsOf
	Log     hclog.Logger
}

// TurnLogs are the logs of actions and rules that run in turns.
type TurnLogs interface {
	// TurnWriter returns what appends to the log for one turn.
	TurnWriter(of action.Scope) io.WriteCloser
}

// Loop takes every input the same way: it loads the scope, lets the engine decide,
// commits state, events and work together, and then wakes whatever the commit concerns.
type Loop struct {
	config      Config
	scopes      *scopeCache
	definitions *definitionCache
	rules       *ruleCache
	pool        *pool
	watchers    *watchers
	handlers    map[execution.TurnKind]Handler
	// lost are attempts of an earlier process whose loss is not recorded yet. Recover
	// uses them, then Run.
	lost      []*execution.Lease
	recovered atomic.Bool
}

// New returns a loop. Run must run for anything to happen.
func New(config Config) *Loop {
	l := &Loop{
		config:      config,
		scopes:      newScopeCache(),
		definitions: newDefinitionCache(),
		rules:       newRuleCache(),
		pool:        newPool(),
		watchers:    newWatchers(),
		handlers:    make(map[execution.TurnKind]Handler),
	}
	l.Handle(execution.TurnAction, l.runAction)
	l.Handle(execution.TurnExpire, decides(expire))
	l.Handle(execution.TurnRecheck, decides(recheck))
	l.Handle(execution.TurnAbandon, l.abandon)
	return l
}

// Tx is a transaction of Submit. Everything written in it is committed together.
type Tx struct {
	store.Tx

	loop *Loop
	out  *outcome
}

// Submit runs a transaction that takes any number of inputs through the engine with
// Tx.Decide, and does what its commit asks for. The function may run more than once: when
// it shares a commit with others that fail, and when another process decided on one of its
// scopes first. An error of the function rolls the transaction back, also for those that
// share it: a function that only refuses its caller keeps the refusal and returns nil.
func (l *Loop) Submit(ctx context.Context, fn func(context.Context, *Tx) error) error {
	_, err := l.submit(ctx, nil, fn)
	return err
}

// Decide takes an input through the engine and writes what it changes. A refusal of the
// engine changes nothing.
func (t *Tx) Decide(ctx context.Context, key execution.ScopeKey, in engine.Input) (*execution.Change, error) {
	return t.decide(ctx, key, "", in)
}

// Apply writes a change. Its turns are queued and its events notified with the commit.
// Decide calls it; others use it for turns that belong to no execution.
func (t *Tx) Apply(ctx context.Context, change *execution.Change) error {
	for _, turn := range change.Turns {
		// A copy of the turn that is carried out names what carries it.
		turn.Carrier = 0
	}
	t.loop.chainTurn(change, t.out)
	if err := t.Tx.Apply(ctx, change); err != nil {
		return err
	}
	t.out.changes = append(t.out.changes, change)
	return nil
}

// DeletePipeline deletes a pipeline, whose scopes the commit removes from memory.
func (t *Tx) DeletePipeline(ctx context.Context, id string, revision int64) error {
	t.out.deleted = append(t.out.deleted, id)
	return t.Tx.DeletePipeline(ctx, id, revision)
}

// submit is Submit for a turn that is being carried out; nil for none.
func (l *Loop) submit(ctx context.Context, carried *execution.Turn, fn func(context.Context, *Tx) error) (*outcome, error) {
	for try := 1; ; try++ {
		out, err := l.transact(ctx, carried, fn)
		if !errors.Is(err, store.ErrStale) || try == maxTries {
			return out, err
		}
	}
}

func (l *Loop) transact(ctx context.Context, carried *execution.Turn, fn func(context.Context, *Tx) error) (*outcome, error) {
	var out *outcome
	err := l.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		l.undo(out)
		out = &outcome{carried: carried}
		if carried != nil && carried.ExecutionID == "" {
			out.running = carried.ID
		}
		return fn(ctx, &Tx{Tx: tx, loop: l, out: out})
	})
	if err != nil {
		l.undo(out)
		return nil, err
	}
	l.committed(out)
	return out, nil
}

// Definition returns a version, which never changes, from memory if it was read before.
func (l *Loop) Definition(ctx context.Context, r store.DefinitionReader, pipelineID string, version int64) (*pipeline.Definition, error) {
	if def := l.definitions.get(pipelineID, version); def != nil {
		return def, nil
	}
	v, err := r.PipelineVersion(ctx, pipelineID, version)
	if err != nil {
		return nil, err
	}
	l.definitions.put(pipelineID, version, &v.Definition)
	return &v.Definition, nil
}

// Scope reads a scope with the versions of its live executions and those that are named,
// for reads that decide nothing. The scope of a PARALLEL execution that ended is empty.
func (l *Loop) Scope(ctx context.Context, r store.Reader, key execution.ScopeKey, versions ...int64) (*engine.Scope, error) {
	scope, err := l.load(ctx, r, key)
	if errors.Is(err, store.ErrNotFound) {
		scope, err = l.newScope(key), nil
	}
	if err != nil {
		return nil, err
	}
	for _, version := range versions {
		if err := l.loadVersion(ctx, r, scope, version); err != nil {
			return nil, err
		}
	}
	return &scope.Scope, nil
}

// Subscribe returns a channel that gets a token, at most one at a time, whenever the
// execution changed. Stop ends it.
func (l *Loop) Subscribe(executionID string) (changed <-chan struct{}, stop func()) {
	return l.watchers.watch(executionID)
}
