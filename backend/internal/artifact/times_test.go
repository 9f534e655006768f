package artifact_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

func modified(t *testing.T, dir, name string) time.Time {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, name))
	require.NoError(t, err)
	return info.ModTime()
}

// A program such as make finds the files of an action as old as the action left them.
func TestModificationTimesSurvive(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	dir, into := t.TempDir(), t.TempDir()
	times := map[string]time.Time{
		"src/app.c":  time.Date(2021, 2, 3, 4, 5, 6, 0, time.UTC),
		"bin/app":    time.Date(2026, 1, 1, 0, 0, 0, 123456789, time.UTC),
		"old":        time.Date(1931, 1, 1, 0, 0, 0, 0, time.UTC),
		"epoch":      time.Unix(0, 0),
		"reproduced": time.Unix(1, 0),
		"future":     time.Date(2200, 1, 1, 0, 0, 0, 1, time.UTC),
	}
	for name := range times {
		write(t, dir, name, name, 0o444)
	}
	// Directories are targets of make too. This one is made read-only.
	times["bin"] = time.Date(2020, 1, 1, 0, 0, 0, 5, time.UTC)
	require.NoError(t, os.Chmod(filepath.Join(dir, "bin"), 0o555))
	for name, at := range times {
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), at, at))
	}
	stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
	require.NoError(t, err)
	require.NoError(t, store.Fetch(t.Context(), stored.Artifact, root(t, into), "."))
	for name, at := range times {
		require.WithinDuration(t, at, modified(t, into, name), time.Nanosecond, name)
		if name != "epoch" {
			require.Equal(t, at.UnixNano(), modified(t, into, name).UnixNano(), name)
		}
	}
	again, err := store.Store(t.Context(), "A", root(t, into), action.Files{Dir: "."})
	require.NoError(t, err)
	require.Equal(t, stored, again, "the time of a file may not change each time that it is stored")

	// Another time is another artifact.
	require.NoError(t, os.Chtimes(filepath.Join(into, "bin/app"), time.Unix(9, 0), time.Unix(9, 0)))
	other, err := store.Store(t.Context(), "A", root(t, into), action.Files{Dir: "."})
	require.NoError(t, err)
	require.NotEqual(t, stored.Digest, other.Digest)
}

// With one time for all files, trees are equal whenever they were made.
func TestOneTimeForAllFiles(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	for _, at := range []time.Time{time.Unix(1_700_000_000, 0), time.Unix(0, 0), time.Unix(-1, 0), time.Unix(1<<62, 0), time.Unix(-1<<62, 0)} {
		var digests []string
		for _, made := range []int64{1_000, 2_000} {
			dir, into := t.TempDir(), t.TempDir()
			write(t, dir, "d/file", "text", 0o644)
			for _, name := range []string{"d/file", "d"} {
				require.NoError(t, os.Chtimes(filepath.Join(dir, name), time.Unix(made, 7), time.Unix(made, 7)))
			}
			stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: ".", Time: at})
			require.NoError(t, err)
			digests = append(digests, stored.Digest)
			require.NoError(t, store.Fetch(t.Context(), stored.Artifact, root(t, into), "."))
			if at.Unix() == 1_700_000_000 {
				require.True(t, modified(t, into, "d/file").Equal(at))
				require.True(t, modified(t, into, "d").Equal(at))
			}
		}
		require.Equal(t, digests[0], digests[1])
	}
}

// without-times.tar was stored by a version whose artifacts had no times.
func TestArtifactsOfOlderVersionsAreReadable(t *testing.T) {
	t.Parallel()
	store, storeDir := open(t)
	raw, err := os.ReadFile(filepath.Join("testdata", "without-times.tar"))
	require.NoError(t, err)
	sum := sha256.Sum256(raw)
	digest := hex.EncodeToString(sum[:])
	require.Equal(t, "485f86bbbcff3e5e002f62a57d7ea121912fb585129f862133c86c0a7de77b55", digest)
	write(t, storeDir, filepath.Join(digest[:2], digest[2:]), string(raw), 0o400)
	into, before := t.TempDir(), time.Now().Add(-time.Minute)
	require.NoError(t, store.Fetch(t.Context(), action.Artifact{Name: "A", Digest: digest, Size: int64(len(raw))}, root(t, into), "."))
	require.Equal(t, map[string]string{
		"bin": "drwxr-xr-x", "bin/tool": "-rwxr-xr-x #!/bin/sh\n", "link": "-> bin/tool",
		"src": "drwxr-xr-x", "src/long-name": "-rw-r--r-- text\n", "void": "drwx------",
	}, list(t, into))
	for _, name := range []string{"bin", "bin/tool", "src/long-name", "void"} {
		require.True(t, modified(t, into, name).After(before), "without a time of its own a file is new")
	}
}
