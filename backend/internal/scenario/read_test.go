package scenario_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// scenario is one file.
type scenario struct {
	name string
	// paragraph and title are of the first line, why of the lines below.
	paragraph, title string
	why              []string
	statements       []statement
}

// statement is a line that is not indented, with those below it that are.
type statement struct {
	line  int
	text  string
	lines []string
}

var titlePattern = regexp.MustCompile(`^# ([0-9.]+) (.+)$`)

func scenarios(t *testing.T) []scenario {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := make([]scenario, 0, len(files))
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		s, err := read(string(data))
		require.NoError(t, err, "%s", file)
		s.name = strings.TrimSuffix(filepath.Base(file), ".txt")
		all = append(all, s)
	}
	return all
}

// read splits a file into statements.
func read(text string) (scenario, error) {
	var s scenario
	for i, line := range strings.Split(text, "\n") {
		bare := strings.TrimSpace(line)
		indented := line != strings.TrimLeft(line, " \t")
		switch {
		case i == 0:
			match := titlePattern.FindStringSubmatch(line)
			if match == nil {
				return s, fmt.Errorf("line 1: %q is no title; write # PARAGRAPH what it says", line)
			}
			s.paragraph, s.title = match[1], match[2]
		case bare == "" || strings.HasPrefix(bare, "# "):
		case len(s.statements) == 0 && !isDefinition(line):
			s.why = append(s.why, bare)
		case !indented:
			s.statements = append(s.statements, statement{line: i + 1, text: bare})
		default:
			last := &s.statements[len(s.statements)-1]
			last.lines = append(last.lines, bare)
		}
	}
	if len(s.statements) == 0 {
		return s, fmt.Errorf("there are no statements")
	}
	return s, nil
}

// isDefinition tells whether a line ends the introduction of a file.
func isDefinition(line string) bool {
	return pipelinePattern.MatchString(line)
}

// words splits a text at spaces that are not between double quotes, which go.
func words(text string) []string {
	var all []string
	var word strings.Builder
	quoted, some := false, false
	for _, r := range text {
		switch {
		case r == '"':
			quoted, some = !quoted, true
		case (r == ' ' || r == '\t') && !quoted:
			if some {
				all = append(all, word.String())
			}
			word.Reset()
			some = false
		default:
			word.WriteRune(r)
			some = true
		}
	}
	if some {
		all = append(all, word.String())
	}
	return all
}

// matches tells whether a text is a pattern, in which "…" stands for anything.
func matches(pattern, text string) bool {
	pieces := strings.Split(pattern, "…")
	if len(pieces) == 1 {
		return pattern == text
	}
	first, last := pieces[0], pieces[len(pieces)-1]
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	for _, piece := range pieces[1 : len(pieces)-1] {
		_, rest, found := strings.Cut(text, strings.TrimSpace(piece))
		if !found {
			return false
		}
		text = rest
	}
	return strings.HasSuffix(text, strings.TrimLeft(last, " "))
}

// holds tells whether a text has the words of a pattern in it.
func holds(text, pattern string) bool {
	return matches("…"+pattern+"…", text)
}
