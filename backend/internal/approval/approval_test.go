package approval_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

func TestRequirements(t *testing.T) {
	t.Parallel()
	type on = struct{ pipelines, stages, actions []string }
	globs := func(all ...string) []string { return all }
	for name, test := range map[string]struct {
		rule on
		// guards are "pipeline/stage/action", without an action for an entry.
		guards, ignores [][3]string
	}{
		"manual actions of a pipeline": {
			rule:    on{pipelines: globs("web")},
			guards:  [][3]string{{"web", "Release", "sign"}, {"web", "Other", "x"}},
			ignores: [][3]string{{"web", "Release", ""}, {"web2", "Release", "sign"}, {"WEB", "Release", "sign"}},
		},
		"the entry of a stage": {
			rule:    on{pipelines: globs("*"), stages: globs("Release")},
			guards:  [][3]string{{"web", "Release", ""}, {"api", "Release", ""}},
			ignores: [][3]string{{"web", "Release", "sign"}, {"web", "Build", ""}},
		},
		"an action of a stage": {
			rule:    on{pipelines: globs("web-*", "api"), stages: globs("Re*"), actions: globs("{sign,seal}")},
			guards:  [][3]string{{"web-eu", "Release", "sign"}, {"api", "Release", "seal"}},
			ignores: [][3]string{{"web", "Release", "sign"}, {"api", "Build", "sign"}, {"api", "Release", "other"}, {"api", "Release", ""}},
		},
		"an action of any stage": {
			rule:    on{pipelines: globs("*"), actions: globs("sign*")},
			guards:  [][3]string{{"web", "Release", "sign-off"}},
			ignores: [][3]string{{"web", "Release", "design"}, {"web", "Release", ""}},
		},
		"no pipeline at all": {
			rule:    on{actions: globs("*")},
			ignores: [][3]string{{"web", "Release", "sign"}},
		},
		"a glob that is none guards too much rather than nothing": {
			rule:    on{pipelines: globs("["), actions: globs("sign")},
			guards:  [][3]string{{"web", "Release", "sign"}, {"[", "Release", "sign"}},
			ignores: [][3]string{{"web", "Release", "other"}},
		},
		"a glob that would take very long to match": {
			rule:   on{pipelines: globs(strings.Repeat("{,a}", 50) + "b")},
			guards: [][3]string{{strings.Repeat("a", 80), "Release", "sign"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := []approval.Rule{{Name: "r", Pipelines: test.rule.pipelines, Stages: test.rule.stages, Actions: test.rule.actions}}
			for _, at := range test.guards {
				require.Len(t, approval.Requirements(rules, at[0], at[1], at[2]), 1, "%v", at)
			}
			for _, at := range test.ignores {
				require.Empty(t, approval.Requirements(rules, at[0], at[1], at[2]), "%v", at)
			}
		})
	}
}

func TestEveryRuleThatMatchesCounts(t *testing.T) {
	t.Parallel()
	two := execution.Requirement{MinimumCount: 2, Users: []string{"bob"}, RequireComment: true}
	rules := []approval.Rule{
		{Name: "first", Pipelines: []string{"*"}, Requirement: two},
		{Name: "elsewhere", Pipelines: []string{"api"}},
		{Name: "second", Pipelines: []string{"web"}, Actions: []string{"sign"}, Requirement: execution.Requirement{MinimumCount: 1}},
	}
	two.Rule = "first"
	require.Equal(t, []execution.Requirement{two, {Rule: "second", MinimumCount: 1}}, approval.Requirements(rules, "web", "Release", "sign"))
	require.Empty(t, rules[0].Rule, "the rules are not changed")
}
