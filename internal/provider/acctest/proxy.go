package acctest

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"regexp"
	"sync"
	"testing"
)

// Cut says at which point of a call a proxy dies.
type Cut int

// The points of a call.
const (
	// CutRequest is before the request's message reaches the server.
	CutRequest Cut = iota
	// CutAnswer is when the server has done what it was asked for, before any of its answer
	// reaches the client.
	CutAnswer
	// CutMiddle is in the middle of the answer's message.
	CutMiddle
	// CutStatus is after the answer's message, before the status that says it is whole.
	CutStatus
)

// Proxy is a TCP proxy in front of a backend that dies at one point of one call, with all
// of its connections. It reads HTTP/2 frames but understands no more of them than whose
// stream they belong to.
type Proxy struct {
	// Endpoint is host:port on this machine.
	Endpoint string

	backend string
	mu      sync.Mutex
	dead    bool
	open    map[net.Conn]bool
	request *regexp.Regexp
	skip    int
	at      Cut
}

// StartProxy starts a proxy in front of a backend, which ends with the test.
func StartProxy(t *testing.T, backend string) *Proxy {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Endpoint: listener.Addr().String(), backend: backend, open: map[net.Conn]bool{}}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.die()
		group.Wait()
	})
	return p
}

// Die lets the proxy die at a point of the call whose request's message the expression
// matches, after as many others that match.
func (p *Proxy) Die(at Cut, request *regexp.Regexp, skip int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.request, p.skip = at, request, skip
}

// Revive lets the proxy take connections again.
func (p *Proxy) Revive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead, p.request = false, nil
}

// Died reports whether the proxy died at the chosen call.
func (p *Proxy) Died() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

func (p *Proxy) die() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	for conn := range p.open {
		_ = conn.Close()
	}
	clear(p.open)
}

// keep tells whether the proxy lives, and closes the connection when it dies.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		_ = conn.Close()
		return false
	}
	p.open[conn] = true
	return true
}

// errCut means that the proxy dies here.
var errCut = errors.New("cut")

func (p *Proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.backend)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !p.keep(client) || !p.keep(server) {
		return
	}
	link := &link{proxy: p}
	var group sync.WaitGroup
	for _, way := range []func() error{
		func() error { return link.requests(server, client) }, func() error { return link.answers(client, server) },
	} {
		group.Go(func() {
			if errors.Is(way(), errCut) {
				p.die()
			}
			_, _ = client.Close(), server.Close()
		})
	}
	group.Wait()
}

// link is one connection of a client.
type link struct {
	proxy *Proxy
	mu    sync.Mutex
	// stream is that of the call at which the proxy dies, 0 before it comes.
	stream uint32
}

const (
	preface     = len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	frameHeader = 9
	typeData    = 0
	typeHeaders = 1
)

func (l *link) requests(server io.Writer, client io.Reader) error {
	if _, err := io.CopyN(server, client, int64(preface)); err != nil {
		return err
	}
	return frames(server, client, func(kind byte, stream uint32, frame []byte) (int, error) {
		if kind == typeData && l.proxy.chooses(frame[frameHeader:]) {
			l.mu.Lock()
			l.stream = stream
			l.mu.Unlock()
			if l.proxy.at == CutRequest {
				return 0, errCut
			}
		}
		return len(frame), nil
	})
}

// chooses tells whether the proxy dies at the call with that message.
func (p *Proxy) chooses(message []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.request == nil || !p.request.Match(message) {
		return false
	}
	p.skip--
	return p.skip < 0
}

func (l *link) answers(client io.Writer, server io.Reader) error {
	headers := 0
	return frames(client, server, func(kind byte, stream uint32, frame []byte) (int, error) {
		l.mu.Lock()
		chosen := l.stream != 0 && stream == l.stream
		l.mu.Unlock()
		if !chosen || kind != typeData && kind != typeHeaders {
			return len(frame), nil
		}
		if kind == typeHeaders {
			headers++
		}
		switch at := l.proxy.at; {
		case at == CutAnswer:
			return 0, errCut
		case at == CutMiddle && kind == typeData:
			return len(frame) / 2, errCut
		case at == CutStatus && headers == 2:
			return 0, errCut
		}
		return len(frame), nil
	})
}

// frames copies HTTP/2 frames, as much of each as the function says.
func frames(to io.Writer, from io.Reader, pass func(kind byte, stream uint32, frame []byte) (int, error)) error {
	reader := bufio.NewReader(from)
	for {
		header, err := reader.Peek(frameHeader)
		if err != nil {
			return err
		}
		length := int(header[0])<<16 | int(header[1])<<8 | int(header[2])
		kind, stream := header[3], binary.BigEndian.Uint32(header[5:])&(1<<31-1)
		frame := make([]byte, frameHeader+length)
		if _, err := io.ReadFull(reader, frame); err != nil {
			return err
		}
		size, cut := pass(kind, stream, frame)
		if _, err := to.Write(frame[:size]); err != nil {
			return err
		}
		if cut != nil {
			return cut
		}
	}
}
