package cli_test

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
	"github.com/headrace/terraform-provider-headrace/backend/internal/wording"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestText(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	tests := map[string]struct {
		args []string
		want []string
	}{
		"pipeline list": {
			args: []string{"pipeline", "list"},
			want: []string{"PIPELINE  VERSION", "web       4                  QUEUED      inline", "zeta      - (changed since)  SUPERSEDED  composed"},
		},
		"pipeline show": {
			args: []string{"pipeline", "show", "web"},
			want: []string{"Description  the web shop", "Color     (required)", "Size      XL", "Source  1      Checkout  Source/Git          source"},
		},
		"execution list": {
			args: []string{"execution", "list", "web"},
			want: []string{"web#3      Succeeded", "  12s   4        bob  0123456789ab Add [31mgreeting", "web#1      Failed", "Build failed"},
		},
		"execution show": {
			args: []string{"execution", "show", "web#3"},
			want: []string{
				"Variables  Color=red, Size=M", "✓ web#3  Succeeded  12s", "  ✓ Source ",
				"    ✓ Checkout                  Succeeded   1s      fetched 0123456", "Compile (attempt 2)",
			},
		},
		"whoami":       {args: []string{"whoami"}, want: []string{"Principal  alice", "Roles      default=deployer"}},
		"server-info":  {args: []string{"server-info"}, want: []string{"Version       1.2.3", "Isolation     none"}},
		"account list": {args: []string{"account", "list"}, want: []string{"ACCOUNT", "dev"}},
		"token list":   {args: []string{"token", "list"}, want: []string{"t1  alice      ops     *=approver", "never"}},
		"token revoke": {args: []string{"token", "revoke", "t1"}, want: []string{"revoked token t1"}},
		"account":      {args: []string{"account", "create", "qa"}, want: []string{"created account qa"}},
		"account show": {args: []string{"account", "show", "dev"}, want: []string{"Account         dev", "Approval rules  optional"}},
		"account set":  {args: []string{"account", "set", "dev", "--require-approval-rule"}, want: []string{"Approval rules  required"}},
		"rule list": {args: []string{"approval-rule", "list"}, want: []string{
			"prod  2      alice, group ops  pipelines web*; actions Approve  nothing", "warning: rule prod: action \"Aprove\" matches nothing\n",
		}},
		"rule show": {args: []string{"approval-rule", "show", "prod"}, want: []string{
			"Comment required  yes", "Expires           after 60 minutes", "Guards now        nothing", "warning: rule prod: action",
		}},
		"version": {args: []string{"--version"}, want: []string{"test"}},
		"explain ended": {args: []string{"explain", "web"}, want: []string{
			"web#3  Succeeded in 12s\n  Build/Compile: discarded 1 file outside the work directory: /tmp/site\n",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := f.run(t, test.args...)
			require.Equal(t, cli.ExitOK, got.code, got.stderr)
			for _, want := range test.want {
				require.Contains(t, got.stdout, want)
			}
			require.NotContains(t, got.stdout, "\x1b", "nothing from others commands the terminal")
			require.Empty(t, got.stderr)
		})
	}
}

func TestJSONIsOneDocument(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	f.state = &headracev1.PipelineState{Name: web}
	for _, args := range [][]string{
		{"pipeline", "list"},
		{"pipeline", "show", "web"},
		{"execution", "list"},
		{"execution", "show", "web"},
		{"run", "web"},
		{"execution", "stop", "web#3"},
		{"explain", "web"},
		{"whoami"},
		{"server-info"},
		{"account", "list"},
		{"account", "create", "qa"},
		{"account", "show", "qa"},
		{"account", "set", "qa", "--require-approval-rule=false"},
		{"token", "list"},
		{"token", "revoke", "t1"},
		{"token", "create", "--principal", "p", "--role", "*=viewer"},
		{"approval-rule", "list"},
		{"approval-rule", "show", "prod"},
		{"pipeline", "state", "web"},
		{"transition", "disable", "web", "Deploy", "--reason", "freeze"},
		{"transition", "enable", "web", "Deploy"},
		{"rollback", "web", "Deploy", "--to", "1"},
		{"execution", "retry", "web#3"},
		{"execution", "override", "web#3", "--stage", "Deploy", "--condition", "CONDITION_KIND_ON_SUCCESS", "--reason", "urgent"},
	} {
		got := f.run(t, append(args, "-o", "json")...)
		require.Equal(t, cli.ExitOK, got.code, "%v: %s", args, got.stderr)
		require.True(t, json.Valid([]byte(got.stdout)), "%v: %s", args, got.stdout)
		require.Empty(t, got.stderr)
	}
	got := f.run(t, "pipeline", "list", "-o", "json")
	var list struct {
		Pipelines []struct{ Name, Version string }
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &list))
	require.Len(t, list.Pipelines, 2, "pages are put together")
	require.Equal(t, "0", list.Pipelines[1].Version, "empty fields are there")
}

// TestHelpBeginsWithTheDailyCommands shows a new user what to type first.
func TestHelpBeginsWithTheDailyCommands(t *testing.T) {
	t.Parallel()
	got := newFake(t).run(t, "--help")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	_, commands, found := strings.Cut(got.stdout, "\nUsage:\n  headrace [command]\n\n")
	require.True(t, found, got.stdout)
	daily, _, _ := strings.Cut(commands, "\n\n")
	title, daily, _ := strings.Cut(daily, "\n")
	require.Equal(t, "Daily commands:", title)
	var names []string
	for line := range strings.Lines(daily) {
		names = append(names, strings.Fields(line)[0])
	}
	require.Equal(t, []string{"approve", "execution", "explain", "logs", "reject", "run"}, names)
	require.Contains(t, got.stdout, "\nExit codes:\n")
}

func TestHelpOfEveryCommandIsPlainAndHasAnExample(t *testing.T) {
	t.Parallel()
	wording.CheckHelp(t, cli.Commands())
}

func TestExecutionWords(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	for word, want := range map[string]string{
		"web": runID, "web#3": runID, "web#1": olderID, runID: runID, olderID: olderID, oldName: olderID, web: runID,
	} {
		got := f.run(t, "execution", "show", word)
		require.Equal(t, cli.ExitOK, got.code, "%s: %s", word, got.stderr)
		require.Contains(t, got.stdout, want, word)
	}
	for word, want := range map[string]string{
		"web#2": "has no execution 2", "web#9": "has no execution 9", "other": "headrace run other", "other#1": "has no execution 1",
		"6f1c2d3e-0000-4000-8000-00000000dead": "there is no execution",
	} {
		got := f.run(t, "execution", "show", word)
		require.Equal(t, cli.ExitFailed, got.code, word)
		require.Contains(t, got.stderr, want, word)
	}
}

func TestExecutionNumberBeyondAPage(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	old := f.executions[1]
	for i := range 150 {
		f.executions = append(f.executions[:1+i], &headracev1.Execution{Name: web + "/executions/x", Number: int64(300 - i)})
	}
	f.executions = append(f.executions, old)
	f.executions[0].Number = 301
	got := f.run(t, "execution", "show", "web#1")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, olderID)
	got = f.run(t, "execution", "list", "--limit", "120", "-o", "json")
	var list struct{ Executions []any }
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &list))
	require.Len(t, list.Executions, 120)
}

func TestUsageErrorsSendNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	tests := map[string]struct {
		args []string
		want string
	}{
		"unknown command":      {[]string{"nonsense"}, `unknown command "nonsense"`},
		"no command of group":  {[]string{"pipeline"}, "needs a command: one of diff, list, show, state, versions"},
		"bad command of group": {[]string{"pipeline", "lst"}, `has no command "lst"`},
		"missing argument":     {[]string{"run"}, "accepts 1 arg(s), received 0"},
		"unknown flag":         {[]string{"run", "web", "--folow"}, "unknown flag: --folow"},
		"no token flag":        {[]string{"whoami", "--token", "x"}, "unknown flag: --token"},
		"bad output":           {[]string{"whoami", "-o", "yaml"}, `--output is "yaml"`},
		"bad variable":         {[]string{"run", "web", "--var", "x"}, `--var is "x": use NAME=VALUE`},
		"variable twice":       {[]string{"run", "web", "--var", "x=1", "--var", "x=2"}, "gives x twice"},
		"bad status":           {[]string{"execution", "list", "--status", "done"}, `use one of InProgress, Succeeded`},
		"no execution's":       {[]string{"execution", "list", "--status", "Skipped"}, `Superseded, Cancelled` + "\n"},
		"bad limit":            {[]string{"execution", "list", "--limit", "0"}, "--limit is 0"},
		"bad number":           {[]string{"execution", "show", "web#x"}, "what follows # must be its number"},
		"no principal":         {[]string{"token", "create", "--role", "a=viewer"}, `required flag(s) "principal" not set`},
		"bad role":             {[]string{"token", "create", "--principal", "p", "--role", "a=king"}, "one of admin, approver, deployer, runner, viewer"},
		"bad expiry":           {[]string{"token", "create", "--principal", "p", "--role", "a=viewer", "--expires", "soon"}, `--expires is "soon"`},
		"bad revision":         {[]string{"run", "web", "--source-revision", "Checkout"}, `--source-revision is "Checkout": use ACTION=COMMIT_ID:REVISION`},
		"empty revision":       {[]string{"run", "web", "--source-revision", "Checkout=COMMIT_ID:"}, "--source-revision is"},
		"revision twice":       {[]string{"run", "web", "--source-revision", "a=1", "--source-revision", "a=2"}, "a revision of a twice"},
		"no target":            {[]string{"rollback", "web", "Deploy"}, `required flag(s) "to" not set`},
		"pipeline as target":   {[]string{"rollback", "web", "Deploy", "--to", "web"}, `--to is "web": use the number or the id`},
		"no stage":             {[]string{"rollback", "web", "--to", "3"}, "accepts 2 arg(s), received 1"},
		"no reason":            {[]string{"transition", "disable", "web", "Deploy"}, `required flag(s) "reason" not set`},
		"reason to enable":     {[]string{"transition", "enable", "web", "Deploy", "--reason", "x"}, "unknown flag: --reason"},
		"override of nothing":  {[]string{"execution", "override", "web"}, `required flag(s) "condition", "reason", "stage" not set`},
		"bad condition":        {[]string{"execution", "override", "web", "--stage", "s", "--reason", "r", "--condition", "on-failure"}, "use before-entry or on-success"},
		"bad endpoint":         {[]string{"whoami", "--endpoint", "http://x"}, "is a URL"},
		"no token file":        {[]string{"whoami", "--token-file", "/absent"}, "read the token"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := f.run(t, test.args...)
			require.Equal(t, cli.ExitUsage, got.code)
			require.Contains(t, got.stderr, test.want)
			require.Contains(t, got.stderr, "--help")
			require.Empty(t, got.stdout)
		})
	}
	t.Cleanup(func() { require.Empty(t, f.requests) })
}

func TestExitCodesOfErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		code int
		want string
	}{
		"not found": {refusal(codes.NotFound, pipeline.ReasonNotFound, "there is no pipeline web"), cli.ExitFailed, "headrace: there is no pipeline web\n"},
		"bad token": {status.Error(codes.Unauthenticated, "the token is expired"), cli.ExitNoAccess, "does not accept the token: the token is expired"},
		"no role":   {refusal(codes.PermissionDenied, pipeline.ReasonPermissionDenied, "needs deployer"), cli.ExitNoAccess, "needs deployer"},
		"guarded": {
			refusal(codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin, "rule prod guards it; this requires the role admin"),
			cli.ExitNoAccess, "requires the role admin",
		},
		"not eligible": {refusal(codes.PermissionDenied, pipeline.ReasonApprovalNotEligible, "not you"), cli.ExitFailed, "not you"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.fail["StartExecution"] = test.err
			got := f.run(t, "run", "web")
			require.Equal(t, test.code, got.code)
			require.Contains(t, got.stderr, test.want)
			require.NotContains(t, got.stderr, "secret-token")
		})
	}
	t.Run("server down", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		endpoint := listener.Addr().String()
		require.NoError(t, listener.Close())
		got := newFake(t).run(t, "whoami", "--endpoint", endpoint)
		require.Equal(t, cli.ExitNoAccess, got.code)
		require.Contains(t, got.stderr, "cannot reach headraced at "+endpoint)
		require.Contains(t, got.stderr, "is it running")
	})
}

func TestTokenCreatePrintsOnlyTheSecret(t *testing.T) {
	t.Parallel()
	for expires, want := range map[string]time.Time{
		"12h": start.Add(time.Minute + 12*time.Hour), "30d": start.Add(time.Minute + 30*24*time.Hour),
		"2027-01-31T00:00:00Z": time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
	} {
		f := newFake(t)
		got := f.run(t, "token", "create", "--principal", "alice", "--group", "ops", "--group", "sre",
			"--role", "dev=approver", "--role", "*=viewer", "--expires", expires)
		require.Equal(t, cli.ExitOK, got.code, got.stderr)
		require.Equal(t, "hr_secret\n", got.stdout)
		require.NotContains(t, got.stderr, "hr_secret")
		require.Contains(t, got.stderr, "created token t1 for alice (dev=approver, *=viewer)")
		token := sent[*headracev1.CreateTokenRequest](t, f, "CreateToken").GetToken()
		require.Equal(t, []string{"ops", "sre"}, token.GetGroups())
		require.Equal(t, headracev1.Role_ROLE_APPROVER, token.GetBindings()[0].GetRole())
		require.Equal(t, want, token.GetExpireTime().AsTime())
	}
}
