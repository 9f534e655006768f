package service

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// searchesAtOnce is how many searches of logs, and how many reports, run at once in a
	// server.
	searchesAtOnce = 2
	// searchesOfAccount and searchesOfCaller bound those that wait.
	searchesOfAccount = 16
	searchesOfCaller  = 4
	// searchRetry is when a caller with too many searches may find that some ended.
	searchRetry = 10 * time.Second
)

// fairSlots shares slots among searches of logs, among reports, or among verifications of artifacts, as runners share attempts
// (ADR 14): the account that holds the fewest is next, and in it the caller that holds the
// fewest. If several hold as few, the one that has held none for the longest is next.
type fairSlots struct {
	// what is the plural of what takes a slot, for refusals.
	what string
	// unbounded lets any number wait.
	unbounded bool

	mu    sync.Mutex
	free  int
	turns int64
	// shares are those of account and of account/caller.
	shares  map[string]*slotShare
	waiting []*slotRequest
}

// slotShare is what an account or a caller holds of the slots.
type slotShare struct {
	running, waiting int
	// turn is when it last released a slot, or first asked for one: absence earns nothing.
	turn int64
}

// slotRequest waits for a slot or holds one.
type slotRequest struct {
	account, caller   string
	accounts, callers *slotShare
	admitted          chan struct{}
}

func newFairSlots(what string) *fairSlots {
	return &fairSlots{what: what, free: searchesAtOnce, shares: make(map[string]*slotShare)}
}

// begin waits for a slot, which is held until end is called.
func (s *fairSlots) begin(ctx context.Context, stopping <-chan struct{}, account, caller string) (end func(), err error) {
	p, err := s.join(account, caller)
	if err != nil {
		return nil, err
	}
	end = sync.OnceFunc(func() { s.leave(p) })
	if err := pause(ctx, stopping, p.admitted); err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// join adds a request to those that wait, or refuses it if too many wait already.
func (s *fairSlots) join(account, caller string) (*slotRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &slotRequest{account: account, caller: account + "/" + caller, admitted: make(chan struct{})}
	if known := s.shares[p.caller]; known != nil && known.waiting >= searchesOfCaller && !s.unbounded {
		return nil, tooMany("as many %s wait as one caller may have (%d): let some end first", s.what, searchesOfCaller)
	}
	if known := s.shares[p.account]; known != nil && known.waiting >= searchesOfAccount && !s.unbounded {
		return nil, tooMany("as many %s wait as one account may have (%d): try again when some have ended", s.what, searchesOfAccount)
	}
	p.accounts, p.callers = s.share(p.account), s.share(p.caller)
	p.accounts.waiting++
	p.callers.waiting++
	s.waiting = append(s.waiting, p)
	s.admit()
	return p, nil
}

func tooMany(format, what string, limit int) error {
	err := refuse(KindExhausted, pipeline.ReasonLimitExceeded, format, what, limit)
	err.RetryAfter = searchRetry
	return err
}

func (s *fairSlots) share(key string) *slotShare {
	if s.shares[key] == nil {
		s.turns++
		s.shares[key] = &slotShare{turn: s.turns}
	}
	return s.shares[key]
}

// admit assigns free slots to the next requests. The caller holds mu.
func (s *fairSlots) admit() {
	for ; s.free > 0 && len(s.waiting) > 0; s.free-- {
		next := slices.MinFunc(s.waiting, func(a, b *slotRequest) int {
			return cmp.Or(a.accounts.compare(b.accounts), a.callers.compare(b.callers))
		})
		s.waiting = slices.DeleteFunc(s.waiting, func(p *slotRequest) bool { return p == next })
		for _, share := range []*slotShare{next.accounts, next.callers} {
			share.waiting--
			share.running++
		}
		close(next.admitted)
	}
}

// compare orders shares by their turn to get a slot.
func (s *slotShare) compare(other *slotShare) int {
	return cmp.Or(cmp.Compare(s.running, other.running), cmp.Compare(s.turn, other.turn))
}

// leave removes a request, whether it held a slot or not.
func (s *fairSlots) leave(p *slotRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waited := len(s.waiting)
	s.turns++
	s.waiting = slices.DeleteFunc(s.waiting, func(other *slotRequest) bool { return other == p })
	for key, share := range map[string]*slotShare{p.account: p.accounts, p.caller: p.callers} {
		if len(s.waiting) < waited {
			share.waiting--
		} else {
			share.running--
			share.turn = s.turns
		}
		if share.waiting+share.running == 0 {
			delete(s.shares, key)
		}
	}
	if len(s.waiting) == waited {
		s.free++
		s.admit()
	}
}
