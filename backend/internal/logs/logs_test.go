package logs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

func attempt(number int) *action.Attempt {
	return &action.Attempt{Scope: action.Scope{ExecutionID: "e1", ActionExecutionID: "a1"}, Number: number}
}

func read(t *testing.T, store *logs.Store) string {
	t.Helper()
	log, err := store.Open("e1", "a1")
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	text, err := io.ReadAll(io.NewSectionReader(log, 0, log.Size()))
	require.NoError(t, err)
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
	require.NoFileExists(t, filepath.Join(dir, "e1.log"))

	first := store.Writer(attempt(1))
	write(t, first, "one\n")
	require.NoError(t, first.Close())
	second := store.Writer(attempt(2))
	write(t, second, "two\n")
	require.Equal(t, "one\n--- attempt 2 ---\ntwo\n", read(t, store))
	require.NoError(t, second.Close())
	require.NoError(t, store.Close())

	// It is all there for the next process, and goes on.
	store, err = logs.Open(dir, 0)
	require.NoError(t, err)
	require.Equal(t, "one\n--- attempt 2 ---\ntwo\n", read(t, store))
	third := store.Writer(attempt(3))
	write(t, third, "three\n")
	require.NoError(t, third.Close())
	require.Equal(t, "one\n--- attempt 2 ---\ntwo\n--- attempt 3 ---\nthree\n", read(t, store))
	require.NoError(t, store.Close())

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
	for _, name := range []string{"", ".", "..", "../x", "a/b", "a\x00", "a b", "a\nb"} {
		_, err := store.Open(name, "a")
		require.Error(t, err)
		_, err = store.Open("e", name)
		require.Error(t, err)
		require.Error(t, store.Remove(name))
		w := store.Writer(&action.Attempt{Scope: action.Scope{ExecutionID: name, ActionExecutionID: "a"}})
		_, err = w.Write([]byte("x"))
		require.Error(t, err)
	}
}

// A crash of the machine may cut the file anywhere: what is whole stays, and the
// log goes on behind it.
func TestCutFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "e1.log")
	store, err := logs.Open(dir, 0)
	require.NoError(t, err)
	for _, text := range []string{"one\n", "=== a1 4\nfake"} {
		w := store.Writer(attempt(1))
		write(t, w, text)
		require.NoError(t, w.Close())
		require.NoError(t, store.Close())
	}
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "=== a1 4\none\n=== a1 13\n=== a1 4\nfake", string(whole))
	for size := len(whole); size >= 0; size-- {
		require.NoError(t, os.WriteFile(path, whole[:size], 0o600))
		store, err := logs.Open(dir, 0)
		require.NoError(t, err)
		want := ""
		if size >= 13 {
			want += "one\n"
		}
		if size == len(whole) {
			want += "=== a1 4\nfake"
		}
		require.Equal(t, want, read(t, store))
		w := store.Writer(attempt(1))
		write(t, w, "more\n")
		require.NoError(t, w.Close())
		require.NoError(t, store.Close())
		require.Equal(t, want+"more\n", read(t, store))
		require.NoError(t, store.Close())
	}
}

// Whatever is in memory and whatever in the file, the reader of each action gets
// all of its log once.
func TestReadersSeeOneText(t *testing.T) {
	t.Parallel()
	store, err := logs.Open(t.TempDir(), 0)
	require.NoError(t, err)
	const lines = 20000
	line := func(id string, i int) string { return fmt.Sprintf("line %d of the log of %s\n", i, id) }
	var group sync.WaitGroup
	for _, id := range []string{"a1", "a2", "a3"} {
		group.Go(func() {
			w := store.Writer(&action.Attempt{Scope: action.Scope{ExecutionID: "e1", ActionExecutionID: id}})
			for i := range lines {
				_, _ = io.WriteString(w, line(id, i))
			}
			_ = w.Close()
		})
		var want strings.Builder
		for i := range lines {
			want.WriteString(line(id, i))
		}
		group.Go(func() {
			log, err := store.Open("e1", id)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = log.Close() }()
			var got []byte
			buffer := make([]byte, 7777)
			for len(got) < want.Len() {
				if err := log.Wait(t.Context(), int64(len(got))); err != nil {
					t.Error(err)
					return
				}
				n, err := log.ReadAt(buffer, int64(len(got)))
				if err != nil && !errors.Is(err, io.EOF) {
					t.Error(err)
					return
				}
				got = append(got, buffer[:n]...)
			}
			if string(got) != want.String() {
				t.Errorf("the log of %s is not what was written", id)
			}
		})
	}
	group.Wait()
	require.NoError(t, store.Close())
	require.Len(t, read(t, store), 0+len(line("a1", 0))*10+len(line("a1", 10))*90+len(line("a1", 100))*900+len(line("a1", 1000))*9000+len(line("a1", 10000))*10000)
}

func TestFollow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store, err := logs.Open(dir, 0)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		waited := make(chan error)
		log, err := store.Open("e1", "a1")
		require.NoError(t, err)
		wait := func(ctx context.Context, offset int64) {
			go func() { waited <- log.Wait(ctx, offset) }()
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
		require.NoError(t, log.Close())
		require.NoError(t, store.Close())
	})
}

// A pipeline that is deleted while its action writes leaves no log behind.
func TestRemoveWaitsForTheLastUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := logs.Open(dir, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	w := store.Writer(attempt(1))
	write(t, w, "still running\n")
	require.NoError(t, store.Remove("e1"))
	write(t, w, "and dying\n")
	require.NoError(t, w.Close())
	require.Eventually(t, func() bool {
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 0
	}, 10*time.Second, time.Millisecond)
}
