// Package wording finds phrases in texts for users that read like a translation, for the
// tests of help texts, messages and documents. It must never be imported by a program.
package wording

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// phrases match what a plain text says otherwise: "is not a", a range with its limits,
// "instead of", "forever", "after it", "anyone who".
var phrases = regexp.MustCompile(`\b(?:[Tt]here )?is no [a-z]+|\bis none of\b|\bnone of [0-9]|` +
	`\bin the place of\b|\bfor ever\b|\bbehind it\b|(?:^|[.:|)] |\*\*|- )Who(?:ever)? `)

// plain matches what phrases match but is the usual way to say it.
var plain = regexp.MustCompile(`^(?:[Tt]here is no [a-z]+|is no longer)$`)

var (
	paragraphs = regexp.MustCompile(`\n\s*\n`)
	spaces     = regexp.MustCompile(`\s+`)
)

// Find returns the phrases that a text should not have, also across the ends of lines.
func Find(text string) []string {
	var found []string
	for _, paragraph := range paragraphs.Split(text, -1) {
		for _, phrase := range phrases.FindAllString(spaces.ReplaceAllString(strings.TrimSpace(paragraph), " "), -1) {
			if !plain.MatchString(phrase) {
				found = append(found, phrase)
			}
		}
	}
	return found
}

// CheckHelp fails the test where the help of a command or of one below it has such a
// phrase, or where a command that does something has no example.
func CheckHelp(t *testing.T, command *cobra.Command) {
	t.Helper()
	path := command.CommandPath()
	texts := []string{command.Short, command.Long, command.HelpTemplate()}
	for _, flags := range []*pflag.FlagSet{command.Flags(), command.PersistentFlags()} {
		flags.VisitAll(func(flag *pflag.Flag) { texts = append(texts, flag.Usage) })
	}
	for _, text := range texts {
		require.Empty(t, Find(text), "%s: %s", path, text)
	}
	require.NotEmpty(t, command.Short, path)
	if !command.HasSubCommands() {
		require.Contains(t, command.Example, "  "+path, path)
	}
	for _, sub := range command.Commands() {
		CheckHelp(t, sub)
	}
}
