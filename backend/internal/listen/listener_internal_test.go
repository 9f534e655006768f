package listen

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stranger is a connection that was opened some time ago, and has been served for some time. Zero
// means that it is not being served.
type stranger struct{ open, served time.Duration }

// Strangers that are all being served must not make each new connection wait.
func TestNewConnectionsWaitOnlyIfAllAreNew(t *testing.T) {
	t.Parallel()
	const grace, served = time.Minute, time.Hour
	for name, test := range map[string]struct {
		open   []stranger
		victim int
		waits  bool
	}{
		"the oldest that is not served":         {[]stranger{{30 * time.Minute, time.Minute}, {20 * time.Minute, 0}, {10 * time.Minute, 0}}, 1, false},
		"all are served, and one is new":        {[]stranger{{30 * time.Minute, 2 * time.Minute}, {20 * time.Minute, time.Minute}, {time.Second, 0}}, 0, false},
		"one is served for too long":            {[]stranger{{3 * time.Hour, time.Minute}, {2 * time.Hour, 2 * time.Hour}, {90 * time.Minute, 0}}, 1, false},
		"all are new":                           {[]stranger{{2 * time.Second, 0}, {time.Second, 0}}, 0, true},
		"all are new, and the oldest is served": {[]stranger{{2 * time.Second, time.Second}, {time.Second, 0}}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := New(nil, Config{Most: len(test.open), Grace: grace, Served: served})
			conns := make([]*Conn, 0, len(test.open))
			now := time.Now()
			for _, s := range test.open {
				ours, theirs := net.Pipe()
				t.Cleanup(func() {
					_ = ours.Close()
					_ = theirs.Close()
				})
				conn := newConn(ours, l)
				require.Equal(t, decision{}, l.admit(conn))
				conn.began = now.Add(-s.open)
				if s.served > 0 {
					conn.busy.Store(now.Add(-s.served).UnixNano())
				}
				conns = append(conns, conn)
			}
			decided := l.admit(newConn(conns[0].Conn, l))
			require.Same(t, conns[test.victim], decided.victim)
			require.Equal(t, test.waits, decided.wait > 0)
		})
	}
}
