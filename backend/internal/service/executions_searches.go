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
	// searchesAtOnce is how many searches of logs go on in a server.
	searchesAtOnce = 2
	// searchesOfAccount and searchesOfCaller bound those that wait.
	searchesOfAccount = 16
	searchesOfCaller  = 4
	// searchRetry is when a caller with too many searches may find that some ended.
	searchRetry = 10 * time.Second
)

// searches shares the slots of searches out as runners share attempts out (ADR 14): who
// holds the fewest is next, among the accounts and among the callers of one. Where
// several hold as few, it is who has held none for the longest.
type searches struct {
	// unbounded lets any number wait.
	unbounded bool

	mu    sync.Mutex
	free  int
	turns int64
	// shares are those of account and of account/caller.
	shares  map[string]*searchShare
	waiting []*searchPlace
}

// searchShare is what an account or a caller holds of the slots.
type searchShare struct {
	running, waiting int
	// turn is when it last ended a search, or came. Who was away is owed nothing.
	turn int64
}

// searchPlace is a search that waits or runs.
type searchPlace struct {
	account, caller   string
	accounts, callers *searchShare
	admitted          chan struct{}
}

func newSearches() *searches {
	return &searches{free: searchesAtOnce, shares: make(map[string]*searchShare)}
}

// begin waits for a slot, which the search has until end is called.
func (s *searches) begin(ctx context.Context, stopping <-chan struct{}, account, caller string) (end func(), err error) {
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

// join adds a search to those that wait, or refuses it where they are many already.
func (s *searches) join(account, caller string) (*searchPlace, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &searchPlace{account: account, caller: account + "/" + caller, admitted: make(chan struct{})}
	if known := s.shares[p.caller]; known != nil && known.waiting >= searchesOfCaller && !s.unbounded {
		return nil, tooManySearches("as many searches wait as one caller may have (%d): let some end first", searchesOfCaller)
	}
	if known := s.shares[p.account]; known != nil && known.waiting >= searchesOfAccount && !s.unbounded {
		return nil, tooManySearches("as many searches wait as one account may have (%d): try again when some have ended", searchesOfAccount)
	}
	p.accounts, p.callers = s.share(p.account), s.share(p.caller)
	p.accounts.waiting++
	p.callers.waiting++
	s.waiting = append(s.waiting, p)
	s.admit()
	return p, nil
}

func tooManySearches(format string, limit int) error {
	err := refuse(KindExhausted, pipeline.ReasonLimitExceeded, format, limit)
	err.RetryAfter = searchRetry
	return err
}

func (s *searches) share(key string) *searchShare {
	if s.shares[key] == nil {
		s.turns++
		s.shares[key] = &searchShare{turn: s.turns}
	}
	return s.shares[key]
}

// admit gives slots that are free to who is next. The caller holds mu.
func (s *searches) admit() {
	for ; s.free > 0 && len(s.waiting) > 0; s.free-- {
		next := slices.MinFunc(s.waiting, func(a, b *searchPlace) int {
			return cmp.Or(a.accounts.compare(b.accounts), a.callers.compare(b.callers))
		})
		s.waiting = slices.DeleteFunc(s.waiting, func(p *searchPlace) bool { return p == next })
		for _, share := range []*searchShare{next.accounts, next.callers} {
			share.waiting--
			share.running++
		}
		close(next.admitted)
	}
}

// compare says whose turn is before the other's.
func (s *searchShare) compare(other *searchShare) int {
	return cmp.Or(cmp.Compare(s.running, other.running), cmp.Compare(s.turn, other.turn))
}

// leave takes a search away, whether it had a slot or not.
func (s *searches) leave(p *searchPlace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waited := len(s.waiting)
	s.turns++
	s.waiting = slices.DeleteFunc(s.waiting, func(other *searchPlace) bool { return other == p })
	for key, share := range map[string]*searchShare{p.account: p.accounts, p.caller: p.callers} {
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
