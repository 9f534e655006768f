package artifact_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// mixed makes a tree of all kinds of files, some longer than what is read at once.
func mixed(t *testing.T) (dir, large string) {
	t.Helper()
	dir = t.TempDir()
	random := rand.NewChaCha8([32]byte{1})
	content := make([]byte, 700_000)
	_, _ = random.Read(content)
	write(t, dir, "a/large", string(content), 0o755)
	write(t, dir, "a/small", "text", 0o640)
	write(t, dir, "b\xff\n", "odd name", 0o600)
	write(t, dir, "empty", "", 0o600)
	require.NoError(t, os.Symlink("a/small", filepath.Join(dir, "link")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "none"), 0o700))
	return dir, string(content)
}

func whole(t *testing.T, read func(give func([]byte) error) error) string {
	t.Helper()
	var text bytes.Buffer
	require.NoError(t, read(func(part []byte) error { _, err := text.Write(part); return err }))
	return text.String()
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir, large := mixed(t)
	plain, _ := open(t)
	for _, store := range []*artifact.Store{plain, sealed(t, blob.DirectoryURL(t.TempDir()), t.TempDir())} {
		stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
		require.NoError(t, err)
		require.False(t, store.Verified(stored.Digest))
		opened, err := store.Open(t.Context(), stored.Artifact)
		require.NoError(t, err)
		require.True(t, store.Verified(stored.Digest))
		files, all := opened.Files()
		require.Equal(t, len(files), all)
		got := map[string]string{}
		for _, file := range files {
			text := file.Mode.String()
			switch {
			case file.Mode.IsRegular():
				require.False(t, file.ModifiedAt.IsZero())
				content := whole(t, func(give func([]byte) error) error { return opened.ReadFile(t.Context(), file, 0, file.Size, give) })
				require.Len(t, content, int(file.Size))
				require.Equal(t, digestOf(content), file.Digest)
				text += " " + content
			case file.Mode&fs.ModeSymlink != 0:
				text = "-> " + file.Target
			}
			got[file.Path] = text
		}
		require.Equal(t, list(t, dir), got)

		form := whole(t, func(give func([]byte) error) error { return opened.Read(t.Context(), 0, 1<<40, give) })
		require.Equal(t, stored.Digest, digestOf(form))
		require.Len(t, form, int(opened.Size()))
		require.NoError(t, func() error { _, err := tar.NewReader(strings.NewReader(form)).Next(); return err }())
		file, err := opened.Find(t.Context(), "a/large")
		require.NoError(t, err)
		for range 50 {
			from := rand.Int64N(int64(len(large)))
			length := rand.Int64N(int64(len(large)))
			require.Equal(t, large[from:min(from+length, int64(len(large)))],
				whole(t, func(give func([]byte) error) error { return opened.ReadFile(t.Context(), file, from, length, give) }))
			require.Equal(t, form[from:min(from+length, int64(len(form)))],
				whole(t, func(give func([]byte) error) error { return opened.Read(t.Context(), from, length, give) }))
		}
		require.Empty(t, whole(t, func(give func([]byte) error) error { return opened.ReadFile(t.Context(), file, 1<<40, 10, give) }))
		_, err = opened.Find(t.Context(), "a/none")
		require.ErrorIs(t, err, artifact.ErrNoFile)

		require.NoError(t, store.Remove(t.Context(), stored.Digest))
		require.ErrorIs(t, opened.Read(t.Context(), 0, 1, nil), artifact.ErrNotStored)
		_, err = store.Open(t.Context(), action.Artifact{Name: "A", Digest: digestOf("other"), Size: 5})
		require.ErrorIs(t, err, artifact.ErrNotStored)
	}
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Wherever the stored form is damaged, before or after it was verified, no byte of it is given that
// was not stored.
func TestOpenGivesNoDamagedByte(t *testing.T) {
	t.Parallel()
	dir, large := mixed(t)
	first, bucket := open(t)
	stored, err := first.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
	require.NoError(t, err)
	path := filepath.Join(bucket, stored.Digest[:2], stored.Digest[2:])
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o600))
	opened, err := first.Open(t.Context(), stored.Artifact)
	require.NoError(t, err)
	file, err := opened.Find(t.Context(), "a/large")
	require.NoError(t, err)
	damages := map[string][]byte{"cut": good[:len(good)-1000], "empty": nil, "longer": append(bytes.Clone(good), 1)}
	for at := 0; at < len(good); at += 9973 {
		damages[fmt.Sprintf("flip at %d", at)] = flip(bytes.Clone(good), at)
	}
	for name, damaged := range damages {
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		fresh := on(t, blob.DirectoryURL(filepath.Dir(bucket)))
		_, err := fresh.Open(t.Context(), stored.Artifact)
		require.ErrorIs(t, err, artifact.ErrDamaged, name)

		var got bytes.Buffer
		err = opened.ReadFile(t.Context(), file, 0, file.Size, func(part []byte) error { got.Write(part); return nil })
		require.True(t, strings.HasPrefix(large, got.String()), name)
		if err == nil {
			require.Equal(t, large, got.String(), name)
		} else {
			require.ErrorIs(t, err, artifact.ErrDamaged, name)
		}
		got.Reset()
		err = opened.Read(t.Context(), 0, opened.Size(), func(part []byte) error { got.Write(part); return nil })
		require.True(t, bytes.HasPrefix(good, got.Bytes()), name)
		if name != "longer" {
			require.ErrorIs(t, err, artifact.ErrDamaged, name)
		}
	}
}

// The list of files has a bound. What is beyond it is found all the same.
func TestOpenVeryManyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 20_010 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d", i)), fmt.Append(nil, i), 0o600))
	}
	for _, store := range []*artifact.Store{on(t, blob.DirectoryURL(t.TempDir())), sealed(t, blob.DirectoryURL(t.TempDir()), t.TempDir())} {
		stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
		require.NoError(t, err)
		opened, err := store.Open(t.Context(), stored.Artifact)
		require.NoError(t, err)
		files, all := opened.Files()
		require.Len(t, files, 20_000)
		require.Equal(t, 20_010, all)
		for _, name := range []string{"000007", "020009"} {
			file, err := opened.Find(t.Context(), name)
			require.NoError(t, err)
			require.Equal(t, strings.TrimLeft(name, "0"), whole(t, func(give func([]byte) error) error { return opened.ReadFile(t.Context(), file, 0, 100, give) }))
		}
		_, err = opened.Find(t.Context(), "020010")
		require.ErrorIs(t, err, artifact.ErrNoFile)
	}
}
