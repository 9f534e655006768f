package trigger

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

const (
	// longestPoll is how rarely a repository is polled that cannot be read, unless the
	// interval itself is longer.
	longestPoll = 15 * time.Minute
	// readsAtOnce bounds how many repositories one server reads at once, and
	// readsOfConnection how many of one connection: a forge that does not answer must not
	// keep others from being read, and turns of executions must find a worker.
	readsAtOnce       = 16
	readsOfConnection = 8
	// readLater is how soon at first a read is tried again for which there was no room, and
	// firstAverage how long a read is thought to take until some did.
	readLater    = 250 * time.Millisecond
	firstAverage = 100 * time.Millisecond
	// offLater is when a server that does not poll leaves a poll to the others again.
	offLater = 5 * time.Second
	// startRetry is how long after a start that had no room the next one is tried.
	startRetry = time.Second
	// pageSize is how many repositories are read from the store at once.
	pageSize = 500
)

// Start makes turns that look for what happened while no server ran. It also makes those that
// repositories lack, for instance because polling was off. It is called before the loop runs:
// a poll would hide how long there was no server.
//
// On a full disk it leaves all of it to Run: then most of all people must see what is.
func (i *Intake) Start(ctx context.Context) error {
	err := i.lookAtStart(ctx)
	if errors.Is(err, store.ErrFull) {
		i.late.Store(true)
		i.config.Log.Error("Cannot back-fill after the start, because the disk of the data directory is full; free space. Retrying", "error", err)
		return nil
	}
	return err
}

// startLate does what Start had to leave.
func (i *Intake) startLate(ctx context.Context) error {
	ticker := time.NewTicker(startRetry)
	defer ticker.Stop()
	for i.late.Load() {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		err := i.lookAtStart(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrFull) {
			i.config.Log.Error("Cannot back-fill after the start, retrying", "error", err)
		}
		i.late.Store(err != nil)
	}
	return nil
}

func (i *Intake) lookAtStart(ctx context.Context) error {
	now := i.config.Clock()
	if err := i.lookBack(ctx, now); err != nil {
		return err
	}
	if i.config.Backfill > 0 {
		sweep := &execution.Turn{ID: turnID(execution.TurnSweep, "", "", ""), Kind: execution.TurnSweep, DueAt: now.Add(i.config.Backfill)}
		err := i.config.Loop.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error {
			return tx.Apply(ctx, &execution.Change{Turns: []*execution.Turn{sweep}})
		})
		if err != nil {
			return err
		}
	}
	if err := i.manageAtStart(ctx); err != nil {
		return err
	}
	if i.config.Poll == 0 {
		return nil
	}
	return i.eachRepository(ctx, func(ctx context.Context, tx *loop.Tx, all []ledger.Repository) error {
		change := &execution.Change{}
		for n := range all {
			// Spread over an interval, so that a server with many is not busy at once.
			due := now.Add(time.Duration(share(all[n].ID, "start") * float64(i.config.Poll)))
			change.Turns = append(change.Turns, pollTurn(all[n].ID, due))
		}
		return tx.Apply(ctx, change)
	})
}

// eachRepository calls a function with all repositories, some at a time.
func (i *Intake) eachRepository(ctx context.Context, f func(context.Context, *loop.Tx, []ledger.Repository) error) error {
	after := ""
	for {
		var all []ledger.Repository
		err := i.config.Loop.Submit(ctx, func(ctx context.Context, tx *loop.Tx) (err error) {
			if all, err = tx.Repositories(ctx, "", "", store.Page{After: after, Size: pageSize}); err != nil || len(all) == 0 {
				return err
			}
			return f(ctx, tx, all)
		})
		if err != nil || len(all) < pageSize {
			return err
		}
		after = all[len(all)-1].ID
	}
}

// pollTurn is the turn that polls a repository: each has one, which makes itself due again.
func pollTurn(repositoryID string, due time.Time) *execution.Turn {
	return &execution.Turn{ID: turnID(execution.TurnPoll, "", repositoryID, ""), Kind: execution.TurnPoll, DueAt: due}
}

// poll is the handler of turns that poll a repository.
func (i *Intake) poll(ctx context.Context, turn *loop.Turn) error {
	repositoryID, _ := turnOf(turn.Turn)
	s, err := i.Snapshot(ctx, repositoryID)
	if errors.Is(err, store.ErrNotFound) {
		// No trigger watches it any more.
		return finish(ctx, turn)
	}
	if err != nil {
		return err
	}
	now := i.config.Clock()
	if i.config.Poll == 0 {
		return i.leave(ctx, turn, &s.Repository)
	}
	end, at := i.reads.begin(s, now)
	if end == nil {
		return repeatAt(ctx, turn, at)
	}
	defer func() { end(i.config.Clock()) }()
	refs, err := i.config.Mirror.Refs(ctx, mirrored(&s.Repository))
	if err != nil {
		return i.failed(ctx, turn, s, err, func(failures int) time.Time { return now.Add(i.pollAfter(repositoryID, failures)) })
	}
	next := now.Add(i.pollAfter(repositoryID, 0))
	_, err = i.observed(ctx, s, refs, ledger.ByPoll, turn, func() *execution.Change { return later(turn, next) })
	if errors.Is(err, store.ErrNotFound) {
		return finish(ctx, turn)
	}
	return err
}

// leave leaves a poll to other servers, because polling is off on this one. It ends the turn
// if there are no others: with polling on, the next start makes another.
func (i *Intake) leave(ctx context.Context, turn *loop.Turn, r *ledger.Repository) error {
	if !i.config.Shared {
		return finish(ctx, turn)
	}
	now := i.config.Clock()
	wait := longestPoll
	if now.Sub(r.ObservedAt) < longestPoll {
		// Another server polls.
		wait = offLater
	}
	return repeatAt(ctx, turn, now.Add(wait))
}

// pollAfter returns how long after a poll the next one is, by how many failed in a row.
func (i *Intake) pollAfter(repositoryID string, failures int) time.Duration {
	wait := i.config.Poll
	for range failures {
		if wait >= longestPoll {
			break
		}
		wait = min(2*wait, longestPoll)
	}
	return jitter(repositoryID, wait)
}

// jitter returns a duration within 10 percent of another, always the same for a repository.
func jitter(repositoryID string, d time.Duration) time.Duration {
	const tenth = 0.1
	return time.Duration(float64(d) * (1 - tenth + 2*tenth*share(repositoryID, "jitter")))
}

// share returns a number from 0 to 1 by the hash of a repository.
func share(repositoryID, purpose string) float64 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(purpose + " " + repositoryID))
	return float64(hash.Sum32()) / (1 << 32)
}

// failed records why a repository could not be read, and makes the turn run again.
func (i *Intake) failed(ctx context.Context, turn *loop.Turn, s *Snapshot, problem error, next func(failures int) time.Time) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	report := false
	r := s.Repository
	err := turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) (err error) {
		if r, err = tx.Repository(ctx, s.Repository.ID); errors.Is(err, store.ErrNotFound) {
			return settle(ctx, tx, turn, done(turn))
		}
		if err != nil {
			return err
		}
		report = r.NoteFailure(problem.Error(), i.config.Clock())
		if err := tx.UpdateRepository(ctx, r); err != nil {
			return err
		}
		return settle(ctx, tx, turn, later(turn, next(r.Failures)))
	})
	if err == nil && report {
		i.config.Log.Warn("A repository that triggers watch has not been readable for an hour, will try again",
			"account", r.Account, "repository", r.FullName, "read", r.Access(), "since", r.FailingSince, "error", problem)
	}
	return err
}

// finish ends a turn.
func finish(ctx context.Context, turn *loop.Turn) error {
	return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error { return settle(ctx, tx, turn, done(turn)) })
}

// repeatAt makes a turn due again.
func repeatAt(ctx context.Context, turn *loop.Turn, at time.Time) error {
	return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error { return settle(ctx, tx, turn, later(turn, at)) })
}

// reads shares out what this server reads of remotes at once. What finds no room gets a time at
// which there will be some, in the order in which it came: nothing waits in a worker, and
// under load no repository is left out.
type reads struct {
	mu    sync.Mutex
	total lane
	lanes map[string]*lane
	// promised are the repositories that have a time.
	promised map[string]struct{}
	// average is how long a read takes.
	average time.Duration
}

// lane is what is read at once, of all connections or of one.
type lane struct {
	running int
	// next is the first time that is not promised.
	next time.Time
}

func newReads() *reads {
	return &reads{lanes: make(map[string]*lane), promised: make(map[string]struct{}), average: firstAverage}
}

// begin returns what ends a read, or when to come back.
func (r *reads) begin(s *Snapshot, now time.Time) (end func(now time.Time), later time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	connection, id := s.Repository.Account+"/"+s.Repository.Connection, s.Repository.ID
	own := r.lanes[connection]
	if own == nil {
		own = &lane{}
		r.lanes[connection] = own
	}
	_, promised := r.promised[id]
	delete(r.promised, id)
	room := r.total.running < readsAtOnce && own.running < readsOfConnection
	if room && (promised || !r.total.next.After(now) && !own.next.After(now)) {
		r.total.running++
		own.running++
		return func(then time.Time) { r.end(connection, then.Sub(now)) }, time.Time{}
	}
	at := now.Add(readLater)
	for _, next := range []time.Time{r.total.next, own.next} {
		if next.After(at) {
			at = next
		}
	}
	r.total.next = newest(r.total.next, now).Add(r.average / readsAtOnce)
	own.next = newest(own.next, now).Add(r.average / readsOfConnection)
	r.promised[id] = struct{}{}
	return nil, at
}

func (r *reads) end(connection string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	const weight = 16
	r.average += (took - r.average) / weight
	r.total.running--
	r.lanes[connection].running--
}
