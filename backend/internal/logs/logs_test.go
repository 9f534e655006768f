package logs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

func attempt(number int) *action.Attempt {
	return &action.Attempt{Scope: action.Scope{ExecutionID: "e1", ActionExecutionID: "a1"}, Number: number}
}

func read(t *testing.T, store *logs.Store) string {
	t.Helper()
	size, err := store.Size("e1", "a1")
	require.NoError(t, err)
	text := make([]byte, size)
	_, err = store.ReadAt("e1", "a1", text, 0)
	if !errors.Is(err, io.EOF) {
		require.NoError(t, err)
	}
	return string(text)
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	n, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

func TestAttemptsShareALog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := logs.Open(dir, 0)
	require.NoError(t, err)
	require.Empty(t, read(t, store))

	silent := store.Writer(attempt(1))
	require.NoError(t, silent.Close())
	require.NoFileExists(t, filepath.Join(dir, "e1", "a1.log"))

	first := store.Writer(attempt(1))
	write(t, first, "one\n")
	require.NoError(t, first.Close())
	second := store.Writer(attempt(2))
	write(t, second, "two\n")
	require.Equal(t, "one\n--- attempt 2 ---\ntwo\n", read(t, store))
	require.NoError(t, second.Close())
	require.NoError(t, store.Close())
	raw, err := os.ReadFile(filepath.Join(dir, "e1", "a1.log"))
	require.NoError(t, err)
	require.Equal(t, "one\n--- attempt 2 ---\ntwo\n", string(raw))
	require.Equal(t, string(raw), read(t, store))

	require.NoError(t, store.Remove("e1"))
	require.Empty(t, read(t, store))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestLimit(t *testing.T) {
	t.Parallel()
	store, err := logs.Open(t.TempDir(), 10)
	require.NoError(t, err)
	w := store.Writer(attempt(1))
	write(t, w, "12345678")
	write(t, w, "90123")
	write(t, w, strings.Repeat("x", 100))
	require.Equal(t, "1234567890", read(t, store))
	require.NoError(t, w.Close())
	require.Equal(t, "1234567890\n--- the log reached its limit of 10 bytes; 103 more bytes were dropped ---\n", read(t, store))
}

func TestNamesStayInTheDirectory(t *testing.T) {
	t.Parallel()
	store, err := logs.Open(t.TempDir(), 0)
	require.NoError(t, err)
	for _, name := range []string{"", ".", "..", "../x", "a/b", "a\x00"} {
		_, err := store.Size(name, "a")
		require.Error(t, err)
		_, err = store.ReadAt("e", name, nil, 0)
		require.Error(t, err)
		require.Error(t, store.Remove(name))
		w := store.Writer(&action.Attempt{Scope: action.Scope{ExecutionID: name, ActionExecutionID: "a"}})
		_, err = w.Write([]byte("x"))
		require.Error(t, err)
	}
}

// Whatever is in memory and whatever in the file, a reader gets all of it once.
func TestReadersSeeOneText(t *testing.T) {
	t.Parallel()
	store, err := logs.Open(t.TempDir(), 0)
	require.NoError(t, err)
	w := store.Writer(attempt(1))
	want := strings.Builder{}
	go func() {
		for i := range 20000 {
			_, _ = fmt.Fprintf(w, "line %d of a log that is long enough\n", i)
		}
		_ = w.Close()
	}()
	for i := range 20000 {
		_, _ = fmt.Fprintf(&want, "line %d of a log that is long enough\n", i)
	}
	var got []byte
	buffer := make([]byte, 7777)
	for len(got) < want.Len() {
		require.NoError(t, store.Wait(t.Context(), "e1", "a1", int64(len(got))))
		n, err := store.ReadAt("e1", "a1", buffer, int64(len(got)))
		if !errors.Is(err, io.EOF) {
			require.NoError(t, err)
		}
		got = append(got, buffer[:n]...)
	}
	require.Equal(t, want.String(), string(got))
	require.NoError(t, store.Close())
	require.Equal(t, want.String(), read(t, store))
}

func TestFollow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store, err := logs.Open(dir, 0)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		waited := make(chan error)
		wait := func(ctx context.Context, offset int64) {
			go func() { waited <- store.Wait(ctx, "e1", "a1", offset) }()
			synctest.Wait()
		}
		pending := func() bool {
			synctest.Wait()
			select {
			case err := <-waited:
				require.NoError(t, err)
				return false
			default:
				return true
			}
		}
		w := store.Writer(attempt(1))
		wait(ctx, 0)
		require.True(t, pending(), "nothing was written yet")
		write(t, w, "hello")
		require.False(t, pending(), "a write wakes who waits")
		wait(ctx, 4)
		require.False(t, pending(), "there is more already")
		wait(ctx, 5)
		require.True(t, pending(), "all was read")
		require.NoError(t, w.Close())
		require.False(t, pending(), "closing wakes too")
		wait(ctx, 5)
		cancel()
		require.ErrorIs(t, <-waited, context.Canceled)
		require.NoError(t, store.Close())
	})
}
