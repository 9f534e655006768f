package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/azuretest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/s3test"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
)

// putEnv names a bucket that the process puts an endless object into.
const putEnv = "HEADRACE_TEST_PUT"

func TestMain(m *testing.M) {
	if err := errors.Join(s3test.Setenv(), azuretest.Setenv()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if url := os.Getenv(putEnv); url != "" {
		fmt.Fprintln(os.Stderr, putEndless(url))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func putEndless(url string) error {
	store, err := blob.Open(context.Background(), url, "part")
	if err != nil {
		return err
	}
	return store.Put(context.Background(), "a/killed", &endless{})
}

// endless tells on standard output when much of it was read.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	const much = 64 << 20
	if e.n < much && e.n+len(p) >= much {
		_, _ = fmt.Fprintln(os.Stdout, "much")
	}
	e.n += len(p)
	return len(p), nil
}

// stores runs a test on every kind of store, given as what opens it.
func stores(t *testing.T, test func(t *testing.T, url string, open func(t *testing.T) *blob.Store)) {
	t.Helper()
	buckets := map[string]string{"directory": blob.DirectoryURL(t.TempDir()), "S3": s3test.Start(t).Bucket()}
	if azure := azuretest.Start(t); azure != nil {
		buckets["Azure"] = azure.Bucket()
	}
	for where, url := range buckets {
		plain := func(t *testing.T) *blob.Store { t.Helper(); return open(t, url) }
		encrypted := func(t *testing.T) *blob.Store { t.Helper(); return open(t, url).Sealed(keys(t, url)) }
		// One after the other, since the servers end with this test.
		t.Run(where, func(t *testing.T) { test(t, url, plain) })
		t.Run(where+", encrypted", func(t *testing.T) { test(t, url, encrypted) })
	}
}

// keyFiles are the keys of buckets.
var keyFiles sync.Map

func keys(t *testing.T, url string) *seal.Keys {
	t.Helper()
	path := filepath.Join(t.TempDir(), "storage.key")
	if known, loaded := keyFiles.LoadOrStore(url, path); loaded {
		path = known.(string)
	} else {
		require.NoError(t, seal.NewKeyFile(path))
	}
	wrap, err := seal.OpenKey(t.Context(), blob.DirectoryURL(path))
	require.NoError(t, err)
	objects, err := blob.Open(t.Context(), url, seal.Part)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(objects.Close(), wrap.Close())) })
	opened, err := seal.NewRing(objects, wrap).Open(t.Context())
	require.NoError(t, err)
	return opened
}

func TestStore(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, _ string, open func(*testing.T) *blob.Store) {
		t.Helper()
		store := open(t)
		require.NoError(t, store.Check(t.Context()))
		require.NoError(t, store.Ready(t.Context()))
		require.Empty(t, names(t, store, ""))
		// Longer than S3 takes in one part.
		long := strings.Repeat("0123456789", 1_000_000)
		for name, text := range map[string]string{"a/1": "one", "a/2": long, "ab/1": "", "top": "top"} {
			require.NoError(t, store.Put(t.Context(), name, strings.NewReader(text)))
			require.Equal(t, text, read(t, store, name))
		}
		require.Equal(t, []string{"a/1", "a/2"}, names(t, store, "a/"))
		require.Equal(t, []string{"a/1", "a/2", "ab/1", "top"}, names(t, store, ""))

		require.NoError(t, store.Put(t.Context(), "a/1", strings.NewReader("other")))
		require.Equal(t, "other", read(t, open(t), "a/1"))
		require.ErrorIs(t, store.PutNew(t.Context(), "a/1", strings.NewReader("new")), blob.ErrExists)
		require.Equal(t, "other", read(t, store, "a/1"))

		draft, err := store.Draft(t.TempDir())
		require.NoError(t, err)
		_, err = io.WriteString(draft, long)
		require.NoError(t, err)
		require.NoError(t, draft.Put(t.Context(), "draft"))
		require.NoError(t, draft.Close())
		require.Equal(t, long, read(t, store, "draft"))

		require.NoError(t, store.Delete(t.Context(), "a/1"))
		require.NoError(t, store.Delete(t.Context(), "a/1"))
		_, err = store.Open(t.Context(), "a/1")
		require.ErrorIs(t, err, blob.ErrNotFound)
		require.NoError(t, store.PutNew(t.Context(), "a/1", strings.NewReader("new")))
		require.Equal(t, "new", read(t, store, "a/1"))
		for _, odd := range []string{"", ".", "..", "../x", "/x", "a//b", "a/", "a/../b", "a b", "tmp/x"} {
			require.Error(t, store.Put(t.Context(), odd, strings.NewReader("x")), odd)
			require.Error(t, store.Delete(t.Context(), odd), odd)
			_, err := store.Open(t.Context(), odd)
			require.Error(t, err, odd)
		}
		for object, err := range store.List(t.Context(), "") {
			require.NoError(t, err)
			require.NoError(t, store.Delete(t.Context(), object.Name))
		}
	})
}

// What fails in the middle leaves what was there.
func TestPutWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, url string, open func(*testing.T) *blob.Store) {
		t.Helper()
		store := open(t)
		require.NoError(t, store.Put(t.Context(), "a/1", strings.NewReader("before")))
		broken := errors.New("broken")
		for _, half := range []string{"half", strings.Repeat("half", 5_000_000)} {
			for _, name := range []string{"a/1", "a/2"} {
				err := store.Put(t.Context(), name, io.MultiReader(strings.NewReader(half), iotest.ErrReader(broken)))
				require.ErrorIs(t, err, broken)
			}
		}
		draft, err := store.Draft(t.TempDir())
		require.NoError(t, err)
		_, err = io.WriteString(draft, "half")
		require.NoError(t, err)
		require.NoError(t, draft.Close())

		require.Equal(t, "before", read(t, store, "a/1"))
		require.Equal(t, []string{"a/1"}, names(t, store, ""))
		if dir, isDir, err := blob.Directory(url); isDir {
			require.NoError(t, err)
			left, err := os.ReadDir(filepath.Join(dir, "part", "tmp"))
			require.NoError(t, err)
			require.Empty(t, left)
		}
	})
}

func TestPutOfAKilledProcess(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	dir := t.TempDir()
	for _, url := range []string{blob.DirectoryURL(dir), server.Bucket()} {
		store := open(t, url)
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), putEnv+"="+url)
		told, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_, err = io.ReadFull(told, make([]byte, len("much")))
		require.NoError(t, err)
		// A start of others takes nothing away from one that lives.
		open(t, url)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		require.Empty(t, names(t, store, ""))
	}
	drafts := filepath.Join(dir, "part", "tmp")
	left, err := os.ReadDir(drafts)
	require.NoError(t, err)
	require.Len(t, left, 1)
	open(t, blob.DirectoryURL(dir))
	left, err = os.ReadDir(drafts)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestStorageThatIsGone(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	store := open(t, server.Bucket())
	require.NoError(t, store.Put(t.Context(), "a", strings.NewReader("text")))
	server.Stop()
	require.ErrorContains(t, store.Ready(t.Context()), "connection refused")
	require.ErrorContains(t, store.Put(t.Context(), "b", strings.NewReader("text")), "put b: ")
	_, err := store.Open(t.Context(), "a")
	require.ErrorContains(t, err, "connection refused")
	require.NotErrorIs(t, err, blob.ErrNotFound)
	server.Resume()
	require.NoError(t, store.Ready(t.Context()))
	require.Equal(t, "text", read(t, store, "a"))

	dir := t.TempDir()
	mounted := open(t, blob.DirectoryURL(dir))
	require.NoError(t, mounted.Ready(t.Context()))
	require.NoError(t, os.Rename(filepath.Join(dir, "part"), filepath.Join(dir, "elsewhere")))
	require.Error(t, mounted.Ready(t.Context()))
}

// A store that could not keep something is ready again once it keeps what it writes itself.
func TestStoreThatTakesNoObjects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tmp := filepath.Join(dir, "part", "tmp")
	for what, write := range map[string]func(s *blob.Store) error{
		"put": func(s *blob.Store) error { return s.Put(t.Context(), "a", strings.NewReader("text")) },
		"put, unsynced": func(s *blob.Store) error {
			return s.Unsynced().Put(t.Context(), "a", strings.NewReader("text"))
		},
		"draft": func(s *blob.Store) error {
			draft, err := s.Draft(dir)
			if err == nil {
				err = draft.Close()
			}
			return err
		},
	} {
		store := open(t, blob.DirectoryURL(dir))
		require.NoError(t, os.Rename(tmp, tmp+"-away"))
		require.NoError(t, os.WriteFile(tmp, nil, 0o600))
		require.NoError(t, store.Ready(t.Context()), "nothing is written to ask")
		require.Error(t, write(store), what)
		for range 2 {
			require.ErrorContains(t, store.Ready(t.Context()), "after a write that failed it takes no other", what)
		}
		require.NoError(t, os.Remove(tmp))
		require.NoError(t, os.Rename(tmp+"-away", tmp))
		require.NoError(t, store.Ready(t.Context()), what)
		require.Empty(t, names(t, store, ""))
	}
	// Its name is taken, which is no failure.
	store := open(t, blob.DirectoryURL(dir))
	require.NoError(t, store.PutNew(t.Context(), "a", strings.NewReader("text")))
	require.ErrorIs(t, store.PutNew(t.Context(), "a", strings.NewReader("text")), blob.ErrExists)
	require.NoError(t, os.Rename(tmp, tmp+"-away"))
	require.NoError(t, os.WriteFile(tmp, nil, 0o600))
	require.NoError(t, store.Ready(t.Context()))
}
