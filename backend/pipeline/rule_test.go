package pipeline_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
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
	got, err := pipeline.ResolveRule(rule, lookup)
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
		Name: "R", Category: pipeline.CategoryCompute, Owner: "Headrace", Provider: "Commands", Version: "1",
		Commands:             []string{"test $V"},
		EnvironmentVariables: []pipeline.EnvironmentVariable{{Name: "V", Value: "#{A.x}"}},
		InputArtifacts:       []string{"In"}, TimeoutInMinutes: 7, OnLost: pipeline.OnLostFail,
	}, pipeline.RuleAction(rule))
	action := pipeline.RuleAction(rule)
	_, known := pipeline.BuiltinCatalog().Lookup(action.TypeID())
	require.True(t, known, "a runner knows the type")
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
		"too large":  {pipeline.Rule{Configuration: map[string]string{"Value": strings.Repeat("#{A.x}", 2000)}}, "exceed 102400 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := pipeline.ResolveRule(c.rule, lookupIn(map[string]string{"A.x": strings.Repeat("x", 100)}))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestCheckVariable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		variable, operator, value string
		met                       bool
		summary                   string
	}{
		{"a", "EQ", "a", true, `"a" equals "a"`},
		{"a", "EQ", "A", false, `"a" does not equal "A"`},
		{"a", "NE", "b", true, `"a" differs from "b"`},
		{"a", "NE", "a", false, `"a" does not differ from "a"`},
		{"release/1", "CONTAINS", "release", true, `"release/1" contains "release"`},
		{"main", "CONTAINS", "release", false, `"main" does not contain "release"`},
		{"v1.2", "MATCHES", `v\d+\.\d+`, true, `"v1.2" matches "v\\d+\\.\\d+"`},
		// The whole text, and each alternative of the whole.
		{"xv1.2", "MATCHES", `v\d+\.\d+`, false, "does not match"},
		{"ab", "MATCHES", "a|b", false, "does not match"},
		{"b", "MATCHES", "a|b", true, "matches"},
		{"a\n", "MATCHES", "a", false, "does not match"},
		{"a\nb", "MATCHES", "a.b", false, "does not match"},
		{"a\nb", "MATCHES", "(?s)a.b", true, "matches"},
		{"", "EQ", "", true, `"" equals ""`},
		{strings.Repeat("ä", 200), "EQ", "x", false, `"` + strings.Repeat("ä", 100) + `"… does not equal "x"`},
	} {
		met, summary, err := pipeline.CheckVariable(map[string]string{"Variable": c.variable, "Operator": c.operator, "Value": c.value})
		require.NoError(t, err)
		require.Equal(t, c.met, met, summary)
		require.Contains(t, summary, c.summary)
	}
	for _, c := range []struct{ operator, value, want string }{
		{"MATCHES", "a)(b", `configuration["Value"]: the pattern is not a valid regular expression`},
		{"MATCHES", "(?=a)", "without lookarounds"},
		{"MATCHES", "(x{0,100}){0,10}", "at most 1000 are allowed"},
		{"==", "a", `configuration["Operator"]: operator "==" is not known; use one of EQ, NE, CONTAINS, MATCHES`},
		{"", "a", "operator is missing"},
	} {
		met, _, err := pipeline.CheckVariable(map[string]string{"Variable": "a", "Operator": c.operator, "Value": c.value})
		require.ErrorContains(t, err, c.want)
		require.False(t, met)
	}
}

// A variable may hold up to 100 KB, and the check runs while decisions wait.
func TestMatchesIsBounded(t *testing.T) {
	t.Parallel()
	_, _, err := pipeline.CheckVariable(map[string]string{
		"Variable": strings.Repeat("x", 100_000), "Operator": "MATCHES", "Value": "(x?){0,200}y",
	})
	require.ErrorContains(t, err, "too long for the pattern")
}

func TestRuleTimeouts(t *testing.T) {
	t.Parallel()
	commands, ok := pipeline.BuiltinCatalog().Lookup(pipeline.TypeID{Category: pipeline.CategoryCompute, Owner: pipeline.Owner, Provider: "Commands", Version: "1"})
	require.True(t, ok)
	require.Equal(t, pipeline.DefaultRuleTimeout, commands.DefaultTimeout)
	require.Equal(t, 60*24*time.Hour, pipeline.DefaultWindowTimeout)
}
