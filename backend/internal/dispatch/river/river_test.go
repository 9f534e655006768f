package river_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/dispatchtest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/river"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
)

// cluster is shared by the tests of this package; each has a database of its own.
var cluster postgrestest.Cluster

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m, &cluster)) }

// bed is a store whose queues are opened later: whichever queue is newest commits.
type bed struct {
	url   string
	store *postgres.Store
	jobs  *jobs
}

// jobs is the queue that commits for a store.
type jobs struct{ *river.Queue }

func newBed(t *testing.T) *bed {
	t.Helper()
	return newBedOn(t, &cluster)
}

func newBedOn(t *testing.T, cluster *postgrestest.Cluster) *bed {
	t.Helper()
	b := &bed{url: cluster.Database(t), jobs: &jobs{}}
	config := postgres.Config{URL: b.url, Log: hclog.NewNullLogger(), Jobs: b.jobs}
	_, _, err := postgres.Migrate(t.Context(), config)
	require.NoError(t, err)
	_, err = river.Migrate(t.Context(), b.url)
	require.NoError(t, err)
	b.store, err = postgres.Open(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.store.Close()) })
	return b
}

func (b *bed) open(t *testing.T, workers int, dead time.Duration) *river.Queue {
	t.Helper()
	return b.openWith(t, func(c *river.Config) { c.Workers, c.Dead = workers, dead })
}

func (b *bed) openWith(t *testing.T, change func(*river.Config)) *river.Queue {
	t.Helper()
	config := river.Config{
		URL: b.url, Workers: 1, Clock: time.Now, Retry: dispatchtest.Retry,
		Longest: time.Minute, Dead: time.Minute, Log: hclog.NewNullLogger(),
	}
	change(&config)
	q, err := river.Open(t.Context(), config)
	require.NoError(t, err)
	q.Use(b.store)
	b.jobs.Queue = q
	return q
}

// close closes a queue after the test stopped it, which cleans up before it.
func closed(t *testing.T, q *river.Queue) *river.Queue {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

func TestQueue(t *testing.T) {
	t.Parallel()
	dispatchtest.Run(t, func(t *testing.T) dispatchtest.Bed {
		t.Helper()
		b := newBed(t)
		return dispatchtest.Bed{Store: b.store, Open: func(t *testing.T, workers int) dispatch.Queue {
			t.Helper()
			return closed(t, b.open(t, workers, time.Minute))
		}}
	})
}

// A process that died in the middle of a chain: another carries on with the turn that
// it carried, within seconds, and what it had queued is not lost either.
func TestWorkOfTheDeadGoesOn(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	dead := b.open(t, 1, time.Hour) // It says once that it lives.
	ctx, cancel := context.WithCancel(context.Background())
	stuck, release := make(chan *execution.Turn, 1), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- dead.Run(ctx, func(_ context.Context, turn *execution.Turn) (*execution.Turn, error) {
			if turn.ID == "a" {
				next := b.turn("b")
				next.Carrier = turn.Carrier
				return next, b.commit(&execution.Change{Turns: []*execution.Turn{next}, DoneTurns: []string{"a"}, Carrier: turn.Carrier})
			}
			stuck <- turn
			<-release
			return nil, nil
		})
	}()
	require.NoError(t, b.commit(&execution.Change{Turns: []*execution.Turn{b.turn("a")}}))
	require.Equal(t, "b", (<-stuck).ID)
	require.EqualValues(t, 1, b.execute(t, `UPDATE replicas SET heard_at = now() - interval '1 hour'`), "it said that it lives before it took anything")

	alive := b.open(t, 1, time.Second)
	ran := make(chan string, 10)
	go func() {
		done <- alive.Run(ctx, func(_ context.Context, turn *execution.Turn) (*execution.Turn, error) {
			ran <- turn.ID
			return nil, b.commit(&execution.Change{DoneTurns: []string{turn.ID}, Carrier: turn.Carrier})
		})
	}()
	require.Equal(t, "b", <-ran)
	require.NoError(t, b.commit(&execution.Change{Turns: []*execution.Turn{b.turn("c")}}))
	require.Equal(t, "c", <-ran)
	close(release)
	cancel()
	require.NoError(t, errors.Join(<-done, <-done, dead.Close(), alive.Close()))
	require.Empty(t, ran)
}

// A job that runs nowhere, of which no process is missed: River itself finds it.
func TestLostJobIsRescued(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	q := closed(t, b.open(t, 1, time.Minute))
	require.NoError(t, b.commit(&execution.Change{Turns: []*execution.Turn{b.turn("a")}}))
	require.EqualValues(t, 1, b.execute(t, `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now() - interval '1 day', attempted_by = '{nobody}'`))
	ctx, cancel := context.WithCancel(context.Background())
	ran, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- q.Run(ctx, func(_ context.Context, turn *execution.Turn) (*execution.Turn, error) {
			ran <- turn.ID
			return nil, b.commit(&execution.Change{DoneTurns: []string{turn.ID}, Carrier: turn.Carrier})
		})
	}()
	require.Equal(t, "a", <-ran)
	cancel()
	require.NoError(t, <-done)
}

// A decision that came too late, about a turn that was decided already: what that made
// ready is still carried.
func TestCarriedTurnIsNotForgotten(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	q := closed(t, b.open(t, 1, time.Minute))
	ctx, cancel := context.WithCancel(context.Background())
	ran, done := make(chan string, 2), make(chan error, 1)
	go func() {
		done <- q.Run(ctx, func(_ context.Context, turn *execution.Turn) (*execution.Turn, error) {
			ran <- turn.ID
			if turn.ID == "b" {
				return nil, b.commit(&execution.Change{DoneTurns: []string{"b"}, Carrier: turn.Carrier})
			}
			next := b.turn("b")
			next.Carrier = turn.Carrier
			return nil, errors.Join(
				b.commit(&execution.Change{Turns: []*execution.Turn{next}, DoneTurns: []string{"a"}, Carrier: turn.Carrier}),
				b.commit(&execution.Change{Carrier: turn.Carrier}),
			)
		})
	}()
	require.NoError(t, b.commit(&execution.Change{Turns: []*execution.Turn{b.turn("a")}}))
	require.Equal(t, "a", <-ran)
	require.Equal(t, "b", <-ran)
	cancel()
	require.NoError(t, <-done)
}

// PostgreSQL that went away between the open and the start ended the server.
func TestStartWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	own := &postgrestest.Cluster{}
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
	b := newBedOn(t, own)
	refused := make(chan struct{})
	var once sync.Once
	q := closed(t, b.openWith(t, func(c *river.Config) {
		c.Log = hclog.New(&hclog.LoggerOptions{Output: writer(func(line string) {
			if strings.Contains(line, "cannot start the work queue, will try again") {
				once.Do(func() { close(refused) })
			}
		})})
	}))
	require.NoError(t, b.commit(&execution.Change{Turns: []*execution.Turn{b.turn("a")}}))
	require.NoError(t, own.Kill())
	ctx, cancel := context.WithCancel(context.Background())
	ran, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- q.Run(ctx, func(_ context.Context, turn *execution.Turn) (*execution.Turn, error) {
			ran <- turn.ID
			return nil, b.commit(&execution.Change{DoneTurns: []string{turn.ID}, Carrier: turn.Carrier})
		})
	}()
	select {
	case <-refused:
	case err := <-done:
		require.FailNow(t, "it ended", "%v", err)
	}
	require.NoError(t, own.Start())
	require.Equal(t, "a", <-ran)
	cancel()
	require.NoError(t, <-done)
}

// writer takes what is logged.
type writer func(line string)

func (w writer) Write(p []byte) (int, error) {
	w(string(p))
	return len(p), nil
}

func TestSchemaIsMigratedByHand(t *testing.T) {
	t.Parallel()
	b := &bed{url: cluster.Database(t), jobs: &jobs{}}
	q := closed(t, b.open(t, 1, time.Minute))
	require.ErrorIs(t, q.Ready(t.Context()), river.ErrSchemaBehind)
	var group errgroup.Group
	for range 3 {
		group.Go(func() error {
			_, err := river.Migrate(t.Context(), b.url)
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.NoError(t, q.Ready(t.Context()))
	steps, err := river.Migrate(t.Context(), b.url)
	require.NoError(t, err)
	require.Zero(t, steps)
}

func (b *bed) turn(id string) *execution.Turn {
	return &execution.Turn{
		ID: id, Kind: execution.TurnAction, ExecutionID: "e", Scope: execution.ScopeKey{PipelineID: "p"},
		DueAt: time.Now().Add(-time.Second), Work: &action.Turn{},
	}
}

func (b *bed) commit(change *execution.Change) error {
	return b.store.Update(context.Background(), func(ctx context.Context, tx store.Tx) error { return tx.Apply(ctx, change) })
}

func (b *bed) execute(t *testing.T, query string) (rows int64) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	done, err := c.Exec(t.Context(), query)
	require.NoError(t, errors.Join(err, c.Close(t.Context())))
	return done.RowsAffected()
}
