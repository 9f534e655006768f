package listen

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a connection of a Listener. It has not authenticated until Authenticate is called.
// A nil Conn has no bounds: calls get one from a listener that has none.
type Conn struct {
	net.Conn
	listener *Listener
	remote   netip.Addr
	network  netip.Prefix
	began    time.Time
	// settled is closed, by settle, once the connection has authenticated or is closed.
	settled chan struct{}
	settle  func()

	// The listener's mutex guards these. inAll and inOwn are nil once the connection has
	// authenticated or is closed; counted is true as long as it has a place.
	inAll, inOwn *list.Element
	counted      bool

	authenticated atomic.Bool
	// busy is when the request or call began that the connection is being served, in nanoseconds of
	// Unix time, 0 if it is not.
	busy atomic.Int64

	// mu guards what follows.
	mu sync.Mutex
	// calls is how many calls without a token are open, read what came since the first
	// of them began.
	calls int
	read  int64
	// idle closes the connection, nil if nothing does.
	idle   *time.Timer
	closed bool
}

func newConn(raw net.Conn, listener *Listener) *Conn {
	address, settled := remote(raw), make(chan struct{})
	return &Conn{
		Conn: raw, listener: listener, remote: address, network: Network(address), began: time.Now(),
		settled: settled, settle: sync.OnceFunc(func() { close(settled) }),
	}
}

// Of returns the connection that an address is the remote end of, nil if it is of no
// Listener. Servers hand the address of a connection to their calls, but not all of them
// hand them the connection.
func Of(remote net.Addr) *Conn {
	if of, ok := remote.(address); ok {
		return of.conn
	}
	return nil
}

// address is the remote end of a connection, which leads back to it.
type address struct {
	net.Addr
	conn *Conn
}

// RemoteAddr implements net.Conn. See Of.
func (c *Conn) RemoteAddr() net.Addr { return address{Addr: c.Conn.RemoteAddr(), conn: c} }

type contextKey struct{}

// WithConn returns the context of a connection. Its type is that of http.Server.ConnContext.
func WithConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, contextKey{}, Of(conn.RemoteAddr()))
}

// From returns the connection of a context, nil for none.
func From(ctx context.Context) *Conn {
	conn, _ := ctx.Value(contextKey{}).(*Conn)
	return conn
}

// Authenticate frees the connection from the bounds of those that have not.
func (c *Conn) Authenticate() {
	if c == nil || c.authenticated.Load() || !c.listener.authenticate(c) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopIdle()
}

// Begin counts a call without a token until end is called. It returns false if the
// connection has as many as it may.
func (c *Conn) Begin() (end func(), ok bool) {
	if c == nil {
		return func() {}, true
	}
	most := c.listener.config.Calls
	if c.authenticated.Load() {
		most = c.listener.config.AuthenticatedCalls
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if most > 0 && c.calls >= most {
		return nil, false
	}
	if c.calls++; c.calls == 1 {
		c.busy.Store(time.Now().UnixNano())
	}
	c.stopIdle()
	return c.ended, true
}

func (c *Conn) ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls--; c.calls == 0 {
		c.read = 0
		c.busy.Store(0)
		c.startIdle()
	}
}

// TrackState notes whether a connection is served right now. It is for servers that do not
// count calls: its type is that of http.Server.ConnState.
func TrackState(conn net.Conn, state http.ConnState) {
	if c := Of(conn.RemoteAddr()); c != nil {
		var began int64
		if state == http.StateActive {
			began = time.Now().UnixNano()
		}
		c.busy.Store(began)
	}
}

// Refused notes that a call was refused, so that its caller is not taken for an idle one: it
// should get its next refusal too, and not a connection that breaks.
func (c *Conn) Refused() {
	if end, ok := c.Begin(); ok {
		end()
	}
}

// Read implements net.Conn. It ends a connection that sends too much.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.listener.config.Bytes > 0 && !c.authenticated.Load() && c.tooMuch(int64(n)) {
		c.end(Size)
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *Conn) tooMuch(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == 0 {
		return false
	}
	c.read += n
	return c.read > c.listener.config.Bytes
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	_, err := c.shut()
	return err
}

// shut closes the connection and tells whether it was open.
func (c *Conn) shut() (open bool, err error) {
	c.listener.left(c)
	c.settle()
	c.mu.Lock()
	open, c.closed = !c.closed, true
	c.stopIdle()
	c.mu.Unlock()
	return open, c.Conn.Close()
}

// end closes the connection for a reason.
func (c *Conn) end(reason Reason) {
	// The server finds it closed, which is all that it needs to know.
	if open, _ := c.shut(); open {
		c.listener.closed(c, reason)
	}
}

// awaitCall closes the connection if no call begins.
func (c *Conn) awaitCall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.startIdle()
}

func (c *Conn) startIdle() {
	if c.listener.config.Idle > 0 && !c.closed && !c.authenticated.Load() {
		c.idle = time.AfterFunc(c.listener.config.Idle, c.idled)
	}
}

func (c *Conn) stopIdle() {
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
}

// idled closes the connection, unless it has authenticated or a call has begun since the
// timer fired.
func (c *Conn) idled() {
	c.mu.Lock()
	idle := c.idle != nil && c.calls == 0
	c.mu.Unlock()
	if idle && !c.authenticated.Load() {
		c.end(Idle)
	}
}
