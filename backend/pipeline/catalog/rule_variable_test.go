package catalog_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

func TestVariableCheck(t *testing.T) {
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
		met, summary, err := catalog.RuleVariable().Decide(map[string]string{"Variable": c.variable, "Operator": c.operator, "Value": c.value}, pipeline.Facts{})
		require.NoError(t, err)
		require.Equal(t, c.met, met, summary)
		require.Contains(t, summary, c.summary)
	}
	for _, c := range []struct{ operator, value, want string }{
		{"MATCHES", "a)(b", `configuration["Value"]: the pattern is not a valid regular expression`},
		{"MATCHES", "(?=a)", "without lookarounds"},
		{"MATCHES", "(x{0,100}){0,10}", "at most 1000 are allowed"},
	} {
		met, _, err := catalog.RuleVariable().Decide(map[string]string{"Variable": "a", "Operator": c.operator, "Value": c.value}, pipeline.Facts{})
		require.ErrorContains(t, err, c.want)
		require.False(t, met)
	}
}

// A variable may hold up to 100 KB, and the check runs while decisions wait.
func TestMatchesIsBounded(t *testing.T) {
	t.Parallel()
	_, _, err := catalog.RuleVariable().Decide(map[string]string{
		"Variable": strings.Repeat("x", 100_000), "Operator": "MATCHES", "Value": "(x?){0,200}y",
	}, pipeline.Facts{})
	require.ErrorContains(t, err, "too long for the pattern")
}
