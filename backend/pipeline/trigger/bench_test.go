package trigger_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// monorepo returns the paths of a push that changes many files.
func monorepo(n int) trigger.Files {
	paths := make([][]byte, n)
	for i := range paths {
		paths[i] = fmt.Appendf(nil, "services/service-%03d/internal/package%02d/handler_%05d.go", i%200, i%40, i)
	}
	return trigger.Changed(paths)
}

// BenchmarkMatch decides on a push of 50,000 files of which none matches, so that every
// pattern is tried on each.
func BenchmarkMatch(b *testing.B) {
	changed := monorepo(50_000)
	for name, filter := range map[string]*pipeline.GlobFilter{
		"directory": {Includes: []string{"web/**"}},
		"eight": {Includes: []string{
			"web/**", "**/*.tf", "services/*/Dockerfile", "services/service-0??/api/**", "**/package[5-9]?/**", "docs/{en,de}/**", "**/go.{mod,sum}", "*.md",
		}},
		"hundred": {Includes: repeat(100, func(i int) string { return fmt.Sprintf("services/service-%03d/**/generated_*.go", i) })},
		"excluded": {Includes: []string{"**"}, Excludes: []string{
			"**/*_test.go", "services/*[0-9]/internal/**/handler_?????.go",
		}},
		"worst": {Includes: repeat(8, func(i int) string { return "**s**e**r**v**i**c**e**" + string(rune('A'+i)) + "**" })},
	} {
		b.Run(name, func(b *testing.B) {
			git := pushes(pipeline.GitPushFilter{Branches: includes("main"), FilePaths: filter})
			event := move("refs/heads/main")
			b.ReportAllocs()
			for b.Loop() {
				result := trigger.Match(git, event, changed)
				require.Equal(b, trigger.NotMatched, result.Outcome, result.Message)
			}
		})
	}
}

// BenchmarkMatchGeneric decides on one event by a condition and maps it to a variable.
func BenchmarkMatchGeneric(b *testing.B) {
	generic := &trigger.Generic{
		Filters: []trigger.GenericFilter{{JSONPath: "$.ref", MatchEquals: "refs/heads/{Branch}"}}, When: `body.action == "published"`,
	}
	configuration := map[string]string{"Branch": "main"}
	for b.Loop() {
		parsed, err := trigger.ParseBody([]byte(released), nil)
		require.NoError(b, err)
		require.Equal(b, trigger.Matched, trigger.MatchGeneric(generic, parsed, configuration).Outcome)
		_, err = trigger.MapGeneric(generic, map[string]string{"Tag": "=body.release.tag_name"}, parsed)
		require.NoError(b, err)
	}
}

func repeat[T any](n int, one func(i int) T) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = one(i)
	}
	return list
}
