package loop

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// pool holds the attempts that runners of this process hold and the runners that wait for
// one. The rows of the store decide; the pool only wakes.
type pool struct {
	mu sync.Mutex
	// held are attempts that a runner holds, by action execution id.
	held    map[string]*holding
	waiters []*waiter
	// pendingCommits are attempts that a transaction makes or assigns to a runner, until it
	// is known whether it committed. That may become known in another order than the
	// commits were made.
	pendingCommits map[*execution.Lease]*arrival
	// wakeups counts the reasons to read ready attempts from the store; drainedAt is the
	// count up to which a read left none there.
	wakeups, drainedAt int
	// looks counts the looks at the store that have begun, for settle.
	looks int
	// runners are those that ever called Acquire here.
	runners map[string]struct{}
}

// arrival says of an attempt of a pending commit whether it ended before that was known.
type arrival struct{ over bool }

// holding is an attempt in a runner's hands.
type holding struct {
	lease   *execution.Lease
	revoked chan struct{}
	// lost is set before revoked is closed, if another runner may have the attempt.
	lost atomic.Bool
	// silent is set when the lease was found over once.
	silent bool
	// since is how many looks at the store had begun when the runner got it.
	since int
	// reported is set once the runner has reported, also if that could not be stored.
	reported bool
}

// waiter is a runner that waits for an attempt. It gets one holding, or nil to
// read the store again.
type waiter struct {
	runner string
	given  chan *holding
}

func newPool() *pool {
	return &pool{held: make(map[string]*holding), pendingCommits: make(map[*execution.Lease]*arrival), runners: make(map[string]struct{}), drainedAt: -1}
}

// register notes a runner and returns the count of wakeups, for wait. It is called before
// the runner reads ready attempts from the store.
func (p *pool) register(runner string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runners[runner] = struct{}{}
	return p.wakeups
}

// othersWait tells whether the store may have attempts that nobody holds. It is never
// wrong for long if it says no: each such attempt is a wakeup. Seen is for drained.
func (p *pool) othersWait() (may bool, seen int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wakeups != p.drainedAt, p.wakeups
}

// drained notes that a read left nothing in the store, of all there was a reason to look
// for before it.
func (p *pool) drained(seen int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drainedAt = max(p.drainedAt, seen)
}

// idle returns the runners that hold nothing here. They do not renew, and may hold
// something in the store that they never learned of.
func (p *pool) idle() (runners []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	busy := make(map[string]bool)
	for _, h := range p.held {
		busy[h.lease.Runner] = true
	}
	for runner := range p.runners {
		if !busy[runner] {
			runners = append(runners, runner)
		}
	}
	return runners
}

// wait returns a place to wait in, or nil if there was a wakeup since.
func (p *pool) wait(runner string, seen int) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wakeups != seen {
		return nil
	}
	w := &waiter{runner: runner, given: make(chan *holding, 1)}
	p.waiters = append(p.waiters, w)
	return w
}

// leave gives a place up. It returns false when an attempt is already on its way.
func (p *pool) leave(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiters, w)
	if i < 0 {
		return false
	}
	p.waiters = slices.Delete(p.waiters, i, i+1)
	return true
}

// reserve takes the first that waits, to be given an attempt when the commit
// succeeded; nil where nobody waits.
func (p *pool) reserve() *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiters) == 0 {
		return nil
	}
	w := p.waiters[0]
	p.waiters = slices.Delete(p.waiters, 0, 1)
	return w
}

// expect notes an attempt that a transaction makes; add or release settles it.
func (p *pool) expect(lease *execution.Lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pendingCommits[lease] = &arrival{}
}

// arrived settles an attempt that was coming and tells whether it is still to
// be run.
func (p *pool) arrived(lease *execution.Lease) bool {
	a, ok := p.pendingCommits[lease]
	delete(p.pendingCommits, lease)
	return !ok || !a.over
}

// forget settles an attempt that was coming and is not there any more.
func (p *pool) forget(lease *execution.Lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrived(lease)
}

// release forgets what a failed transaction made, and sends those that it had
// reserved back to look again.
func (p *pool) release(out *outcome) {
	p.mu.Lock()
	for _, lease := range out.expected {
		p.arrived(lease)
	}
	p.mu.Unlock()
	for _, w := range out.reserved {
		w.given <- nil
	}
}

// add takes in a committed attempt: held by the waiter, by the runner that it
// names, or in the store for the next that looks.
func (p *pool) add(lease *execution.Lease, w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.arrived(lease) {
		if w != nil {
			w.given <- nil
		}
		return
	}
	if lease.Runner != "" {
		h := p.hold(lease)
		if w != nil {
			w.given <- h
		}
		return
	}
	p.wake()
}

// wakeOne says that there may be an attempt: to the first that waits, or to the next that
// would.
func (p *pool) wakeOne() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake()
}

func (p *pool) wake() {
	p.wakeups++
	if len(p.waiters) > 0 {
		first := p.waiters[0]
		p.waiters = slices.Delete(p.waiters, 0, 1)
		first.given <- nil
	}
}

func (p *pool) hold(lease *execution.Lease) *holding {
	h := &holding{lease: lease, revoked: make(chan struct{}), since: p.looks}
	p.held[lease.Attempt.ActionExecutionID] = h
	return h
}

// returned forgets what a runner returned, and wakes the next. Another runner of this process
// may hold it by now.
func (p *pool) returned(h *holding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id := h.lease.Attempt.ActionExecutionID; p.held[id] == h {
		delete(p.held, id)
	}
	p.wake()
}

// taken notes that a runner holds an attempt that was in the store; nil if it has
// ended since.
func (p *pool) taken(lease *execution.Lease) *holding {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.arrived(lease) {
		return nil
	}
	return p.hold(lease)
}

// holdingOf returns the holding of a lease that was just committed; nil for none.
func (p *pool) holdingOf(lease *execution.Lease) *holding {
	if lease == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// It may be over by now, and tried again by another runner.
	if h := p.held[lease.Attempt.ActionExecutionID]; h != nil && h.lease == lease {
		return h
	}
	return nil
}

// done forgets the attempts of a change that are over and revokes them where
// they still run. Those that the change makes in their place are not meant. Lost are the
// ones whose runner was lost.
func (p *pool) done(ids, lost []string, made []*execution.Lease) {
	if len(ids) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for lease, a := range p.pendingCommits {
		if slices.Contains(ids, lease.Attempt.ActionExecutionID) && !slices.Contains(made, lease) {
			a.over = true
		}
	}
	for _, id := range ids {
		if h, ok := p.held[id]; ok {
			delete(p.held, id)
			h.lost.Store(slices.Contains(lost, id))
			close(h.revoked)
		}
	}
}

// holds tells whether a runner of this process holds that very attempt.
func (p *pool) holds(lease *execution.Lease) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, ok := p.held[lease.Attempt.ActionExecutionID]
	return ok && h.lease.Runner == lease.Runner && h.lease.Attempt.Number == lease.Attempt.Number
}

// renew extends the leases of a runner.
func (p *pool) renew(runner string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.held {
		if h.lease.Runner == runner {
			h.lease.Until, h.silent = until, false
		}
	}
}

// look begins a look at the store and returns its number, for settle.
func (p *pool) look() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks++
	return p.looks
}

// settle makes what a runner holds here what it holds in the store: what is not its
// there any more is revoked, and what it was given without learning of it, since the
// answer to a commit was lost, is returned. What is on its way is neither, and neither is
// what came after the look that read the store began: looks may end in another order.
func (p *pool) settle(runner string, look int, stored []*execution.Lease) (unknown []*execution.Lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	its := make(map[string]bool)
	for _, lease := range stored {
		id := lease.Attempt.ActionExecutionID
		if h, ok := p.held[id]; ok && h.lease.Attempt.Number == lease.Attempt.Number {
			its[id] = true
		} else if !p.isPending(id) {
			unknown = append(unknown, lease)
		}
	}
	for id, h := range p.held {
		if h.lease.Runner == runner && !its[id] && h.since < look {
			delete(p.held, id)
			// Why is not known here, and another runner may have it.
			h.lost.Store(true)
			close(h.revoked)
		}
	}
	return unknown
}

func (p *pool) isPending(id string) bool {
	for lease := range p.pendingCommits {
		if lease.Attempt.ActionExecutionID == id {
			return true
		}
	}
	return false
}

// expired returns the attempts whose lease is over, and was the last time that
// it was asked too: after the whole process was paused, runners in it get to
// renew before they are called silent.
func (p *pool) expired(now time.Time) []*execution.Lease {
	p.mu.Lock()
	defer p.mu.Unlock()
	var over []*execution.Lease
	for _, h := range p.held {
		if !h.lease.Until.Before(now) {
			continue
		}
		if h.silent {
			over = append(over, h.lease)
		}
		h.silent = true
	}
	return over
}

// unreported returns the attempts that runners hold and have not reported.
func (p *pool) unreported() (leases []*execution.Lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.held {
		if !h.reported {
			leases = append(leases, h.lease)
		}
	}
	return leases
}

// reporting returns the holding of that very attempt if the runner has it, and notes that
// the runner reports it.
func (p *pool) reporting(runner string, attempt *action.Attempt) *holding {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, ok := p.held[attempt.ActionExecutionID]
	if !ok || h.lease.Runner != runner || h.lease.Attempt.Number != attempt.Number {
		return nil
	}
	h.reported = true
	return h
}
