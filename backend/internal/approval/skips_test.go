package approval_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestWeakenedIsWhatRollbacksNewlySkip(t *testing.T) {
	t.Parallel()
	rules := []approval.Rule{
		{Name: "entry", Pipelines: []string{"web"}, Stages: []string{"Prod*"}},
		{Name: "sign", Pipelines: []string{"*"}, Actions: []string{"Sign"}},
	}
	def := func(stages ...pipeline.Stage) *pipeline.Definition { return &pipeline.Definition{Stages: stages} }
	stage := func(name string, approvals, conditions bool, actions ...string) pipeline.Stage {
		s := pipeline.Stage{Name: name, OnRollback: pipeline.OnRollback{SkipApprovals: approvals, SkipConditions: conditions}}
		for _, action := range actions {
			s.Actions = append(s.Actions, pipeline.Action{Name: action, Category: pipeline.CategoryApproval})
		}
		return s
	}
	skip := func(rule, stage, field string) approval.Skip {
		return approval.Skip{Rule: rule, Stage: stage, Field: field}
	}
	for name, test := range map[string]struct {
		before, after *pipeline.Definition
		want          []approval.Skip
	}{
		"nothing": {def(stage("Prod", false, false)), def(stage("Prod", false, false, "Sign")), nil},
		"approvals of an entry": {
			def(stage("Prod", false, false)), def(stage("Prod", true, false)), []approval.Skip{skip("entry", "Prod", "skip_approvals")},
		},
		"conditions": {
			def(stage("Prod", true, false)), def(stage("Prod", true, true)), []approval.Skip{skip("entry", "Prod", "skip_conditions")},
		},
		"an action": {
			def(stage("Test", false, false, "Sign")), def(stage("Test", true, false, "Sign")), []approval.Skip{skip("sign", "Test", "skip_approvals")},
		},
		"a stage that no rule guards": {def(stage("Test", false, false, "Look")), def(stage("Test", true, true, "Look")), nil},
		"no more than before":         {def(stage("Prod", true, true)), def(stage("Prod", true, false, "Look")), nil},
		"another approval of a rule that is skipped already": {
			def(stage("Test", true, false, "Sign")), def(stage("Test", true, false, "Sign", "Look")), nil,
		},
		"an approval that becomes one": {
			def(stage("Test", true, false)), def(stage("Test", true, false, "Sign")), []approval.Skip{skip("sign", "Test", "skip_approvals")},
		},
		"a new stage": {def(), def(stage("ProdEU", true, false)), []approval.Skip{skip("entry", "ProdEU", "skip_approvals")}},
	} {
		require.Equal(t, test.want, append([]approval.Skip(nil), approval.Weakened(rules, "web", test.before, test.after)...), name)
	}
}
