package logs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

// hostileText is text of many lines that are hard for viewers.
func hostileText(random *rand.Rand, length int) string {
	words := []string{
		"\n", "\n", "\r\n", "\r", "\x00", "\xff\xfe", "\u00e4", "\x1b[31m", "\x1b[1", "m", "\x1b[0m", "\x1b[38;5;9m", "\u202e", "<b>",
		strings.Repeat("words of a line ", 30), strings.Repeat("x", 9000),
	}
	var text strings.Builder
	for text.Len() < length {
		text.WriteString(words[random.IntN(len(words))])
	}
	return text.String()
}

// linesOf returns what lines a log has, found by the simplest means.
func linesOf(text string) (lines []logs.Line) {
	offset := int64(0)
	for line := range strings.Lines(text) {
		shown := strings.TrimSuffix(line, "\n")
		lines = append(lines, logs.Line{
			Place:  logs.Place{Offset: offset, Line: int64(len(lines) + 1)},
			Length: int64(len(shown)), Text: []byte(shown[:min(len(shown), logs.MaxLineText)]),
		})
		offset += int64(len(line))
	}
	return lines
}

// checkLines reads all lines of a log in pages, and some at random.
func checkLines(t *testing.T, store *logs.Store, text string) {
	t.Helper()
	want := linesOf(text)
	log, err := store.Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	stat, err := log.Stat(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(len(text)), stat.Size)
	require.Equal(t, int64(len(want)), stat.Lines)
	styles := map[int64]string{}
	for next := int64(1); next <= int64(len(want)); {
		lines, after, err := log.Lines(t.Context(), next, 1000, 256<<10)
		require.NoError(t, err)
		require.NotEmpty(t, lines)
		size := 0
		for i, line := range lines {
			requireLine(t, want[int(next)-1+i], line)
			styles[line.Line] = line.SGR
			size += len(line.Text)
		}
		require.LessOrEqual(t, size, 256<<10)
		last := lines[len(lines)-1]
		next += int64(len(lines))
		require.Equal(t, min(last.Offset+last.Length+1, stat.Size), after.Offset)
	}
	random := rand.New(rand.NewPCG(3, uint64(len(text))))
	for range 50 {
		i := random.IntN(len(want))
		for _, number := range []int64{int64(i + 1), int64(i - len(want))} {
			lines, _, err := log.Lines(t.Context(), number, 2, 1)
			require.NoError(t, err)
			require.Len(t, lines, 1)
			requireLine(t, want[i], lines[0])
			require.Equal(t, styles[int64(i+1)], lines[0].SGR)
		}
		place, err := log.PlaceAt(t.Context(), want[i].Offset+random.Int64N(want[i].Length+1))
		require.NoError(t, err)
		require.Equal(t, int64(i+1), place.Line)
	}
	lines, _, err := log.Lines(t.Context(), int64(len(want)+1), 2, 100)
	require.NoError(t, err)
	require.Empty(t, lines)
}

func requireLine(t *testing.T, want, got logs.Line) {
	t.Helper()
	require.Equal(t, want.Line, got.Line)
	require.Equal(t, want.Offset, got.Offset, "line %d", want.Line)
	require.Equal(t, want.Length, got.Length, "line %d", want.Line)
	require.True(t, bytes.Equal(want.Text, got.Text), "line %d", want.Line)
}

// writeAttempts writes a log of several attempts and returns the names of its chunks.
func writeAttempts(t *testing.T, dir string, random *rand.Rand, sizes ...int) []string {
	t.Helper()
	for i, size := range sizes {
		w := inDir(t, dir).Writer(attempt(i + 1))
		write(t, w, hostileText(random, size))
		require.NoError(t, w.Close())
	}
	return files(t, dir)
}

// Each line of a log has its number, place and text, by the index, and without it as in logs
// that an older version wrote.
func TestLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	names := writeAttempts(t, dir, random, 100, 3*logs.ChunkSize, 17, 0, 1000, logs.ChunkSize+1)
	require.Len(t, names, 9)
	text := read(t, inDir(t, dir))
	checkLines(t, inDir(t, dir), text)
	log, err := inDir(t, dir).Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	require.Zero(t, log.Unindexed())
	stat, err := log.Stat(t.Context())
	require.NoError(t, err)
	require.Equal(t, logs.Escapes|logs.Rewrites|logs.Zeros|logs.NotUTF8, stat.Traits)

	// A copy of the storage has the index too.
	copied := t.TempDir()
	require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))
	log, err = inDir(t, copied).Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	require.Zero(t, log.Unindexed())
	checkLines(t, inDir(t, copied), text)

	withoutIndex(t, dir)
	require.Equal(t, text, read(t, inDir(t, dir)))
	checkLines(t, inDir(t, dir), text)
	old := inDir(t, dir)
	log, err = old.Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	require.Greater(t, log.Unindexed(), int64(4*logs.ChunkSize))
	_, err = log.Stat(t.Context())
	require.NoError(t, err)
	require.Zero(t, log.Unindexed(), "what was read is remembered")

	// A later attempt of such a log is numbered too.
	w := inDir(t, dir).Writer(attempt(7))
	write(t, w, hostileText(random, 2*logs.ChunkSize))
	require.NoError(t, w.Close())
	checkLines(t, inDir(t, dir), read(t, inDir(t, dir)))
}

// withoutIndex gives the chunks of a log the names that versions before the index gave them.
func withoutIndex(t *testing.T, dir string) {
	t.Helper()
	renamed := 0
	for _, path := range paths(t, dir) {
		name := filepath.Base(path)
		if parts := strings.Split(name, "."); len(parts) > 3 {
			require.NoError(t, os.Rename(path, filepath.Join(filepath.Dir(path), strings.Join(parts[:3], "."))))
			renamed++
		}
	}
	require.Positive(t, renamed)
}

func paths(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "logs", "e1", "*"))
	require.NoError(t, err)
	return found
}

// Lines are there at once while a log is written, also those that the bucket does not have.
func TestLinesWhileWritten(t *testing.T) {
	t.Parallel()
	store := inDir(t, t.TempDir())
	random := rand.New(rand.NewPCG(5, 6))
	w := store.Writer(attempt(1))
	for range 5 {
		write(t, w, hostileText(random, logs.ChunkSize/3))
		checkLines(t, store, read(t, store))
	}
	require.NoError(t, w.Close())
	checkLines(t, store, read(t, store))
}

// A reader that was opened before the writer began another chunk reads all of it.
func TestReadAfterTheWriterBeganAnotherChunk(t *testing.T) {
	t.Parallel()
	store := inDir(t, t.TempDir())
	w := store.Writer(attempt(1))
	write(t, w, "first\n")
	log, err := store.Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	write(t, w, strings.Repeat("x", logs.ChunkSize+10))
	buffer := make([]byte, 10)
	n, err := log.Read(t.Context(), buffer, 0)
	require.NoError(t, err)
	require.Equal(t, "first\nxxxx", string(buffer[:n]))
	require.NoError(t, w.Close())
}

// Small logs, which have no names, are numbered with the chunks around them.
func TestLinesOfSmallLogs(t *testing.T) {
	t.Parallel()
	rows := &rowsOf{}
	shared := bucket(t, "mem://")
	open := func() *logs.Store { return logs.New(shared, logs.Config{Small: rows}) }
	for number, size := range []int{50, 60, 2 * logs.ChunkSize, 70, 80, logs.ChunkSize + 5} {
		w := open().Writer(attempt(number + 1))
		write(t, w, strings.Repeat(fmt.Sprintf("attempt %d\x1b[3%dm\n", number+1, number), size/10))
		if size < 1000 {
			small := w.Small()
			require.NotNil(t, small)
			rows.kept = append(rows.kept, *small)
			w.Kept()
			continue
		}
		require.NoError(t, w.Close())
	}
	checkLines(t, open(), read(t, open()))
	log, err := open().Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	require.Less(t, log.Unindexed(), int64(2*logs.ChunkSize), "no chunk lacks an index because small logs are before it")
}

type rowsOf struct{ kept []action.SmallLog }

func (r *rowsOf) SmallLogs(context.Context, string, string) ([]action.SmallLog, error) {
	return r.kept, nil
}

// A line of many megabytes is cut, with its length, and what comes after it has its number.
func TestLongLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := inDir(t, dir).Writer(attempt(1))
	text := "before\n" + strings.Repeat("y", 5*logs.ChunkSize) + "\x1b[32m\nafter"
	write(t, w, text)
	require.NoError(t, w.Close())
	checkLines(t, inDir(t, dir), text)
	log, err := inDir(t, dir).Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	lines, _, err := log.Lines(t.Context(), 3, 1, 100)
	require.NoError(t, err)
	require.Equal(t, "32", lines[0].SGR)
	require.False(t, lines[0].Written.IsZero())
}

// Lines that a crash of the machine took keep their numbers. Search and lines agree on them.
func TestLinesAfterLostOnes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := inDir(t, dir).Writer(attempt(1))
	for i := range 3 * logs.ChunkSize / 16 {
		write(t, w, fmt.Sprintf("line %10d\n", i+1))
	}
	require.NoError(t, w.Close())
	chunks := paths(t, dir)
	require.Len(t, chunks, 3)
	require.NoError(t, os.Truncate(chunks[1], 16*10))
	const perChunk = logs.ChunkSize / 16
	log, err := inDir(t, dir).Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	for _, number := range []int64{1, perChunk + 10, 2*perChunk + 1, 3 * perChunk} {
		lines, _, err := log.Lines(t.Context(), number, 1, 1000)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("line %10d", number), string(lines[0].Text))
		require.Equal(t, number, lines[0].Line)
		require.Equal(t, (number-1)*16, lines[0].Offset)
	}
	// The first line after those that are missing, and the lines around them in one page.
	lines, _, err := log.Lines(t.Context(), 2*perChunk-5, 1, 1000)
	require.NoError(t, err)
	require.Equal(t, int64(2*perChunk+1), lines[0].Line)
	lines, _, err = log.Lines(t.Context(), perChunk+10, 4, 1<<20)
	require.NoError(t, err)
	require.Len(t, lines, 4)
	require.Equal(t, int64(2*perChunk+1), lines[3].Line)
	pattern, err := logs.NewPattern(fmt.Sprintf("line %10d", 2*perChunk+7), logs.Options{})
	require.NoError(t, err)
	_, err = log.Search(t.Context(), pattern, 0, func(m logs.Match) error {
		require.Equal(t, int64(2*perChunk+7), m.Line)
		require.Equal(t, int64(2*perChunk+6)*16, m.Offset)
		return io.EOF
	})
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, os.Remove(chunks[0]))
	log, err = inDir(t, dir).Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	lines, _, err = log.Lines(t.Context(), 2*perChunk+1, 1, 1000)
	require.NoError(t, err)
	require.Equal(t, int64(2*perChunk+1), lines[0].Line)
	require.Contains(t, readFrom(t, log, 0), "1048576 bytes of the log were lost")
}
