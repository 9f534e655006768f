package server

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
)

// A server was killed while it started a process, which holds the lock of the data directory a little longer.
func TestLockOfAKilledServerIsAwaited(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first, err := openDataDir(dir, hclog.NewNullLogger())
	require.NoError(t, err)
	killed := exec.CommandContext(t.Context(), "true")
	require.NoError(t, killed.Run())
	require.NoError(t, os.WriteFile(first.lock.Name(), []byte(strconv.Itoa(killed.Process.Pid)+"\n"), 0o600))
	started := exec.CommandContext(t.Context(), "sleep", "0.3")
	started.ExtraFiles = []*os.File{first.lock}
	require.NoError(t, started.Start())
	// Closing does not unlock what a process has inherited.
	require.NoError(t, first.lock.Close())

	next, err := openDataDir(dir, hclog.NewNullLogger())
	require.NoError(t, err)
	require.NoError(t, started.Wait())
	_, err = openDataDir(dir, hclog.NewNullLogger())
	require.ErrorContains(t, err, "in use by another headraced (process "+strconv.Itoa(os.Getpid())+")")
	require.NoError(t, syscall.Flock(int(next.lock.Fd()), syscall.LOCK_UN))
	require.NoError(t, next.lock.Close())
}
