package loop_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// tick is a kind of turns that the engine does not know.
const tick execution.TurnKind = "tick"

// process is a loop on a file that outlives it.
type process struct {
	*loop.Loop

	store store.Store
	stop  func()
}

// boot starts a loop that handles ticks, on the file of a directory.
func boot(t *testing.T, dir string, handle func(*process) loop.Handler) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "headrace.db")})
	require.NoError(t, err)
	log := hclog.NewNullLogger()
	p := &process{store: s, Loop: loop.New(loop.Config{
		Store: s, Queue: embedded.New(embedded.Config{Workers: 2, Clock: time.Now, Retry: time.Millisecond, Log: log}),
		Catalog: catalog.Builtin(), Registry: action.NewRegistry(), Clock: time.Now, NewID: uuid.NewString, Lease: time.Minute, Log: log,
	})}
	p.Handle(tick, handle(p))
	require.NoError(t, p.Recover(ctx))
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, s.Close())
	})
	t.Cleanup(p.stop)
	return p
}

// schedule makes a turn that belongs to no execution.
func (p *process) schedule(t *testing.T, id string) {
	t.Helper()
	require.NoError(t, p.Submit(t.Context(), func(ctx context.Context, tx *loop.Tx) error { return tx.Apply(ctx, later(id)) }))
}

func later(id string) *execution.Change {
	return &execution.Change{Turns: []*execution.Turn{{ID: id, Kind: tick, DueAt: time.Now()}}}
}

func ended(id string) *execution.Change { return &execution.Change{DoneTurns: []string{id}} }

// settled waits until no turn is pending.
func (p *process) settled(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		var turns []*execution.Turn
		require.NoError(t, p.store.View(context.Background(), func(ctx context.Context, r store.Reader) (err error) {
			turns, err = r.Turns(ctx)
			return err
		}))
		return len(turns) == 0
	}, 10*time.Second, time.Millisecond)
}

// A turn without an execution fails, makes itself due again and ends, each time in the
// transaction of its handler.
func TestTurnWithoutAnExecution(t *testing.T) {
	t.Parallel()
	ran := make(chan string, 10)
	tries := 0
	p := boot(t, t.TempDir(), func(*process) loop.Handler {
		return func(ctx context.Context, turn *loop.Turn) error {
			tries++
			if tries == 1 {
				return errors.New("the service does not answer")
			}
			ran <- turn.ID
			return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error {
				if tries < 4 {
					return tx.Apply(ctx, later(turn.ID))
				}
				return tx.Apply(ctx, ended(turn.ID))
			})
		}
	})
	p.schedule(t, "nightly")
	for range 3 {
		require.Equal(t, "nightly", <-ran)
	}
	p.settled(t)
	require.Empty(t, ran)
}

// A turn runs again if its handler leaves it as it was without an error: it commits nothing,
// or something else.
func TestTurnThatItsHandlerLeavesRunsAgain(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(context.Context, *loop.Turn) error{
		"no commit": func(context.Context, *loop.Turn) error { return nil },
		"empty commit": func(ctx context.Context, turn *loop.Turn) error {
			return turn.Submit(ctx, func(context.Context, *loop.Tx) error { return nil })
		},
		"commit about another turn": func(ctx context.Context, turn *loop.Turn) error {
			return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error { return tx.Apply(ctx, ended("other")) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tries := 0
			p := boot(t, t.TempDir(), func(*process) loop.Handler {
				return func(ctx context.Context, turn *loop.Turn) error {
					if tries++; tries == 1 {
						return leave(ctx, turn)
					}
					return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error { return tx.Apply(ctx, ended(turn.ID)) })
				}
			})
			p.schedule(t, "nightly")
			p.settled(t)
			require.Equal(t, 2, tries)
		})
	}
}

// The turn outlives the server and a pipeline that is deleted while it waits.
func TestTurnWithoutAnExecutionOutlives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	started := make(chan struct{}, 1)
	first := boot(t, dir, func(*process) loop.Handler {
		return func(ctx context.Context, _ *loop.Turn) error {
			started <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
	})
	require.NoError(t, first.Submit(t.Context(), func(ctx context.Context, tx *loop.Tx) error {
		return errors.Join(tx.CreateAccount(ctx, auth.Account{Name: "default"}),
			tx.CreatePipeline(ctx, definition.Pipeline{ID: "web", Account: "default", Name: "web", Revision: 1}),
			tx.Apply(ctx, later("nightly")), tx.DeletePipeline(ctx, "web", 1))
	}))
	<-started
	first.stop()
	second := boot(t, dir, func(*process) loop.Handler {
		return func(ctx context.Context, turn *loop.Turn) error {
			return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error { return tx.Apply(ctx, ended(turn.ID)) })
		}
	})
	second.settled(t)
}

// A handler may start an execution in the transaction that ends its turn.
func TestTurnStartsAnExecution(t *testing.T) {
	t.Parallel()
	def := pipeline.Definition{Stages: []pipeline.Stage{{Name: "Release", Actions: []pipeline.Action{{
		Name: "sign", Category: pipeline.CategoryApproval, Owner: pipeline.Owner, Provider: "Manual", Version: "1", RunOrder: 1,
	}}}}}
	changed := make(chan (<-chan struct{}), 1)
	p := boot(t, t.TempDir(), func(p *process) loop.Handler {
		return func(ctx context.Context, turn *loop.Turn) error {
			watch, stop := p.Subscribe("e")
			t.Cleanup(stop)
			changed <- watch
			return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error {
				e := &execution.Execution{ID: "e", Account: "default", PipelineID: "web", Pipeline: "web", Number: 1, Version: 1}
				_, err := tx.Decide(ctx, e.Scope(), engine.Start{Execution: e})
				return errors.Join(err, tx.Apply(ctx, ended(turn.ID)))
			})
		}
	})
	require.NoError(t, p.Submit(t.Context(), func(ctx context.Context, tx *loop.Tx) error {
		return errors.Join(tx.CreateAccount(ctx, auth.Account{Name: "default"}),
			tx.CreatePipeline(ctx, definition.Pipeline{ID: "web", Account: "default", Name: "web", Version: 1, Revision: 1}),
			tx.CreatePipelineVersion(ctx, definition.Version{PipelineID: "web", Version: 1, Definition: def}),
			tx.Apply(ctx, later("nightly")))
	}))
	<-<-changed
	var pending []*execution.Turn
	require.NoError(t, p.store.View(t.Context(), func(ctx context.Context, r store.Reader) (err error) {
		pending, err = r.Turns(ctx)
		return err
	}))
	require.Len(t, pending, 1, "the expiry of the approval alone")
	require.Equal(t, execution.TurnExpire, pending[0].Kind)
}
