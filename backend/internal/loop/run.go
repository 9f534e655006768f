package loop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// recoverRetry is how long it takes to the next attempt to record what an earlier
// process lost, where there was no room.
const recoverRetry = time.Second

var _ runner.Jobs = (*Loop)(nil)

// Recover takes over what an earlier process left: pending turns and attempts
// are queued, and attempts that somebody held are lost, since on this store only
// this process runs them. It is called once, before Run and before runners start.
// On a full disk it leaves the rest to Run: then most of all people must see what
// is.
func (l *Loop) Recover(ctx context.Context) error {
	if l.config.Shared {
		// The queue has the turns, and silence tells which attempts are lost.
		l.recovered.Store(true)
		return nil
	}
	var turns []*execution.Turn
	err := l.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if l.lost, err = r.HeldLeases(ctx); err != nil {
			return err
		}
		turns, err = r.Turns(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read pending work: %w", err)
	}
	l.config.Queue.Add(turns...)
	err = l.recordLost(ctx)
	if errors.Is(err, store.ErrFull) {
		l.config.Log.Error("cannot record which attempts were lost in a restart, will try again: free space where the data directory is", "error", err)
		return nil
	}
	return err
}

// Recovered tells whether all is taken over that an earlier process left.
func (l *Loop) Recovered() bool { return l.recovered.Load() }

func (l *Loop) recordLost(ctx context.Context) error {
	for ; len(l.lost) > 0; l.lost = l.lost[1:] {
		lease := l.lost[0]
		if err := l.lose(ctx, lease, "headraced stopped while the attempt ran"); err != nil {
			return err
		}
		l.config.Log.Warn("attempt was lost in a restart", "pipeline", lease.Attempt.Pipeline, "execution", lease.Attempt.ExecutionID,
			"stage", lease.Attempt.Stage, "action", lease.Attempt.Action.Name, "attempt", lease.Attempt.Number)
	}
	l.recovered.Store(true)
	return nil
}

// recoverRest does what Recover had to leave.
func (l *Loop) recoverRest(ctx context.Context) error {
	ticker := time.NewTicker(recoverRetry)
	defer ticker.Stop()
	for !l.Recovered() {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := l.recordLost(ctx); err != nil {
			l.config.Log.Error("cannot record which attempts were lost in a restart, will try again", "error", err)
		}
	}
	return nil
}

// Run hands out turns and watches leases until the context ends, then waits for
// what runs.
func (l *Loop) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.config.Queue.Run(ctx, l.runTurn) })
	group.Go(func() error { return l.watchLeases(ctx) })
	group.Go(func() error { return l.recoverRest(ctx) })
	group.Go(func() error { return l.config.Store.Listen(ctx, l.onNotice) })
	return group.Wait()
}

// onNotice wakes runners and watchers after a commit of another process.
func (l *Loop) onNotice(n store.Notice) {
	for _, id := range n.Executions {
		l.watchers.notify(id)
	}
	l.pool.done(n.Ended, n.Lost, nil)
	if n.Missed {
		l.watchers.notifyAll()
	}
	if n.Ready || n.Missed {
		l.pool.wakeOne()
	}
}

// watchLeases declares attempts lost whose runner has been silent for too long, and ends
// those that run longer than their runner may let them.
func (l *Loop) watchLeases(ctx context.Context) error {
	ticker := time.NewTicker(max(l.config.Lease/3, time.Millisecond))
	defer ticker.Stop()
	others, overruns := newExpiryTracker(l.config.Lease), overrunTracker{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		over, held := l.pool.expired(l.config.Clock()), l.pool.unreported()
		if l.config.Shared {
			// No notice is sent when another process exits and releases its attempts, so look
			// for them here.
			l.pool.wakeOne()
			for _, runner := range l.pool.idle() {
				// Its own log line says what failed.
				_ = l.Renew(ctx, runner)
			}
			elsewhere := l.heldElsewhere(ctx)
			over, held = append(over, others.expired(elsewhere, l.config.Clock())...), append(held, elsewhere...)
		}
		for _, lease := range over {
			reason := fmt.Sprintf("runner %s did not renew its lease for %s", lease.Runner, l.config.Lease)
			if err := l.lose(ctx, lease, reason); err != nil {
				l.config.Log.Error("cannot record a lost attempt, will try again", "attempt", lease.Attempt.ID(), "error", err)
			}
		}
		if len(held) > 0 && l.config.Storage != nil && l.config.Storage(ctx) != nil {
			// Runners wait for the storage, also before they start an attempt and after its
			// end. Count anew when it is back.
			clear(overruns)
			continue
		}
		for _, lease := range overruns.find(held, l.config.Clock(), l.overrunGrace()) {
			if err := l.timeOut(ctx, lease); err != nil {
				l.config.Log.Error("cannot record that an attempt timed out, will try again", "attempt", lease.Attempt.ID(), "error", err)
			}
		}
	}
}

// timeOut ends an attempt whose runner renews its lease but does not end it. The runner
// loses the attempt by the same commit.
func (l *Loop) timeOut(ctx context.Context, lease *execution.Lease) error {
	a := lease.Attempt
	l.config.Log.Warn("a runner did not end an attempt in time", "runner", lease.Runner, "pipeline", a.Pipeline, "execution", a.ExecutionID,
		"stage", a.Stage, "action", a.Action.Name, "attempt", a.Number, "timeout", a.Timeout)
	_, err := l.decided(ctx, lease.Scope, "", engine.Finish{
		ExecutionID: a.ExecutionID, ActionExecutionID: a.ActionExecutionID, Attempt: a.Number,
		Result: action.Failed(action.TimedOut, "the action ran longer than its timeout of %s, and runner %s did not end it within %s after that",
			a.Timeout, lease.Runner, l.overrunGrace()),
	}, nil)
	return err
}

// heldElsewhere returns the attempts that runners of other processes hold; none where
// the store does not answer.
func (l *Loop) heldElsewhere(ctx context.Context) (leases []*execution.Lease) {
	err := l.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		leases, err = r.HeldLeases(ctx)
		return err
	})
	if err != nil {
		l.config.Log.Warn("cannot look for silent runners, will try again", "error", err)
		return nil
	}
	return slices.DeleteFunc(leases, l.pool.holds)
}

// expiryTracker finds the leases that were not renewed for the length of a lease, by the
// clock of this process alone: the clocks of two processes need not agree.
type expiryTracker struct {
	lease time.Duration
	since map[string]renewal
}

// renewal is the end of a lease and when it was first read with that end.
type renewal struct {
	until time.Time
	seen  time.Time
}

func newExpiryTracker(lease time.Duration) *expiryTracker {
	return &expiryTracker{lease: lease, since: make(map[string]renewal)}
}

// expired returns the leases that are over.
func (s *expiryTracker) expired(leases []*execution.Lease, now time.Time) (over []*execution.Lease) {
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

// overrunGrace is how long after its timeout an attempt may still be held. Its runner ends
// it at the timeout, but begins to count later than the server, gives processes the time to
// end, and has to store the log.
func (l *Loop) overrunGrace() time.Duration { return time.Minute + l.config.StopGrace }

// overrunTracker finds attempts that are held longer than their timeout and a grace,
// by when this process first found each held.
type overrunTracker map[string]*overrun

// overrun is when an attempt was first found held, and whether it was found over its time
// before. After the whole process was paused, runners get to report what ended meanwhile.
type overrun struct {
	seen time.Time
	late bool
}

// find returns the held attempts that exceeded their timeout by the grace. Attempts without a timeout
// may run forever.
func (t overrunTracker) find(held []*execution.Lease, now time.Time, grace time.Duration) (late []*execution.Lease) {
	found := make(map[string]bool, len(held))
	for _, lease := range held {
		id := lease.Attempt.ID() + " " + lease.Runner
		found[id] = true
		o := t[id]
		if o == nil {
			o = &overrun{seen: now}
			t[id] = o
		}
		if lease.Attempt.Timeout <= 0 || now.Sub(o.seen) < lease.Attempt.Timeout+grace {
			continue
		}
		if o.late {
			late = append(late, lease)
		}
		o.late = true
	}
	maps.DeleteFunc(t, func(id string, _ *overrun) bool { return !found[id] })
	return late
}

func (l *Loop) lose(ctx context.Context, lease *execution.Lease, reason string) error {
	a := lease.Attempt
	_, err := l.decided(ctx, lease.Scope, "", engine.Lost{
		ExecutionID: a.ExecutionID, ActionExecutionID: a.ActionExecutionID, Attempt: a.Number, Reason: reason,
	}, nil)
	return err
}

// decided commits one input of the loop itself.
func (l *Loop) decided(ctx context.Context, key execution.ScopeKey, runner string, in engine.Input, carried *execution.Turn) (*outcome, error) {
	return l.submit(ctx, carried, func(ctx context.Context, tx *Tx) error {
		_, err := tx.decide(ctx, key, runner, in)
		return err
	})
}

// finish commits a result. It confirms artifacts that retention was about to remove.
func (l *Loop) finish(ctx context.Context, key execution.ScopeKey, runner string, in engine.Finish, carried *execution.Turn) (*outcome, error) {
	for try := 1; ; try++ {
		out, err := l.decided(ctx, key, runner, in, carried)
		// What is being removed may not be one of the result's, or be claimed again.
		if !errors.Is(err, store.ErrRemoving) || try == maxTries {
			return out, err
		}
		log := in.Result.Log
		if in.Result, err = l.confirm(ctx, in.Result); err != nil {
			return nil, err
		}
		in.Result.Log = log
	}
}

// confirm looks whether artifacts are there that retention was about to remove while
// they were stored, or had removed not long before, and lets them be used again. Where
// one went the result is a failure; while it may still go, that is an error.
func (l *Loop) confirm(ctx context.Context, result action.Result) (action.Result, error) {
	digests := make([]string, len(result.Artifacts))
	for i := range result.Artifacts {
		digests[i] = result.Artifacts[i].Digest
	}
	var removals map[string]store.ArtifactRemoval
	if err := l.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		removals, err = r.ArtifactRemovals(ctx, digests)
		return err
	}); err != nil {
		return result, err
	}
	for digest, removal := range removals {
		if removal.ClaimedAt.IsZero() {
			continue
		}
		if removal.RemovedAt.IsZero() && l.config.Clock().Sub(removal.ClaimedAt) < store.ClaimExpiry {
			return result, fmt.Errorf("artifact sha256:%s: %w", digest, store.ErrRemoving)
		}
		stored, err := l.config.Stored(ctx, digest)
		if err != nil {
			return result, err
		}
		if !stored {
			return action.Failed(action.SystemUnavailable,
				"artifact sha256:%s was removed by retention while the action stored it; run the action again", digest), nil
		}
		if err := l.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			return tx.RestoreArtifact(ctx, digest, removal.ClaimedAt)
		}); err != nil {
			return result, err
		}
	}
	return result, nil
}

// Acquire implements runner.Jobs.
func (l *Loop) Acquire(ctx context.Context, runnerID string) (runner.Assignment, error) {
	for {
		if err := ctx.Err(); err != nil {
			// It may have been woken to look; then another runner must look instead.
			l.pool.wakeOne()
			return runner.Assignment{}, err
		}
		seen := l.pool.register(runnerID)
		h, err := l.acquireReady(ctx, runnerID, seen)
		if err == nil && h == nil {
			h, err = l.await(ctx, l.pool.wait(runnerID, seen))
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
func (l *Loop) await(ctx context.Context, w *waiter) (*holding, error) {
	if w == nil {
		return nil, nil
	}
	select {
	case h := <-w.given:
		return h, nil
	case <-ctx.Done():
		if l.pool.leave(w) {
			return nil, ctx.Err()
		}
		// An attempt is being committed for this runner, which must run it, or the
		// runner was woken to look again.
		return <-w.given, nil
	}
}

// acquireReady takes an attempt that nobody holds; nil if there is none. Seen is the
// count of wakeups before.
func (l *Loop) acquireReady(ctx context.Context, runnerID string, seen int) (*holding, error) {
	take := store.LeaseRequest{Runner: runnerID, Until: l.config.Clock().Add(l.config.Lease)}
	var lease *execution.Lease
	var more bool
	err := l.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		l.pool.forget(lease)
		lease, more, err = tx.AcquireLease(ctx, take)
		if errors.Is(err, store.ErrNotFound) {
			// No reason for those that share the commit to be done again.
			return nil
		}
		if err == nil {
			l.pool.expect(lease)
		}
		return err
	})
	if err != nil {
		l.pool.forget(lease)
		return nil, err
	}
	if !more {
		l.pool.drained(seen)
	}
	if lease == nil {
		return nil, nil
	}
	h := l.pool.taken(lease)
	if h == nil || more {
		// One reason to look wakes one runner, who wakes the next.
		l.pool.wakeOne()
	}
	return h, nil
}

func assignment(h *holding) runner.Assignment {
	return runner.Assignment{Attempt: h.lease.Attempt, Revoked: h.revoked, Lost: h.lost.Load}
}

// Renew implements runner.Jobs. Where this is the only process, what is in memory
// decides while it lives: that a full disk takes no renewal must not end healthy
// attempts. Others would take a runner for dead whose renewals are not stored.
func (l *Loop) Renew(ctx context.Context, runnerID string) error {
	until := l.config.Clock().Add(l.config.Lease)
	if !l.config.Shared {
		l.pool.renew(runnerID, until)
	}
	look := l.pool.look()
	var stored []*execution.Lease
	err := l.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		stored, err = tx.RenewLeases(ctx, runnerID, until)
		return err
	})
	if err != nil {
		l.config.Log.Warn("cannot store the renewal of leases", "runner", runnerID, "error", err)
		if l.config.Shared {
			return err
		}
		return ctx.Err()
	}
	l.pool.renew(runnerID, until)
	for _, lease := range l.pool.settle(runnerID, look, stored) {
		l.releaseLease(ctx, lease)
	}
	return ctx.Err()
}

// releaseLease releases an attempt that was assigned to a runner which never began it,
// since the answer to the commit was lost.
func (l *Loop) releaseLease(ctx context.Context, lease *execution.Lease) {
	a := lease.Attempt
	err := l.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.ReleaseLease(ctx, a.ActionExecutionID, a.Number, lease.Runner)
	})
	if err != nil && !errors.Is(err, store.ErrStale) {
		l.config.Log.Warn("cannot release an attempt that was not begun, will try again", "attempt", a.ID(), "error", err)
		return
	}
	l.pool.wakeOne()
}

// Return implements runner.Jobs.
func (l *Loop) Return(ctx context.Context, runnerID string, attempt action.Attempt) error {
	h := l.pool.reporting(runnerID, &attempt)
	if h == nil {
		return nil
	}
	err := l.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.ReturnLease(ctx, &execution.Lease{Attempt: attempt}, runnerID)
	})
	if err != nil && !errors.Is(err, store.ErrStale) {
		return err
	}
	l.pool.returned(h)
	return nil
}

// Report implements runner.Jobs.
func (l *Loop) Report(ctx context.Context, runnerID string, attempt action.Attempt, result action.Result) (runner.Answer, error) {
	h := l.pool.reporting(runnerID, &attempt)
	if h == nil {
		return runner.Answer{}, nil
	}
	out, err := l.finish(ctx, h.lease.Scope, runnerID, engine.Finish{
		ExecutionID: attempt.ExecutionID, ActionExecutionID: attempt.ActionExecutionID, Attempt: attempt.Number, Result: result,
	}, nil)
	if err != nil {
		return runner.Answer{}, err
	}
	answer := runner.Answer{Counted: slices.ContainsFunc(out.changes, func(change *execution.Change) bool {
		return slices.Contains(change.DoneAttempts, attempt.ActionExecutionID)
	})}
	// It may have been abandoned between its commit and now.
	if own := l.pool.holdingOf(out.own); own != nil {
		a := assignment(own)
		answer.Next = &a
	}
	return answer, nil
}
