package logs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

// search writes a log and returns what a search of it gives, a line for each match:
// number, offset, text, and what is around in brackets.
func search(t *testing.T, text, pattern string, options logs.Options, around int) []string {
	t.Helper()
	store := logs.New(bucket(t, "mem://"), logs.Config{})
	w := store.Writer(attempt(1))
	write(t, w, text)
	require.NoError(t, w.Close())
	log, err := store.Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	p, err := logs.NewPattern(pattern, options)
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
		pattern                          string
		expression, ignore, word, invert bool
		around                           int
		want                             []string
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
		"around the last":         {pattern: "seven", around: 1, want: []string{`7@30 seven ["six"][]`}},
		"nothing":                 {pattern: "eight"},
		"a word":                  {pattern: "one", word: true, want: []string{`1@0 one [][]`}},
		"part of a word":          {pattern: "wo", word: true},
		"words, ignoring case":    {pattern: "TWO", ignore: true, word: true, want: []string{`2@4 two [][]`, `4@9 Two and [x] [][]`}},
		"an expression as a word": {pattern: "s..|t.o", expression: true, word: true, want: []string{`2@4 two [][]`, `6@26 six [][]`}},
		"a word among signs":      {pattern: "x", word: true, want: []string{`4@9 Two and [x] [][]`}},
		"all other lines":         {pattern: "i|o", expression: true, invert: true, want: []string{`3@8  [][]`, `7@30 seven [][]`}},
		"all other lines with those around": {pattern: "i|o", expression: true, invert: true, around: 1, want: []string{
			`3@8  ["two"]["Two and [x]"]`, `7@30 seven ["six"][]`,
		}},
		"an expression that ends groups": {pattern: `x\]$`, expression: true, word: true, want: []string{`4@9 Two and [x] [][]`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, search(t, text, test.pattern, logs.Options{
				Expression: test.expression, IgnoreCase: test.ignore, WholeWord: test.word, Invert: test.invert,
			}, test.around))
		})
	}
}

// A line without an end is searched in pieces, and only what is around the match is
// given.
func TestSearchLongLines(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", 3*logs.ChunkSize-3) + "needle" + strings.Repeat("y", logs.ChunkSize) + "\nneedle\n"
	got := search(t, text, "needle", logs.Options{}, 1)
	require.Len(t, got, 2)
	require.Contains(t, got[0], "xneedley")
	require.Less(t, len(got[0]), 2*logs.MaxLine)
	require.Equal(t, fmt.Sprintf(`2@%d needle [][]`, len(text)-7), got[1])
}

// Words are whole also where a long line is cut into pieces.
func TestSearchWordsInLongLines(t *testing.T) {
	t.Parallel()
	for _, options := range []logs.Options{{WholeWord: true}, {WholeWord: true, IgnoreCase: true}} {
		for at := 16<<10 - 1100; at < 16<<10+10; at += 10 {
			filler := strings.Repeat("x", at-1)
			require.Empty(t, search(t, filler+"xneedle "+filler, "needle", options, 0))
			require.Empty(t, search(t, filler+" needlex"+filler, "needle", options, 0))
			if at%50 == 0 {
				require.Len(t, search(t, filler+" needle "+filler, "needle", options, 0), 1)
			}
		}
	}
}

// Lines that are skipped are those that do not match: a search finds what looking at each line
// does, whatever case, words, and places the lines have.
func TestSearchFindsWhatEachLineHolds(t *testing.T) {
	t.Parallel()
	words := []string{"needle", "NEEDLE", "Needle", "needles", "\u212aey", "key", "KEY", "\u017ftop", "stop", "error 17", " ", " ", "\n", "\n", "\xff", "x\u00e4", strings.Repeat("y", 700)}
	patterns := []string{"needle", "key", "stop", "error 1[0-9]", "(need)+les?", "x\u00e4", "e{2}", "[^a-z]needle", "a|needle", "\ufffd", "(?i)NEEDLE"}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(9, seed))
		var text strings.Builder
		for range 3000 {
			text.WriteString(words[random.IntN(len(words))])
		}
		pattern := patterns[random.IntN(len(patterns))]
		options := logs.Options{
			Expression: random.IntN(2) == 0, IgnoreCase: random.IntN(2) == 0, WholeWord: random.IntN(3) == 0, Invert: random.IntN(5) == 0,
		}
		if pattern == "\ufffd" {
			options.Expression = true // As text it is other bytes than those that are not UTF-8.
		}
		expression := pattern
		if !options.Expression {
			expression = regexp.QuoteMeta(pattern)
		}
		if options.IgnoreCase {
			expression = "(?i:" + expression + ")"
		}
		if options.WholeWord {
			expression = `(?:^|[^\pL\pN_])(?:` + expression + `)(?:[^\pL\pN_]|$)`
		}
		matches := regexp.MustCompile(expression)
		var want, got []string
		for i, line := range strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n") {
			if matches.MatchString(line) != options.Invert {
				want = append(want, strconv.Itoa(i+1))
			}
		}
		for _, match := range search(t, text.String(), pattern, options, random.IntN(3)) {
			number, _, _ := strings.Cut(match, "@")
			got = append(got, number)
		}
		require.Equal(t, want, got, "%q %+v", pattern, options)
	}
}

func TestHostilePatternsAreRefused(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"(", "a{1001}", strings.Repeat("(x{900}y{99})|", 70) + "z", "((a{100}){100}){100}"} {
		_, err := logs.NewPattern(pattern, logs.Options{Expression: true})
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
	p, err := logs.NewPattern("line", logs.Options{})
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
