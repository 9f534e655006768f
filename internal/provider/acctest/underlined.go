package acctest

import (
	"regexp"
	"strings"
)

// Underlined matches an error of Terraform about a resource: the line of the
// configuration that it shows, and what it says. Both may be the beginning.
func Underlined(resource, line, says string) *regexp.Regexp {
	return regexp.MustCompile(`with ` + regexp.QuoteMeta(resource) + `,\s+on \S+ line \d+, in [^\n]*\n\s*\d+:\s+` + loose(line) +
		`[^\n]*\s+` + loose(says))
}

// Says matches a text of Terraform, which breaks lines where it likes.
func Says(text string) *regexp.Regexp {
	return regexp.MustCompile(loose(text))
}

// loose returns an expression for the text that allows other white space.
func loose(text string) string {
	words := strings.Fields(text)
	for i, word := range words {
		words[i] = regexp.QuoteMeta(word)
	}
	return strings.Join(words, `\s+`)
}
