package pipeline_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

func TestResolveRule(t *testing.T) {
	t.Parallel()
	rule := pipeline.Rule{
		Name: "R", Provider: "Commands", Version: "1",
		Configuration:        map[string]string{"k": "v #{A.x}"},
		Commands:             []string{"test $V"},
		EnvironmentVariables: []pipeline.EnvironmentVariable{{Name: "V", Value: "#{A.x}"}},
		InputArtifacts:       []string{"In"},
		TimeoutInMinutes:     7,
	}
	lookup := lookupIn(map[string]string{"A.x": "#{A.y}"})
	kind := kindOf(t, pipeline.CategoryRule, "Commands")
	got, err := pipeline.ResolveRule(rule, kind, lookup)
	require.NoError(t, err)
	require.Equal(t, "v #{A.y}", got.Configuration["k"], "values are not resolved again")
	require.Equal(t, "#{A.y}", got.EnvironmentVariables[0].Value)

	// A deep copy: nothing that is done to it reaches the definition.
	got.Configuration["k"], got.Commands[0], got.EnvironmentVariables[0].Value, got.InputArtifacts[0] = "", "", "", ""
	require.Equal(t, "v #{A.x}", rule.Configuration["k"])
	require.Equal(t, "test $V", rule.Commands[0])
	require.Equal(t, "#{A.x}", rule.EnvironmentVariables[0].Value)
	require.Equal(t, "In", rule.InputArtifacts[0])

	require.Equal(t, pipeline.Action{
		Name: "R", Category: pipeline.CategoryRule, Owner: "Headrace", Provider: "Commands", Version: "1",
		Configuration:        map[string]string{"k": "v #{A.x}"},
		Commands:             []string{"test $V"},
		EnvironmentVariables: []pipeline.EnvironmentVariable{{Name: "V", Value: "#{A.x}"}},
		InputArtifacts:       []string{"In"}, TimeoutInMinutes: 7, OnLost: pipeline.OnLostFail,
	}, pipeline.RuleAction(rule, kind))
}

func TestResolveRuleRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule pipeline.Rule
		want string
	}{
		"configuration": {pipeline.Rule{Configuration: map[string]string{"Variable": "#{A.nope}"}}, `configuration["Variable"]: #{A.nope} has no value`},
		"environment": {
			pipeline.Rule{EnvironmentVariables: []pipeline.EnvironmentVariable{{Name: "V", Value: "#{A.nope}"}}},
			"environment_variables[0].value: #{A.nope} has no value",
		},
		"command":    {pipeline.Rule{Commands: []string{"echo #{A.x}"}}, "commands[0]: a command may not hold #{A.x}"},
		"expression": {pipeline.Rule{Provider: "Expression", Configuration: map[string]string{"Expression": `"#{A.x}" == ""`}}, `configuration["Expression"]: an expression reads variables itself and may not hold #{A.x}; write outputs.A.x`},
		"operator": {
			pipeline.Rule{Provider: "VariableCheck", Configuration: map[string]string{"Operator": "#{A.x}"}},
			`configuration["Operator"]: value "xxx`,
		},
		"time zone": {pipeline.Rule{Provider: "DeploymentWindow", Configuration: map[string]string{"TimeZone": "#{A.x}"}}, `configuration["TimeZone"]: there is no time zone`},
		"too large": {pipeline.Rule{Configuration: map[string]string{"Value": strings.Repeat("#{A.x}", 2000)}}, "exceed 102400 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind, _ := catalog.Builtin().Lookup(c.rule.TypeID())
			_, err := pipeline.ResolveRule(c.rule, &kind, lookupIn(map[string]string{"A.x": strings.Repeat("x", 100)}))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// kindOf returns a built-in type.
func kindOf(t require.TestingT, category pipeline.Category, provider string) *pipeline.Type {
	kind, known := catalog.Builtin().Lookup(pipeline.TypeID{Category: category, Owner: pipeline.Owner, Provider: provider, Version: "1"})
	require.True(t, known)
	return &kind
}
