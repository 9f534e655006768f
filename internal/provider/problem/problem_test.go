package problem_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
)

// Terraform shows only the first of several warnings with the same summary.
func TestWarnNamesTheObjectInTheSummary(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		reason                   domain.Reason
		message, summary, detail string
	}{
		{
			domain.ReasonSelectorMatchesNothing, `rule r: stage "Aply" matches nothing; pipeline web has stages Source, Apply; did you mean Apply?`,
			`Rule r: stage "Aply" matches nothing`, "Pipeline web has stages Source, Apply; did you mean Apply?",
		},
		{domain.ReasonApproverUnknown, `rule r: no token of user "bob" may approve`, `Rule r: no token of user "bob" may approve`, ""},
		{
			domain.WarningApprovalBesideWork, `stage "Prod", action "Ask": action "Ship" starts without waiting`,
			`An approval does not hold back the actions beside it: stage "Prod", action "Ask" (pipeline "web")`,
			`Stage "Prod", action "Ask": action "Ship" starts without waiting.`,
		},
	} {
		var diags diag.Diagnostics
		problem.Reporter{Object: `pipeline "web"`}.Warn(&diags, []*headracev1.Warning{{Reason: string(test.reason), Message: test.message}},
			func(string) bool { return true })
		require.Equal(t, diag.Diagnostics{diag.NewWarningDiagnostic(test.summary, test.detail)}, diags)
	}
}
