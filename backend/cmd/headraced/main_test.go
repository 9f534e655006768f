package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/wording"
)

// execute runs the command and returns what it prints.
func execute(ctx context.Context, args ...string) (string, error) {
	var output bytes.Buffer
	cmd := command()
	cmd.SetOut(&output)
	cmd.SetErr(&output)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	return output.String(), err
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	help, err := execute(t.Context(), "-h")
	require.NoError(t, err)
	require.Contains(t, help, "--grpc-listen")
	require.Contains(t, help, "default 127.0.0.1:7480, environment HEADRACE_GRPC_LISTEN")
	text, err := execute(t.Context(), "--version")
	require.NoError(t, err)
	require.Equal(t, "headraced version dev\n", text)
}

func TestOperationsTellWhatTheyTake(t *testing.T) {
	t.Parallel()
	help, err := execute(t.Context(), "-h")
	require.NoError(t, err)
	for _, name := range []string{"migrate", "migrate-store", "backup --to FILE", "restore --from FILE", "adopt-storage"} {
		require.Contains(t, help, "\n  "+name+"\n")
	}
	help, err = execute(t.Context(), "backup", "-h")
	require.NoError(t, err)
	require.Contains(t, help, "The server can be running")
	require.Contains(t, help, "--to string\n      file to create")
	require.Contains(t, help, "--data-dir")
}

func TestHelpOfEveryCommandIsPlainAndHasAnExample(t *testing.T) {
	t.Parallel()
	wording.CheckHelp(t, command())
}

func TestHelpShowsOnlyWhatACommandTakes(t *testing.T) {
	t.Parallel()
	help, err := execute(t.Context(), "storage-key", "new", "-h")
	require.NoError(t, err)
	require.Contains(t, help, "headraced storage-key new FILE")
	require.NotContains(t, help, "--data-dir string")
	_, err = execute(t.Context(), "storage-key")
	require.ErrorContains(t, err, "new, rotate or rewrap")
	_, err = execute(t.Context(), "storage-key", "nwe")
	require.ErrorContains(t, err, "nwe")
}

func TestMistakesAreErrors(t *testing.T) {
	t.Parallel()
	_, err := execute(t.Context(), "--grpc-listen=0.0.0.0:1")
	require.ErrorContains(t, err, "allow-insecure-listen")
	_, err = execute(t.Context(), "serve")
	require.Error(t, err)
	_, err = execute(t.Context(), "backup", "--data-dir", t.TempDir())
	require.ErrorContains(t, err, `"to" not set`)
	_, err = execute(t.Context(), "restore", "--data-dir", t.TempDir())
	require.ErrorContains(t, err, `"from" not set`)
	_, err = execute(t.Context(), "migrate-store", "--data-dir", t.TempDir(), "--database-url", "mysql://x")
	require.ErrorContains(t, err, "postgres://")
	_, err = execute(t.Context(), "--lisen=x")
	require.ErrorContains(t, err, "--lisen")
}

func TestServesUntilToldToStop(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	dir := filepath.Join(t.TempDir(), "data")
	done := make(chan error, 1)
	go func() {
		_, err := execute(ctx, "--data-dir", dir, "--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--log-level=error")
		done <- err
	}()
	token := filepath.Join(dir, "admin.token")
	require.Eventually(t, func() bool {
		matches, err := filepath.Glob(token)
		return err == nil && len(matches) == 1
	}, 10*time.Second, time.Millisecond)
	cancel()
	// It may have been stopped while it started, which is an error or none.
	err := <-done
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
}
