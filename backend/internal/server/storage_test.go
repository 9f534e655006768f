package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
)

func storageConfig(t *testing.T) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.GRPCListen, cfg.HTTPListen, cfg.Isolation = "127.0.0.1:0", "127.0.0.1:0", "none"
	return cfg
}

func TestStorageThatCannotBeUsedStartsNoServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for says, change := range map[string]func(*config.Config){
		"storage-url: open the directory": func(c *config.Config) { c.StorageURL = blob.DirectoryURL(file) },
		"storage-url: open s3://bucket: ": func(c *config.Config) { c.StorageURL = "s3://bucket?region=x&geheim=geheim" },
		"storage-key: open awskms://alias/key: ": func(c *config.Config) {
			c.StorageKey = "awskms://alias/key?region=x&unknown=geheim&context_tenant=geheim"
		},
		"others may read the key file": func(c *config.Config) {
			require.NoError(t, os.Chmod(file, 0o644))
			c.StorageKey = blob.DirectoryURL(file)
		},
	} {
		cfg := storageConfig(t)
		change(&cfg)
		_, err := server.New(t.Context(), cfg, server.Options{Log: hclog.NewNullLogger()})
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "=geheim")
	}
}

func TestStorageThatLostItsKeysStartsNoServer(t *testing.T) {
	t.Parallel()
	cfg := storageConfig(t)
	key := filepath.Join(t.TempDir(), "storage.key")
	require.NoError(t, seal.NewKeyFile(key))
	cfg.StorageKey = blob.DirectoryURL(key)
	storage := t.TempDir()
	cfg.StorageURL = blob.DirectoryURL(storage)
	object := filepath.Join(storage, "artifacts", "ab", "cd")
	require.NoError(t, os.MkdirAll(filepath.Dir(object), 0o700))
	require.NoError(t, os.WriteFile(object, []byte("\x00headrace-sealed\x01and what follows"), 0o600))
	_, err := server.New(t.Context(), cfg, server.Options{Log: hclog.NewNullLogger()})
	require.ErrorContains(t, err, "put keys/ back")
}

func TestReadyWhileTheStorageAnswers(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	ready := func(want int) func() bool {
		return func() bool {
			status, _ := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/readyz")
			return status == want
		}
	}
	require.Eventually(t, ready(http.StatusOK), time.Minute, 10*time.Millisecond)
	artifacts := filepath.Join(b.DataDir, "artifacts")
	require.NoError(t, os.Rename(artifacts, artifacts+"-away"))
	require.Eventually(t, ready(http.StatusServiceUnavailable), time.Minute, 100*time.Millisecond)
	require.NoError(t, os.Rename(artifacts+"-away", artifacts))
	require.Eventually(t, ready(http.StatusOK), time.Minute, 100*time.Millisecond)
}
