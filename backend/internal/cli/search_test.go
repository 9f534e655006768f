package cli_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

func TestSearchAndPartsOfLogs(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b)
	for range 2 {
		started := headrace(t, b, b.AdminToken, "run", "web")
		require.Equal(t, cli.ExitOK, started.code, started.stderr)
	}
	viewer := b.Token("victor", nil, backendtest.Binding("default", headracev1.Role_ROLE_VIEWER))
	ask := func(args ...string) result { t.Helper(); return headrace(t, b, viewer, args...) }
	require.Eventually(t, func() bool {
		got := ask("search", "good morning", "web", "--last", "5")
		return strings.Contains(got.stdout, "web#1 Build/Compile:") && strings.Contains(got.stdout, "web#2 Build/Compile:")
	}, time.Minute, 50*time.Millisecond)

	newest := ask("search", "good morning", "web", "--last", "1")
	require.Equal(t, cli.ExitOK, newest.code, newest.stderr)
	require.Regexp(t, `^web#2 Build/Compile:[0-9]+: good morning\n$`, newest.stdout)
	require.Equal(t, newest.stdout, ask("search", "good morning", "web").stdout, "the latest of the pipeline")
	require.Equal(t, newest.stdout, ask("search", "-E", "^GOOD .*ing$", "-i", "web#2", "Compile").stdout)
	require.Contains(t, ask("search", "good", "web", "-C", "2").stdout, "\nweb#2 Build/Compile:")
	require.Contains(t, ask("search", "o", "web", "--max", "1").stderr, "not all was searched: there are more matches")

	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing found":         {[]string{"search", "good evening", "web"}, cli.ExitFailed, "no line matches in 2 logs"},
		"found elsewhere":       {[]string{"search", "good morning", "web", "Checkout"}, cli.ExitFailed, "no line matches in 1 logs"},
		"not an expression":     {[]string{"search", "-E", "(", "web"}, cli.ExitFailed, "missing closing )"},
		"unknown pipeline":      {[]string{"search", "x", "nope", "--last", "2"}, cli.ExitFailed, "nope"},
		"unknown action":        {[]string{"search", "x", "web", "Nope"}, cli.ExitFailed, "Nope"},
		"last and action":       {[]string{"search", "x", "web", "Compile", "--last", "2"}, cli.ExitUsage, "--last"},
		"too many executions":   {[]string{"search", "x", "web", "--last", "1000"}, cli.ExitUsage, "1 to 100"},
		"too much context":      {[]string{"search", "x", "web", "-C", "11"}, cli.ExitFailed, "context_lines"},
		"tail and from":         {[]string{"logs", "web", "Compile", "--tail", "1", "--from", "2"}, cli.ExitUsage, "use one of them"},
		"from without a log":    {[]string{"logs", "web", "--from", "2"}, cli.ExitUsage, "name the action"},
		"tail of too many":      {[]string{"logs", "web", "--tail", "-1"}, cli.ExitUsage, "--tail"},
		"lines and tail":        {[]string{"logs", "web", "Compile", "--tail", "1", "--lines", "2"}, cli.ExitUsage, "--lines cannot be combined with --tail"},
		"lines without a log":   {[]string{"logs", "web", "--lines", "2"}, cli.ExitUsage, "requires an action"},
		"lines backwards":       {[]string{"logs", "web", "Compile", "--lines", "3-2"}, cli.ExitUsage, "120-131"},
		"line 0":                {[]string{"logs", "web", "Compile", "--lines", "0"}, cli.ExitUsage, "120-131"},
		"lines that are words":  {[]string{"logs", "web", "Compile", "--lines", "1-x"}, cli.ExitUsage, "120-131"},
		"lines beyond the end":  {[]string{"logs", "web#1", "Compile", "--lines", "1000-"}, cli.ExitFailed, "the log has "},
		"part of a word":        {[]string{"search", "-w", "ood morning", "web"}, cli.ExitFailed, "no line matches"},
		"search without a text": {[]string{"search", "web"}, cli.ExitUsage, "arg"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := headrace(t, b, viewer, test.args...)
			require.Equal(t, test.code, got.code, got.stderr)
			require.Contains(t, got.stderr, test.want)
		})
	}

	// To its end: the action may still run.
	whole := ask("logs", "web#2", "Compile", "-f").stdout
	lines := strings.SplitAfter(strings.TrimSuffix(whole, "\n"), "\n")
	require.Equal(t, strings.Join(lines[len(lines)-2:], "")+"\n", ask("logs", "web#2", "Compile", "--tail", "2").stdout)
	require.Equal(t, whole[3:], ask("logs", "web#2", "Compile", "--from", "3").stdout)
	require.Equal(t, whole[len(whole)-4:], ask("logs", "web#2", "Compile", "--from", "-4", "-f").stdout)

	for span, want := range map[string]string{
		"1": lines[0], "2-2": lines[1], "1-2": lines[0] + lines[1], "2-": strings.Join(lines[1:], "") + "\n", "1-1000": strings.Join(lines, "") + "\n",
	} {
		require.Equal(t, strings.TrimSuffix(want, "\n"), strings.TrimSuffix(ask("logs", "web#2", "Compile", "--lines", span).stdout, "\n"), span)
	}
	require.Contains(t, ask("logs", "web#2", "Compile", "--lines", "2", "-o", "json").stdout, `"number":"2"`)
	require.Equal(t, newest.stdout, ask("search", "-w", "good morning", "web").stdout)
	require.Equal(t, len(lines)-1, strings.Count(ask("search", "-v", "good morning", "web#2", "Compile").stdout, "\n"))

	var told struct {
		Match struct{ Offset, LineNumber string }
	}
	asJSON := ask("search", "good morning", "web#2", "-o", "json")
	first, summary, _ := strings.Cut(asJSON.stdout, "\n")
	require.NoError(t, json.Unmarshal([]byte(first), &told), asJSON.stdout)
	require.Contains(t, summary, `"matchCount":"1"`)
	from := ask("logs", "web#2", "Compile", "--from", told.Match.Offset).stdout
	require.True(t, strings.HasPrefix(from, "good morning\n"), "a match tells where it is: %q", from)
}
