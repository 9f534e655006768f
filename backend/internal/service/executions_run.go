package service

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// TurnTimeout bounds a turn: it is short by contract, and one that hangs must
// not keep a worker for ever.
const TurnTimeout = time.Minute

// recoverRetry is how long it takes to the next attempt to record what an earlier
// process lost, where there was no room.
const recoverRetry = time.Second

var _ runner.Jobs = (*Executions)(nil)

// Recover takes over what an earlier process left: pending turns and attempts
// are queued, and attempts that somebody held are lost, since on this store only
// this process runs them. It is called once, before Run and before runners start.
// On a full disk it leaves the rest to Run: then most of all people must see what
// is.
func (x *Executions) Recover(ctx context.Context) error {
	if x.Shared {
		// The queue has the turns, and silence tells which attempts are lost.
		x.recovered.Store(true)
		return nil
	}
	var leases []*execution.Lease
	var turns []*execution.Turn
	err := x.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if leases, err = r.Leases(ctx); err != nil {
			return err
		}
		turns, err = r.Turns(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read pending work: %w", err)
	}
	x.Queue.Add(turns...)
	for _, lease := range leases {
		if lease.Runner == "" {
			continue
		}
		x.lost = append(x.lost, lease)
	}
	err = x.recordLost(ctx)
	if errors.Is(err, store.ErrFull) {
		x.Log.Error("cannot record which attempts were lost in a restart, will try again: free space where the data directory is", "error", err)
		return nil
	}
	return err
}

// Recovered tells whether all is taken over that an earlier process left.
func (x *Executions) Recovered() bool { return x.recovered.Load() }

func (x *Executions) recordLost(ctx context.Context) error {
	for ; len(x.lost) > 0; x.lost = x.lost[1:] {
		lease := x.lost[0]
		if err := x.lose(ctx, lease, "headraced stopped while the attempt ran"); err != nil {
			return err
		}
		x.Log.Warn("attempt was lost in a restart", "pipeline", lease.Attempt.Pipeline, "execution", lease.Attempt.ExecutionID,
			"stage", lease.Attempt.Stage, "action", lease.Attempt.Action.Name, "attempt", lease.Attempt.Number)
	}
	x.recovered.Store(true)
	return nil
}

// recoverRest goes on with what Recover had to leave.
func (x *Executions) recoverRest(ctx context.Context) error {
	ticker := time.NewTicker(recoverRetry)
	defer ticker.Stop()
	for !x.Recovered() {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := x.recordLost(ctx); err != nil {
			x.Log.Error("cannot record which attempts were lost in a restart, will try again", "error", err)
		}
	}
	return nil
}

// Run hands out turns and watches leases until the context ends, then waits for
// what runs.
func (x *Executions) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return x.Queue.Run(ctx, x.turn) })
	group.Go(func() error { return x.watchLeases(ctx) })
	group.Go(func() error { return x.recoverRest(ctx) })
	group.Go(func() error { return x.Store.Listen(ctx, x.heard) })
	return group.Wait()
}

// EndStreams ends watches and log tails, so that a server can stop in time.
func (x *Executions) EndStreams() {
	x.stoppingOnce.Do(func() { close(x.stopping) })
}

// Counts are what is going on in the store, by all who work on it.
type Counts struct{ Live, Queued, Running int }

// Counts counts live executions, attempts that wait for a runner and those that a
// runner holds.
func (x *Executions) Counts(ctx context.Context) (c Counts, err error) {
	err = x.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if c.Live, err = r.CountLive(ctx); err != nil {
			return err
		}
		c.Queued, c.Running, err = r.CountAttempts(ctx)
		return err
	})
	return c, err
}

// heard wakes whoever a commit of another process concerns.
func (x *Executions) heard(n store.Notice) {
	for _, id := range n.Executions {
		x.watchers.notify(id)
	}
	x.pool.done(n.Ended, nil)
	if n.Missed {
		x.watchers.notifyAll()
	}
	if n.Ready || n.Missed {
		x.pool.look()
	}
}

// watchLeases declares attempts lost whose runner has been silent for too long.
func (x *Executions) watchLeases(ctx context.Context) error {
	ticker := time.NewTicker(max(x.Lease/3, time.Millisecond))
	defer ticker.Stop()
	others := newSilence(x.Lease)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		over := x.pool.expired(x.Clock())
		if x.Shared {
			// What another process had taken, and gives back by its end, nobody tells.
			x.pool.look()
			for _, runner := range x.pool.idle() {
				// Its own log line says what failed.
				_ = x.Renew(ctx, runner)
			}
			over = append(over, others.look(x.heldElsewhere(ctx), x.Clock())...)
		}
		for _, lease := range over {
			reason := fmt.Sprintf("runner %s was not heard of for %s", lease.Runner, x.Lease)
			if err := x.lose(ctx, lease, reason); err != nil {
				x.Log.Error("cannot record a lost attempt, will try again", "attempt", lease.Attempt.ID(), "error", err)
			}
		}
	}
}

// heldElsewhere returns the attempts that runners of other processes hold; none where
// the store does not answer.
func (x *Executions) heldElsewhere(ctx context.Context) (leases []*execution.Lease) {
	err := x.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		leases, err = r.Leases(ctx)
		return err
	})
	if err != nil {
		x.Log.Warn("cannot look for silent runners, will try again", "error", err)
		return nil
	}
	return slices.DeleteFunc(leases, func(l *execution.Lease) bool { return l.Runner == "" || x.pool.holds(l) })
}

// silence tells which leases were not renewed for the length of a lease, by the clock
// of this process alone: the clocks of two need not agree.
type silence struct {
	lease time.Duration
	since map[string]renewal
}

// renewal is how a lease was when it was seen first so.
type renewal struct {
	until time.Time
	seen  time.Time
}

func newSilence(lease time.Duration) *silence {
	return &silence{lease: lease, since: make(map[string]renewal)}
}

// look returns those of the leases that are over.
func (s *silence) look(leases []*execution.Lease, now time.Time) (over []*execution.Lease) {
	since := make(map[string]renewal, len(leases))
	for _, lease := range leases {
		id := lease.Attempt.ID() + " " + lease.Runner
		r, known := s.since[id]
		if !known || !r.until.Equal(lease.Until) {
			r = renewal{until: lease.Until, seen: now}
		}
		since[id] = r
		if now.Sub(r.seen) >= s.lease {
			over = append(over, lease)
		}
	}
	s.since = since
	return over
}

func (x *Executions) lose(ctx context.Context, lease *execution.Lease, reason string) error {
	a := lease.Attempt
	_, err := x.carryOut(ctx, lease.Scope, "", engine.Lost{
		ExecutionID: a.ExecutionID, ActionExecutionID: a.ActionExecutionID, Attempt: a.Number, Reason: reason,
	}, nil)
	return err
}

// carryOut commits an input of the machinery. Where a turn led to it, the first turn
// that its commit made ready is left to the caller.
func (x *Executions) carryOut(ctx context.Context, key execution.ScopeKey, runnerID string, in engine.Input, carried *execution.Turn) (*outcome, error) {
	for try := 1; ; try++ {
		out, err := x.update(ctx, func(ctx context.Context, tx store.Tx, out *outcome) error {
			out.carried = carried
			return x.decide(ctx, tx, key, runnerID, in, out)
		})
		// What is being removed may be none of the result's, or be claimed again.
		if finish, ok := in.(engine.Finish); ok && errors.Is(err, store.ErrRemoving) && try < maxTries {
			if finish.Result, err = x.confirm(ctx, finish.Result); err != nil {
				return nil, err
			}
			in = finish
			continue
		}
		if err := errors.Join(err, out.refused()); err != nil {
			return nil, err
		}
		return out, nil
	}
}

// confirm looks whether artifacts are there that retention was about to remove while
// they were stored, or had removed not long before, and lets them be used again. Where
// one went the result is a failure; while it may still go, that is an error.
func (x *Executions) confirm(ctx context.Context, result action.Result) (action.Result, error) {
	digests := make([]string, len(result.Artifacts))
	for i := range result.Artifacts {
		digests[i] = result.Artifacts[i].Digest
	}
	var removals map[string]store.ArtifactRemoval
	if err := x.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		removals, err = r.ArtifactRemovals(ctx, digests)
		return err
	}); err != nil {
		return result, err
	}
	for digest, removal := range removals {
		if removal.ClaimedAt.IsZero() {
			continue
		}
		if removal.RemovedAt.IsZero() && x.Clock().Sub(removal.ClaimedAt) < claimOver {
			return result, fmt.Errorf("artifact sha256:%s: %w", digest, store.ErrRemoving)
		}
		_, err := x.Artifacts.Tree(ctx, digest)
		if errors.Is(err, artifact.ErrNotStored) {
			return action.Failed(action.SystemUnavailable,
				"artifact sha256:%s was removed by retention while the action stored it; run the action again", digest), nil
		}
		if err != nil {
			return result, err
		}
		if err := x.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			return tx.KeepArtifact(ctx, digest, removal.ClaimedAt)
		}); err != nil {
			return result, err
		}
	}
	return result, nil
}

// turn runs one turn to the commit of its outcome.
func (x *Executions) turn(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
	var in engine.Input
	switch turn.Kind {
	case execution.TurnExpire:
		in = engine.Expire{ExecutionID: turn.ExecutionID, ID: turn.ID}
	case execution.TurnRecheck:
		in = engine.Recheck{ExecutionID: turn.ExecutionID, ID: turn.ID}
	case execution.TurnAction:
		var err error
		if in, err = x.take(ctx, turn); err != nil {
			return nil, err
		}
	default:
		// A newer server that shares the store may know it.
		return nil, fmt.Errorf("turn %s of execution %s: this headraced knows no turns of kind %q: start a newer one", turn.ID, turn.ExecutionID, turn.Kind)
	}
	// What was done must be recorded, also when the server stops meanwhile.
	out, err := x.carryOut(context.WithoutCancel(ctx), turn.Scope, "", in, turn)
	if err != nil {
		return nil, err
	}
	return out.turn, nil
}

// take asks the executor of a turn. It returns an error where the server stopped
// under it: a turn that was cut off is taken again.
func (x *Executions) take(stopping context.Context, turn *execution.Turn) (in engine.Input, err error) {
	finish := func(result action.Result) engine.Input {
		return engine.Finish{ExecutionID: turn.ExecutionID, ActionExecutionID: turn.ID, Result: result}
	}
	executor, ok := x.Registry.Turn(turn.Work.Action.TypeID())
	if !ok {
		return finish(action.Failed(action.ConfigurationError, "this server has no executor for %v", turn.Work.Action.TypeID())), nil
	}
	defer func() {
		if p := recover(); p != nil {
			x.Log.Error("executor panicked", "turn", turn.ID, "panic", p, "stack", string(debug.Stack()))
			in = finish(action.Failed(action.SystemUnavailable, "the executor of the action crashed; the server's log has more"))
		}
	}()
	ctx, cancel := context.WithTimeout(stopping, TurnTimeout)
	defer cancel()
	outcome := executor.Take(ctx, *turn.Work)
	switch {
	case outcome.Again != nil:
		return engine.Again{ExecutionID: turn.ExecutionID, ActionExecutionID: turn.ID, Again: *outcome.Again}, nil
	case outcome.Result.Failure != nil && stopping.Err() != nil:
		return nil, fmt.Errorf("the server stops: %w", stopping.Err())
	}
	return finish(outcome.Result), nil
}

// Acquire implements runner.Jobs.
func (x *Executions) Acquire(ctx context.Context, runnerID string) (runner.Assignment, error) {
	for {
		if err := ctx.Err(); err != nil {
			// It may have been told to look; then somebody else must look instead.
			x.pool.look()
			return runner.Assignment{}, err
		}
		seen := x.pool.seen(runnerID)
		h, err := x.takeReady(ctx, runnerID, seen)
		if err == nil && h == nil {
			h, err = x.await(ctx, x.pool.wait(runnerID, seen))
		}
		if err != nil {
			return runner.Assignment{}, err
		}
		if h != nil {
			return assignment(h), nil
		}
	}
}

// await waits in a place; nil without an error means to look again.
func (x *Executions) await(ctx context.Context, w *waiter) (*holding, error) {
	if w == nil {
		return nil, nil
	}
	select {
	case h := <-w.given:
		return h, nil
	case <-ctx.Done():
		if x.pool.leave(w) {
			return nil, ctx.Err()
		}
		// An attempt is being committed for this runner, and it must run it; or it
		// was told to look again.
		return <-w.given, nil
	}
}

// takeReady takes an attempt that nobody holds; nil where there is none. Seen is what
// there was a reason to look for.
func (x *Executions) takeReady(ctx context.Context, runnerID string, seen int) (*holding, error) {
	take := store.Take{Runner: runnerID, Until: x.Clock().Add(x.Lease)}
	var lease *execution.Lease
	var more bool
	err := x.Store.Update(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		x.pool.forget(lease)
		lease, more, err = tx.TakeLease(ctx, take)
		if errors.Is(err, store.ErrNotFound) {
			// No reason for those that share the commit to be done again.
			return nil
		}
		if err == nil {
			x.pool.expect(lease)
		}
		return err
	})
	if err != nil {
		x.pool.forget(lease)
		return nil, err
	}
	if !more {
		x.pool.looked(seen)
	}
	if lease == nil {
		return nil, nil
	}
	h := x.pool.taken(lease)
	if h == nil || more {
		// One reason to look wakes one runner, who wakes the next.
		x.pool.look()
	}
	return h, nil
}

func assignment(h *holding) runner.Assignment {
	return runner.Assignment{Attempt: h.lease.Attempt, Revoked: h.revoked}
}

// Renew implements runner.Jobs. Where this is the only process, what is in memory
// decides while it lives: that a full disk takes no renewal must not end healthy
// attempts. Others would take a runner for dead whose renewals are not stored.
func (x *Executions) Renew(ctx context.Context, runnerID string) error {
	until := x.Clock().Add(x.Lease)
	if !x.Shared {
		x.pool.renew(runnerID, until)
	}
	var stored []*execution.Lease
	err := x.Store.Update(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		stored, err = tx.RenewLeases(ctx, runnerID, until)
		return err
	})
	if err != nil {
		x.Log.Warn("cannot store the renewal of leases", "runner", runnerID, "error", err)
		if x.Shared {
			return err
		}
		return ctx.Err()
	}
	x.pool.renew(runnerID, until)
	for _, lease := range x.pool.settle(runnerID, stored) {
		x.letGo(ctx, lease)
	}
	return ctx.Err()
}

// letGo gives back an attempt that a runner was given and never began, since the
// answer to the commit was lost.
func (x *Executions) letGo(ctx context.Context, lease *execution.Lease) {
	a := lease.Attempt
	err := x.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.LetLeaseGo(ctx, a.ActionExecutionID, a.Number, lease.Runner)
	})
	if err != nil && !errors.Is(err, store.ErrStale) {
		x.Log.Warn("cannot give back an attempt that was not begun, will try again", "attempt", a.ID(), "error", err)
		return
	}
	x.pool.look()
}

// Report implements runner.Jobs.
func (x *Executions) Report(ctx context.Context, runnerID string, attempt action.Attempt, result action.Result) (*runner.Assignment, error) {
	h := x.pool.heldBy(runnerID, &attempt)
	if h == nil {
		return nil, nil
	}
	out, err := x.carryOut(ctx, h.lease.Scope, runnerID, engine.Finish{
		ExecutionID: attempt.ExecutionID, ActionExecutionID: attempt.ActionExecutionID, Attempt: attempt.Number, Result: result,
	}, nil)
	if err != nil || out.own == nil {
		return nil, err
	}
	own := x.pool.holdingOf(out.own)
	if own == nil {
		// Abandoned between its commit and now.
		return nil, nil
	}
	a := assignment(own)
	return &a, nil
}
