package artifact_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// asked is a context that does something when it is asked for its end, as it is before
// every read, for the n-th time.
type asked struct {
	context.Context
	n  int
	do func()
}

func (a *asked) Err() error {
	if a.n--; a.n == 0 {
		a.do()
	}
	return a.Context.Err()
}

// Whenever somebody writes to a stored artifact that is being read, nothing is laid out
// that was not stored.
func TestArtifactThatChangesWhileItIsRead(t *testing.T) {
	t.Parallel()
	store, storeDir := open(t)
	dir := t.TempDir()
	// Longer than what is read at once.
	write(t, dir, "deploy", strings.Repeat("good", 200_000), 0o755)
	stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
	require.NoError(t, err)
	path := filepath.Join(storeDir, stored.Digest[:2], stored.Digest[2:])
	require.NoError(t, os.Chmod(path, 0o600))
	good, err := os.ReadFile(path)
	require.NoError(t, err)

	said := map[string]bool{}
	for n := 1; ; n++ {
		require.NoError(t, os.WriteFile(path, good, 0o600))
		changed := false
		ctx := &asked{t.Context(), n, func() {
			changed = true
			require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(good, []byte("good"), []byte("evil")), 0o600))
		}}
		into := t.TempDir()
		err := store.Fetch(ctx, stored.Artifact, root(t, into), ".")
		if !changed {
			require.NoError(t, err)
			break
		}
		text, _ := os.ReadFile(filepath.Join(into, "deploy"))
		require.NotContains(t, string(text), "evil", "changed at the read %d", n)
		if err == nil {
			require.Equal(t, list(t, dir), list(t, into))
			continue
		}
		_, why, _ := strings.Cut(err.Error(), "the stored artifact ")
		said[strings.Fields(why)[0]] = true
	}
	require.True(t, said["changed"], "no change hit the second reading")
}

// What is longer than it was costs neither the disk nor the time to read it.
func TestArtifactThatIsTooLong(t *testing.T) {
	t.Parallel()
	dir, bucket, spool := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, dir, "file", "text", 0o644)
	url := blob.DirectoryURL(bucket)
	store := sealed(t, url, spool)
	stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
	require.NoError(t, err)
	path := filepath.Join(bucket, "artifacts", stored.Digest[:2], stored.Digest[2:])
	// More than the disk has, instead of a sealed object: all of it reads as plain.
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.Truncate(path, 0))
	require.NoError(t, os.Truncate(path, 1<<40))
	for _, store := range []*artifact.Store{store, on(t, url)} {
		into := t.TempDir()
		require.ErrorContains(t, store.Fetch(t.Context(), stored.Artifact, root(t, into), "."), "is damaged: it is longer than its")
		require.Empty(t, list(t, into))
	}
}
