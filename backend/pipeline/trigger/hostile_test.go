package trigger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// TestHostileBodies holds that no valid declaration takes long on the worst bodies. Each took
// milliseconds on an idle machine, and without a bound would take hours.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":[`, 31) + "1" + strings.Repeat("]}", 31)
	bodies := map[string]string{
		"wide":    "[" + strings.Repeat(`{"a":1},`, 40_000) + `{"a":1}]`,
		"deep":    "[" + strings.Repeat(deep+",", 1000) + deep + "]",
		"texts":   `["` + strings.Repeat("x", 1<<19) + `","` + strings.Repeat("x", 1<<19-100) + `"]`,
		"equal":   "[" + strings.Repeat("["+strings.Repeat("1,", 400)+"1],", 200) + "[]]",
		"numbers": "[" + strings.Repeat("1e999,", 50_000) + "-0]",
	}
	declared := []*trigger.Generic{
		{Filters: []trigger.GenericFilter{{JSONPath: "$..a", MatchEquals: "x"}}},
		{Filters: []trigger.GenericFilter{{JSONPath: "$..[?@.a == @.b]", MatchEquals: "x"}}},
		{Filters: []trigger.GenericFilter{{JSONPath: "$..[*,*,*,*,*]", MatchEquals: "x"}}},
		{Filters: []trigger.GenericFilter{{JSONPath: "$[?@[*][*]]", MatchEquals: "x"}}},
		{Filters: []trigger.GenericFilter{{JSONPath: "$[*,*][*,*][*,*][*,*]" + strings.Repeat("[*]", 40), MatchEquals: "x"}}},
		{Filters: []trigger.GenericFilter{{JSONPath: "$..[?count(@.*) > 1]", MatchEquals: "x"}}},
		{When: "body.all(a, body.all(b, a == b))"},
		{When: "body.all(a, body.exists(b, a in b))"},
		{When: "body.all(a, a in body)"},
		{When: "body[0] == body[1] || body.map(a, body.map(b, size(body))).size() == 0"},
		{When: `body.all(a, string(a).matches("(x|y)*z"))`},
		{When: "body.map(x, body).map(x, body).all(x, x[0] == x[1])"},
	}
	for name, text := range bodies {
		body, err := trigger.ParseBody([]byte(text), nil)
		require.NoError(t, err, name)
		for _, generic := range declared {
			generic.Webhook = "w"
			require.NoError(t, (&trigger.Declaration{Generic: generic}).Validate(), "%+v", generic)
			began := time.Now()
			result := trigger.MatchGeneric(generic, body, nil)
			took := time.Since(began)
			require.Less(t, took, 20*time.Second, "%s: %+v", name, generic)
			if took > 200*time.Millisecond {
				t.Logf("%s: %v: %+v: %s", name, took, generic, result.Message)
			}
		}
	}
}
