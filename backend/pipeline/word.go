package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agext/levenshtein"
)

// What names may have besides letters and digits.
const (
	accountExtra   = "._-"
	nameExtra      = ".@_-"
	artifactExtra  = "_-"
	namespaceExtra = "@_-"
)

const (
	maxName            = 100
	maxVariableName    = 128
	maxProviderName    = 35
	maxTypeVersionName = 9
)

// checkWord checks a name of 1 to limit letters, digits and extra characters.
func checkWord(what, value, extra string, limit int) error {
	allowed := fmt.Sprintf("use 1 to %d of A-Z a-z 0-9 %s", limit, strings.Join(strings.Split(extra, ""), " "))
	if value == "" {
		return fmt.Errorf("%s is missing; %s", what, allowed)
	}
	if n := utf8.RuneCountInString(value); n > limit {
		return fmt.Errorf("%s is %d characters long; %s", what, n, allowed)
	}
	for _, r := range value {
		if !isLetterOrDigit(r) && !strings.ContainsRune(extra, r) {
			return fmt.Errorf("%s %q has %q in it; %s", what, value, r, allowed)
		}
	}
	return nil
}

// checkName checks a name that is a segment of a resource name.
func checkName(what, value, extra string) error {
	if err := checkWord(what, value, extra, maxName); err != nil {
		return err
	}
	if value == "." || value == ".." {
		return fmt.Errorf("%s %q has a meaning of its own in paths and URLs; choose another", what, value)
	}
	return nil
}

// checkShellName checks the name of an environment variable.
func checkShellName(what, value string) error {
	if value == "" {
		return fmt.Errorf("%s is missing", what)
	}
	if n := utf8.RuneCountInString(value); n > maxVariableName {
		return fmt.Errorf("%s is %d characters long; use at most %d", what, n, maxVariableName)
	}
	for i, r := range value {
		if r != '_' && !isLetterOrDigit(r) || i == 0 && r >= '0' && r <= '9' {
			return fmt.Errorf("%s %q is not a valid shell variable name; use letters, digits and _, and do not start with a digit", what, value)
		}
	}
	return nil
}

// checkText checks the length of a text in characters and that it can be handed
// to a process.
func checkText(what, value string, least, most int) error {
	if value == "" && least > 0 {
		return fmt.Errorf("%s is empty; give it a value or remove its entry", what)
	}
	if n := utf8.RuneCountInString(value); n > most {
		return fmt.Errorf("%s is %d characters long; use at most %d", what, n, most)
	}
	if strings.ContainsRune(value, 0) {
		return fmt.Errorf("%s holds a NUL character; remove it", what)
	}
	return nil
}

// CheckLine refuses characters that cannot be seen in a text that is shown on one
// line: a new line, or one that would command a terminal.
func CheckLine(what, text string) error {
	if strings.ContainsFunc(text, unseen) {
		return fmt.Errorf("%s holds characters that cannot be shown; remove them and write it on one line", what)
	}
	return nil
}

// unseen tells whether a character commands a terminal, ends a line or turns the
// direction of the text. Spaces and joiners of every language are none of these.
func unseen(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) || r == unicode.ReplacementChar
}

// CheckLines is CheckLine for a text that may have several lines and tabs.
func CheckLines(what, text string) error {
	if CheckLine(what, strings.NewReplacer("\r\n", "", "\n", "", "\t", "").Replace(text)) != nil {
		return fmt.Errorf("%s holds characters that cannot be shown; remove all but new lines and tabs", what)
	}
	return nil
}

func isLetterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// didYouMean returns a question to put after the word in a message, with which the
// sentence may go on, or nothing where no candidate comes near the word.
func didYouMean(word string, candidates []string) string {
	best := Nearest(word, candidates)
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// Nearest returns the candidate that a word is most likely a typo of, or nothing if none
// comes near it.
func Nearest(word string, candidates []string) string {
	// No valid definition has more; comparing them all would take long.
	if len(candidates) > maxActions {
		return ""
	}
	lower := strings.ToLower(word)
	// One slip, and another for every four letters.
	best, distance := "", min(len(word)/4+2, len(word))
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		// Nobody mistypes names this long, and comparing them takes long.
		if candidate == Unknown || candidate == word || len(candidate) > 64 || len(word) > 64 {
			continue
		}
		d := levenshtein.Distance(lower, strings.ToLower(candidate), nil)
		if swapped(lower, strings.ToLower(candidate)) {
			// Two letters in the wrong order are one slip.
			d = 1
		}
		if d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// swapped tells whether two words differ by the order of two neighbouring letters.
func swapped(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) - 1 {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}

// Enumerate returns words with commas between them, and of many only the first.
func Enumerate(words []string) string { return enumerate(words) }

func enumerate(words []string) string {
	const most = 10
	if len(words) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
	}
	return strings.Join(words, ", ")
}

// counted returns a number with what it counts, which is given in the plural and
// may say for what it is.
func counted(n int, what string) string {
	if n == 1 {
		noun, of, _ := strings.Cut(what, " for ")
		what = strings.TrimSuffix(noun, "s")
		if of != "" {
			what += " for " + of
		}
	}
	return fmt.Sprintf("%d %s", n, what)
}

// DidYouMean returns a question to append to a message about a word that is none
// of the candidates, or nothing where none comes near it.
func DidYouMean(word string, candidates []string) string {
	return didYouMean(word, candidates)
}

// oneOf checks a value against a closed list of words.
func oneOf(what, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	if value == "" {
		return fmt.Errorf("%s is missing; use one of %s", what, strings.Join(words, ", "))
	}
	return fmt.Errorf("%s %q is not known%s; use one of %s", what, value, didYouMean(value, words), strings.Join(words, ", "))
}

// EnumerateQuoted is Enumerate of names that others chose, quoted: they are shown on terminals.
func EnumerateQuoted(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = strconv.Quote(name)
	}
	return Enumerate(quoted)
}
