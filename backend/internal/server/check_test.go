package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
)

// checked returns the report on a data directory, by the name of the check.
func checked(t *testing.T, dir string, change func(*config.Config)) (lines map[string]string, err error) {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.Isolation = dir, "none"
	if change != nil {
		change(&cfg)
	}
	report, err := server.Check(t.Context(), cfg)
	lines = make(map[string]string)
	for line := range strings.Lines(report) {
		lines[strings.TrimSpace(line[8:22])] = strings.TrimSpace(line[:8]) + " " + strings.TrimSpace(line[24:])
	}
	return lines, err
}

func TestCheckOfARunningServer(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	require.NoError(t, createSecret(t, b, "token"))
	lines, err := checked(t, b.DataDir, nil)
	require.NoError(t, err)
	require.Len(t, lines, 7)
	require.Equal(t, "skip not checked, because tls-cert-file is not set", lines["certificate"])
	delete(lines, "certificate")
	for what, line := range lines {
		require.True(t, strings.HasPrefix(line, "ok "), "%s: %s", what, line)
	}
	require.Contains(t, lines["database"], "headrace.db is intact")
	require.Contains(t, lines["isolation"], "none: chosen by configuration")
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		spoil  func(*testing.T, string)
		change func(*config.Config)
		want   string
	}{
		"database": {func(t *testing.T, dir string) { t.Helper(); damageTable(t, dir, "pipelines") }, nil, "headraced restore"},
		"storage": {func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "identity")))
		}, nil, "this is not the storage of the database"},
		"keys": {func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Join(dir, "secrets.key")))
		}, nil, "secrets.key"},
		"certificate":    {nil, func(c *config.Config) { c.TLSCertFile, c.TLSKeyFile = "/missing.pem", "/missing.key" }, "/missing.pem"},
		"work directory": {func(t *testing.T, dir string) { t.Helper(); replaceByFile(t, filepath.Join(dir, "work")) }, nil, "is not a directory: remove it"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := backendtest.Start(t)
			_, err := b.Admin().Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{
				Name: client.PipelineName("default", "web"), Definition: kindless(),
			}})
			require.NoError(t, err)
			require.NoError(t, createSecret(t, b, "token"))
			b.Stop()
			if test.spoil != nil {
				test.spoil(t, b.DataDir)
			}
			lines, err := checked(t, b.DataDir, test.change)
			require.ErrorContains(t, err, "1 of 7 checks failed")
			require.Len(t, lines, 7)
			if what == "database" {
				for _, skipped := range []string{"storage", "keys", "clock"} {
					require.Equal(t, "skip not checked, because the check of the database failed", lines[skipped])
				}
			}
			require.True(t, strings.HasPrefix(lines[what], "FAILED "), lines[what])
			require.Contains(t, lines[what], test.want)
		})
	}
}

func replaceByFile(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(path))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
}

func TestCheckWithoutRunner(t *testing.T) {
	t.Parallel()
	lines, err := checked(t, backendtest.Start(t).DataDir, func(c *config.Config) { c.RunnerSlots = 0 })
	require.NoError(t, err)
	for _, what := range []string{"work directory", "isolation"} {
		require.Equal(t, "skip not checked, because runner-slots is 0", lines[what])
	}
}

func TestCheckWithoutBubblewrap(t *testing.T) {
	t.Setenv("PATH", withoutBubblewrap(t))
	b := backendtest.Start(t)
	lines, err := checked(t, b.DataDir, func(c *config.Config) { c.Isolation = "auto" })
	require.ErrorContains(t, err, "1 of 7 checks failed")
	require.Contains(t, lines["isolation"], "install bubblewrap")
}
