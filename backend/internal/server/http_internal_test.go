package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
)

// Anyone may send a probe and hang up.
func TestProbesThatAreCancelledLogNothing(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.DataDir, cfg.GRPCListen, cfg.HTTPListen = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "127.0.0.1:0"
	cfg.Isolation, cfg.RunnerSlots = "none", 0
	s, err := New(t.Context(), cfg, Options{Log: hclog.NewNullLogger()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.opened.close()) })
	s.ready.Store(true)
	var log bytes.Buffer
	s.log = hclog.New(&hclog.LoggerOptions{Output: &log})
	s.sealed = func(ctx context.Context) error { return ctx.Err() }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	s.newProbes(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Empty(t, log.String())
}

func TestTheServerAnswersToItsName(t *testing.T) {
	t.Parallel()
	handler := onlyByName("ci.example.com", []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}, http.NotFoundHandler())
	for name, test := range map[string]struct {
		host, from string
		code       int
	}{
		"its name":                {"CI.example.com", "198.51.100.1:1", http.StatusNotFound},
		"its name and a port":     {"ci.example.com:7481", "198.51.100.1:1", http.StatusNotFound},
		"an address":              {"203.0.113.5:7481", "198.51.100.1:1", http.StatusNotFound},
		"an address of IPv6":      {"[2001:db8::5]:7481", "198.51.100.1:1", http.StatusNotFound},
		"this machine":            {"localhost:7481", "127.0.0.1:1", http.StatusNotFound},
		"a page's own name":       {"evil.example", "198.51.100.1:1", http.StatusForbidden},
		"a part of the name":      {"ci.example.com.evil.example", "198.51.100.1:1", http.StatusForbidden},
		"another name of a proxy": {"headrace:7481", "192.0.2.7:1", http.StatusNotFound},
		"the same without trust":  {"headrace:7481", "192.0.2.8:1", http.StatusForbidden},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host, r.RemoteAddr = test.host, test.from
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Equal(t, test.code, w.Code, name)
	}
}

// The whole handler, as it is on an address that others reach. Probes ask by any name.
func TestNamesAreCheckedWhereTheUIHasAURL(t *testing.T) {
	t.Parallel()
	for url, code := range map[string]int{"https://ci.example.com": http.StatusForbidden, "": http.StatusUnauthorized} {
		cfg := config.Default()
		cfg.DataDir, cfg.GRPCListen, cfg.HTTPListen = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "127.0.0.1:0"
		cfg.Isolation, cfg.RunnerSlots = "none", 0
		s, err := New(t.Context(), cfg, Options{Log: hclog.NewNullLogger()})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.opened.close()) })
		s.config.HTTPListen, s.config.UIURL = "0.0.0.0:7481", url
		server, err := s.newHTTP(http.NotFoundHandler(), nil)
		require.NoError(t, err)
		ask := func(path string) int {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Host = "evil.example"
			w := httptest.NewRecorder()
			server.Handler.ServeHTTP(w, r)
			return w.Code
		}
		require.Equal(t, code, ask("/session"), url)
		require.Equal(t, http.StatusOK, ask("/healthz"), url)
	}
}

func TestBrowsersKeepTLS(t *testing.T) {
	t.Parallel()
	handler := keepTLS(http.NotFoundHandler())
	ask := func(host string, state *tls.ConnectionState) string {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host, r.TLS = host, state
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Header().Get("Strict-Transport-Security")
	}
	require.Equal(t, "max-age=31536000", ask("ci.example.com", &tls.ConnectionState{}))
	require.Empty(t, ask("ci.example.com", nil))
	require.Empty(t, ask("localhost:7481", &tls.ConnectionState{}))
}
