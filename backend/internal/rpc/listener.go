package rpc

import (
	"net"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// limitedListener closes connections beyond a number at once, instead of letting
// them wait until the client gives up without knowing why.
type limitedListener struct {
	net.Listener
	most int
	log  hclog.Logger

	mu   sync.Mutex
	open int
	// full is set while it refuses, so that this is logged once.
	full bool
}

// Accept returns the next connection that there is room for.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.enter() {
			return &limitedConn{Conn: conn, leave: sync.OnceFunc(l.leave)}, nil
		}
		// The client hears of it as a connection that was closed.
		_ = conn.Close()
	}
}

func (l *limitedListener) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open < l.most {
		l.open++
		l.full = false
		return true
	}
	if !l.full {
		l.full = true
		l.log.Warn("Connections are refused: as many as this server takes are open", "open", l.open)
	}
	return false
}

func (l *limitedListener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
}

// limitedConn makes room when it is closed.
type limitedConn struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (c *limitedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
