package logs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

// search writes a log and returns what a search of it gives, a line for each match:
// number, offset, text, and what is around in brackets.
func search(t *testing.T, text, pattern string, expression, ignoreCase bool, around int) []string {
	t.Helper()
	store := logs.New(bucket(t, "mem://"), logs.Config{})
	w := store.Writer(attempt(1))
	write(t, w, text)
	require.NoError(t, w.Close())
	log, err := store.Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	p, err := logs.NewPattern(pattern, expression, ignoreCase)
	require.NoError(t, err)
	var got []string
	searched, err := log.Search(t.Context(), p, around, func(m logs.Match) error {
		got = append(got, fmt.Sprintf("%d@%d %s %q%q", m.Line, m.Offset, m.Text, m.Before, m.After))
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, int64(len(text)), searched)
	return got
}

func TestSearch(t *testing.T) {
	t.Parallel()
	const text = "one\ntwo\n\nTwo and [x]\nfive\nsix\nseven"
	for name, test := range map[string]struct {
		pattern            string
		expression, ignore bool
		around             int
		want               []string
	}{
		"text":                  {pattern: "two", want: []string{`2@4 two [][]`}},
		"ignoring case":         {pattern: "TWO", ignore: true, want: []string{`2@4 two [][]`, `4@9 Two and [x] [][]`}},
		"text, not expression":  {pattern: "[x]", ignore: true, want: []string{`4@9 Two and [x] [][]`}},
		"expression":            {pattern: "^[tf]", expression: true, want: []string{`2@4 two [][]`, `5@21 five [][]`}},
		"its begin is a line's": {pattern: `\As`, expression: true, want: []string{`6@26 six [][]`, `7@30 seven [][]`}},
		"empty lines":           {pattern: "^$", expression: true, want: []string{`3@8  [][]`}},
		"not over lines":        {pattern: `one\s+two`, expression: true},
		"around": {pattern: "two", ignore: true, around: 2, want: []string{
			`2@4 two ["one"][""]`, `4@9 Two and [x] []["five" "six"]`,
		}},
		"around the last": {pattern: "seven", around: 1, want: []string{`7@30 seven ["six"][]`}},
		"nothing":         {pattern: "eight"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, search(t, text, test.pattern, test.expression, test.ignore, test.around))
		})
	}
}

// A line without an end is searched in pieces, and only what is around the match is
// given.
func TestSearchLongLines(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", 3*logs.ChunkSize-3) + "needle" + strings.Repeat("y", logs.ChunkSize) + "\nneedle\n"
	got := search(t, text, "needle", false, false, 1)
	require.Len(t, got, 2)
	require.Contains(t, got[0], "xneedley")
	require.Less(t, len(got[0]), 2*logs.MaxLine)
	require.Equal(t, fmt.Sprintf(`2@%d needle [][]`, len(text)-7), got[1])
}

func TestHostilePatternsAreRefused(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"(", "a{1001}", strings.Repeat("(x{900}y{99})|", 70) + "z", "((a{100}){100}){100}"} {
		_, err := logs.NewPattern(pattern, true, false)
		require.Error(t, err, pattern)
	}
}

func TestSearchEndsWithItsContextAndItsReader(t *testing.T) {
	t.Parallel()
	store := logs.New(bucket(t, "mem://"), logs.Config{})
	w := store.Writer(attempt(1))
	write(t, w, strings.Repeat("line\n", logs.ChunkSize))
	require.NoError(t, w.Close())
	log, err := store.Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	p, err := logs.NewPattern("line", false, false)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = log.Search(ctx, p, 0, func(logs.Match) error { cancel(); return nil })
	require.ErrorIs(t, err, context.Canceled)
	enough := errors.New("enough")
	_, err = log.Search(t.Context(), p, 0, func(logs.Match) error { return enough })
	require.ErrorIs(t, err, enough)
}

func TestLastLines(t *testing.T) {
	t.Parallel()
	store := logs.New(bucket(t, "mem://"), logs.Config{})
	w := store.Writer(attempt(1))
	long := strings.Repeat("x", 100_000)
	write(t, w, "one\n"+long+"\nthree\n\nfive\n")
	require.NoError(t, w.Close())
	log, err := store.Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	for lines, want := range map[int]string{
		1: "five\n", 2: "\nfive\n", 3: "three\n\nfive\n", 4: long + "\nthree\n\nfive\n", 5: "one\n" + long + "\nthree\n\nfive\n", 100: "one\n" + long + "\nthree\n\nfive\n",
	} {
		at, err := log.LastLines(t.Context(), lines)
		require.NoError(t, err)
		require.Equal(t, want, readFrom(t, log, at), lines)
	}
}
