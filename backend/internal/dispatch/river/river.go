// Package river is the work queue of several processes: turns are River's jobs in the
// store's PostgreSQL, inserted and completed in the transactions of the decisions
// that they are about. Claims, schedules, retries, rescue and leader election are
// River's. It must never know what a turn does.
package river

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logging"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Config is what a queue needs.
type Config struct {
	// URL is the database's, as libpq takes it.
	URL string
	// Workers is how many turns run at once in this process.
	Workers int
	// Clock tells the time that due times are compared with.
	Clock func() time.Time
	// Retry is how long a turn waits after its handler failed.
	Retry time.Duration
	// Longest is how long a turn may take.
	Longest time.Duration
	// Dead is how long a process may be silent before others carry on with what it
	// carried.
	Dead time.Duration
	Log  hclog.Logger
}

const (
	// fetchCooldown and fetchPoll are as short as they are because a notice within the
	// cooldown is dropped and falls to the poll.
	fetchCooldown = time.Millisecond
	fetchPoll     = 10 * time.Millisecond
	// scheduling is how late River's scheduler may be: it looks every five seconds. A
	// job comes that much too early, and sleeps to its time to the millisecond.
	scheduling = 6 * time.Second
	// maxChain bounds how long one job carries turns, so that River can tell one that
	// carries on from one that died.
	maxChain = 5 * time.Second
	// maxAttempts is what River's column holds: a turn is tried until it is done.
	maxAttempts = 32767
	// kept is how long completed jobs can be looked at.
	kept = time.Minute
	// resolution is the store's of times.
	resolution = time.Microsecond
	// pageSize is how many jobs are looked at in one go.
	pageSize = 1000
	// connections are for fetching, completing, listening and maintenance.
	connections = 6
)

// Queue implements dispatch.Queue, and postgres.Jobs for the store to commit its part.
type Queue struct {
	config Config
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
	// store is set by Run's caller before it runs.
	store store.Store

	// handler is who runs turns, ending ends with the run of the queue.
	handler dispatch.Handler
	ending  <-chan struct{}

	mu sync.Mutex
	// carrying are the jobs that run here, with the contexts that River gave them.
	carrying map[int64]*carried
}

type carried struct {
	ctx context.Context //nolint:containedctx // River's, for completing the job in a transaction.
	job *river.Job[Args]
}

var _ dispatch.Queue = (*Queue)(nil)

// Args are a job's: which turn it runs, and the time that it was queued for. What the
// turn is about is in the store alone.
type Args struct {
	ID    string    `json:"id"`
	DueAt time.Time `json:"due_at"`
	// Of are the jobs of processes that died, which this one carries on for.
	Of []int64 `json:"of,omitempty"`
}

// Kind implements river.JobArgs.
func (Args) Kind() string { return "turn" }

// Open connects. The schema of River must be there: see Migrate.
func Open(ctx context.Context, config Config) (*Queue, error) {
	pool, err := connect(ctx, config.URL)
	if err != nil {
		return nil, err
	}
	q := &Queue{config: config, pool: pool, carrying: make(map[int64]*carried)}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{queue: q})
	q.client, err = river.NewClient(riverpgxv5.New(pool), &river.Config{
		CompletedJobRetentionPeriod: kept,
		FetchCooldown:               fetchCooldown,
		FetchPollInterval:           fetchPoll,
		Logger:                      logging.Slog(config.Log),
		MaxAttempts:                 maxAttempts,
		Queues:                      map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: config.Workers}},
		RescueStuckJobsAfter:        config.Longest + 2*maxChain,
		RetryPolicy:                 retry{config.Clock, config.Retry},
		SoftStopTimeout:             config.Longest,
		Workers:                     workers,
	})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("set up the work queue: %w", err)
	}
	return q, nil
}

func connect(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database-url: %w", err)
	}
	config.MaxConns = connections
	config.ConnConfig.RuntimeParams["application_name"] = "headraced dispatch"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return pool, nil
}

// Close releases the connections; Run has returned.
func (q *Queue) Close() error {
	q.pool.Close()
	return nil
}

// Use says which store the turns are in. It is called once, before Run.
func (q *Queue) Use(s store.Store) { q.store = s }

// Add implements dispatch.Queue: the commit queued them.
func (q *Queue) Add(...*execution.Turn) {}

// Remove implements dispatch.Queue: a job whose turn is gone does nothing when it is
// due.
func (q *Queue) Remove(...string) {}

// Run implements dispatch.Queue.
func (q *Queue) Run(ctx context.Context, handler dispatch.Handler) error {
	q.handler, q.ending = handler, ctx.Done()
	// Before it takes anything: the work of one that was never heard of is missed by
	// nobody when it dies.
	q.look(ctx)
	if !q.start(ctx) {
		return nil
	}
	q.watch(ctx)
	return q.leave(context.WithoutCancel(ctx))
}

// start starts the client, again and again while the database does not answer, as all other
// parts of a server wait for it. It returns false if the context ended before.
func (q *Queue) start(ctx context.Context) bool {
	for {
		err := q.client.Start(ctx)
		if ctx.Err() != nil {
			return err == nil
		}
		if err == nil {
			return true
		}
		q.config.Log.Warn("cannot start the work queue, will try again", "in", q.config.Retry, "error", err)
		timer := time.NewTimer(q.config.Retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// Commit implements postgres.Jobs.
func (q *Queue) Commit(ctx context.Context, tx pgx.Tx, changes []*execution.Change) error {
	var jobs []river.InsertManyParams
	for _, change := range changes {
		done := change.Carrier
		for _, turn := range change.Turns {
			if turn.Carrier != 0 {
				done = 0
				continue
			}
			jobs = append(jobs, q.job(Args{ID: turn.ID, DueAt: turn.DueAt.Truncate(resolution)}))
		}
		if err := q.complete(ctx, tx, done); err != nil {
			return err
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := q.client.InsertManyFastTx(ctx, tx, jobs)
	return err
}

// Length implements postgres.Queue.
func (q *Queue) Length(ctx context.Context, tx pgx.Tx) (jobs int64, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM river_job`).Scan(&jobs)
	return jobs, err
}

// job returns the job of a turn, scheduled where it is due later.
func (q *Queue) job(args Args) river.InsertManyParams {
	params := river.InsertManyParams{Args: args, InsertOpts: &river.InsertOpts{}}
	if early := args.DueAt.Add(-scheduling); early.After(q.config.Clock()) {
		params.InsertOpts.ScheduledAt = early
	}
	return params
}

// complete completes the job that carried a turn, where this process runs it and no
// other turn names it: a decision without effect ends what led to it, which may be a turn
// that was decided already and not what the job carries now.
func (q *Queue) complete(ctx context.Context, tx pgx.Tx, id int64) error {
	q.mu.Lock()
	c := q.carrying[id]
	q.mu.Unlock()
	if c == nil {
		return nil
	}
	var carries bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM turns WHERE carrier = $1)`, id).Scan(&carries); err != nil || carries {
		return err
	}
	deadline, _ := ctx.Deadline()
	limited, cancel := context.WithDeadline(context.WithoutCancel(c.ctx), deadline)
	defer cancel()
	_, err := river.JobCompleteTx[*riverpgxv5.Driver](limited, tx, c.job)
	if errors.Is(err, rivertype.ErrNotFound) {
		// Somebody took it for dead. What it decides is decided once all the same.
		return nil
	}
	return err
}

// stopping tells whether the queue was told to end.
func (q *Queue) stopping() bool {
	select {
	case <-q.ending:
		return true
	default:
		return false
	}
}

func (q *Queue) carry(id int64, c *carried) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c == nil {
		delete(q.carrying, id)
		return
	}
	q.carrying[id] = c
}

// retry is the pause after a job that River found failed, which a turn does not: it
// sleeps.
type retry struct {
	clock func() time.Time
	after time.Duration
}

// NextRetry implements river.ClientRetryPolicy.
func (r retry) NextRetry(*rivertype.JobRow) time.Time { return r.clock().Add(r.after) }
