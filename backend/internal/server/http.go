package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logging"
	"github.com/headrace/terraform-provider-headrace/backend/internal/rpc"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ui"
	"github.com/headrace/terraform-provider-headrace/backend/web"
)

const (
	// httpPing and httpPingTimeout find clients of HTTP/2 that went away under a stream.
	httpPing, httpPingTimeout = time.Minute, 20 * time.Second
	// maxHTTPStreams bounds the calls at once of a connection of HTTP/2.
	maxHTTPStreams = 100
)

// newHTTP returns the server of health, metrics and calls of browsers. Health and metrics need
// no token: what they tell names no account, pipeline or person.
func (s *Server) newHTTP(metrics http.Handler, conf *tls.Config) (*http.Server, error) {
	inner, err := s.rpc.Handler()
	if err != nil {
		return nil, err
	}
	public, err := publicOf(s.config.BrowsersURL())
	if err != nil {
		return nil, err
	}
	sameOrigin, err := public.sameOrigin()
	if err != nil {
		return nil, err
	}
	calls, sessions := sameOrigin.Handler(inner), sameOrigin.Handler(s.rpc.Sessions(s.config.TrustedProxies))
	pages, err := s.newPages(public.path)
	if err != nil {
		return nil, err
	}
	probes := s.newProbes(metrics)
	if s.config.UIURL != "" {
		named := func(next http.Handler) http.Handler { return onlyByName(public.name, s.config.TrustedProxies, next) }
		calls, sessions, pages = named(calls), named(sessions), named(pages)
	}
	handler := public.belowPath(ui.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, rpc.PathPrefix):
			calls.ServeHTTP(w, r)
		case r.URL.Path == rpc.SessionPath:
			sessions.ServeHTTP(w, r)
		case r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || r.URL.Path == "/metrics":
			probes.ServeHTTP(w, r)
		case r.URL.Path == "/hooks" || strings.HasPrefix(r.URL.Path, "/hooks/"):
			// Deliveries have an address of their own.
			http.NotFound(w, r)
		default:
			pages.ServeHTTP(w, r)
		}
	})))
	if host, _, err := net.SplitHostPort(s.config.HTTPListen); err == nil && config.Loopback(host) {
		handler = onlyThisMachine(public.name, handler)
	}
	handler = keepTLS(handler)
	return &http.Server{
		// The timeouts of requests are for strangers. Calls that have authenticated have their own.
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: maxHTTPStreams, SendPingTimeout: httpPing, PingTimeout: httpPingTimeout},
		TLSConfig: conf, ErrorLog: logging.Standard(s.log.Named("http")),
		ConnState: listen.TrackState, ConnContext: listen.WithConn,
	}, nil
}

// newPages returns the handler of the web UI, for browsers that find it below a path.
func (s *Server) newPages(base string) (http.Handler, error) {
	if s.config.UIDir != "" {
		pages, err := ui.New(ui.Config{Files: os.DirFS(s.config.UIDir), Changing: true, Base: base})
		if err != nil {
			return nil, fmt.Errorf("ui-dir: %w", err)
		}
		return pages, nil
	}
	// Without the UI there are no files.
	files, _ := web.Files()
	return ui.New(ui.Config{Files: files, Base: base})
}

// newProbes returns the handler of health and metrics.
func (s *Server) newProbes(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	failed := func(r *http.Request, message string, err error) {
		// If the prober has hung up, the check was cancelled, which says nothing about the server.
		if r.Context().Err() == nil {
			s.log.Error(message, "error", err)
		}
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if !s.ready.Load() {
			respond(w, http.StatusServiceUnavailable, "stopping")
			return
		}
		if err := s.store.Ready(r.Context()); err != nil {
			failed(r, "The store is not ready", withRepair(err, s.data))
			why := "the store is not ready; the log says why"
			if errors.Is(err, store.ErrDamaged) {
				why = "the database is damaged; the log says what to do"
			}
			respond(w, http.StatusServiceUnavailable, why)
			return
		}
		if err := s.storage.Err(r.Context()); err != nil {
			failed(r, "The storage of artifacts and logs is not ready", err)
			why := "is not ready"
			if errors.Is(err, errOtherStorage) {
				why = "is not the one of the database"
			}
			respond(w, http.StatusServiceUnavailable, "the storage of artifacts and logs "+why+"; the log says why")
			return
		}
		if err := s.sealed(r.Context()); err != nil {
			failed(r, "Sealed values cannot be opened", err)
			respond(w, http.StatusServiceUnavailable, "the key file "+secretsKeyFile+" of sealed secrets is missing or another one; the log says why")
			return
		}
		if !s.loop.Recovered() {
			respond(w, http.StatusServiceUnavailable, "what an earlier process left is not taken over yet; the log says why")
			return
		}
		if err := s.health.Err(); err != nil {
			failed(r, "The runner is unhealthy", err)
			respond(w, http.StatusServiceUnavailable, "the runner is unhealthy and takes no actions; the log says why")
			return
		}
		respond(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", metrics)
	return mux
}

// onlyThisMachine answers requests that ask for this machine by its own name, or by the name
// that a proxy on it has. A web page that makes its name resolve to 127.0.0.1 has the browser
// ask for the page's name, and gets nothing.
func onlyThisMachine(proxy string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r)
		if !config.Loopback(host) && (proxy == "" || host != proxy) {
			respond(w, http.StatusForbidden, "this address answers only to localhost and to the host name in ui-url; set ui-url to the URL of a proxy on "+
				"this machine, or http-listen to an address that is not loopback")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// onlyByName answers requests for the name in ui-url, an IP address or this machine, since a web page
// whose name resolves to the server's address cannot send those. Proxies that are trusted may
// replace the name.
func onlyByName(name string, proxies []netip.Prefix, next http.Handler) http.Handler {
	trusted := func(r *http.Request) bool {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		return err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(peer.Addr().Unmap()) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r)
		if _, err := netip.ParseAddr(host); err != nil && host != name && !config.Loopback(host) && !trusted(r) {
			respond(w, http.StatusForbidden, "the server answers only to the host name in ui-url and to IP addresses; open the URL in ui-url, "+
				"or have the proxy pass on the Host header, or add the proxy to trusted-proxies")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// keepTLS has browsers use TLS for a year for the host of an answer that came by it. This machine
// is left out, since other programs on it are reached without TLS at the same name.
func keepTLS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && !config.Loopback(hostOf(r)) {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf returns the host that a request is for, in lower case and without a port.
func hostOf(r *http.Request) string {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// respond writes a line. An error means that the caller is gone, so it is ignored.
func respond(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// serveOn serves until the server is closed.
func serveOn(server *http.Server, listener net.Listener) error {
	serve := func() error { return server.Serve(listener) }
	if server.TLSConfig != nil {
		serve = func() error { return server.ServeTLS(listener, "", "") }
	}
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
