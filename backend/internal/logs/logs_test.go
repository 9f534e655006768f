package logs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	_ "gocloud.dev/blob/memblob" // For mem:// URLs.

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

func bucket(tb testing.TB, url string) *blob.Store {
	tb.Helper()
	b, err := blob.Open(context.Background(), url, "logs")
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = b.Close() })
	return b.Unsynced()
}

func inDir(tb testing.TB, dir string) *logs.Store {
	tb.Helper()
	return logs.New(bucket(tb, "file://"+dir), logs.Config{})
}

func attempt(number int) *action.Attempt {
	return &action.Attempt{Scope: action.Scope{ExecutionID: "e1", ActionExecutionID: "a1"}, Number: number}
}

func write(tb testing.TB, w io.Writer, text string) {
	tb.Helper()
	n, err := io.WriteString(w, text)
	require.NoError(tb, err)
	require.Equal(tb, len(text), n)
}

// read returns the whole log of an action.
func read(tb testing.TB, store *logs.Store) string {
	tb.Helper()
	log, err := store.Open(context.Background(), "e1", "a1")
	require.NoError(tb, err)
	defer log.Close()
	return readFrom(tb, log, 0)
}

func readFrom(tb testing.TB, log *logs.Reader, offset int64) string {
	tb.Helper()
	var text strings.Builder
	buffer := make([]byte, 64<<10)
	for {
		n, err := log.Read(context.Background(), buffer, offset)
		text.Write(buffer[:n])
		offset += int64(n)
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		require.NoError(tb, err)
	}
}

func files(tb testing.TB, dir string) (names []string) {
	tb.Helper()
	require.NoError(tb, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, filepath.Base(path))
		}
		return err
	}))
	return names
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, time.Minute, 5*time.Millisecond)
}

func TestLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := inDir(t, dir)
	require.Empty(t, read(t, store))

	silent := store.Writer(attempt(1))
	require.NoError(t, silent.Close())
	require.Empty(t, files(t, dir))

	first := store.Writer(attempt(1))
	write(t, first, "one\n")
	require.Equal(t, "one\n", read(t, store))
	require.NoError(t, first.Close())
	require.Equal(t, "one\n", read(t, inDir(t, dir)), "it is all there for others")
	second := store.Writer(attempt(2))
	write(t, second, "two\n")
	require.Equal(t, "one\n--- attempt 2 ---\ntwo\n", read(t, store))
	require.NoError(t, second.Close())

	// It goes on in the next process.
	store = inDir(t, dir)
	third := store.Writer(attempt(3))
	write(t, third, "three\n")
	require.NoError(t, third.Close())
	require.Equal(t, "one\n--- attempt 2 ---\ntwo\n--- attempt 3 ---\nthree\n", read(t, store))

	require.NoError(t, store.Remove(t.Context(), "e1"))
	require.Empty(t, read(t, store))
	require.Empty(t, files(t, dir))
}

func TestLimit(t *testing.T) {
	t.Parallel()
	store := logs.New(bucket(t, "mem://"), logs.Config{Limit: 10})
	w := store.Writer(attempt(1))
	write(t, w, "12345678")
	write(t, w, "90123")
	write(t, w, strings.Repeat("x", 100))
	require.Equal(t, "1234567890", read(t, store))
	require.NoError(t, w.Close())
	require.Equal(t, "1234567890\n--- the log reached its limit of 10 bytes; 103 more bytes were dropped ---\n", read(t, store))
}

func TestNamesStayInTheBucket(t *testing.T) {
	t.Parallel()
	store := inDir(t, t.TempDir())
	for _, name := range []string{"", ".", "..", "../x", "a/b", "a\x00", "a b", "a\nb", "ä"} {
		_, err := store.Open(t.Context(), name, "a")
		require.Error(t, err)
		_, err = store.Open(t.Context(), "e", name)
		require.Error(t, err)
		require.Error(t, store.Remove(t.Context(), name))
		w := store.Writer(&action.Attempt{Scope: action.Scope{ExecutionID: name, ActionExecutionID: "a"}, Number: 1})
		_, err = w.Write([]byte("x"))
		require.Error(t, err)
	}
}

// Whatever is in memory, in the bucket or of another process, the reader of each
// action gets all of its log once.
func TestReadersSeeOneText(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"mem://", "file://" + t.TempDir()} {
		shared := bucket(t, url)
		store, elsewhere := logs.New(shared, logs.Config{}), logs.New(shared, logs.Config{})
		const lines = 50000
		line := func(id string, i int) string { return fmt.Sprintf("line %d of the log of %s\n", i, id) }
		var group sync.WaitGroup
		for _, id := range []string{"a1", "a2", "a1.2"} {
			group.Go(func() {
				w := store.Writer(&action.Attempt{Scope: action.Scope{ExecutionID: "e1", ActionExecutionID: id}, Number: 1})
				for i := range lines {
					_, _ = io.WriteString(w, line(id, i))
				}
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			})
			var want strings.Builder
			for i := range lines {
				want.WriteString(line(id, i))
			}
			for _, from := range []*logs.Store{store, elsewhere} {
				group.Go(func() {
					if err := follow(t.Context(), from, id, want.String()); err != nil {
						t.Error(err)
					}
				})
			}
		}
		group.Wait()
	}
}

// follow reads a log as it grows until it has as much as it wants.
func follow(ctx context.Context, store *logs.Store, id, want string) error {
	log, err := store.Open(ctx, "e1", id)
	if err != nil {
		return err
	}
	defer log.Close()
	var got []byte
	buffer := make([]byte, 77777)
	for len(got) < len(want) {
		if err := log.Wait(ctx, int64(len(got))); err != nil {
			return err
		}
		n, err := log.Read(ctx, buffer, int64(len(got)))
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		got = append(got, buffer[:n]...)
	}
	if string(got) != want {
		return fmt.Errorf("the log of %s is not what was written", id)
	}
	return nil
}

func TestFollow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b, err := blob.Open(t.Context(), "file://"+dir, "logs")
		require.NoError(t, err)
		store := logs.New(b, logs.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		waited := make(chan error)
		log, err := store.Open(ctx, "e1", "a1")
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
		log.Close()
		require.NoError(t, b.Close())
	})
}

// What is written here is elsewhere within about a second, while the writer goes on.
func TestFollowElsewhere(t *testing.T) {
	t.Parallel()
	for _, remote := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b, err := blob.Open(t.Context(), "mem://", "logs")
			require.NoError(t, err)
			here, there := logs.New(b, logs.Config{Remote: remote}), logs.New(b, logs.Config{Remote: remote})
			log, err := there.Open(t.Context(), "e1", "a1")
			require.NoError(t, err)
			defer log.Close()
			w := here.Writer(attempt(1))
			for _, text := range []string{"one\n", "two\n"} {
				at := log.Size()
				write(t, w, text)
				began := time.Now()
				require.NoError(t, log.Wait(t.Context(), at))
				require.LessOrEqual(t, time.Since(began), 1500*time.Millisecond)
				require.Equal(t, text, readFrom(t, log, at))
			}
			write(t, w, "last\n")
			require.NoError(t, w.Close())
			require.Equal(t, "one\ntwo\nlast\n", readFrom(t, log, 0))
			next := here.Writer(attempt(2))
			write(t, next, "again\n")
			require.NoError(t, next.Close())
			require.Equal(t, "--- attempt 2 ---\nagain\n", readFrom(t, log, 13))
			require.NoError(t, b.Close())
		})
	}
}

// A replica that was paused while its attempt was given to another goes on writing
// for a moment. What the next attempt has written stays where it is.
func TestLateWriterOfADeadAttempt(t *testing.T) {
	t.Parallel()
	shared := bucket(t, "mem://")
	paused, other := logs.New(shared, logs.Config{}), logs.New(shared, logs.Config{})
	late := paused.Writer(attempt(1))
	write(t, late, "one\n")
	eventually(t, func() bool { return read(t, other) == "one\n" })

	next := other.Writer(attempt(2))
	write(t, next, "two\n")
	require.NoError(t, next.Close())
	const whole = "one\n--- attempt 2 ---\ntwo\n"
	write(t, late, strings.Repeat("late\n", logs.ChunkSize))
	require.NoError(t, late.Close())
	for _, store := range []*logs.Store{paused, other} {
		require.Equal(t, whole, read(t, store))
	}
	third := paused.Writer(attempt(3))
	write(t, third, "three\n")
	require.NoError(t, third.Close())
	require.Equal(t, whole+"--- attempt 3 ---\nthree\n", read(t, other))
}

// A pipeline that is deleted while its action writes leaves no log behind.
func TestRemoveWhileWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := inDir(t, dir)
	w := store.Writer(attempt(1))
	write(t, w, "still running\n")
	eventually(t, func() bool { return len(files(t, dir)) > 0 })
	require.NoError(t, store.Remove(t.Context(), "e1"))
	write(t, w, strings.Repeat("and dying\n", logs.ChunkSize/5))
	require.NoError(t, w.Close())
	require.Empty(t, files(t, dir))
}

var errBucket = errors.New("the bucket is away")

// faulty is a bucket that fails, or does not answer, while it is told to.
type faulty struct {
	*blob.Store
	fails, hangs atomic.Bool
	// took is sent to at each put that somebody waits for.
	took chan struct{}
}

func (f *faulty) Put(ctx context.Context, name string, from io.Reader) error {
	if f.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if f.fails.Load() {
		return errBucket
	}
	err := f.Store.Put(ctx, name, from)
	select {
	case f.took <- struct{}{}:
	default:
	}
	return err
}

// A bucket that fails holds an action up for some seconds, once, whatever it prints,
// and the log says how much is missing.
func TestFailingBucket(t *testing.T) {
	t.Parallel()
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			opened, err := blob.Open(t.Context(), "mem://", "logs")
			require.NoError(t, err)
			f := &faulty{Store: opened, took: make(chan struct{})}
			switched := &f.fails
			if hangs {
				switched = &f.hangs
			}
			store := logs.New(f, logs.Config{})
			w := store.Writer(attempt(1))
			write(t, w, "before\n")
			switched.Store(true)
			began, failed := time.Now(), 0
			for range 30 {
				if _, err := io.WriteString(w, strings.Repeat("x", logs.ChunkSize/10-1)+"\n"); err != nil {
					failed++
				}
			}
			require.Positive(t, failed)
			require.Less(t, time.Since(began), time.Minute)

			switched.Store(false)
			<-f.took // The writer looks again by itself.
			write(t, w, "after\n")
			require.NoError(t, w.Close())
			got := read(t, logs.New(opened, logs.Config{}))
			require.True(t, strings.HasPrefix(got, "before\nxxx"))
			_, end, found := strings.Cut(got, "\n--- ")
			require.True(t, found)
			require.Regexp(t, `^[0-9]+ bytes of the log are missing here: the server could not store them ---\nafter\n$`, end)

			// At the end of the action it comes back to what it can.
			switched.Store(true)
			w = store.Writer(&action.Attempt{Scope: action.Scope{ExecutionID: "e2", ActionExecutionID: "a1"}, Number: 1})
			write(t, w, "lost\n")
			began = time.Now()
			require.Error(t, w.Close())
			require.Less(t, time.Since(began), time.Minute)
			require.NoError(t, opened.Close())
		})
	}
}

const childDir = "HEADRACE_LOGS_TEST_DIR"

// TestKilledWriter kills a process in the middle of writing. What it loses is its last
// moment, never the middle, and the next attempt goes on.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(childDir); dir != "" {
		writeForEver(t, dir)
		return
	}
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledWriter$")
	child.Env = append(os.Environ(), childDir+"="+dir)
	require.NoError(t, child.Start())
	store := inDir(t, dir)
	var seen int
	eventually(t, func() bool {
		seen = len(read(t, store))
		return seen > 3*logs.ChunkSize
	})
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())

	before := read(t, store)
	require.GreaterOrEqual(t, len(before), seen, "what was seen stays")
	for i, line := range strings.Split(before[:strings.LastIndex(before, "\n")], "\n") {
		if want := fmt.Sprintf("line %d", i); line != want {
			require.Equal(t, want, line)
		}
	}
	w := store.Writer(attempt(2))
	write(t, w, "two\n")
	require.NoError(t, w.Close())
	require.Equal(t, before+"--- attempt 2 ---\ntwo\n", read(t, store))
	checkLines(t, store, read(t, store))
	log, err := store.Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	require.Zero(t, log.Unindexed(), "the index is as whole as the log")
	log.Close()
	require.NoError(t, store.Remove(t.Context(), "e1"))
	require.Empty(t, files(t, dir), "nor does it leave anything else")
}

func writeForEver(t *testing.T, dir string) {
	t.Helper()
	w := inDir(t, dir).Writer(attempt(1))
	for i := 0; t.Context().Err() == nil; i++ {
		write(t, w, fmt.Sprintf("line %d\n", i))
	}
}

// cut is a bucket of encrypted objects whose ends a crash of the machine took.
type cut struct{ logs.Bucket }

func (c cut) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	opened, err := c.Bucket.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(opened, 6), iotest.ErrReader(blob.ErrDamaged)), opened}, nil
}

func TestWhatIsWholeOfADamagedLogIsRead(t *testing.T) {
	t.Parallel()
	opened := bucket(t, "mem://")
	w := logs.New(opened, logs.Config{}).Writer(attempt(1))
	write(t, w, "first\nsecond\n")
	require.NoError(t, w.Close())
	damaged := logs.New(cut{opened}, logs.Config{})
	require.Equal(t, "first\n", read(t, damaged))
	w = damaged.Writer(attempt(2))
	write(t, w, "again\n")
	require.NoError(t, w.Close())
	require.Equal(t, "first\n--- attempt 2 ---\nagain\n", read(t, logs.New(opened, logs.Config{})))
}
