// Package shell tells which shell lines are not complete by themselves. It does no I/O and
// does not depend on pipelines.
package shell

import (
	"errors"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Incomplete says what is missing at the end of a line that a shell is to run on its own,
// such as the fi of an if or the other quote. It returns nothing for a line that is
// complete, and for one that is wrong otherwise: which words a shell knows is for the shell
// to say.
func Incomplete(line string) string {
	// Bash takes the most of all shells that may be /bin/sh.
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.KeepComments(true)).Parse(strings.NewReader(line), "")
	if err == nil {
		if continued(line) && !endsInComment(file, line) {
			return `\ at the end continues the line`
		}
		return ""
	}
	var broken syntax.ParseError
	if !errors.As(err, &broken) {
		return ""
	}
	// The end of a here-document is on a line of its own, so one line never has it.
	if syntax.IsIncomplete(err) || strings.HasPrefix(broken.Text, "unclosed here-document") {
		return broken.Text
	}
	return ""
}

// Words returns the words of the commands in a line that hold no expansion, without their
// quotes; none of a line that is not complete.
func Words(line string) []string {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(line), "")
	if err != nil {
		return nil
	}
	var words []string
	syntax.Walk(file, func(node syntax.Node) bool {
		if word, ok := node.(*syntax.Word); ok {
			if text, literal := plain(word); literal {
				words = append(words, text)
			}
		}
		return true
	})
	return words
}

// plain returns the text of a word, and whether it is the same whenever it is read.
func plain(word *syntax.Word) (string, bool) {
	var text strings.Builder
	parts := word.Parts
	if len(parts) == 1 {
		if quoted, ok := parts[0].(*syntax.DblQuoted); ok {
			parts = quoted.Parts
		}
	}
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			text.WriteString(part.Value)
		case *syntax.SglQuoted:
			text.WriteString(part.Value)
		default:
			return "", false
		}
	}
	return text.String(), true
}

// continued tells whether a line ends with a backslash that is not itself escaped.
func continued(line string) bool {
	backslashes := len(line) - len(strings.TrimRight(line, `\`))
	return backslashes%2 == 1
}

func endsInComment(file *syntax.File, line string) bool {
	found := false
	syntax.Walk(file, func(node syntax.Node) bool {
		if comment, ok := node.(*syntax.Comment); ok && int(comment.End().Offset()) == len(line) {
			found = true
		}
		return true
	})
	return found
}
