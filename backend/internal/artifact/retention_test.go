package artifact_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
)

func TestTreesAreListedAndRemoved(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	digests := make(map[string]int64)
	put := func(text string) string {
		files := t.TempDir()
		write(t, files, "file", text, 0o644)
		root, err := os.OpenRoot(files)
		require.NoError(t, err)
		defer func() { require.NoError(t, root.Close()) }()
		stored, err := store.Store(t.Context(), "out", root, action.Files{Dir: ".", Time: time.Unix(1, 0)})
		require.NoError(t, err)
		digests[stored.Digest] = stored.Size
		return stored.Digest
	}
	first := put("one")
	put("two")
	write(t, dir, "tmp/put-1", "half of one", 0o600)
	write(t, dir, "ab/notes", "not ours", 0o600)
	listed := func() map[string]int64 {
		all := make(map[string]int64)
		for tree, err := range store.Trees(t.Context()) {
			require.NoError(t, err)
			all[tree.Digest] = tree.Size
		}
		return all
	}
	require.Equal(t, digests, listed())
	seen := 0
	for _, err := range store.Trees(t.Context()) {
		require.NoError(t, err)
		if seen++; seen == 1 {
			break // Who has seen enough may go.
		}
	}
	require.Equal(t, 1, seen)

	// That it is wanted again shows in its time, though it is there already.
	old := time.Now().Add(-72 * time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(dir, first[:2], first[2:]), old, old))
	tree, err := store.Tree(t.Context(), first)
	require.NoError(t, err)
	require.WithinDuration(t, old, tree.StoredAt, time.Second)
	put("one")
	tree, err = store.Tree(t.Context(), first)
	require.NoError(t, err)
	require.True(t, tree.StoredAt.After(old.Add(time.Hour)))

	require.NoError(t, store.Remove(t.Context(), first))
	require.NoError(t, store.Remove(t.Context(), first), "it is gone already")
	_, err = store.Tree(t.Context(), first)
	require.ErrorIs(t, err, artifact.ErrNotStored)
	delete(digests, first)
	require.Equal(t, digests, listed())
	require.Error(t, store.Remove(t.Context(), "../../etc/passwd"))
}
