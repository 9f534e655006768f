package server

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
)

// newHTTP returns the server of health and metrics. It needs no token: what it
// tells names no account, pipeline or person.
func (s *Server) newHTTP(metrics http.Handler, conf *tls.Config) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if !s.ready.Load() {
			answer(w, http.StatusServiceUnavailable, "stopping")
			return
		}
		if err := s.store.Ready(r.Context()); err != nil {
			s.log.Error("The store is not ready", "error", err)
			answer(w, http.StatusServiceUnavailable, "the store is not ready; the log says why")
			return
		}
		if err := s.storage.Err(r.Context()); err != nil {
			s.log.Error("The storage of artifacts and logs is not ready", "error", err)
			why := "is not ready"
			if errors.Is(err, errOtherStorage) {
				why = "is not the one of the database"
			}
			answer(w, http.StatusServiceUnavailable, "the storage of artifacts and logs "+why+"; the log says why")
			return
		}
		if !s.executions.Recovered() {
			answer(w, http.StatusServiceUnavailable, "what an earlier process left is not taken over yet; the log says why")
			return
		}
		answer(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", metrics)
	var handler http.Handler = mux
	if host, _, err := net.SplitHostPort(s.config.HTTPListen); err == nil && config.Loopback(host) {
		handler = onlyThisMachine(mux)
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	if conf != nil {
		// Probes and scrapers have no client certificates.
		server.TLSConfig = &tls.Config{MinVersion: conf.MinVersion, Certificates: conf.Certificates}
	}
	return server
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
			answer(w, http.StatusForbidden, "this address answers to localhost only; set http-listen to an address of this machine for others")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// answer writes a line. A caller that went away misses nothing.
func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// serveHTTP serves until the server is closed.
func (s *Server) serveHTTP() error {
	if s.http.TLSConfig != nil {
		return s.http.ServeTLS(s.httpOn, "", "")
	}
	return s.http.Serve(s.httpOn)
}
