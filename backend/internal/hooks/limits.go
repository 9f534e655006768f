package hooks

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
)

const (
	// allowance is how many unverified deliveries an address may send to a webhook in a row,
	// and in an hour.
	allowance = 100
	refill    = time.Hour / allowance
	// trust is how long one verified delivery keeps an address from being throttled. Many
	// repositories share the addresses of their forge, and one with a wrong secret must not
	// keep away the others.
	trust = 24 * time.Hour
	// senders is how many pairs of an address and a webhook are remembered, those that sent
	// last. A pair is about 200 bytes.
	senders = 10_000
)

// limits counts the unverified deliveries of each address to each webhook. Verified
// deliveries are never limited, and neither are requests to unknown paths, which cost a
// look-up each: whoever throttled those by address could throttle a forge.
type limits struct {
	mu  sync.Mutex
	all *simplelru.LRU[sender, account]
}

type sender struct {
	network netip.Prefix
	webhook string
}

// account is how much of the allowance is used, as of a time.
type account struct {
	used     time.Duration
	at       time.Time
	verified time.Time
}

func newLimits() *limits {
	// The error is about the size.
	all, _ := simplelru.NewLRU[sender, account](senders, nil)
	return &limits{all: all}
}

// wait returns how long the address has to wait until its next delivery is read.
func (l *limits) wait(address netip.Addr, webhook string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	current, found := l.all.Get(sender{listen.Network(address), webhook})
	if !found || now.Sub(current.verified) < trust {
		return 0
	}
	return max(0, current.usedAt(now)+refill-allowance*refill)
}

// trusts tells whether the address sent a verified delivery to the webhook lately.
func (l *limits) trusts(address netip.Addr, webhook string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	current, found := l.all.Get(sender{listen.Network(address), webhook})
	return found && now.Sub(current.verified) < trust
}

// refused counts an unverified delivery.
func (l *limits) refused(address netip.Addr, webhook string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := sender{listen.Network(address), webhook}
	current, _ := l.all.Get(key)
	current.used, current.at = min(current.usedAt(now)+refill, allowance*refill), now
	l.all.Add(key, current)
}

// verified remembers that the address has a secret of the webhook.
func (l *limits) verified(address netip.Addr, webhook string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := sender{listen.Network(address), webhook}
	current, _ := l.all.Get(key)
	current.verified = now
	l.all.Add(key, current)
}

// usedAt returns what is used at a time. Every refill one delivery is forgiven.
func (a account) usedAt(now time.Time) time.Duration {
	return max(0, a.used-max(0, now.Sub(a.at)))
}
