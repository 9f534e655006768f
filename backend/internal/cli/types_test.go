package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

func TestTypes(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	viewer := b.Token("ann", nil, backendtest.Binding("default", headracev1.Role_ROLE_VIEWER))
	run := func(args ...string) string {
		t.Helper()
		got := headrace(t, b, viewer, args...)
		require.Equal(t, cli.ExitOK, got.code, "%v: %s", args, got.stderr)
		return got.stdout
	}
	actions, rules := run("action-type", "list"), run("rule-type", "list")
	for _, kind := range catalog.Builtin().Actions() {
		require.Contains(t, actions, kind.ID.String())
		require.NotContains(t, rules, kind.ID.String())
	}
	for _, kind := range catalog.Builtin().Rules() {
		require.Contains(t, rules, kind.ID.String())
	}

	require.Equal(t, `Type             Rule/Headrace/DeploymentWindow/1
Summary          Waits until a deployment window is open. All windows of a condition must be open at the same time.
Default timeout  60 days
Input artifacts  0 to 10
Allows SKIP      no

Configuration:
  Cron (string, required)
    Minutes in which the window is open, as a cron expression of 6 or 7 fields: seconds, minutes, hours, day of the month, month, day of the week and, optionally, year.
  TimeZone (string, default UTC)
    Time zone of Cron, by its IANA name.

Example:
  rule {
    name = "DeploymentWindow"

    rule_type_id {
      provider = "DeploymentWindow"
    }

    configuration = {
      Cron     = "* * 9-16 ? * MON-FRI *"
      TimeZone = "Europe/Berlin"
    }
  }
`, run("rule-type", "show", "deploymentwindow"))
	typo := headrace(t, b, viewer, "action-type", "show", "Gti")
	require.Equal(t, cli.ExitFailed, typo.code)
	require.Contains(t, typo.stderr, `no action type is named "Gti"; did you mean Git?`)
	require.Contains(t, run("rule-type", "show", "VariableCheck"), "  Operator (string, required, one of EQ NE CONTAINS MATCHES)\n")
	git := run("action-type", "show", "Git")
	require.Contains(t, git, "\n  Set at most one of Branch, Tag, Commit.\n")
	require.Contains(t, run("action-type", "show", "Build/Commands"),
		"\nArguments         commands, environment_variable, output_variables, output_artifact_files\n")
	require.Contains(t, git, "\nOutput variables:\n  CommitId\n    Id of the commit.\n")

	var all headracev1.ListRuleTypesResponse
	require.NoError(t, protojson.Unmarshal([]byte(run("rule-type", "list", "-o", "json")), &all))
	require.Len(t, all.GetRuleTypes(), len(catalog.Builtin().Rules()))
	var one headracev1.ActionType
	require.NoError(t, protojson.Unmarshal([]byte(run("action-type", "show", "Build/Commands", "-o", "json")), &one))
	require.Equal(t, "Build", one.GetId().GetCategory())
	require.Contains(t, one.GetArguments(), headracev1.Argument_ARGUMENT_COMMANDS)

	several := headrace(t, b, viewer, "action-type", "show", "Commands")
	require.Equal(t, cli.ExitUsage, several.code)
	require.Contains(t, several.stderr, `"Commands" matches several action types: use one of Build/Headrace/Commands/1, `)
	none := headrace(t, b, viewer, "rule-type", "show", "Git")
	require.Equal(t, cli.ExitFailed, none.code)
	require.Contains(t, none.stderr, `no rule type is named "Git"`)
}
