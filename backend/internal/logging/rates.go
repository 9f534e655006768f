package logging

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

const (
	// burst is how many lines of one message are logged without a pause: enough to see
	// what it is about in each place where it occurs.
	burst = 50
	// perSecond is the rate after that.
	perSecond = 1
	// messages is how many messages are counted, those that came last. Messages are
	// constants, so there are not many more.
	messages = 500
)

// line is what lines that repeat have in common.
type line struct {
	name    string
	level   hclog.Level
	message string
}

// rates bounds how often each message is logged.
type rates struct {
	clock func() time.Time

	mu  sync.Mutex
	all *simplelru.LRU[line, *allowance]
}

type allowance struct {
	limiter *rate.Limiter
	dropped int
}

func newRates(clock func() time.Time) *rates {
	// The error is about the size.
	all, _ := simplelru.NewLRU[line, *allowance](messages, nil)
	return &rates{clock: clock, all: all}
}

// take tells whether a line may be logged, and how many before it were not.
func (r *rates) take(of line) (dropped int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, found := r.all.Get(of)
	if !found {
		a = &allowance{limiter: rate.NewLimiter(perSecond, burst)}
		r.all.Add(of, a)
	}
	if !a.limiter.AllowN(r.clock(), 1) {
		a.dropped++
		return 0, false
	}
	dropped, a.dropped = a.dropped, 0
	return dropped, true
}
