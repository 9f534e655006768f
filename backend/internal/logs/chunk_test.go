package logs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

// A crash of the machine may take chunks that were not on the disk yet: all others
// keep their places.
func TestMissingChunk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := inDir(t, dir)
	w := store.Writer(attempt(1))
	text := strings.Repeat("0123456789abcde\n", 3*logs.ChunkSize/16)
	write(t, w, text)
	require.NoError(t, w.Close())
	require.Len(t, files(t, dir), 3)
	require.NoError(t, os.Truncate(filepath.Join(dir, "logs", "e1", files(t, dir)[1]), 16))
	got := read(t, store)
	require.Len(t, got, len(text))
	require.Equal(t, text[:logs.ChunkSize+16], got[:logs.ChunkSize+16])
	require.Equal(t, text[2*logs.ChunkSize:], got[2*logs.ChunkSize:])
	require.Contains(t, got, fmt.Sprintf("\n--- %d bytes of the log were lost ---\n0123", logs.ChunkSize-16))
}

// One byte in the bucket, whose name says where it is in the log, makes nobody build
// what would be before it.
func TestFarChunk(t *testing.T) {
	t.Parallel()
	const begin = "begin\n"
	put := func(b *blob.Store, at int64) *logs.Store {
		require.NoError(t, b.Put(t.Context(), "e1/a1.000001.0000000000000000", strings.NewReader(begin)))
		require.NoError(t, b.Put(t.Context(), fmt.Sprintf("e1/a1.000001.%016x", at), strings.NewReader("x")))
		return logs.New(b, logs.Config{})
	}

	const far = 16 << 30
	store := put(bucket(t, "mem://"), far)
	log, err := store.Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	require.EqualValues(t, far+1, log.Size())
	buffer := bytes.Repeat([]byte("?"), 1000)
	n, err := log.Read(t.Context(), buffer, far/2)
	require.NoError(t, err)
	require.Equal(t, make([]byte, len(buffer)), buffer[:n])
	notice := fmt.Sprintf("\n--- %d bytes of the log were lost ---\n", far-len(begin))
	for _, before := range []int{len(notice) + 10, len(notice), 5} {
		want := strings.Repeat("\x00", 100) + notice + "x"
		require.Equal(t, want[len(want)-before-1:], readFrom(t, log, far-int64(before)))
	}

	for _, beyond := range []int64{0x20000000000, 1 << 62} {
		store = put(bucket(t, "mem://"), beyond)
		require.Equal(t, begin, read(t, store), "no log is that long")
		w := store.Writer(attempt(2))
		write(t, w, "goes on\n")
		require.NoError(t, w.Close())
		require.Equal(t, begin+"--- attempt 2 ---\ngoes on\n", read(t, store))
	}
}

// An object that is larger than a chunk is read only as far as a chunk goes.
func TestOversizedChunk(t *testing.T) {
	t.Parallel()
	b := &counted{Store: bucket(t, "mem://")}
	store := logs.New(b, logs.Config{})
	w := store.Writer(attempt(1))
	write(t, w, strings.Repeat("first\n", 2*logs.ChunkSize/6))
	require.NoError(t, w.Close())
	large := strings.Repeat("large\n", 4*logs.ChunkSize/6)
	var second string
	for object, err := range b.List(t.Context(), "e1/") {
		require.NoError(t, err)
		second = object.Name
	}
	require.NoError(t, b.Put(t.Context(), second, strings.NewReader(large)))
	got := read(t, store)
	require.LessOrEqual(t, b.most.Load(), int64(logs.ChunkSize)+1)
	require.Len(t, got, 2*logs.ChunkSize)
	require.Equal(t, large[:logs.ChunkSize], got[logs.ChunkSize:])

	// Where the log goes on behind it, what was lost is named.
	require.NoError(t, b.Put(t.Context(), fmt.Sprintf("e1/a1.000001.%016x", 3*logs.ChunkSize), strings.NewReader("last\n")))
	got = read(t, logs.New(b, logs.Config{}))
	require.Len(t, got, 3*logs.ChunkSize+5)
	require.Contains(t, got, fmt.Sprintf("\n--- %d bytes of the log were lost ---\nlast\n", logs.ChunkSize))
}

// counted is a bucket that knows the most bytes that were read of one of its objects.
type counted struct {
	*blob.Store
	most atomic.Int64
}

func (c *counted) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	opened, err := c.Store.Open(ctx, name)
	return &countedReader{ReadCloser: opened, of: c}, err
}

type countedReader struct {
	io.ReadCloser
	of *counted
	n  int64
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.n += int64(n); r.n > r.of.most.Load() {
		r.of.most.Store(r.n)
	}
	return n, err
}
