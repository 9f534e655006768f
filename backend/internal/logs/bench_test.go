package logs_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

const (
	benchSize  = 1 << 30
	benchPiece = 32 << 10
)

func benchLine() []byte {
	return bytes.Repeat([]byte("2026-11-25T22:00:00Z some package compiled, and 3 more to go...\n"), benchPiece/64)
}

// BenchmarkCopyWithHash is the limit for BenchmarkWrite and BenchmarkRead: a plain file
// copy that hashes what it copies.
func BenchmarkCopyWithHash(b *testing.B) {
	dir := b.TempDir()
	source := filepath.Join(dir, "source")
	require.NoError(b, os.WriteFile(source, bytes.Repeat(benchLine(), benchSize/4/benchPiece), 0o600))
	b.SetBytes(benchSize / 4)
	for b.Loop() {
		from, err := os.Open(source)
		require.NoError(b, err)
		to, err := os.Create(filepath.Join(dir, "copy"))
		require.NoError(b, err)
		_, err = io.Copy(io.MultiWriter(to, sha256.New()), from)
		require.NoError(b, err)
		require.NoError(b, from.Close())
		require.NoError(b, to.Close())
	}
}

func benchWrite(b *testing.B, store *logs.Store, number int, size int) {
	b.Helper()
	a := attempt(number)
	w := store.Writer(a)
	piece := benchLine()
	for range size / benchPiece {
		if _, err := w.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, w.Close())
}

func BenchmarkWrite(b *testing.B) {
	store := logs.New(bucket(b, "file://"+b.TempDir()), logs.Config{Limit: 2 * benchSize})
	b.SetBytes(benchSize / 4)
	for b.Loop() {
		benchWrite(b, store, 1, benchSize/4)
	}
}

// BenchmarkShortLog is what an action that prints one line pays.
func BenchmarkShortLog(b *testing.B) {
	store := logs.New(bucket(b, "file://"+b.TempDir()), logs.Config{})
	for b.Loop() {
		w := store.Writer(attempt(1))
		_, _ = w.Write([]byte("ok\n"))
		require.NoError(b, w.Close())
	}
}

// BenchmarkGigabyte opens a log of 1 GiB at its end, at any byte, reads and searches
// all of it.
func BenchmarkGigabyte(b *testing.B) {
	dir := b.TempDir()
	benchWrite(b, logs.New(bucket(b, "file://"+dir), logs.Config{Limit: 2 * benchSize}), 1, benchSize)
	store := logs.New(bucket(b, "file://"+dir), logs.Config{})
	buffer := make([]byte, 64<<10)
	at := func(b *testing.B, place func(size, i int64) int64) {
		b.Helper()
		for i := int64(0); b.Loop(); i++ {
			log, err := store.Open(b.Context(), "e1", "a1")
			require.NoError(b, err)
			n, err := log.Read(b.Context(), buffer, place(log.Size(), i))
			require.NoError(b, err)
			require.Positive(b, n)
			log.Close()
		}
	}
	b.Run("OpenAtTheEnd", func(b *testing.B) { at(b, func(size, _ int64) int64 { return size - 1000 }) })
	b.Run("OpenAtAnyByte", func(b *testing.B) { at(b, func(size, i int64) int64 { return (i * 7919 * 104729) % (size - 1) }) })
	b.Run("Read", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			log, err := store.Open(b.Context(), "e1", "a1")
			require.NoError(b, err)
			for offset := int64(0); ; {
				n, err := log.Read(b.Context(), buffer, offset)
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(b, err)
				offset += int64(n)
			}
			log.Close()
		}
	})
	for name, expression := range map[string]bool{"SearchText": false, "SearchExpression": true} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchSize)
			pattern, err := logs.NewPattern("error 1[0-9]*", logs.Options{Expression: expression})
			require.NoError(b, err)
			for b.Loop() {
				log, err := store.Open(b.Context(), "e1", "a1")
				require.NoError(b, err)
				_, err = log.Search(b.Context(), pattern, 0, func(logs.Match) error { return nil })
				require.NoError(b, err)
				log.Close()
			}
		})
	}
}
