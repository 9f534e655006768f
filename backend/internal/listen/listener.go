// Package listen bounds the connections of a listener, so that strangers cannot keep out
// callers that authenticate: if there is no room, the oldest connection that has not
// authenticated is closed for the new one (ADR 28). It must never read what is sent.
package listen

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// Reason is why a connection was closed, for metrics.
type Reason string

const (
	// Full closes the oldest connection that has not authenticated, for a new one.
	Full Reason = "full"
	// Address closes the oldest one of an address that has too many.
	Address Reason = "address"
	// Idle closes one that waits for nothing.
	Idle Reason = "idle"
	// Size closes one that sends too much.
	Size Reason = "size"
	// Refused closes a new connection, since all others have authenticated.
	Refused Reason = "refused"
)

// Config is the bounds of a Listener. Those from Each on are for connections that have not
// authenticated; zero means without a bound.
type Config struct {
	// Name is the listener's in the log and in metrics.
	Name string
	// Most is how many connections may be open.
	Most int
	// Kept is how many of them are only for connections that have not authenticated. One that
	// authenticates when the others are taken stays one that a new connection may close.
	Kept int
	// Each is how many may be open of one address, which is a /64 of IPv6. Proxies are
	// addresses that it does not hold for.
	Each    int
	Proxies []netip.Prefix
	// Grace is how long a connection may take to authenticate before it is closed for a new
	// one. In a flood of new ones, the next waits for that.
	Grace time.Duration
	// Served is for how long a connection that is being served is closed only if all others are
	// too: a call of a stranger that takes longer may be one that never ends.
	Served time.Duration
	// Idle is how long a connection may be open without a call that waits for an answer.
	Idle time.Duration
	// Calls is how many calls without a token may be open on a connection,
	// AuthenticatedCalls how many on one that has authenticated: it may be a proxy's.
	Calls, AuthenticatedCalls int
	// Bytes is how much a connection may send while such calls are open.
	Bytes int64
	// Observe is called for each connection that was closed.
	Observe func(listener string, reason Reason)
	Log     hclog.Logger
}

// Listener accepts connections within its bounds. Those that it returns are of type *Conn.
type Listener struct {
	net.Listener
	config Config
	// closing ends with the listener.
	closing context.Context //nolint:containedctx // The life of the listener.
	close   context.CancelFunc

	mu   sync.Mutex
	open int
	// strangers are the connections that have not authenticated, the oldest first, and
	// those of each address.
	strangers *list.List
	of        map[netip.Prefix]*list.List
}

// New returns a listener that owns another one.
func New(listener net.Listener, config Config) *Listener {
	l := &Listener{Listener: listener, config: config, strangers: list.New(), of: make(map[netip.Prefix]*list.List)}
	l.closing, l.close = context.WithCancel(context.Background())
	return l
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.close()
	return l.Listener.Close()
}

// Fit returns how many of the connections that a listener would take fit into the files
// that this process may open: at most a quarter of them, since there are other listeners,
// and a process that has no file left cannot even read its database.
func Fit(connections int) int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur/4 > uint64(connections) {
		return connections
	}
	return max(1, int(limit.Cur/4))
}

// Accept implements net.Listener. It makes room for the connection where that is possible.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		conn := newConn(raw, l)
		decided := l.admit(conn)
		for decided.wait > 0 {
			if !l.await(decided) {
				_ = raw.Close()
				return nil, net.ErrClosed
			}
			decided = l.admit(conn)
		}
		if decided.victim != nil {
			decided.victim.end(decided.reason)
		}
		if decided.refused {
			_ = raw.Close()
			l.closed(conn, Refused)
			continue
		}
		conn.awaitCall()
		return conn, nil
	}
}

// decision is what happens to a new connection: it is refused, or admitted, for which another
// one may have to be closed, or it has to wait for the grace of that one.
type decision struct {
	victim  *Conn
	reason  Reason
	wait    time.Duration
	refused bool
}

// admit counts a connection, unless it is refused or has to wait.
func (l *Listener) admit(conn *Conn) decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	var d decision
	own := l.of[conn.network]
	switch {
	case own != nil && own.Len() >= l.config.Each && l.config.Each > 0 && !l.proxy(conn.remote):
		d.victim, d.reason = l.oldest(own), Address
	case l.open < l.config.Most:
	case l.strangers.Len() == 0:
		return decision{refused: true}
	default:
		d.victim, d.reason = l.oldest(l.strangers), Full
	}
	if d.victim != nil {
		if d.wait = l.config.Grace - time.Since(d.victim.began); d.wait > 0 {
			return d
		}
		// Not only when its close comes to it: two connections must not get one place.
		l.remove(d.victim)
	}
	if own = l.of[conn.network]; own == nil {
		own = list.New()
		l.of[conn.network] = own
	}
	conn.inAll, conn.inOwn = l.strangers.PushBack(conn), own.PushBack(conn)
	conn.counted = true
	l.open++
	return decision{victim: d.victim, reason: d.reason}
}

// await waits until the grace of a connection has passed, or it has authenticated or is
// closed. It returns false if the listener is closed first.
func (l *Listener) await(d decision) bool {
	passed := time.NewTimer(d.wait)
	defer passed.Stop()
	select {
	case <-passed.C:
	case <-d.victim.settled:
	case <-l.closing.Done():
		return false
	}
	return true
}

func (l *Listener) proxy(address netip.Addr) bool {
	return slices.ContainsFunc(l.config.Proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// oldest returns the connection that a list has had for the longest, of those that may be closed
// now if there are such. Others are being served: a flood of new connections must not close one in
// the middle of its answer. Or they have had no time to authenticate: each new connection would wait
// for that while older ones keep their places.
func (l *Listener) oldest(of *list.List) *Conn {
	now := time.Now()
	for at := of.Front(); at != nil; at = at.Next() {
		conn, ok := at.Value.(*Conn)
		if ok && now.Sub(conn.began) >= l.config.Grace && !l.spares(conn, now) {
			return conn
		}
	}
	conn, _ := of.Front().Value.(*Conn)
	return conn
}

// spares tells whether a connection is being served, and not for too long.
func (l *Listener) spares(conn *Conn, now time.Time) bool {
	began := conn.busy.Load()
	return began != 0 && (l.config.Served == 0 || now.Sub(time.Unix(0, began)) < l.config.Served)
}

// authenticate takes a connection off the strangers. It returns false if the connection is not
// one of them, also because it is about to be closed for another one, and if the places of those
// that have authenticated are taken.
func (l *Listener) authenticate(conn *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if conn.inAll == nil || l.open-l.strangers.Len() >= l.config.Most-l.config.Kept {
		return false
	}
	l.forget(conn)
	conn.authenticated.Store(true)
	conn.settle()
	return true
}

// left counts a connection that is closed.
func (l *Listener) left(conn *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(conn)
}

// remove gives back the place of a connection, once.
func (l *Listener) remove(conn *Conn) {
	l.forget(conn)
	if conn.counted {
		conn.counted = false
		l.open--
	}
}

// forget takes a connection off the lists, if it is in them.
func (l *Listener) forget(conn *Conn) {
	if conn.inAll == nil {
		return
	}
	l.strangers.Remove(conn.inAll)
	own := l.of[conn.network]
	if own.Remove(conn.inOwn); own.Len() == 0 {
		delete(l.of, conn.network)
	}
	conn.inAll, conn.inOwn = nil, nil
}

// closed tells the operator that a connection was closed.
func (l *Listener) closed(conn *Conn, reason Reason) {
	l.config.Observe(l.config.Name, reason)
	level := hclog.Warn
	if reason == Idle {
		// Every scan of the port causes it.
		level = hclog.Debug
	}
	l.config.Log.Log(level, "A connection that has not authenticated was closed", "listener", l.config.Name, "reason", string(reason),
		"peer", conn.Conn.RemoteAddr())
}

func remote(conn net.Conn) netip.Addr {
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// Network returns what one sender has: an address of IPv4, a /64 of IPv6.
func Network(address netip.Addr) netip.Prefix {
	bits := 64
	if address.Is4() {
		bits = 32
	}
	// The zero address has the zero network.
	prefix, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
