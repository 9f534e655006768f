package artifact_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/s3test"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
)

func TestMain(m *testing.M) {
	if err := s3test.Setenv(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// sealed opens the artifacts of a bucket encrypted.
func sealed(tb testing.TB, url, spool string) *artifact.Store {
	tb.Helper()
	bucket, err := blob.OpenBucket(tb.Context(), url)
	require.NoError(tb, err)
	path := filepath.Join(tb.TempDir(), "storage.key")
	require.NoError(tb, seal.NewKeyFile(path))
	wrap, err := seal.OpenKey(tb.Context(), blob.DirectoryURL(path))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, errors.Join(bucket.Close(), wrap.Close())) })
	ring, err := bucket.Part(seal.Part)
	require.NoError(tb, err)
	keys, err := seal.NewRing(ring, wrap).Open(tb.Context())
	require.NoError(tb, err)
	objects, err := bucket.Part("artifacts")
	require.NoError(tb, err)
	return artifact.New(objects.Sealed(keys), spool)
}

// put writes an object as it is.
func put(t *testing.T, url, name, text string) {
	t.Helper()
	objects, err := blob.Open(t.Context(), url, "artifacts")
	require.NoError(t, err)
	defer func() { require.NoError(t, objects.Close()) }()
	require.NoError(t, objects.Put(t.Context(), name, strings.NewReader(text)))
}

func get(t *testing.T, url, name string) string {
	t.Helper()
	objects, err := blob.Open(t.Context(), url, "artifacts")
	require.NoError(t, err)
	defer func() { require.NoError(t, objects.Close()) }()
	opened, err := objects.Open(t.Context(), name)
	require.NoError(t, err)
	defer func() { require.NoError(t, opened.Close()) }()
	text, err := io.ReadAll(opened)
	require.NoError(t, err)
	return string(text)
}

// Wherever artifacts are, and encrypted or not, they are the same, and nothing of one
// that is damaged is laid out.
func TestArtifactsElsewhere(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	dir, plainDir := t.TempDir(), t.TempDir()
	write(t, dir, "bin/tool", "#!/bin/sh\n", 0o755)
	write(t, dir, "secret", strings.Repeat("swordfish", 100_000), 0o400)
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "outside")))
	want, err := on(t, blob.DirectoryURL(plainDir)).Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
	require.NoError(t, err)

	spool := t.TempDir()
	s3, s3Sealed, dirSealed := server.Bucket(), server.Bucket(), blob.DirectoryURL(t.TempDir())
	for url, store := range map[string]*artifact.Store{
		s3: on(t, s3), s3Sealed: sealed(t, s3Sealed, spool), dirSealed: sealed(t, dirSealed, spool),
	} {
		stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
		require.NoError(t, err)
		require.Equal(t, want, stored, "the digest is that of the plain tar")
		into := t.TempDir()
		require.NoError(t, store.Fetch(t.Context(), stored.Artifact, root(t, into), "."))
		require.Equal(t, list(t, dir), list(t, into))

		name := stored.Digest[:2] + "/" + stored.Digest[2:]
		good := get(t, url, name)
		require.Equal(t, url == s3, strings.Contains(good, "swordfish"), url)
		for _, damage := range []string{"", good[:len(good)-1], good + "x", string(flip([]byte(good), len(good)/2))} {
			put(t, url, name, damage)
			into := t.TempDir()
			require.ErrorContains(t, store.Fetch(t.Context(), stored.Artifact, root(t, into), "."), "is damaged")
			require.Empty(t, list(t, into))
		}
		_, err = store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
		require.NoError(t, err)
		require.NoError(t, store.Fetch(t.Context(), stored.Artifact, root(t, t.TempDir()), "."))
		require.NoError(t, store.Remove(t.Context(), stored.Digest))
		require.ErrorContains(t, store.Fetch(t.Context(), stored.Artifact, root(t, t.TempDir()), "."), "the store holds no artifact")
	}
	require.Empty(t, list(t, spool))
}

// While the storage is gone nothing is the fault of the files.
func TestArtifactsWhileTheStorageIsGone(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	store := on(t, server.Bucket())
	dir := t.TempDir()
	write(t, dir, "file", "text", 0o644)
	stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
	require.NoError(t, err)
	server.Stop()
	_, err = store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
	require.ErrorContains(t, err, `store artifact "A": the storage of artifacts failed: put `)
	require.NotErrorIs(t, err, action.ErrUnstorable)
	require.ErrorContains(t, store.Fetch(t.Context(), stored.Artifact, root(t, t.TempDir()), "."), `fetch artifact "A": the storage of artifacts failed: open `)
	server.Resume()
	require.NoError(t, store.Fetch(t.Context(), stored.Artifact, root(t, t.TempDir()), "."))
}

func BenchmarkStoreSealed(b *testing.B) {
	dir := benchTree(b)
	store := sealed(b, blob.DirectoryURL(b.TempDir()), b.TempDir())
	b.SetBytes(benchSize)
	for b.Loop() {
		_, err := store.Store(b.Context(), "A", root(b, dir), action.Files{Dir: "."})
		require.NoError(b, err)
	}
}
