package blob_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// dirty returns how many pages of a file the kernel has not given to the disk yet.
func dirty(t *testing.T, path string) uint64 {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	var pages unix.Cachestat_t
	if err := unix.Cachestat(uint(file.Fd()), &unix.CachestatRange{}, &pages, 0); err != nil {
		t.Skipf("the kernel does not tell what is on the disk: %v", err)
	}
	return pages.Dirty + pages.Writeback
}

// What was put outlives a crash of the machine, so it is on the disk when Put returns. The
// kernel tells that of a file; it does not of a directory, whose names are in the
// file system's own pages, so that nothing short of a crash shows whether they were synced.
func TestPutWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := open(t, blob.DirectoryURL(dir))
	content := strings.Repeat("0123456789abcdef", 1<<16)
	require.NoError(t, store.Unsynced().Put(t.Context(), "unsynced", strings.NewReader(content)))
	if dirty(t, filepath.Join(dir, "part", "unsynced")) == 0 {
		t.Skip("this file system does not tell what is on the disk")
	}
	require.NoError(t, store.Put(t.Context(), "put", strings.NewReader(content)))
	require.NoError(t, store.PutNew(t.Context(), "new", strings.NewReader(content)))
	draft, err := store.Draft(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, draft.Close()) })
	_, err = draft.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, draft.Put(t.Context(), "draft"))
	for _, name := range []string{"put", "new", "draft"} {
		require.Zero(t, dirty(t, filepath.Join(dir, "part", name)), name)
	}
}
