// Package sender tells who sent an HTTP request, and bounds what those send who are refused. It must
// never decide what is refused.
package sender

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
)

const (
	// allowance is how many refused requests an address may send to a target in a row, and in an
	// hour.
	allowance = 100
	refill    = time.Hour / allowance
	// trust is how long one verified request keeps an address from being throttled. Many
	// repositories share the addresses of their forge, and people that of their office, and one
	// with a wrong secret must not keep away the others.
	trust = 24 * time.Hour
	// senders is how many pairs of an address and a target are remembered, those that sent
	// last. A pair is about 200 bytes.
	senders = 10_000
)

// Limits counts the refused requests of each address to each target: a webhook, or what else has
// secrets of its own.
type Limits struct {
	mu  sync.Mutex
	all *simplelru.LRU[pair, account]
}

type pair struct {
	network netip.Prefix
	target  string
}

// account is how much of the allowance is used, as of a time.
type account struct {
	used     time.Duration
	at       time.Time
	verified time.Time
}

// NewLimits returns limits that have counted nothing.
func NewLimits() *Limits {
	// The error is about the size.
	all, _ := simplelru.NewLRU[pair, account](senders, nil)
	return &Limits{all: all}
}

// Wait returns how long the address has to wait until its next request is read.
func (l *Limits) Wait(address netip.Addr, target string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	current, found := l.all.Get(pair{listen.Network(address), target})
	if !found || now.Sub(current.verified) < trust {
		return 0
	}
	return max(0, current.usedAt(now)+refill-allowance*refill)
}

// Trusts tells whether the address sent a verified request to the target lately.
func (l *Limits) Trusts(address netip.Addr, target string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	current, found := l.all.Get(pair{listen.Network(address), target})
	return found && now.Sub(current.verified) < trust
}

// Refused counts a request that was refused.
func (l *Limits) Refused(address netip.Addr, target string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := pair{listen.Network(address), target}
	current, _ := l.all.Get(key)
	current.used, current.at = min(current.usedAt(now)+refill, allowance*refill), now
	l.all.Add(key, current)
}

// Verified remembers that the address has a secret of the target.
func (l *Limits) Verified(address netip.Addr, target string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := pair{listen.Network(address), target}
	current, _ := l.all.Get(key)
	current.verified = now
	l.all.Add(key, current)
}

// usedAt returns what is used at a time. Every refill one request is forgiven.
func (a account) usedAt(now time.Time) time.Duration {
	return max(0, a.used-max(0, now.Sub(a.at)))
}
