package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func createSecret(t *testing.T, b *backendtest.Backend, name string) error {
	t.Helper()
	_, err := b.Admin().Secrets.CreateSecret(t.Context(), &v1.CreateSecretRequest{
		Secret: &v1.Secret{Name: client.SecretName("default", name), Value: []byte("hunter22")},
	})
	return err
}

// TestKeyFileGoesWithTheDatabase holds that a backup says what to copy, and that a server
// without it makes no other key, whose secrets would be lost when the right one is put back.
func TestKeyFileGoesWithTheDatabase(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	at := config.Default()
	at.DataDir = b.DataDir
	said, err := server.Backup(t.Context(), at, filepath.Join(t.TempDir(), "before.db"))
	require.NoError(t, err)
	require.NotContains(t, said, "secrets.key")
	require.NoError(t, createSecret(t, b, "first"))
	copied := filepath.Join(t.TempDir(), "after.db")
	said, err = server.Backup(t.Context(), at, copied)
	require.NoError(t, err)
	require.Contains(t, said, "Also copy "+filepath.Join(b.DataDir, "secrets.key"))

	to := config.Default()
	to.DataDir = filepath.Join(t.TempDir(), "restored")
	said, err = server.Restore(t.Context(), to, copied)
	require.NoError(t, err)
	require.Contains(t, said, "secrets.key")
	for _, part := range []string{"artifacts", "logs", "identity"} {
		require.NoError(t, os.CopyFS(filepath.Join(to.DataDir, part), os.DirFS(filepath.Join(b.DataDir, part))))
	}
	token, err := os.ReadFile(filepath.Join(b.DataDir, "admin.token"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(to.DataDir, "admin.token"), token, 0o600))
	var log safeBuffer
	restored := backendtest.Start(t, backendtest.WithDataDir(to.DataDir), func(_ *config.Config, options *server.Options) {
		options.Log = hclog.New(&hclog.LoggerOptions{Output: &log})
	})
	require.Contains(t, log.String(), "the key file secrets.key is not in the data directory", "the start says so")
	ready := "http://" + restored.HTTPAddr + "/readyz"
	status, said := fetch(t, http.DefaultClient, ready)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, said, "secrets.key")
	err = createSecret(t, restored, "second")
	require.Equal(t, pipeline.ReasonNoSealingKey, client.Reason(err))
	require.ErrorContains(t, err, "the key file secrets.key is not in the data directory")
	key, err := os.ReadFile(filepath.Join(b.DataDir, "secrets.key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(to.DataDir, "secrets.key"), key, 0o600))
	require.NoError(t, createSecret(t, restored, "second"))
	status, said = fetch(t, http.DefaultClient, ready)
	require.Equal(t, http.StatusOK, status, said)
}

// TestStorageKeySealsSecrets holds that no key file is made where the storage is encrypted.
func TestStorageKeySealsSecrets(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "storage.key")
	require.NoError(t, seal.NewKeyFile(key))
	b := backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) { cfg.StorageKey = blob.DirectoryURL(key) }))
	require.NoError(t, createSecret(t, b, "first"))
	require.NoFileExists(t, filepath.Join(b.DataDir, "secrets.key"))
}
