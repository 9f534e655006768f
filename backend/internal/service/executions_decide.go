package service

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// outcome is what one transaction decided, for what follows its commit.
type outcome struct {
	changes []*execution.Change
	// refusedWith is the refusal of an input; such a transaction commits nothing
	// of it.
	refusedWith *Error
	// own is the attempt that the reporting runner carries on with.
	own *execution.Lease
	// shared is set where that is one of all that wait, of which there was a reason to
	// look for seen and more are left. It is in taken too where the commit did not make
	// it.
	shared, more bool
	seen         int
	taken        *execution.Lease
	// carried is the turn that is decided upon, nil for none. Whoever carries it
	// carries on with the first that the commit made ready, which is in turn then,
	// and not in the queue.
	carried *execution.Turn
	turn    *execution.Turn
	// expected are the attempts that the commit makes, reserved the waiting
	// runners that were given one of them in it.
	expected []*execution.Lease
	reserved map[*execution.Lease]*waiter
	notes    []note
	// scopes are those that were decided upon.
	scopes []execution.ScopeKey
	// rules are what was read of approval rules.
	rules []accountRules
}

// accepted tells whether nothing was refused.
func (o *outcome) accepted() bool { return o.refusedWith == nil }

// refused returns the refusal; nil for the outcome of a failed transaction.
func (o *outcome) refused() error {
	if o == nil || o.refusedWith == nil {
		return nil
	}
	return o.refusedWith
}

// refusal notes a refusal: it is the caller's answer, not a failed transaction
// that others who share the commit would suffer from. Other errors are passed on.
func refusal(out *outcome, err error) error {
	var refused *Error
	if errors.As(err, &refused) {
		out.refusedWith = refused
		return nil
	}
	return err
}

// update runs a transaction and does what its commit asks for. The function may
// run more than once, each time with a fresh outcome: with others, and again where
// another process decided on one of its scopes meanwhile.
func (x *Executions) update(ctx context.Context, fn func(context.Context, store.Tx, *outcome) error) (*outcome, error) {
	for try := 1; ; try++ {
		out, err := x.transact(ctx, fn)
		if !errors.Is(err, store.ErrStale) || try == maxTries {
			return out, err
		}
	}
}

func (x *Executions) transact(ctx context.Context, fn func(context.Context, store.Tx, *outcome) error) (*outcome, error) {
	var out *outcome
	err := x.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		x.undo(out)
		out = &outcome{}
		return fn(ctx, tx, out)
	})
	if err != nil {
		x.undo(out)
		return nil, err
	}
	x.committed(out)
	return out, nil
}

// undo forgets what a transaction that was rolled back left in memory: promises
// to runners, scopes as it would have made them, versions that it may have read though
// they never came to be, and approval rules that may have been the reason.
func (x *Executions) undo(out *outcome) {
	if out == nil {
		return
	}
	x.pool.release(out)
	x.scopes.forget(out.scopes)
	x.definitions.clear()
	x.rules.clear()
}

// decide takes one input through the engine inside a transaction. Runner is who
// reports, and carries on with an attempt that the decision made ready.
func (x *Executions) decide(ctx context.Context, tx store.Tx, key execution.ScopeKey, runner string, in engine.Input, out *outcome) error {
	out.scopes = append(out.scopes, key)
	scope, err := x.claim(ctx, tx, key, in)
	claimed := err == nil
	if _, isStart := in.(engine.Start); errors.Is(err, store.ErrNotFound) && !isStart {
		// The pipeline was deleted, or the PARALLEL execution has ended: what the
		// input is about is not live, and the engine says what that means for it.
		scope, err = x.newScope(key), nil
	}
	if err == nil {
		err = x.pin(ctx, tx, scope, in)
	}
	if err != nil {
		return err
	}
	var failed error
	x.lend(ctx, tx, scope, in, out, &failed)
	change, err := engine.Decide(&scope.Scope, in, x.Clock())
	scope.Definition, scope.Requirements, scope.Load, scope.NewRollback = scope.known, nil, nil, nil
	if failed != nil {
		return failed
	}
	if err != nil {
		if claimed {
			x.scopes.put(scope)
		}
		return refusal(out, engineRefusal(err))
	}
	x.assign(change, runner, out)
	x.carryOn(change, out)
	if err := tx.Apply(ctx, change); err != nil {
		return err
	}
	if out.shared {
		if err := x.takeInTurn(ctx, tx, change, runner, out); err != nil {
			return err
		}
	}
	if claimed {
		x.scopes.put(scope)
	}
	out.changes = append(out.changes, change)
	out.notes = append(out.notes, notes(change, scope.Live)...)
	return nil
}

// claim loads a scope for a decision and keeps others out of it until the
// transaction ends. What is in memory is only used where the store confirms that
// nobody changed it since.
func (x *Executions) claim(ctx context.Context, tx store.Tx, key execution.ScopeKey, in engine.Input) (*cachedScope, error) {
	scope := x.scopes.take(key)
	_, isStart := in.(engine.Start)
	switch {
	case isStart && key.ExecutionID != "":
		// The scope of a new PARALLEL execution begins with its row.
		scope = x.newScope(key)
	case scope == nil:
		var err error
		if scope, err = x.load(ctx, tx, key); err != nil {
			return nil, err
		}
		fallthrough
	default:
		next := newRevision()
		err := tx.ClaimScope(ctx, key, scope.revision, next)
		if errors.Is(err, store.ErrStale) {
			if scope, err = x.load(ctx, tx, key); err != nil {
				return nil, err
			}
			err = tx.ClaimScope(ctx, key, scope.revision, next)
		}
		if err != nil {
			return nil, err
		}
		scope.revision = next
	}
	return scope, nil
}

// newRevision returns a revision that no other decision ever has. What a commit that
// failed left in memory is there until its caller learns of it: were revisions counted,
// another server's decision could have the same one, and confirm it.
func newRevision() int64 {
	var random [8]byte
	// crypto/rand never fails: it ends the program instead.
	_, _ = rand.Read(random[:])
	return int64(binary.NativeEndian.Uint64(random[:]) >> 1)
}

// lend gives the engine what it may read and use up while it decides. Its functions
// cannot fail, so what went wrong is left in failed.
func (x *Executions) lend(ctx context.Context, tx store.Tx, scope *cachedScope, in engine.Input, out *outcome, failed *error) {
	account, name := scope.owner(in)
	x.lendRules(ctx, tx, scope, account, name, out, failed)
	scope.Definition = func(version int64) *pipeline.Definition {
		// Those that are not known yet are of earlier successes, which only rollbacks read.
		if err := x.know(ctx, tx, scope, version); err != nil {
			*failed = err
			return &pipeline.Definition{}
		}
		return scope.versions[version]
	}
	scope.Load = func(id string) *execution.Execution {
		e, err := tx.Execution(ctx, id)
		if err != nil {
			if !errors.Is(err, store.ErrNotFound) {
				*failed = err
			}
			return nil
		}
		return e
	}
	scope.NewRollback = func() (string, int64) {
		number, err := tx.NextNumber(ctx, scope.Key.PipelineID)
		if err != nil {
			*failed = err
		}
		return x.NewID(), number
	}
}

func (x *Executions) newScope(key execution.ScopeKey) *cachedScope {
	scope := &cachedScope{
		Scope:    engine.Scope{Key: key, Catalog: x.Catalog, NewID: x.NewID},
		versions: make(map[int64]*pipeline.Definition),
	}
	scope.Definition = scope.known
	return scope
}

func (x *Executions) load(ctx context.Context, r store.Reader, key execution.ScopeKey) (*cachedScope, error) {
	found, err := r.LiveScope(ctx, key)
	if err != nil {
		return nil, err
	}
	scope := x.newScope(key)
	scope.Live, scope.State, scope.revision = found.Live, found.State, found.Revision
	for _, e := range found.Live {
		if err := x.know(ctx, r, scope, e.Version); err != nil {
			return nil, err
		}
	}
	return scope, nil
}

// pin makes the versions known to a scope that an input is about.
func (x *Executions) pin(ctx context.Context, r store.Reader, scope *cachedScope, in engine.Input) error {
	var versions []int64
	switch in := in.(type) {
	case engine.Start:
		versions = append(versions, in.Execution.Version)
	case engine.Retry:
		versions = append(versions, in.Execution.Version)
	case engine.Override:
		versions = append(versions, in.Execution.Version)
	case engine.Rollback:
		versions = append(versions, in.Newest)
	case engine.SetTransition:
		versions = append(versions, in.Newest)
	}
	for _, version := range versions {
		if err := x.know(ctx, r, scope, version); err != nil {
			return err
		}
	}
	return nil
}

func (x *Executions) know(ctx context.Context, r store.Reader, scope *cachedScope, version int64) error {
	if scope.versions[version] != nil {
		return nil
	}
	def, err := x.definition(ctx, r, scope.Key.PipelineID, version)
	if err != nil {
		return err
	}
	scope.versions[version] = def
	return nil
}

// engineRefusal puts the engine's refusals into words for the caller.
func engineRefusal(err error) error {
	for _, known := range []struct {
		is     error
		kind   Kind
		reason pipeline.Reason
	}{
		{engine.ErrNoApproval, KindPrecondition, pipeline.ReasonApprovalNotFound},
		{engine.ErrStaleApproval, KindPrecondition, pipeline.ReasonApprovalStale},
		{engine.ErrNotEligible, KindDenied, pipeline.ReasonApprovalNotEligible},
		{engine.ErrCommentRequired, KindPrecondition, pipeline.ReasonCommentRequired},
		{engine.ErrAlreadyDecided, KindPrecondition, pipeline.ReasonAlreadyDecided},
		{engine.ErrNotStoppable, KindPrecondition, pipeline.ReasonNotStoppable},
		{engine.ErrDuplicateStop, KindPrecondition, pipeline.ReasonDuplicateStop},
		{engine.ErrStageNotFound, KindNotFound, pipeline.ReasonStageNotFound},
		{engine.ErrNotRetryable, KindPrecondition, pipeline.ReasonStageNotRetryable},
		{engine.ErrNotLatest, KindPrecondition, pipeline.ReasonNotLatestExecution},
		{engine.ErrUnableToRollback, KindPrecondition, pipeline.ReasonUnableToRollback},
		{engine.ErrOutdated, KindPrecondition, pipeline.ReasonExecutionOutdated},
		{engine.ErrNotOverridable, KindPrecondition, pipeline.ReasonConditionNotOverridable},
		{engine.ErrNoTransitions, KindPrecondition, pipeline.ReasonNoTransitions},
		{engine.ErrOutputsRemoved, KindPrecondition, pipeline.ReasonOutputsRemoved},
	} {
		if errors.Is(err, known.is) {
			return refuse(known.kind, known.reason, "%s", err)
		}
	}
	return err
}

// assign gives new attempts to the runner that reports and to runners that
// wait, in the same commit that makes them: a crash finds the holder's name. Where
// others wait the runner that reports does not carry on with its own as a matter of
// course: out.shared says that it is to take one in turn.
func (x *Executions) assign(change *execution.Change, runner string, out *outcome) {
	until := x.Clock().Add(x.Lease)
	if runner != "" && len(change.Leases) > 0 {
		out.shared, out.seen = x.pool.othersWait()
	}
	for _, lease := range change.Leases {
		x.pool.expect(lease)
		out.expected = append(out.expected, lease)
		if runner != "" && out.own == nil && !out.shared {
			out.own, lease.Runner, lease.Until = lease, runner, until
			continue
		}
		w := x.pool.reserve()
		if w == nil {
			continue
		}
		if out.reserved == nil {
			out.reserved = make(map[*execution.Lease]*waiter)
		}
		out.reserved[lease], lease.Runner, lease.Until = w, w.runner, until
	}
}

// takeInTurn lets the runner that reports take from all attempts that nobody holds,
// those of the change among them, in the commit of the change. Where its pipeline is
// the next it carries on with what the change made ready.
func (x *Executions) takeInTurn(ctx context.Context, tx store.Tx, change *execution.Change, runner string, out *outcome) error {
	take := store.Take{Runner: runner, Until: x.Clock().Add(x.Lease)}
	for _, lease := range change.Leases {
		if lease.Runner == "" {
			take.Prefer = lease.Attempt.ActionExecutionID
			break
		}
	}
	taken, more, err := tx.TakeLease(ctx, take)
	out.more = more
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, lease := range change.Leases {
		if lease.Attempt.ActionExecutionID == taken.Attempt.ActionExecutionID {
			out.own, lease.Runner, lease.Until = lease, taken.Runner, taken.Until
			return nil
		}
	}
	x.pool.expect(taken)
	out.own, out.taken, out.expected = taken, taken, append(out.expected, taken)
	return nil
}

// committed wakes whoever the commit concerns.
func (x *Executions) committed(out *outcome) {
	for _, read := range out.rules {
		x.rules.put(read)
	}
	x.write(out.notes)
	switch {
	case out.shared && !out.more:
		x.pool.looked(out.seen)
	case out.shared:
		x.pool.look()
	}
	for _, change := range out.changes {
		x.pool.done(change.DoneAttempts, change.Leases)
		for _, lease := range change.Leases {
			x.pool.add(lease, out.reserved[lease])
		}
		x.Queue.Remove(change.DoneTurns...)
		x.queueTurns(out, change.Turns)
		seen := ""
		for _, ev := range change.Events {
			if ev.ExecutionID != seen {
				seen = ev.ExecutionID
				x.watchers.notify(seen)
			}
		}
		if x.Observe != nil {
			x.Observe(change)
		}
	}
	if out.taken != nil {
		x.pool.taken(out.taken)
	}
}

// carryOn leaves the first turn of a change that is due to what carries the turn that
// led to it, in the same commit: a crash finds it there.
func (x *Executions) carryOn(change *execution.Change, out *outcome) {
	if out.carried == nil {
		return
	}
	change.Carrier = out.carried.Carrier
	now := x.Clock()
	for _, turn := range change.Turns {
		if turn.Kind == execution.TurnAction && !turn.DueAt.After(now) {
			turn.Carrier, out.turn = change.Carrier, turn
			return
		}
	}
}

// queueTurns queues the turns that a commit made, but for the one to carry on with.
func (x *Executions) queueTurns(out *outcome, turns []*execution.Turn) {
	for _, turn := range turns {
		if turn != out.turn {
			x.Queue.Add(turn)
		}
	}
}
