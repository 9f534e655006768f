package river

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/riverqueue/river"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// worker runs jobs.
type worker struct {
	river.WorkerDefaults[Args]

	queue *Queue
}

// errStays is of a turn that is there still after it was carried out.
var errStays = errors.New("it is not done yet")

// Timeout implements river.Worker. It is longer than a turn, which bounds itself, and
// chains: only what has one is rescued by River, where nobody else finds that it is lost.
func (w *worker) Timeout(*river.Job[Args]) time.Duration { return w.queue.config.Longest + maxChain }

// Work implements river.Worker. It carries a turn, and those that it is handed to
// carry on with.
func (w *worker) Work(ctx context.Context, job *river.Job[Args]) error {
	q := w.queue
	turn, err := q.find(ctx, job)
	if err != nil {
		q.config.Log.Error("cannot read a turn, will try again", "turn", job.Args.ID, "in", q.config.Retry, "error", err)
		return river.JobSnooze(q.config.Retry)
	}
	if turn == nil {
		return nil
	}
	began := q.config.Clock()
	if wait := turn.DueAt.Sub(began); wait > 0 {
		return river.JobSnooze(wait)
	}
	q.carry(job.ID, &carried{ctx, job})
	defer q.carry(job.ID, nil)
	for turn != nil {
		turn.Carrier = job.ID
		next, err := q.handler(ctx, turn)
		if err == nil && next == nil {
			// A decision that came too late may have left one that the job carries.
			next, err = q.find(context.WithoutCancel(ctx), job)
		}
		if err == nil && next != nil && next.ID == turn.ID && next.DueAt.Equal(turn.DueAt) {
			err = errStays
		}
		if err != nil {
			q.config.Log.Error("turn failed, it will run again", "turn", turn.ID, "kind", turn.Kind, "in", q.config.Retry, "error", err)
			return river.JobSnooze(q.config.Retry)
		}
		if next != nil && (ctx.Err() != nil || q.stopping() || q.config.Clock().Sub(began) > maxChain) {
			// Whoever takes the job next finds the turn by it.
			return river.JobSnooze(0)
		}
		turn = next
	}
	return nil
}

// find returns the turn that a job is to run; nil where there is none any more.
func (q *Queue) find(ctx context.Context, job *river.Job[Args]) (turn *execution.Turn, err error) {
	args := job.Args
	err = q.store.View(ctx, func(ctx context.Context, r store.Reader) error {
		for _, carrier := range append([]int64{job.ID}, args.Of...) {
			turn, err = r.TurnByCarrier(ctx, carrier)
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		turn, err = r.Turn(ctx, args.ID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	mine := turn.Carrier == job.ID || slices.Contains(args.Of, turn.Carrier)
	if mine || turn.Carrier == 0 && turn.DueAt.Equal(args.DueAt) {
		return turn, nil
	}
	// Another job carries it, or was queued for the time that it is due now.
	return nil, nil
}
