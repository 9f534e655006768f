package blob_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

func open(t *testing.T, url string) *blob.Store {
	t.Helper()
	store, err := blob.Open(t.Context(), url, "part")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func read(t *testing.T, store *blob.Store, name string) string {
	t.Helper()
	reader, err := store.Open(t.Context(), name)
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	text, err := io.ReadAll(reader)
	require.NoError(t, err)
	return string(text)
}

func names(t *testing.T, store *blob.Store, prefix string) (names []string) {
	t.Helper()
	for object, err := range store.List(t.Context(), prefix) {
		require.NoError(t, err)
		names = append(names, object.Name)
	}
	return names
}

func TestStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := open(t, "file://"+dir)
	long := strings.Repeat("0123456789", 100_000)
	for name, text := range map[string]string{"a/1": "one", "a/2": long, "ab/1": "", "top": "top"} {
		require.NoError(t, store.Put(t.Context(), name, strings.NewReader(text)))
		require.Equal(t, text, read(t, store, name))
	}
	require.Equal(t, []string{"a/1", "a/2"}, names(t, store, "a/"))
	require.Equal(t, []string{"a/1", "a/2", "ab/1", "top"}, names(t, store, ""))

	require.NoError(t, store.Put(t.Context(), "a/1", strings.NewReader("other")))
	require.Equal(t, "other", read(t, open(t, "file://"+dir), "a/1"))

	require.NoError(t, store.Delete(t.Context(), "a/1"))
	require.NoError(t, store.Delete(t.Context(), "a/1"))
	_, err := store.Open(t.Context(), "a/1")
	require.ErrorIs(t, err, blob.ErrNotFound)
}

// A reader that fails in the middle leaves what was there.
func TestPutWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := open(t, "file://"+dir)
	require.NoError(t, store.Put(t.Context(), "a/1", strings.NewReader("before")))
	broken := errors.New("broken")
	for _, name := range []string{"a/1", "a/2"} {
		err := store.Put(t.Context(), name, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)))
		require.ErrorIs(t, err, broken)
	}
	require.Equal(t, "before", read(t, store, "a/1"))
	require.Equal(t, []string{"a/1"}, names(t, store, ""))
	files, err := os.ReadDir(filepath.Join(dir, "part", "a"))
	require.NoError(t, err)
	require.Len(t, files, 1)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"file://relative":      "names no directory",
		"file:///tmp?query=1":  "names no directory",
		"nothing://elsewhere":  "no driver registered",
		"://":                  "is not a URL",
		"s3://b?unknown=param": "unknown query parameter",
	} {
		_, err := blob.Open(t.Context(), url, "part")
		require.ErrorContains(t, err, says, url)
	}
}
