package pathglob_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pathglob"
)

// lexeme is one part of a pattern: an escaped character, a set, stars with the slash that
// may be left out, or a character.
var lexeme = regexp.MustCompile(`(?s)\\.|\[!?[^\]]+\]|\*\*+/?|.`)

// modelMatches is a slow matcher that shares no code with the package: it writes out the
// groups of a pattern and tries everything. The pattern is valid.
func modelMatches(pattern, name string) bool {
	for _, parts := range writtenOut(lexeme.FindAllString(pattern, -1)) {
		if tries(parts, characters(name), true) {
			return true
		}
	}
	return false
}

// characters splits a name; a byte that is not UTF-8 is one of its own.
func characters(name string) (all []string) {
	for name != "" {
		_, width := utf8.DecodeRuneInString(name)
		all = append(all, name[:width])
		name = name[width:]
	}
	return all
}

func writtenOut(parts []string) [][]string {
	for i, part := range parts {
		if part != "{" {
			continue
		}
		var alternatives [][]string
		alternative := []string{}
		for j := i + 1; ; j++ {
			switch parts[j] {
			case ",", "}":
				alternatives = append(alternatives, alternative)
				alternative = []string{}
			default:
				alternative = append(alternative, parts[j])
			}
			if parts[j] != "}" {
				continue
			}
			var all [][]string
			for _, rest := range writtenOut(parts[j+1:]) {
				for _, a := range alternatives {
					all = append(all, join(parts[:i], a, rest))
				}
			}
			return all
		}
	}
	return [][]string{parts}
}

func join(lists ...[]string) (all []string) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// tries matches the rest of a name. segment tells whether a segment starts here.
func tries(parts, name []string, segment bool) bool {
	if len(parts) == 0 {
		return len(name) == 0
	}
	part, rest := parts[0], parts[1:]
	if strings.HasPrefix(part, "*") {
		slash := strings.HasSuffix(part, "/")
		if slash && segment && tries(rest, name, segment) {
			return true
		}
		after := rest
		if slash {
			after = join([]string{"/"}, rest)
		}
		for i := 0; ; i++ {
			if tries(after, name[i:], i == 0 && segment || i > 0 && name[i-1] == "/") {
				return true
			}
			if i == len(name) || name[i] == "/" && part == "*" {
				return false
			}
		}
	}
	return len(name) > 0 && one(part, name[0]) && tries(rest, name[1:], name[0] == "/")
}

func one(part, character string) bool {
	switch {
	case part == "?":
		return character != "/"
	case len(part) > 2 && part[0] == '[':
		return character != "/" && inSet(part[1:len(part)-1], character)
	default:
		return strings.TrimPrefix(part, `\`) == character || part == `\\` && character == `\`
	}
}

func inSet(set, character string) bool {
	members, negated := strings.CutPrefix(set, "!")
	list, in := characters(members), false
	for i := 0; i < len(list); i++ {
		low, high := list[i], list[i]
		if i+2 < len(list) && list[i+1] == "-" {
			high = list[i+2]
			i += 2
		}
		r, _ := utf8.DecodeRuneInString(character)
		from, _ := utf8.DecodeRuneInString(low)
		to, _ := utf8.DecodeRuneInString(high)
		in = in || utf8.ValidString(character) && from <= r && r <= to
	}
	return in != negated
}

func TestModel(t *testing.T) {
	t.Parallel()
	pieces := []string{"a", "b", "/", "*", "**", "**/", "/**", "?", "[ab]", "[!a]", "[a-b]", "{a,b/}", "{,*}", "{**/,b}", "ä", `\*`, "-"}
	long := rapid.StringMatching(`[ab]{60}`)
	rapid.Check(t, func(t *rapid.T) {
		pattern := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 8).Draw(t, "pattern"), "")
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "/", "ä", "\xff", "*", "-"}), 0, 9).Draw(t, "name"), "")
		if rapid.IntRange(0, 3).Draw(t, "long") == 0 {
			// More than one word of positions.
			text := long.Draw(t, "text")
			pattern, name = pattern+text+pattern, name+text+name
		}
		glob, err := pathglob.Compile(pattern)
		require.NoError(t, err, pattern)
		require.Equal(t, modelMatches(pattern, name), glob.MatchString(name), "%q of %q", pattern, name)
	})
}

// TestQuote holds that a quoted name matches itself and nothing else.
func TestQuote(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringN(1, 120, -1).Draw(t, "name")
		other := rapid.String().Draw(t, "other")
		glob, err := pathglob.Compile(pathglob.Quote(name))
		require.NoError(t, err)
		require.True(t, glob.MatchString(name))
		require.Equal(t, name == other, glob.MatchString(other))
		literal, exact := glob.Literal()
		require.True(t, exact)
		require.Equal(t, name, literal)
	})
}

// FuzzMatch compares with the model, and holds that no pattern panics.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"**/README.md", "a/README.md"},
		{"{a,b}*[!c]?", "axy"},
		{`\{[-a]\}`, "{-}"},
		{"feature/**", "feature/\xff/é"},
		{"a{**/,}**/b", "a/x/b"},
		{"[", "x"},
		{strings.Repeat("*a", 100), strings.Repeat("a", 300)},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		glob, err := pathglob.Compile(pattern)
		if err != nil {
			return
		}
		matched := glob.MatchString(name)
		if literal, exact := glob.Literal(); exact && (name == literal) != matched {
			t.Errorf("%q of %q: %v", pattern, name, matched)
		}
		// The model takes exponential time.
		if strings.Count(pattern, "*")+strings.Count(pattern, "{")+strings.Count(pattern, ",") > 6 || len(name) > 20 {
			return
		}
		if want := modelMatches(pattern, name); want != matched {
			t.Errorf("%q of %q: %v, want %v", pattern, name, matched, want)
		}
	})
}

// BenchmarkWorst matches what a backtracking matcher would take forever for.
func BenchmarkWorst(b *testing.B) {
	glob, err := pathglob.Compile(strings.Repeat("**a*[!b]", 31) + "?b")
	require.NoError(b, err)
	name := []byte(strings.Repeat("a/", 2048) + "xb")
	b.SetBytes(int64(len(name)))
	for b.Loop() {
		glob.Match(name)
	}
}
