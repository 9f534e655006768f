package scenario_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"a b", "a b", true},
		{"a b", "a b c", false},
		{"a …", "a b c", true},
		{"… c", "a b c", true},
		{"a … c", "a b c", true},
		{"a … b … c", "a c b", false},
		{"a … a", "a", false},
		{"…", "", true},
		{"x: … 2", "x: 1", false},
	} {
		require.Equal(t, test.want, matches(test.pattern, test.text), "%q and %q", test.pattern, test.text)
	}
	require.True(t, holds("it waits for bob", "waits … bob"))
	require.False(t, holds("it waits for bob", "bob … waits"))
}

func TestMatchLines(t *testing.T) {
	t.Parallel()
	all := matchAll(matches)
	lines := []string{"a", "b", "c"}
	require.NoError(t, all([]string{"a", "b", "c"}, lines))
	require.NoError(t, all([]string{"...", "c"}, lines))
	require.NoError(t, all([]string{"a", "..."}, lines))
	require.NoError(t, all([]string{"...", "b", "..."}, lines))
	require.ErrorContains(t, all([]string{"a", "b"}, lines), `"c" is too much`)
	require.ErrorContains(t, all([]string{"a", "c"}, lines), `"b" is not "c"`)
	require.ErrorContains(t, all([]string{"...", "d"}, lines), `"d" is missing`)
	require.ErrorContains(t, all(nil, lines), `"a" is too much`)

	require.NoError(t, matchSome([]string{"c", "a", "no d"}, lines))
	require.ErrorContains(t, matchSome([]string{"d"}, lines), `"d" is not there`)
	require.ErrorContains(t, matchSome([]string{"no b"}, lines), `"b" is there`)

	states := []string{"1 Failed: x", "2 InProgress: y", "3 InProgress: y"}
	require.NoError(t, matchStates([]string{"1 Failed: x", "others InProgress: y"}, states))
	require.ErrorContains(t, matchStates([]string{"1 Failed: x", "2 InProgress: y"}, states), "execution 3")
	require.ErrorContains(t, matchStates([]string{"others …", "4 …"}, states), "no execution 4")
}

func TestRead(t *testing.T) {
	t.Parallel()
	s, err := read("# 3.1 Title\n\nWhy it is so.\n\npipeline QUEUED\n  stage A\n    1 a\n# Because.\nann starts 1\n  1 InProgress: …\n")
	require.NoError(t, err)
	require.Equal(t, scenario{
		paragraph: "3.1", title: "Title", why: []string{"Why it is so."},
		statements: []statement{
			{line: 5, text: "pipeline QUEUED", lines: []string{"stage A", "1 a"}},
			{line: 9, text: "ann starts 1", lines: []string{"1 InProgress: …"}},
		},
	}, s)
	_, err = read("3.1 Title\n")
	require.ErrorContains(t, err, "no title")
	_, err = read("# 3.1 Title\n\nWhy.\n")
	require.ErrorContains(t, err, "no statements")

	require.Equal(t, []string{"a", `b c=d`, "e"}, words(`a  "b c"=d e`))
	for text, want := range map[string]time.Duration{"31d": 31 * 24 * time.Hour, "1d2h": 26 * time.Hour, "90m": 90 * time.Minute} {
		got, err := duration(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
