package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/logging"
)

// newLog returns a log in a format, what it wrote, and its clock.
func newLog(asJSON bool) (log hclog.Logger, output *bytes.Buffer, now *time.Time) {
	output, now = &bytes.Buffer{}, new(time.Time)
	*now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return logging.New(logging.Config{
		Name: "headraced", Level: hclog.Debug, JSON: asJSON, Output: output, Clock: func() time.Time { return *now },
	}), output, now
}

func TestValuesAreReadable(t *testing.T) {
	t.Parallel()
	args := []any{
		"grace", 3 * time.Second, "error", errors.New("first\nsecond"), "peer", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7},
		"none", (*net.TCPAddr)(nil), "count", 7, "name", "web",
	}
	log, output, _ := newLog(true)
	log.With("lease", time.Minute).Named("runner").Info("Stopping", args...)
	var line map[string]any
	require.NoError(t, json.Unmarshal(output.Bytes(), &line))
	require.Subset(t, line, map[string]any{
		"@level": "info", "@message": "Stopping", "@module": "headraced.runner", "lease": "1m0s", "grace": "3s", "error": "first\nsecond",
		"peer": "127.0.0.1:7", "count": 7.0, "name": "web",
	})
	log, output, _ = newLog(false)
	log.Info("Stopping", args...)
	require.Equal(t, 1, strings.Count(output.String(), "\n"), output.String())
	require.Contains(t, output.String(), `grace=3s error="first\nsecond" peer=127.0.0.1:7`)
}

func TestWhatRepeatsIsBounded(t *testing.T) {
	t.Parallel()
	log, output, now := newLog(false)
	for range 1000 {
		log.Named("dispatch").Error("Cannot fetch jobs", "error", "refused")
		log.Info("A call was answered")
	}
	log.Error("Another error")
	require.Equal(t, 50, strings.Count(output.String(), "Cannot fetch jobs"))
	require.Equal(t, 1000, strings.Count(output.String(), "A call was answered"), "information is not bounded")
	require.Equal(t, 1, strings.Count(output.String(), "Another error"))
	output.Reset()
	*now = now.Add(time.Second)
	log.Named("dispatch").Error("Cannot fetch jobs", "error", "refused")
	require.Contains(t, output.String(), "Cannot fetch jobs: error=refused dropped=950")
	output.Reset()
	strangers := logging.Bounded(log, func() time.Time { return *now })
	for range 1000 {
		strangers.Info("A call was refused", "took", time.Second)
	}
	require.Equal(t, 50, strings.Count(output.String(), "A call was refused: took=1s"))
}

func TestLibrariesWriteToTheLog(t *testing.T) {
	t.Parallel()
	log, output, _ := newLog(true)
	standard := logging.Standard(log)
	standard.Printf("http: TLS handshake error from 192.0.2.1:5: EOF")
	standard.Printf("http: Accept error: %s; retrying", strings.Repeat("x", 5000))
	logging.Slog(log).With("queue", "default").Error("producer: Error fetching jobs", "err", errors.New("a\nb"), "after", time.Second)
	logging.Slog(log).InfoContext(context.Background(), "not shown")
	lines := strings.Split(strings.TrimSpace(output.String()), "\n")
	require.Len(t, lines, 3)
	for i, want := range []map[string]any{
		{"@level": "debug", "text": "http: TLS handshake error from 192.0.2.1:5: EOF"},
		{"@level": "warn", "@message": "A library reports a problem"},
		{"@level": "error", "@message": "producer: Error fetching jobs", "queue": "default", "err": "a\nb", "after": "1s"},
	} {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &line))
		require.Subset(t, line, want)
	}
	require.Less(t, len(lines[1]), 1200)
}
