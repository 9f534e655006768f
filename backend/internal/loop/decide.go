package loop

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// outcome is what one transaction decided, for what follows its commit.
type outcome struct {
	changes []*execution.Change
	// deleted are the ids of pipelines that were deleted.
	deleted []string
	// own is the attempt that the reporting runner carries on with.
	own *execution.Lease
	// shared is set if own is one of all attempts that wait: seen is the count of wakeups
	// before, and more says that others are left. Taken is own if the commit did not make
	// it.
	shared, more bool
	seen         int
	taken        *execution.Lease
	// carried is the turn that is decided upon, nil for none. Its carrier continues with
	// the first turn that the commit made ready: that one is in turn, and not in the queue.
	carried *execution.Turn
	turn    *execution.Turn
	// running is the id of a turn that is carried out and belongs to no execution. It is not in
	// the queue: what the queue has by its id was put in by another commit, and stays.
	running string
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

// undo forgets what a transaction that was rolled back left in memory: promises
// to runners, scopes as it would have made them, versions that it may have read though
// they never came to be, and approval rules that may have been the reason.
func (l *Loop) undo(out *outcome) {
	if out == nil {
		return
	}
	l.pool.release(out)
	l.scopes.forget(out.scopes)
	l.definitions.clear()
	l.rules.clear()
}

// decide takes one input through the engine inside a transaction. Runner is who
// reports, and carries on with an attempt that the decision made ready.
func (t *Tx) decide(ctx context.Context, key execution.ScopeKey, runner string, in engine.Input) (*execution.Change, error) {
	l, tx, out := t.loop, t.Tx, t.out
	out.scopes = append(out.scopes, key)
	scope, err := l.claim(ctx, tx, key, in)
	claimed := err == nil
	if errors.Is(err, store.ErrNotFound) && !in.Begins() {
		// The pipeline was deleted, or the PARALLEL execution has ended: what the
		// input is about is not live, and the engine says what that means for it.
		scope, err = l.newScope(key), nil
	}
	if err != nil {
		return nil, err
	}
	for _, version := range in.Versions() {
		if err := l.loadVersion(ctx, tx, scope, version); err != nil {
			return nil, err
		}
	}
	var failed error
	l.bindReaders(ctx, tx, scope, in, out, &failed)
	change, err := engine.Decide(&scope.Scope, in, l.config.Clock())
	scope.Definition, scope.Requirements, scope.Load, scope.NewRollback = scope.known, nil, nil, nil
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		if claimed {
			l.scopes.put(scope)
		}
		return nil, err
	}
	l.assign(change, runner, out)
	if err := t.Apply(ctx, change); err != nil {
		return nil, err
	}
	if out.shared {
		if err := l.acquireByFairness(ctx, tx, change, runner, out); err != nil {
			return nil, err
		}
	}
	if claimed {
		l.scopes.put(scope)
	}
	out.notes = append(out.notes, notes(change, scope.Live)...)
	return change, nil
}

// claim loads a scope for a decision and keeps others out of it until the
// transaction ends. What is in memory is only used where the store confirms that
// nobody changed it since.
func (l *Loop) claim(ctx context.Context, tx store.Tx, key execution.ScopeKey, in engine.Input) (*cachedScope, error) {
	scope := l.scopes.take(key)
	switch {
	case in.Begins() && key.ExecutionID != "":
		// The scope of a new PARALLEL execution begins with its row.
		scope = l.newScope(key)
	case scope == nil:
		var err error
		if scope, err = l.load(ctx, tx, key); err != nil {
			return nil, err
		}
		fallthrough
	default:
		next := newRevision()
		err := tx.ClaimScope(ctx, key, scope.revision, next)
		if errors.Is(err, store.ErrStale) {
			if scope, err = l.load(ctx, tx, key); err != nil {
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

// bindReaders gives the engine what it may read and use up while it decides. Its functions
// cannot fail, so what went wrong is left in failed.
func (l *Loop) bindReaders(ctx context.Context, tx store.Tx, scope *cachedScope, in engine.Input, out *outcome, failed *error) {
	account, name := scope.owner(in)
	l.bindRules(ctx, tx, scope, account, name, out, failed)
	scope.Definition = func(version int64) *pipeline.Definition {
		// Those that are not known yet are of earlier successes, which only rollbacks read.
		if err := l.loadVersion(ctx, tx, scope, version); err != nil {
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
		return l.config.NewID(), number
	}
}

func (l *Loop) newScope(key execution.ScopeKey) *cachedScope {
	scope := &cachedScope{
		Scope:    engine.Scope{Key: key, Catalog: l.config.Catalog, NewID: l.config.NewID},
		versions: make(map[int64]*pipeline.Definition),
	}
	scope.Definition = scope.known
	return scope
}

func (l *Loop) load(ctx context.Context, r store.Reader, key execution.ScopeKey) (*cachedScope, error) {
	found, err := r.LiveScope(ctx, key)
	if err != nil {
		return nil, err
	}
	scope := l.newScope(key)
	scope.Live, scope.State, scope.revision = found.Live, found.State, found.Revision
	for _, e := range found.Live {
		if err := l.loadVersion(ctx, r, scope, e.Version); err != nil {
			return nil, err
		}
	}
	return scope, nil
}

func (l *Loop) loadVersion(ctx context.Context, r store.DefinitionReader, scope *cachedScope, version int64) error {
	if scope.versions[version] != nil {
		return nil
	}
	def, err := l.Definition(ctx, r, scope.Key.PipelineID, version)
	if err != nil {
		return err
	}
	scope.versions[version] = def
	return nil
}

// assign gives new attempts to the runner that reports and to runners that
// wait, in the same commit that makes them: a crash finds the holder's name. Where
// others wait the runner that reports does not carry on with its own as a matter of
// course: out.shared says that it is to take one in turn.
func (l *Loop) assign(change *execution.Change, runner string, out *outcome) {
	until := l.config.Clock().Add(l.config.Lease)
	if runner != "" && len(change.Leases) > 0 {
		out.shared, out.seen = l.pool.othersWait()
	}
	for _, lease := range change.Leases {
		l.pool.expect(lease)
		out.expected = append(out.expected, lease)
		if runner != "" && out.own == nil && !out.shared {
			out.own, lease.Runner, lease.Until = lease, runner, until
			continue
		}
		w := l.pool.reserve()
		if w == nil {
			continue
		}
		if out.reserved == nil {
			out.reserved = make(map[*execution.Lease]*waiter)
		}
		out.reserved[lease], lease.Runner, lease.Until = w, w.runner, until
	}
}

// acquireByFairness lets the runner that reports take from all attempts that nobody holds,
// those of the change among them, in the commit of the change. Where its pipeline is
// the next it carries on with what the change made ready.
func (l *Loop) acquireByFairness(ctx context.Context, tx store.WorkWriter, change *execution.Change, runner string, out *outcome) error {
	take := store.LeaseRequest{Runner: runner, Until: l.config.Clock().Add(l.config.Lease)}
	for _, lease := range change.Leases {
		if lease.Runner == "" {
			take.Prefer = lease.Attempt.ActionExecutionID
			break
		}
	}
	taken, more, err := tx.AcquireLease(ctx, take)
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
	l.pool.expect(taken)
	out.own, out.taken, out.expected = taken, taken, append(out.expected, taken)
	return nil
}

// committed updates what is kept in memory after a commit, and wakes runners and watchers.
func (l *Loop) committed(out *outcome) {
	for _, read := range out.rules {
		l.rules.put(read)
	}
	for _, id := range out.deleted {
		l.scopes.drop(id)
	}
	l.write(out.notes)
	switch {
	case out.shared && !out.more:
		l.pool.drained(out.seen)
	case out.shared:
		l.pool.wakeOne()
	}
	for _, change := range out.changes {
		l.pool.done(change.DoneAttempts, []string{change.Lost}, change.Leases)
		for _, lease := range change.Leases {
			l.pool.add(lease, out.reserved[lease])
		}
		for _, id := range change.DoneTurns {
			if id != out.running {
				l.config.Queue.Remove(id)
			}
		}
		l.queueTurns(out, change.Turns)
		seen := ""
		for _, ev := range change.Events {
			if ev.ExecutionID != seen {
				seen = ev.ExecutionID
				l.watchers.notify(seen)
			}
		}
		if l.config.Observe != nil {
			l.config.Observe(change)
		}
	}
	if out.taken != nil {
		l.pool.taken(out.taken)
	}
}

// chainTurn leaves the first turn of a change that is due to what carries the turn that
// led to it, in the same commit: a crash finds it there.
func (l *Loop) chainTurn(change *execution.Change, out *outcome) {
	if out.carried == nil {
		return
	}
	// Later changes of the transaction are queued: what carries the turn is done with this.
	change.Carrier, out.carried = out.carried.Carrier, nil
	now := l.config.Clock()
	for _, turn := range change.Turns {
		if turn.Kind == execution.TurnAction && !turn.DueAt.After(now) {
			turn.Carrier, out.turn = change.Carrier, turn
			return
		}
	}
}

// queueTurns queues the turns that a commit made, but for the one to carry on with.
func (l *Loop) queueTurns(out *outcome, turns []*execution.Turn) {
	for _, turn := range turns {
		if turn != out.turn {
			l.config.Queue.Add(turn)
		}
	}
}

// bindRules gives the engine its view of the approval rules of an account and of whether
// they are required. Both are those of the decision's own transaction. The engine cannot
// fail on a read, so the error is left in failed.
func (l *Loop) bindRules(ctx context.Context, tx store.Tx, scope *cachedScope, account, pipelineName string, out *outcome, failed *error) {
	read := sync.OnceValue(func() accountRules {
		rules, err := l.approvalRules(ctx, tx, account, out)
		if err != nil {
			*failed = err
		}
		return rules
	})
	scope.Requirements = func(stage, actionName string) []execution.Requirement {
		return approval.Requirements(read().rules, pipelineName, stage, actionName)
	}
	scope.RuleRequired = func() bool { return read().required }
}

// approvalRules returns the rules of an account. Those from memory are confirmed in the
// transaction: where they or the setting changed it fails, at once or at its commit, and
// is done again.
func (l *Loop) approvalRules(ctx context.Context, tx store.Tx, account string, out *outcome) (accountRules, error) {
	if known, ok := l.rules.get(account); ok {
		return known, tx.ConfirmRules(ctx, account, known.revision)
	}
	// In this order: rules that are newer than their revision are not confirmed later.
	revision, err := tx.RulesRevision(ctx, account)
	if err != nil {
		return accountRules{}, err
	}
	rules, err := tx.ApprovalRules(ctx, account, store.Page{})
	if err != nil {
		return accountRules{}, err
	}
	settings, err := tx.Account(ctx, account)
	if err != nil {
		return accountRules{}, err
	}
	read := accountRules{account: account, revision: revision, rules: rules, required: settings.RequireApprovalRule}
	out.rules = append(out.rules, read)
	return read, nil
}
