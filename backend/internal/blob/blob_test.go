package blob_test

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

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

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"file://relative":       "names no directory",
		"file:///tmp?query=1":   "names no directory",
		"nothing://elsewhere":   "no driver registered",
		"://":                   "not a URL",
		"s3://b?unknown=geheim": "unknown query parameter",
		"s3://ann:geheim@b":     "holds credentials",
		"/geheim":               "not a URL",
	} {
		_, err := blob.Open(t.Context(), url, "part")
		require.ErrorContains(t, err, says, url)
		require.NotContains(t, err.Error(), "geheim")
	}
}

func TestDeleteUnder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := open(t, "file://"+dir).Unsynced()
	for _, name := range []string{"a/1", "a/b/2", "ab/1", "a-b/1"} {
		require.NoError(t, store.Put(t.Context(), name, strings.NewReader("one")))
	}
	require.Equal(t, []string{"a-b/1", "a/1", "a/b/2", "ab/1"}, names(t, store, ""))
	require.Equal(t, []string{"a/1", "a/b/2"}, names(t, store, "a/"))
	require.Empty(t, names(t, store, "nothing/"))

	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, store.DeleteUnder(ended, "a"), context.Canceled)
	require.ErrorIs(t, store.Delete(ended, "a/1"), context.Canceled)
	require.Equal(t, []string{"a/1", "a/b/2"}, names(t, store, "a/"))
	require.NoError(t, store.DeleteUnder(t.Context(), "a"))
	require.NoError(t, store.DeleteUnder(t.Context(), "a"))
	require.Equal(t, []string{"a-b/1", "ab/1"}, names(t, store, ""))
	require.NoDirExists(t, filepath.Join(dir, "part", "a"))
}
