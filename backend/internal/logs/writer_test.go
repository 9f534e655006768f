package logs_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

// watched is a bucket that counts what it is asked for, and holds puts up while it is
// told to.
type watched struct {
	*blob.Store

	puts, bytes, largest, opens atomic.Int64
	// hold is closed to let puts go on; nil lets them.
	hold chan struct{}
	// counts is set where nothing is kept of what is put, which takes its time.
	counts bool
}

func (w *watched) Put(ctx context.Context, name string, from io.Reader) error {
	if w.hold != nil {
		<-w.hold
	}
	counted := &count{from: from}
	var err error
	if w.counts {
		_, err = io.Copy(io.Discard, counted)
	} else {
		err = w.Store.Put(ctx, name, counted)
	}
	w.puts.Add(1)
	w.bytes.Add(counted.n)
	w.largest.Store(max(w.largest.Load(), counted.n))
	return err
}

func (w *watched) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	w.opens.Add(1)
	return w.Store.Open(ctx, name)
}

type count struct {
	from io.Reader
	n    int64
}

func (c *count) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}

// inBubble opens a bucket in memory, which ends with the bubble.
func inBubble(t *testing.T) *blob.Store {
	t.Helper()
	opened, err := blob.Open(t.Context(), "mem://", "logs")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened
}

func objects(t *testing.T, b *blob.Store) (names []string) {
	t.Helper()
	for object, err := range b.List(t.Context(), "") {
		require.NoError(t, err)
		names = append(names, object.Name)
	}
	return names
}

// A put that began before its log was removed would come after that and stay.
func TestRemovalWaitsForAPutUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &watched{Store: inBubble(t), hold: make(chan struct{})}
		store := logs.New(b, logs.Config{})
		w := store.Writer(attempt(1))
		write(t, w, "line\n")
		<-time.After(time.Second)
		synctest.Wait() // The put is under way.
		removed := make(chan error, 1)
		go func() { removed <- store.Remove(context.Background(), "e1") }()
		synctest.Wait()
		close(b.hold)
		require.NoError(t, <-removed)
		require.NoError(t, w.Close())
		require.Equal(t, int64(1), b.puts.Load())
		require.Empty(t, objects(t, b.Store))
	})
}

// A bucket that is away for a moment costs no byte.
func TestBucketIsAwayForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &faulty{Store: inBubble(t)}
		b.fails.Store(true)
		time.AfterFunc(1500*time.Millisecond, func() { b.fails.Store(false) })
		store := logs.New(b, logs.Config{})
		w := store.Writer(attempt(1))
		text := strings.Repeat("0123456789abcde\n", logs.ChunkSize/8)
		write(t, w, text)
		require.NoError(t, w.Close())
		require.Equal(t, text, read(t, logs.New(b.Store, logs.Config{})))
	})
}

// A bucket that was given up has the end of the action to come back.
func TestCloseTriesOnceMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &faulty{Store: inBubble(t)}
		b.fails.Store(true)
		w := logs.New(b, logs.Config{}).Writer(attempt(1))
		text := strings.Repeat("0123456789abcde\n", logs.ChunkSize/16)
		_, err := io.WriteString(w, text+"lost\n")
		require.ErrorIs(t, err, errBucket)
		synctest.Wait() // The put that waited for this one has failed too.
		b.fails.Store(false)
		require.NoError(t, w.Close(), "before the writer has looked again by itself")
		got := read(t, logs.New(b.Store, logs.Config{}))
		require.Equal(t, text+"--- 5 bytes of the log are missing here: the server could not store them ---\n", got)
	})
}

// All of a growing chunk is put each time. What prints slowly and for long must cost
// neither a put for each line nor a multiple of what it prints.
func TestSlowLogIsPutNowAndThen(t *testing.T) {
	t.Parallel()
	for remote, most := range map[bool]int64{false: 300, true: 110} {
		synctest.Test(t, func(t *testing.T) {
			b := &watched{Store: inBubble(t), counts: true}
			w := logs.New(b, logs.Config{Remote: remote}).Writer(attempt(1))
			line := strings.Repeat("x", logs.ChunkSize/2500-1) + "\n"
			began := time.Now()
			for range 2500 {
				write(t, w, line)
				<-time.After(40 * time.Millisecond)
			}
			seconds := int64(time.Since(began).Seconds())
			require.NoError(t, w.Close())
			require.Less(t, b.puts.Load(), most, "of 2500 lines")
			require.Less(t, b.bytes.Load()/seconds, int64(logs.ChunkSize), "bytes a second")
		})
	}
}

// Writers are many where actions are, and each holds a chunk in memory.
func TestManyWritersHoldSmallChunks(t *testing.T) {
	t.Parallel()
	b := &watched{Store: bucket(t, "mem://")}
	store := logs.New(b, logs.Config{})
	const n = 1024
	writers := make([]io.WriteCloser, n)
	for i := range writers {
		writers[i] = store.Writer(&action.Attempt{Scope: action.Scope{ExecutionID: "e1", ActionExecutionID: fmt.Sprintf("a%d", i)}, Number: 1})
		write(t, writers[i], "line\n")
	}
	last := writers[n-1]
	write(t, last, strings.Repeat("0123456789abcde\n", logs.ChunkSize/16))
	for _, w := range writers {
		require.NoError(t, w.Close())
	}
	require.LessOrEqual(t, b.largest.Load(), int64(64<<20/n))
}

// The end of a log is found from its end, and what has no lines is not read for them.
func TestLastLinesReadTheEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		line  string
		opens int64
		from  int64
	}{
		"lines":       {line: strings.Repeat("x", 99) + "\n", opens: 2, from: 10 * 100},
		"no lines":    {line: strings.Repeat("x", 100), opens: 17, from: 16 << 20},
		"a long line": {line: strings.Repeat("x", 20<<20) + "\n", opens: 17, from: 16 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &watched{Store: bucket(t, "mem://")}
			w := logs.New(b, logs.Config{}).Writer(attempt(1))
			text := strings.Repeat(test.line, (24<<20)/len(test.line))
			write(t, w, text)
			require.NoError(t, w.Close())
			log, err := logs.New(b, logs.Config{}).Open(t.Context(), "e1", "a1")
			require.NoError(t, err)
			defer log.Close()
			at, err := log.LastLines(t.Context(), 10)
			require.NoError(t, err)
			require.Equal(t, int64(len(text))-test.from, at)
			require.LessOrEqual(t, b.opens.Load(), test.opens, "of 24 chunks")
		})
	}
}
