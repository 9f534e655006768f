package server

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logging"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// newHTTP returns the server of health and metrics. It needs no token: what it
// tells names no account, pipeline or person.
func (s *Server) newHTTP(metrics http.Handler, conf *tls.Config) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if !s.ready.Load() {
			respond(w, http.StatusServiceUnavailable, "stopping")
			return
		}
		if err := s.store.Ready(r.Context()); err != nil {
			s.log.Error("The store is not ready", "error", withRepair(err, s.data))
			why := "the store is not ready; the log says why"
			if errors.Is(err, store.ErrDamaged) {
				why = "the database is damaged; the log says what to do"
			}
			respond(w, http.StatusServiceUnavailable, why)
			return
		}
		if err := s.storage.Err(r.Context()); err != nil {
			s.log.Error("The storage of artifacts and logs is not ready", "error", err)
			why := "is not ready"
			if errors.Is(err, errOtherStorage) {
				why = "is not the one of the database"
			}
			respond(w, http.StatusServiceUnavailable, "the storage of artifacts and logs "+why+"; the log says why")
			return
		}
		if err := s.sealed(r.Context()); err != nil {
			s.log.Error("Sealed values cannot be opened", "error", err)
			respond(w, http.StatusServiceUnavailable, "the key file "+secretsKeyFile+" of sealed secrets is missing or another one; the log says why")
			return
		}
		if !s.loop.Recovered() {
			respond(w, http.StatusServiceUnavailable, "what an earlier process left is not taken over yet; the log says why")
			return
		}
		if err := s.health.Err(); err != nil {
			s.log.Error("The runner is unhealthy", "error", err)
			respond(w, http.StatusServiceUnavailable, "the runner is unhealthy and takes no actions; the log says why")
			return
		}
		respond(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", metrics)
	var handler http.Handler = mux
	if host, _, err := net.SplitHostPort(s.config.HTTPListen); err == nil && config.Loopback(host) {
		handler = onlyThisMachine(mux)
	}
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		TLSConfig: conf, ErrorLog: logging.Standard(s.log.Named("http")),
		ConnState: listen.TrackState,
	}
}

const (
	// maxHTTPConnections is far more than probes and scrapers open.
	maxHTTPConnections = 500
	// httpGrace is how long one may take to send a request in a flood of others.
	httpGrace = 100 * time.Millisecond
)

// limitHTTP bounds the connections of health and metrics. None of them authenticates, and the
// newest is the one that is answered.
func (s withWork) limitHTTP() net.Listener {
	return listen.New(s.httpOn, listen.Config{
		Name: "http", Most: listen.Fit(maxHTTPConnections), Grace: httpGrace, Observe: s.connectionClosed, Log: s.log.Named("http"),
	})
}

// onlyThisMachine answers requests that ask for this machine by its own name. A
// web page that makes its name resolve to 127.0.0.1 has the browser ask for the
// page's name, and gets nothing.
func onlyThisMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !config.Loopback(strings.ToLower(strings.Trim(host, "[]"))) {
			respond(w, http.StatusForbidden, "this address answers to localhost only; set http-listen to an address of this machine for others")
			return
		}
		next.ServeHTTP(w, r)
	})
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
