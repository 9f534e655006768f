package server

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
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
