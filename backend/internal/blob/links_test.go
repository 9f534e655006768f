package blob_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// neighbour makes a directory with files that are nobody's but their owner's. It is
// within the bucket's directory or elsewhere.
func neighbour(t *testing.T, dir string) string {
	t.Helper()
	dir = filepath.Join(dir, "neighbour")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o700))
	for _, name := range []string{"1", unfinished, "sub/1"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("private"), 0o600))
	}
	return dir
}

// unfinished is a name of a file that is being written.
const unfinished = "put-ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// untouched checks what neighbour made.
func untouched(t *testing.T, dir string) {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}))
	require.ElementsMatch(t, []string{"1", unfinished, "sub/1"}, found)
}

// Who may write to the directory gets nothing else read, written or deleted by links,
// and stops nobody by a pipe.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"elsewhere", "within the directory"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			place := dir
			if where == "elsewhere" {
				place = t.TempDir()
			}
			private := neighbour(t, place)
			store := open(t, blob.DirectoryURL(dir))
			part := filepath.Join(dir, "part")
			require.NoError(t, os.Symlink(filepath.Join(private, "1"), filepath.Join(part, "file")))
			require.NoError(t, os.Symlink(private, filepath.Join(part, "dir")))
			require.NoError(t, syscall.Mkfifo(filepath.Join(part, "pipe"), 0o600))

			for _, name := range []string{"file", "dir/1", "dir/sub/1", "pipe", "dir"} {
				_, err := store.Open(t.Context(), name)
				require.Error(t, err, name)
				require.NotErrorIs(t, err, blob.ErrNotFound)
				require.ErrorContains(t, err, "remove it", name)
			}
			for _, name := range []string{"dir/1", "dir/new", "dir/sub/new"} {
				require.ErrorContains(t, store.Put(t.Context(), name, strings.NewReader("text")), "remove it")
				require.ErrorContains(t, store.PutNew(t.Context(), name, strings.NewReader("text")), "remove it")
				require.ErrorContains(t, store.Delete(t.Context(), name), "remove it")
				require.ErrorContains(t, store.DeleteUnder(t.Context(), name), "remove it")
			}
			for object, err := range store.List(t.Context(), "dir/") {
				require.ErrorContains(t, err, "remove it", object.Name)
			}
			untouched(t, private)

			// An object takes their place, and they can be deleted.
			require.NoError(t, store.Put(t.Context(), "file", strings.NewReader("text")))
			require.Equal(t, "text", read(t, store, "file"))
			require.NoError(t, store.DeleteUnder(t.Context(), "dir"))
			require.NoError(t, store.Delete(t.Context(), "pipe"))
			require.Equal(t, []string{"file"}, names(t, store, ""))
			untouched(t, private)
		})
	}
}

// A start removes what killed processes left, and nothing else that is there.
func TestAStartRemovesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private := neighbour(t, t.TempDir())
	tmp := filepath.Join(dir, "part", "tmp")
	require.NoError(t, os.MkdirAll(tmp, 0o700))
	for _, name := range []string{unfinished, "put-notes", "notes"} {
		require.NoError(t, os.WriteFile(filepath.Join(tmp, name), nil, 0o600))
	}
	link, pipe := unfinished[:29]+"0", unfinished[:29]+"1"
	require.NoError(t, os.Symlink(filepath.Join(private, "1"), filepath.Join(tmp, link)))
	require.NoError(t, syscall.Mkfifo(filepath.Join(tmp, pipe), 0o600))
	open(t, blob.DirectoryURL(dir))
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Len(t, left, 4)
	require.NoFileExists(t, filepath.Join(tmp, unfinished))

	for _, linked := range []string{"part", "part/tmp"} {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, linked)), 0o700))
		require.NoError(t, os.Symlink(private, filepath.Join(dir, linked)))
		_, err := blob.Open(t.Context(), blob.DirectoryURL(dir), "part")
		require.ErrorContains(t, err, filepath.Join(dir, linked))
		require.ErrorContains(t, err, "remove it")
		untouched(t, private)

		require.NoError(t, os.Remove(filepath.Join(dir, linked)))
		require.NoError(t, syscall.Mkfifo(filepath.Join(dir, linked), 0o600))
		_, err = blob.Open(t.Context(), blob.DirectoryURL(dir), "part")
		require.ErrorContains(t, err, filepath.Join(dir, linked))
	}
}
