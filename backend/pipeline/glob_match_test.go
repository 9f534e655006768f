package pipeline_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// A name is matched as doublestar matches it, whatever the pattern.
func TestGlobMatchesAsDoublestar(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	text := func(letters string, most int) string {
		var b strings.Builder
		for range random.IntN(most + 1) {
			b.WriteByte(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	matched, valid := 0, 0
	for range 300_000 {
		pattern, name := text(`aabbc**?{},[]^!-\`, 14), "a"+text("abc-", 5)
		if pipeline.CheckGlob(pattern) != nil {
			continue
		}
		want, err := doublestar.Match(pattern, name)
		if err != nil {
			continue // It is valid by one of its functions and not by another.
		}
		got := pipeline.MatchGlob(pattern, name)
		if !strings.Contains(pattern, "*{") && !strings.Contains(pattern, "***") { // These may match nothing, which doublestar misses.
			require.Equal(t, want, got, "%q on %q", pattern, name)
		}
		require.True(t, got || !want, "%q on %q", pattern, name)
		valid++
		if want {
			matched++
		}
	}
	require.Greater(t, valid, 50_000)
	require.Greater(t, matched, 2_000)
	for _, pattern := range []string{"**/ab", "**/**/a*", "ab/**", "ab/**/", "**/ab/**", "**/**", "**/", "/**", "ab/**/**", "a/b", "**", "/ab", "ab/", "*/*", `a[\]b]`, "[/a]b"} {
		want, err := doublestar.Match(pattern, "ab")
		require.NoError(t, err)
		require.Equal(t, want, pipeline.MatchGlob(pattern, "ab"), pattern)
	}
}

// hostile are patterns that take long, and the longest that a rule may have.
func hostile() map[string]string {
	return map[string]string{
		"braces with stars":  "{" + strings.TrimSuffix(strings.Repeat("*a*a*a*b,", 28), ",") + "}",
		"braces after stars": strings.Repeat("*{a,b}", 4) + "x",
		"one long run":       "*" + strings.Repeat("a", 7) + "?" + strings.Repeat("a", 6) + "{" + strings.TrimSuffix(strings.Repeat("b,", 15), ",") + "}*",
		"a class":            "*" + strings.Repeat("[b-cd-ef-gh-ij-k]", 12) + "x*",
		"single braces":      strings.Repeat("*{a}", 62) + "x",
	}
}

func TestAMatchIsBounded(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("a", 100)
	for what, pattern := range hostile() {
		glob, err := pipeline.ParseGlob(pattern)
		require.NoError(t, err, what)
		_, steps := glob.Match(name)
		require.Less(t, steps, 255*100, what)
		require.NoError(t, pipeline.ValidateApprovalRule([]string{pattern}, nil, nil, nil, nil, 1), what)
	}
	tooLong := "*" + strings.Repeat("a", 100) + "{" + strings.TrimSuffix(strings.Repeat("b,", 60), ",") + "}"
	require.ErrorContains(t, pipeline.ValidateApprovalRule([]string{tooLong}, nil, nil, nil, nil, 1), "more than 255 characters in all")
	require.NoError(t, pipeline.CheckGlob(tooLong), "it works where it is stored")
}

func BenchmarkGlob(b *testing.B) {
	name := strings.Repeat("a", 100)
	patterns := hostile()
	patterns["usual"] = "*-team-17-*"
	for what, pattern := range patterns {
		glob, err := pipeline.ParseGlob(pattern)
		require.NoError(b, err)
		_, steps := glob.Match(name)
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				glob.Match(name)
			}
			b.ReportMetric(float64(steps), "steps")
		})
		b.Run(what+", parsed", func(b *testing.B) {
			for b.Loop() {
				pipeline.MatchGlob(pattern, name)
			}
		})
		b.Run(what+", doublestar", func(b *testing.B) {
			for b.Loop() {
				doublestar.MatchUnvalidated(pattern, name)
			}
		})
	}
}
