package approval_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// hostile returns rules that take long to match, and pipelines whose names all differ.
func hostile() ([]approval.Rule, []approval.Outline) {
	var globs []string
	for i := range 100 {
		globs = append(globs, "{"+strings.TrimSuffix(strings.Repeat("*a*a*a*b,", 26), ",")+"}"+fmt.Sprint(i))
	}
	var rules []approval.Rule
	for i := range 10 {
		rules = append(rules, approval.Rule{
			Account: "prod", Name: fmt.Sprintf("r%d", i), Pipelines: append([]string{"p-000*"}, globs...), Stages: globs, Actions: globs,
		})
	}
	var all []approval.Outline
	for i := range 1000 {
		o := approval.Outline{Pipeline: fmt.Sprintf("p-%04d-%s", i, strings.Repeat("a", 80))}
		for j := range 10 {
			name := fmt.Sprintf("%s-%d-%d", strings.Repeat("a", 80), i, j)
			o.Stages = append(o.Stages, approval.StageOutline{Name: name, Manual: []string{name}})
		}
		all = append(all, o)
	}
	return rules, all
}

func reasons(r *approval.Report) (found []pipeline.Reason) {
	for _, w := range r.Warnings {
		found = append(found, w.Reason)
	}
	return found
}

func TestReportsEndWhenTheirStepsAreUsedUp(t *testing.T) {
	t.Parallel()
	rules, all := hostile()
	last := approval.Rule{Account: "prod", Name: "plain", Pipelines: []string{all[7].Pipeline}}
	rules = append(rules, last)
	const most = 20_000_000
	steps := approval.NewSteps(most, func() bool { return false })
	reports := approval.InspectAll(rules, all, approval.People{}, steps)
	for i := range rules[:10] {
		require.Equal(t, []pipeline.Reason{pipeline.ReasonReportIncomplete}, reasons(&reports[i]))
		require.Equal(t, fmt.Sprintf("not all of rule r%d could be checked: matching its patterns with the 1000 pipelines of account prod takes too long. "+
			"It guards the listed parts and may guard more; use fewer patterns, or names instead", i), reports[i].Warnings[0].Message)
	}
	require.Empty(t, reports[10].Warnings, "one rule takes nothing from another")
	require.Equal(t, 10, reports[10].Count)
	require.Positive(t, steps.Left())
}

func TestReportKeepsTheGuardsThatWereFound(t *testing.T) {
	t.Parallel()
	_, all := hostile()
	rule := approval.Rule{Account: "prod", Name: "r", Pipelines: []string{"p-*"}}
	report := approval.Inspect(&rule, all, approval.People{}, approval.NewSteps(5000, func() bool { return false }))
	require.Equal(t, []pipeline.Reason{pipeline.ReasonReportIncomplete}, reasons(&report))
	require.Positive(t, report.Count)
	require.Less(t, report.Count, 10_000)
	require.NotEmpty(t, report.Guards)
}

func TestReportsStop(t *testing.T) {
	t.Parallel()
	rules, all := hostile()
	asked := 0
	steps := approval.NewSteps(1_000_000_000, func() bool { asked++; return asked == 3 })
	approval.InspectAll(rules, all, approval.People{}, steps)
	require.Equal(t, 3, asked, "it is not asked again")
	require.Zero(t, steps.Left())
}

// Many teams with many patterns each are an ordinary account.
func TestReportsOfManyPatterns(t *testing.T) {
	t.Parallel()
	var rules []approval.Rule
	for i := range 73 {
		rule := approval.Rule{Account: "prod", Name: fmt.Sprintf("r%d", i), Pipelines: []string{"*"}}
		for j := range 100 {
			rule.Stages = append(rule.Stages, fmt.Sprintf("*team-%d-%d-*", i, j))
			rule.Actions = append(rule.Actions, fmt.Sprintf("*team-%d-%d-*", i, j))
		}
		rules = append(rules, rule)
	}
	var all []approval.Outline
	for i := range 1000 {
		o := outline(fmt.Sprintf("p%04d", i))
		o.Stages[2].Name = fmt.Sprintf("apply-team-%d-%d-x", i%73, i%50)
		o.Stages[2].Manual = []string{o.Stages[2].Name}
		all = append(all, o)
	}
	steps := approval.NewSteps(40_000_000, func() bool { return false })
	reports := approval.InspectAll(rules, all, approval.People{}, steps)
	for i := range reports {
		require.Len(t, reports[i].Warnings, 21)
		require.NotContains(t, reasons(&reports[i]), pipeline.ReasonReportIncomplete)
		require.Equal(t, slices.IndexFunc(all, func(o approval.Outline) bool { return strings.Contains(o.Stages[2].Name, fmt.Sprintf("-%d-", i)) }) >= 0, reports[i].Count > 0)
		last := reports[i].Warnings[20].Message
		require.Regexp(t, `^rule r\d+: and \d+ more$`, last)
	}
	t.Logf("%d steps", 40_000_000-steps.Left())
}
