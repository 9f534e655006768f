package hooks

import (
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
)

const (
	headerLimit = 10 * time.Second
	// readLimit is for a body of 25 MiB over a slow line. Forges hang up after 10 to 60 s.
	readLimit = 2 * time.Minute
	// writeLimit covers reading too.
	writeLimit = readLimit + deliverLimit + 30*time.Second
	idleLimit  = 2 * time.Minute
	maxHeader  = 64 << 10
	// maxConnections keeps strangers from taking all file descriptors of the process, which
	// also serves runners and people.
	maxConnections = 4096
	// grace is how long a connection may take to send a request in a flood of others. One
	// that is served stays longer.
	grace = 100 * time.Millisecond
)

// Limit returns a listener within the bounds of connections. One authenticates by a
// delivery that is verified. Proxies are trusted to speak for many senders.
func Limit(listener net.Listener, proxies []netip.Prefix, observe func(listener string, reason listen.Reason), log hclog.Logger) net.Listener {
	most := listen.Fit(maxConnections)
	return listen.New(listener, listen.Config{
		Name: "hooks", Most: most, Each: most / 2, Grace: grace, Proxies: proxies, Observe: observe, Log: log,
	})
}

// NewServer returns a server of deliveries, which has its own limits. The TLS configuration
// may be nil.
func NewServer(handler http.Handler, conf *tls.Config, errorLog *log.Logger) *http.Server {
	return &http.Server{
		Handler: handler, TLSConfig: conf, ErrorLog: errorLog,
		ReadHeaderTimeout: headerLimit, ReadTimeout: readLimit, WriteTimeout: writeLimit, IdleTimeout: idleLimit,
		MaxHeaderBytes: maxHeader, ConnContext: listen.WithConn,
		ConnState: listen.TrackState,
	}
}
