package service

import (
	"slices"
	"sync"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// pool is who holds which attempt and who waits for one, as the store has it:
// rows are the truth, this wakes.
type pool struct {
	mu sync.Mutex
	// ready are attempts that nobody holds, first come first served.
	ready []*execution.Lease
	// held are attempts that a runner holds, by action execution id.
	held    map[string]*holding
	waiters []*waiter
	// coming are attempts that a transaction makes or gives to a runner, until
	// it is told how that ended; over ones ended meanwhile. Commits may be told
	// in another order than they were made.
	coming map[*execution.Lease]*arrival
}

// arrival is the fate of an attempt that is coming.
type arrival struct{ over bool }

// holding is an attempt in a runner's hands.
type holding struct {
	lease   *execution.Lease
	revoked chan struct{}
	// silent is set when the lease was found over once.
	silent bool
}

// waiter is a runner that waits for an attempt. It gets one holding, or nil to
// look again.
type waiter struct {
	runner string
	given  chan *holding
}

func newPool() *pool {
	return &pool{held: make(map[string]*holding), coming: make(map[*execution.Lease]*arrival)}
}

// next returns the first ready attempt, whose fate taken, add or forget must
// settle, or else a place to wait in.
func (p *pool) next(runner string) (*execution.Lease, *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ready) > 0 {
		lease := p.ready[0]
		p.ready = slices.Delete(p.ready, 0, 1)
		p.coming[lease] = &arrival{}
		return lease, nil
	}
	w := &waiter{runner: runner, given: make(chan *holding, 1)}
	p.waiters = append(p.waiters, w)
	return nil, w
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
	p.coming[lease] = &arrival{}
}

// arrived settles an attempt that was coming and tells whether it is still to
// be run.
func (p *pool) arrived(lease *execution.Lease) bool {
	a, ok := p.coming[lease]
	delete(p.coming, lease)
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
// names, or ready for the next.
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
	p.ready = append(p.ready, lease)
	p.wake()
}

// lookAgain wakes the next that waits, in the place of one that was woken and
// gives up.
func (p *pool) lookAgain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake()
}

// wake sends the first that waits to look, where there is something to see.
func (p *pool) wake() {
	if len(p.ready) > 0 && len(p.waiters) > 0 {
		first := p.waiters[0]
		p.waiters = slices.Delete(p.waiters, 0, 1)
		first.given <- nil
	}
}

func (p *pool) hold(lease *execution.Lease) *holding {
	h := &holding{lease: lease, revoked: make(chan struct{})}
	p.held[lease.Attempt.ActionExecutionID] = h
	return h
}

// taken notes that a runner holds an attempt that was ready; nil where it is
// over meanwhile.
func (p *pool) taken(lease *execution.Lease) *holding {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.arrived(lease) {
		return nil
	}
	return p.hold(lease)
}

// holdingOf returns the holding of a lease that was just committed.
func (p *pool) holdingOf(lease *execution.Lease) *holding {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[lease.Attempt.ActionExecutionID]
}

// done forgets the attempts of a change that are over and revokes them where
// they still run. Those that the change makes in their place are not meant.
func (p *pool) done(ids []string, made []*execution.Lease) {
	if len(ids) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for lease, a := range p.coming {
		if slices.Contains(ids, lease.Attempt.ActionExecutionID) && !slices.Contains(made, lease) {
			a.over = true
		}
	}
	for _, id := range ids {
		if h, ok := p.held[id]; ok {
			delete(p.held, id)
			close(h.revoked)
			continue
		}
		p.ready = slices.DeleteFunc(p.ready, func(l *execution.Lease) bool { return l.Attempt.ActionExecutionID == id })
	}
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

// counts returns how many attempts wait for a runner and how many are held.
func (p *pool) counts() (ready, held int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready), len(p.held)
}

// heldBy returns the holding of that very attempt where the runner has it.
func (p *pool) heldBy(runner string, attempt *action.Attempt) *holding {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, ok := p.held[attempt.ActionExecutionID]
	if !ok || h.lease.Runner != runner || h.lease.Attempt.Number != attempt.Number {
		return nil
	}
	return h
}
