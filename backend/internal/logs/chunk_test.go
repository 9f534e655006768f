package logs_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
