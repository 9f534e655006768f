package server_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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

// ready waits until /readyz answers so.
func ready(t *testing.T, b *backendtest.Backend, want int, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		status, body := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/readyz")
		return status == want && strings.Contains(body, text)
	}, time.Minute, 100*time.Millisecond)
}

// A storage that could not keep a log, as a full disk, is ready again once it takes what
// the server writes to it by itself.
func TestReadyWhileTheStorageTakesObjects(t *testing.T) {
	t.Parallel()
	h := held{began: make(chan struct{}, 2), letGo: make(chan struct{})}
	b := backendtest.Start(t, backendtest.WithKinds(h.kinds()...))
	ready(t, b, http.StatusOK, "")
	tmp := filepath.Join(b.DataDir, "logs", "tmp")
	require.NoError(t, os.Rename(tmp, tmp+"-away"))
	require.NoError(t, os.WriteFile(tmp, nil, 0o600))
	h.start(t, b)
	ready(t, b, http.StatusServiceUnavailable, "")
	require.NoError(t, os.Remove(tmp))
	require.NoError(t, os.Rename(tmp+"-away", tmp))
	ready(t, b, http.StatusOK, "")
	close(h.letGo)
}

// What such a server seals is lost with its end.
func TestReadyWhileTheKeysAreThere(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "storage.key")
	require.NoError(t, seal.NewKeyFile(key))
	b := backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) { cfg.StorageKey = blob.DirectoryURL(key) }))
	ready(t, b, http.StatusOK, "")
	keys := filepath.Join(b.DataDir, "keys")
	require.NoError(t, os.Rename(keys, keys+"-away"))
	ready(t, b, http.StatusServiceUnavailable, "")
	require.NoError(t, os.Rename(keys+"-away", keys))
	ready(t, b, http.StatusOK, "")
}

// starts starts a server and stops it; it may refuse.
func starts(t *testing.T, cfg config.Config) error {
	t.Helper()
	s, err := server.New(t.Context(), cfg, server.Options{Log: hclog.NewNullLogger()})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return s.Run(ctx)
}

func TestStorageOfAnotherDatabaseStartsNoServer(t *testing.T) {
	t.Parallel()
	first, second := storageConfig(t), storageConfig(t)
	one, empty := t.TempDir(), t.TempDir()
	first.StorageURL, second.StorageURL = blob.DirectoryURL(one), blob.DirectoryURL(one)
	require.NoError(t, starts(t, first))
	require.NoError(t, starts(t, first))

	// It would remove what the first one's executions use.
	err := starts(t, second)
	require.ErrorContains(t, err, "storage-url: ")
	require.ErrorContains(t, err, "file://"+one+" is of another database than "+second.DataDir+"/headrace.db")
	require.ErrorContains(t, err, "headraced adopt-storage")
	second.StorageURL = ""
	require.NoError(t, starts(t, second))
	second.StorageURL = blob.DirectoryURL(one)
	require.ErrorContains(t, starts(t, second), "file://"+one+" has the id ")

	// What is not mounted stays empty.
	first.StorageURL = blob.DirectoryURL(empty)
	err = starts(t, first)
	require.ErrorContains(t, err, "file://"+empty+" has no identity/id")
	require.ErrorContains(t, err, first.DataDir+"/headrace.db")
	made, err := os.ReadDir(empty)
	require.NoError(t, err)
	require.Empty(t, made)

	// On purpose, and then the one before is another.
	told, err := server.AdoptStorage(t.Context(), first)
	require.NoError(t, err)
	require.Contains(t, told, "file://"+empty+" is the storage of the database "+first.DataDir+"/headrace.db from now on")
	require.NoError(t, starts(t, first))
	told, err = server.AdoptStorage(t.Context(), first)
	require.NoError(t, err)
	require.Contains(t, told, "already")
	first.StorageURL = blob.DirectoryURL(one)
	require.ErrorContains(t, starts(t, first), "has the id ")

	// A storage that is copied goes on to be the one.
	copied := filepath.Join(t.TempDir(), "copied")
	require.NoError(t, os.CopyFS(copied, os.DirFS(empty)))
	first.StorageURL = blob.DirectoryURL(copied)
	require.NoError(t, starts(t, first))
}

func TestReadyWhileTheStorageIsTheDatabases(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	ready(t, b, http.StatusOK, "ok")
	identity := filepath.Join(b.DataDir, "identity")
	require.NoError(t, os.Rename(identity, identity+"-away"))
	ready(t, b, http.StatusServiceUnavailable, "is not the one of the database")
	require.NoError(t, os.Rename(identity+"-away", identity))
	ready(t, b, http.StatusOK, "ok")
}

func TestReadyWhileTheStorageAnswers(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	ready(t, b, http.StatusOK, "")
	artifacts := filepath.Join(b.DataDir, "artifacts")
	require.NoError(t, os.Rename(artifacts, artifacts+"-away"))
	ready(t, b, http.StatusServiceUnavailable, "")
	require.NoError(t, os.Rename(artifacts+"-away", artifacts))
	ready(t, b, http.StatusOK, "")
}
