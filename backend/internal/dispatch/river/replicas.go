package river

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// watch says that this process lives, and takes over from those that do not any more,
// until the last job that runs here has ended: a process that stops in order is not dead
// before. River would take over too, once a job ran for longer than any may; this is for
// seconds.
func (q *Queue) watch(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	ticker := time.NewTicker(max(q.config.Dead/4, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-q.client.Stopped():
			return
		case <-ticker.C:
		}
		q.look(ctx)
	}
}

// look is a beat that may fail.
func (q *Queue) look(ctx context.Context) {
	if err := q.beat(ctx); err != nil && ctx.Err() == nil {
		q.config.Log.Warn("cannot tell other servers that this one lives, will try again", "error", err)
	}
}

// beat says it and takes over once. Times are the database's: servers need not agree about theirs.
func (q *Queue) beat(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, q.config.Dead)
	defer cancel()
	return pgx.BeginFunc(limited, q.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(limited, `INSERT INTO replicas (id, heard_at) VALUES ($1, now())
			ON CONFLICT (id) DO UPDATE SET heard_at = excluded.heard_at`, q.client.ID()); err != nil {
			return err
		}
		found, err := tx.Query(limited, `DELETE FROM replicas WHERE id IN (
			SELECT id FROM replicas WHERE heard_at < now() - $1::interval FOR UPDATE SKIP LOCKED
		) RETURNING id`, q.config.Dead)
		if err != nil {
			return err
		}
		dead, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, id := range dead {
			if err := q.takeOver(limited, tx, id); err != nil {
				return fmt.Errorf("take over from server %s: %w", id, err)
			}
		}
		return nil
	})
}

// takeOver queues what a dead process carried, once more. Where it was only asleep both
// carry on, and the store takes what the first decides. River rescues the old jobs
// later, which find nothing to do then.
func (q *Queue) takeOver(ctx context.Context, tx pgx.Tx, id string) error {
	var jobs []river.InsertManyParams
	for params := river.NewJobListParams().States(rivertype.JobStateRunning).First(pageSize); ; {
		page, err := q.client.JobListTx(ctx, tx, params)
		if err != nil {
			return err
		}
		for _, row := range page.Jobs {
			if len(row.AttemptedBy) == 0 || row.AttemptedBy[len(row.AttemptedBy)-1] != id {
				continue
			}
			var args Args
			if err := json.Unmarshal(row.EncodedArgs, &args); err != nil {
				return fmt.Errorf("job %d: %w", row.ID, err)
			}
			args.Of = append(args.Of, row.ID)
			jobs = append(jobs, q.job(args))
		}
		if len(page.Jobs) < pageSize {
			break
		}
		params = params.After(page.LastCursor)
	}
	q.config.Log.Warn("a server is silent, its work goes on here and elsewhere", "server", id, "turns", len(jobs))
	if len(jobs) == 0 {
		return nil
	}
	_, err := q.client.InsertManyFastTx(ctx, tx, jobs)
	return err
}

// leave tells the others that this process ended in order.
func (q *Queue) leave(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, q.config.Dead)
	defer cancel()
	if _, err := q.pool.Exec(limited, `DELETE FROM replicas WHERE id = $1`, q.client.ID()); err != nil {
		q.config.Log.Warn("cannot tell other servers that this one stopped", "error", err)
	}
	return nil
}
