package scenario_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
)

// run tells a story and checks what comes of it.
func run(t *testing.T, s scenario, open opener) {
	t.Helper()
	w := newWorld(t, open)
	for _, st := range s.statements {
		w.statement(st)
	}
}

// step is a kind of statement. What it returns is an error of the step or what it
// looked at; nil for the states of executions.
type step struct {
	pattern *regexp.Regexp
	do      func(w *world, match []string, st *statement) (*look, error)
}

// look is what a statement looked at.
type look struct {
	lines []string
	match func(expected, lines []string) error
}

func (w *world) statement(st statement) {
	w.t.Helper()
	at := fmt.Sprintf("line %d: %s", st.line, st.text)
	for _, step := range steps {
		match := step.pattern.FindStringSubmatch(st.text)
		if match == nil {
			continue
		}
		before := ""
		expected := st.lines
		refused := len(expected) > 0 && strings.HasPrefix(expected[len(expected)-1], "refused ")
		if refused {
			before = strings.Join(w.states(), "\n")
		}
		seen, err := step.do(w, match, &st)
		w.known = nil
		if refused {
			requireRefused(w.t, err, expected[len(expected)-1], at)
			w.settle()
			require.Equal(w.t, before, strings.Join(w.states(), "\n"), "%s: the refusal changed something", at)
			return
		}
		require.NoError(w.t, err, "%s", at)
		w.settle()
		// A definition takes its lines.
		expected = st.lines
		if seen == nil {
			seen = &look{lines: w.states(), match: matchStates}
			if len(expected) == 0 {
				return
			}
		}
		require.NoError(w.t, seen.match(expected, seen.lines), "%s\nexpected:\n  %s\nbut this is so:\n  %s", at,
			strings.Join(expected, "\n  "), strings.Join(seen.lines, "\n  "))
		return
	}
	require.Fail(w.t, "there is no such statement", "%s", at)
}

// requireRefused checks a refusal against "refused REASON: words".
func requireRefused(t *testing.T, err error, expected, at string) {
	t.Helper()
	reason, message, _ := strings.Cut(strings.TrimPrefix(expected, "refused "), ": ")
	var refused *service.Error
	if !errors.As(err, &refused) {
		require.Fail(t, "this was not refused", "%s: %v", at, err)
	}
	require.Equal(t, reason, string(refused.Reason), "%s: %s", at, refused.Message)
	require.True(t, holds(refused.Message, message), "%s: the message is %q, without %q", at, refused.Message, message)
}

// matchStates matches a line for each execution; "others" is those without a line.
func matchStates(expected, lines []string) error {
	others := ""
	byName := make(map[string]string)
	for _, line := range expected {
		name, state, _ := strings.Cut(line, " ")
		if name == "others" {
			others = state
			continue
		}
		byName[name] = state
	}
	for _, line := range lines {
		name, state, _ := strings.Cut(line, " ")
		pattern, listed := byName[name]
		if !listed {
			pattern = others
		}
		delete(byName, name)
		if !matches(pattern, state) {
			return fmt.Errorf("execution %s is not as expected", name)
		}
	}
	for name := range byName {
		return fmt.Errorf("there is no execution %s", name)
	}
	return nil
}

// matchAll matches the lines one by one; "..." stands for any number of them.
func matchAll(by func(pattern, line string) bool) func(expected, lines []string) error {
	return func(expected, lines []string) error {
		for len(expected) > 0 {
			if expected[0] == "..." {
				expected = expected[1:]
				if len(expected) == 0 {
					return nil
				}
				for len(lines) > 0 && !by(expected[0], lines[0]) {
					lines = lines[1:]
				}
			}
			if len(lines) == 0 {
				return fmt.Errorf("%q is missing", expected[0])
			}
			if !by(expected[0], lines[0]) {
				return fmt.Errorf("%q is not %q", lines[0], expected[0])
			}
			expected, lines = expected[1:], lines[1:]
		}
		if len(lines) > 0 {
			return fmt.Errorf("%q is too much", lines[0])
		}
		return nil
	}
}

// matchSome looks for each expected line among the lines; "no" in front is for what
// must not be there.
func matchSome(expected, lines []string) error {
	for _, pattern := range expected {
		absent, negated := strings.CutPrefix(pattern, "no ")
		if negated {
			pattern = absent
		}
		found := false
		for _, line := range lines {
			found = found || matches(pattern, line)
		}
		if found == negated {
			if negated {
				return fmt.Errorf("%q is there", pattern)
			}
			return fmt.Errorf("%q is not there", pattern)
		}
	}
	return nil
}

// matchEvent matches an event with or without its message.
func matchEvent(pattern, line string) bool {
	bare, _, _ := strings.Cut(line, ": ")
	return matches(pattern, line) || matches(pattern, bare)
}
