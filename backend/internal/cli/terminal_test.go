package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

func TestLogsCannotCommandTheTerminal(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ log, want string }{
		"plain":                      {"a\tb\nc\n", "a\tb\nc\n"},
		"colors stay and end":        {"\x1b[1;31mred\x1b[0m \x1b[38;5;12mblue\n", "\x1b[1;31mred\x1b[0m \x1b[38;5;12mblue\n\x1b[0m"},
		"cursor and screen":          {"a\x1b[2J\x1b[1;1H\x1b[?1049hb\n", "ab\n"},
		"title ended by a bell":      {"a\x1b]0;owned\ab\n", "ab\n"},
		"clipboard ended by ST":      {"a\x1b]52;c;b3duZWQ=\x1b\\b\n", "ab\n"},
		"an open string ends":        {"a\x1b]0;owned\nb\n", "a\nb\n"},
		"character sets":             {"a\x1b(0b\x1bcd\n", "abd\n"},
		"controls":                   {"a\b\x00\a\u009b31mb\x7f\n", "a31mb\n"},
		"bytes that are no text":     {"a\x9b\xffb\n", "a\ufffd\ufffdb\n"},
		"turned text":                {"a\u202eb\u2066c\n", "abc\n"},
		"a color that is none":       {"\x1b[>4;1mx\n", "x\n"},
		"progress goes line by line": {"10%\r20%\r\ndone\r\n", "10%\n20%\ndone\n"},
		"other scripts":              {"grüße 世界 👍\n", "grüße 世界 👍\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.succeeded()
			f.logs["a2"] = test.log
			terminal := func() (int, int, bool) { return 80, 24, true }
			for cut := range len(test.log) {
				if cut%3 == 0 {
					f.logCuts = []int64{int64(cut)}
				}
				got := f.runIn(t.Context(), cli.Process{Args: []string{"logs", "web", "Compile"}, Terminal: terminal, OnTerminal: true})
				require.Equal(t, cli.ExitOK, got.code, got.stderr)
				require.Equal(t, test.want, got.stdout, "cut at %d", cut)
			}
			dumb := f.runIn(t.Context(), cli.Process{Args: []string{"logs", "web", "Compile"}, OnTerminal: true})
			require.NotContains(t, dumb.stdout, "\x1b", "no colors where there are none")
			require.Equal(t, test.log, f.run(t, "logs", "web", "Compile").stdout, "a pipe gets what was written")
		})
	}
}

func TestTextOfOthersCannotTurnAround(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	f.executions[0].SourceRevisions[0].RevisionSummary = "Fix \u202egnp.exe\u2069 it\u200b"
	for _, args := range [][]string{{"execution", "show", "web"}, {"execution", "list"}} {
		got := f.run(t, args...)
		require.Contains(t, got.stdout, `Fix \u202egnp.exe\u2069 it\u200b`, strings.Join(args, " "))
	}

	// JSON keeps every character, but none that a terminal would follow.
	const summary = "Fix \u202egnp.exe\u2069 it\u200b \u009b2J \U000e0041 é"
	f.executions[0].SourceRevisions[0].RevisionSummary = summary
	got := f.run(t, "-o", "json", "execution", "show", "web")
	require.Contains(t, got.stdout, `Fix \u202egnp.exe\u2069 it\u200b \u009b2J \udb40\udc41 é`)
	var shown struct {
		Execution struct {
			SourceRevisions []struct{ RevisionSummary string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &shown))
	require.Equal(t, summary, shown.Execution.SourceRevisions[0].RevisionSummary)
}
