package service_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestReadLog(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	e := l.start("web")
	id := e.Stages[0].Actions[0].ID
	viewer := identity(auth.Viewer, "default")
	read := func(part service.LogRead) service.LogPart {
		got, err := l.ReadLog(t.Context(), viewer, "default", e.ID, id, part)
		require.NoError(t, err)
		return got
	}
	require.Empty(t, read(service.LogRead{Lines: 10, Bytes: 100}).Lines)
	require.Empty(t, read(service.LogRead{Bytes: 100}).Data)

	a := l.acquire("r1")
	w := l.logs.Writer(&a.Attempt)
	var text strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&text, "\x1b[3%dmline %d\n", i%8, i+1)
	}
	_, err := w.Write([]byte(text.String()))
	require.NoError(t, err)
	stat, done, err := l.StatLog(t.Context(), viewer, "default", e.ID, id)
	require.NoError(t, err)
	require.False(t, done)
	require.Equal(t, logs.Stat{Size: int64(text.Len()), Lines: 60_000, Traits: logs.Escapes}, stat)
	for range 2 {
		got := read(service.LogRead{Line: 54_321, Lines: 2, Bytes: 1000})
		require.Len(t, got.Lines, 2)
		require.Equal(t, "\x1b[30mline 54321", string(got.Lines[0].Text))
		require.Equal(t, "37", got.Begin.SGR)
		require.Equal(t, int64(54_321), got.Begin.Line)
		require.Equal(t, int64(text.Len()), got.Size)
		bytes := read(service.LogRead{Offset: got.Begin.Offset, Bytes: 9})
		require.Equal(t, "\x1b[30mline", string(bytes.Data))
		require.Equal(t, got.Begin, bytes.Begin)
		require.Equal(t, got.Begin.Offset+9, bytes.End)
		require.Equal(t, "line 60000\n", string(read(service.LogRead{Offset: -11, Bytes: 1000}).Data))
		require.Equal(t, int64(59_999), read(service.LogRead{Line: -2, Lines: 5, Bytes: 1000}).Lines[0].Line)
		require.Equal(t, int64(text.Len()), read(service.LogRead{Offset: 1 << 40, Bytes: 1000}).End)
		require.NoError(t, w.Close())
		// Now from the storage.
	}
	l.report("r1", a, action.Result{})
	_, done, err = l.StatLog(t.Context(), viewer, "default", e.ID, id)
	require.NoError(t, err)
	require.True(t, done)
	_, err = l.ReadLog(t.Context(), viewer, "default", e.ID, "unknown", service.LogRead{Lines: 1, Bytes: 1})
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
}

// To number the lines of a large log that an older version wrote costs as much as a search,
// and waits like one, but once.
func TestReadingALogWithoutAnIndexCountsAsASearch(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	e := l.start("web")
	a := l.acquire("r1")
	w := l.logs.Writer(&a.Attempt)
	_, err := w.Write([]byte(strings.Repeat("line\n", 8<<20/5)))
	require.NoError(t, errors.Join(err, w.Close()))
	l.report("r1", a, action.Result{})
	chunks, err := filepath.Glob(filepath.Join(l.dir, "logs", e.ID, "*"))
	require.NoError(t, err)
	require.Len(t, chunks, 8)
	for _, chunk := range chunks[1:] {
		parts := strings.Split(filepath.Base(chunk), ".")
		require.NoError(t, os.Rename(chunk, filepath.Join(filepath.Dir(chunk), strings.Join(parts[:3], "."))))
	}
	end := l.HoldSearches(t)
	last := func() error {
		got, err := l.ReadLog(t.Context(), admin, "default", e.ID, e.Stages[0].Actions[0].ID, service.LogRead{Line: -1, Lines: 1, Bytes: 100})
		if err == nil && got.Lines[0].Line != 8<<20/5 {
			err = fmt.Errorf("the last line is %d", got.Lines[0].Line)
		}
		return err
	}
	waits := make(chan error, 1)
	go func() { waits <- last() }()
	require.Eventually(t, func() bool { return l.WaitingSearches() == 1 }, 10*time.Second, time.Millisecond)
	end()
	require.NoError(t, <-waits)

	end = l.HoldSearches(t)
	defer end()
	require.NoError(t, last(), "what was found is remembered")
}
