package listen_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
)

// bench is a listener and both ends of its connections.
type bench struct {
	t        *testing.T
	address  string
	accepted chan *listen.Conn

	mu     sync.Mutex
	closed []listen.Reason
}

func newBench(t *testing.T, config listen.Config) *bench {
	t.Helper()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &bench{t: t, address: inner.Addr().String(), accepted: make(chan *listen.Conn, 10)}
	config.Name, config.Log = "test", hclog.NewNullLogger()
	config.Observe = func(listener string, reason listen.Reason) {
		require.Equal(t, "test", listener)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.closed = append(b.closed, reason)
	}
	l := listen.New(inner, config)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			of, ok := conn.(*listen.Conn)
			if !ok {
				return
			}
			b.accepted <- of
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-done
	})
	return b
}

// dial opens a connection from an address of this machine.
func (b *bench) dial(from string) net.Conn {
	b.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.DialContext(b.t.Context(), "tcp", b.address)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// open opens a connection and returns both ends.
func (b *bench) open(from string) (theirs net.Conn, ours *listen.Conn) {
	b.t.Helper()
	theirs = b.dial(from)
	ours = <-b.accepted
	b.t.Cleanup(func() { _ = ours.Close() })
	return theirs, ours
}

// reasons returns why connections were closed, after as many were.
func (b *bench) reasons(n int) (reasons []listen.Reason) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		reasons = append([]listen.Reason(nil), b.closed...)
		return len(reasons) >= n
	}, 10*time.Second, time.Millisecond)
	return reasons
}

// requireClosed waits for the end of a connection.
func requireClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "it is closed: %v", err)
}

// requireOpen checks that what one end sends arrives at the other.
func requireOpen(t *testing.T, theirs net.Conn, ours *listen.Conn) {
	t.Helper()
	_, err := theirs.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, ours.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = io.ReadFull(ours, make([]byte, 1))
	require.NoError(t, err)
}

const (
	one   = "127.0.0.1"
	other = "127.0.0.2"
)

func TestTheOldestStrangerMakesRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t, listen.Config{Most: 3})
	known, knownConn := b.open(one)
	knownConn.Authenticate()
	oldest, _ := b.open(one)
	young, youngConn := b.open(other)
	newest, newestConn := b.open(other)
	requireClosed(t, oldest)
	require.Equal(t, []listen.Reason{listen.Full}, b.reasons(1))
	for theirs, ours := range map[net.Conn]*listen.Conn{known: knownConn, young: youngConn, newest: newestConn} {
		requireOpen(t, theirs, ours)
	}
}

func TestAStrangerThatIsServedStaysLonger(t *testing.T) {
	t.Parallel()
	b := newBench(t, listen.Config{Most: 3, Each: 3})
	served, servedConn := b.open(one)
	end, ok := servedConn.Begin()
	require.True(t, ok)
	asked, askedConn := b.open(one)
	listen.TrackState(askedConn, http.StateActive)
	idle, _ := b.open(one)
	b.open(one)
	requireClosed(t, idle)
	requireOpen(t, served, servedConn)
	requireOpen(t, asked, askedConn)
	end()
	b.open(one)
	requireClosed(t, served)
	b.open(one)
	listen.TrackState(askedConn, http.StateIdle)
	b.open(one)
	requireClosed(t, asked)
}

func TestANewConnectionIsRefusedIfAllHaveAuthenticated(t *testing.T) {
	t.Parallel()
	b := newBench(t, listen.Config{Most: 2})
	first, firstConn := b.open(one)
	second, secondConn := b.open(one)
	firstConn.Authenticate()
	secondConn.Authenticate()
	requireClosed(t, b.dial(one))
	require.Equal(t, []listen.Reason{listen.Refused}, b.reasons(1))
	requireOpen(t, first, firstConn)
	requireOpen(t, second, secondConn)
	require.NoError(t, firstConn.Close())
	_ = firstConn.Close()
	third, thirdConn := b.open(one)
	requireOpen(t, third, thirdConn)
	fourth, _ := b.open(one)
	requireClosed(t, third)
	require.Len(t, b.reasons(2), 2, "one that is closed twice makes room once")
	require.NoError(t, fourth.Close())
}

// Probes never authenticate, so connections that do must leave some places.
func TestSomePlacesAreKeptForStrangers(t *testing.T) {
	t.Parallel()
	b := newBench(t, listen.Config{Most: 3, Kept: 1, Idle: time.Hour})
	first, firstConn := b.open(one)
	second, secondConn := b.open(one)
	third, thirdConn := b.open(one)
	for _, conn := range []*listen.Conn{firstConn, secondConn, thirdConn} {
		conn.Authenticate()
	}
	probe, _ := b.open(one)
	requireClosed(t, third)
	next, nextConn := b.open(one)
	requireClosed(t, probe)
	require.Equal(t, []listen.Reason{listen.Full, listen.Full}, b.reasons(2))
	requireOpen(t, first, firstConn)
	requireOpen(t, second, secondConn)
	requireOpen(t, next, nextConn)
	require.NoError(t, firstConn.Close())
	nextConn.Authenticate()
	b.open(one)
	newest, newestConn := b.open(one)
	requireOpen(t, next, nextConn)
	requireOpen(t, newest, newestConn)
}

func TestTheBoundOfAnAddressIsOfStrangers(t *testing.T) {
	t.Parallel()
	b := newBench(t, listen.Config{Most: 100, Each: 2, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")}})
	// A proxy, a NAT, or users of one machine.
	for range 10 {
		_, conn := b.open(one)
		conn.Authenticate()
	}
	elsewhere, elsewhereConn := b.open(other)
	oldest, _ := b.open(one)
	b.open(one)
	b.open(one)
	requireClosed(t, oldest)
	requireOpen(t, elsewhere, elsewhereConn)
	for range 10 {
		b.open("127.0.0.3")
	}
	require.Equal(t, []listen.Reason{listen.Address}, b.reasons(1))
}

func TestEveryConnectionHasItsGrace(t *testing.T) {
	t.Parallel()
	b := newBench(t, listen.Config{Most: 1, Grace: time.Hour})
	first, firstConn := b.open(one)
	b.dial(one)
	select {
	case <-b.accepted:
		require.Fail(t, "it had no time to authenticate")
	case <-time.After(50 * time.Millisecond):
	}
	firstConn.Authenticate()
	require.Equal(t, []listen.Reason{listen.Refused}, b.reasons(1))
	requireOpen(t, first, firstConn)

	b = newBench(t, listen.Config{Most: 1, Grace: 50 * time.Millisecond})
	second, _ := b.open(one)
	third, thirdConn := b.open(one)
	requireClosed(t, second)
	requireOpen(t, third, thirdConn)
	require.NoError(t, thirdConn.Close())
	b.open(one)
	require.Len(t, b.reasons(1), 1)
}

func TestStrangersDoNotWaitForNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, listen.Config{Most: 10, Idle: 50 * time.Millisecond})
	known, knownConn := b.open(one)
	knownConn.Authenticate()
	calling, callingConn := b.open(one)
	end, ok := callingConn.Begin()
	require.True(t, ok)
	idle, _ := b.open(one)
	requireClosed(t, idle)
	requireOpen(t, known, knownConn)
	requireOpen(t, calling, callingConn)
	end()
	requireClosed(t, calling)
	require.Equal(t, []listen.Reason{listen.Idle, listen.Idle}, b.reasons(2))
	requireOpen(t, known, knownConn)
}

func TestCallsWithoutATokenAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, listen.Config{Most: 10, Calls: 2, AuthenticatedCalls: 3, Bytes: 100})
	theirs, ours := b.open(one)
	first, ok := ours.Begin()
	require.True(t, ok)
	_, ok = ours.Begin()
	require.True(t, ok)
	_, ok = ours.Begin()
	require.False(t, ok)
	first()
	_, ok = ours.Begin()
	require.True(t, ok)
	ours.Authenticate()
	_, ok = ours.Begin()
	require.True(t, ok)
	_, ok = ours.Begin()
	require.False(t, ok)
	_, err := theirs.Write(make([]byte, 1000))
	require.NoError(t, err)
	_, err = io.ReadFull(ours, make([]byte, 1000))
	require.NoError(t, err, "one that has authenticated sends what it wants")
}

func TestAStrangerSendsLittleDuringItsCalls(t *testing.T) {
	t.Parallel()
	b := newBench(t, listen.Config{Most: 10, Bytes: 100})
	theirs, ours := b.open(one)
	for range 3 {
		end, ok := ours.Begin()
		require.True(t, ok)
		_, err := theirs.Write(make([]byte, 60))
		require.NoError(t, err)
		_, err = io.ReadFull(ours, make([]byte, 60))
		require.NoError(t, err, "each call has room")
		end()
	}
	_, ok := ours.Begin()
	require.True(t, ok)
	_, err := theirs.Write(make([]byte, 101))
	require.NoError(t, err)
	_, err = io.ReadFull(ours, make([]byte, 101))
	require.Error(t, err)
	requireClosed(t, theirs)
	require.Equal(t, []listen.Reason{listen.Size}, b.reasons(1))
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	require.Equal(t, "192.0.2.1/32", listen.Network(netip.MustParseAddr("192.0.2.1")).String())
	require.Equal(t, "2001:db8::/64", listen.Network(netip.MustParseAddr("2001:db8::1")).String())
	require.Equal(t, 7, listen.Fit(7))
}
