package approval_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestLostIsWhatNoRuleGuardsAnyMore(t *testing.T) {
	t.Parallel()
	rules := []approval.Rule{
		{Name: "entry", Pipelines: []string{"web"}, Stages: []string{"Prod*"}},
		{Name: "sign", Pipelines: []string{"*"}, Actions: []string{"Sign"}},
	}
	sign := pipeline.Action{Name: "Sign", Category: pipeline.CategoryApproval}
	deploy := pipeline.Action{Name: "Sign", Category: pipeline.CategoryDeploy}
	def := func(stages ...pipeline.Stage) *pipeline.Definition { return &pipeline.Definition{Stages: stages} }
	stage := func(name string, actions ...pipeline.Action) pipeline.Stage {
		return pipeline.Stage{Name: name, Actions: actions}
	}
	before := def(stage("Build", sign), stage("Prod", sign), stage("ProdEU"))
	build, entry, action, eu := approval.Part{Rule: "sign", Stage: "Build", Action: "Sign"}, approval.Part{Rule: "entry", Stage: "Prod"},
		approval.Part{Rule: "sign", Stage: "Prod", Action: "Sign"}, approval.Part{Rule: "entry", Stage: "ProdEU"}
	require.Equal(t, []approval.Part{build, entry, action, eu}, approval.Guarded(rules, "web", before))
	require.Equal(t, []approval.Part{build, action}, approval.Guarded(rules, "api", before))
	for name, test := range map[string]struct {
		after *pipeline.Definition
		lost  []approval.Part
	}{
		"the same":              {before, nil},
		"more":                  {def(stage("ProdUS", sign), stage("ProdEU"), stage("Prod", sign), stage("Build", sign)), nil},
		"a stage is renamed":    {def(stage("Build", sign), stage("Live", sign), stage("ProdEU")), []approval.Part{entry, action}},
		"an action goes":        {def(stage("Build"), stage("Prod", sign), stage("ProdEU")), []approval.Part{build}},
		"an action is no wait":  {def(stage("Build", sign), stage("Prod", deploy), stage("ProdEU")), []approval.Part{action}},
		"a stage makes way for": {def(stage("Build", sign), stage("ProdUS", sign), stage("ProdEU")), []approval.Part{entry, action}},
		"everything":            {def(), []approval.Part{build, entry, action, eu}},
	} {
		require.Equal(t, test.lost, append([]approval.Part(nil), approval.Lost(rules, "web", before, test.after)...), name)
	}
	require.Equal(t, "stage Prod", entry.String())
	require.Equal(t, "action Sign of stage Prod", action.String())
}
