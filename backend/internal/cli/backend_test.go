package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

// headrace runs the command against a real backend.
func headrace(t *testing.T, b *backendtest.Backend, token string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := cli.Run(t.Context(), process(b, token, &stdout, &stderr, args))
	return result{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

func process(b *backendtest.Backend, token string, stdout, stderr io.Writer, args []string) cli.Process {
	env := map[string]string{"HEADRACE_ENDPOINT": b.Endpoint, "HEADRACE_TOKEN": token}
	return cli.Process{Args: args, Stdout: stdout, Stderr: stderr, Getenv: func(name string) string { return env[name] }}
}

// declare creates the pipeline web on a fresh git repository: fetch, build, ask,
// ship. It returns the repository. The mode may be left out.
func declare(t *testing.T, b *backendtest.Backend, modes ...headracev1.ExecutionMode) string {
	t.Helper()
	repository := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(repository, "greeting"), []byte("good morning\n"), 0o600))
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"symbolic-ref", "HEAD", "refs/heads/main"},
		{"add", "--all"},
		{"-c", "user.name=Ann", "-c", "user.email=ann@example.com", "commit", "--quiet", "--message", "Greet"},
	} {
		output, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", repository}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
	commands := func(name, category string, inputs, outputs []string, lines ...string) *headracev1.Stage {
		action := &headracev1.Action{
			Name: name, Category: category, Owner: "Headrace", Provider: "Commands", Version: "1",
			InputArtifacts: inputs, Commands: lines,
			EnvironmentVariables: []*headracev1.EnvironmentVariable{{Name: "WORD", Value: "#{variables.Word}"}},
		}
		for _, output := range outputs {
			action.OutputArtifacts = append(action.OutputArtifacts, &headracev1.OutputArtifact{Name: output})
		}
		return &headracev1.Stage{Name: category, Actions: []*headracev1.Action{action}}
	}
	word := "world"
	_, err := b.Admin().Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name:        client.PipelineName("default", "web"),
		Composition: headracev1.Composition_COMPOSITION_INLINE,
		Definition: &headracev1.PipelineDefinition{
			ExecutionMode: append(modes, headracev1.ExecutionMode_EXECUTION_MODE_UNSPECIFIED)[0],
			Variables:     []*headracev1.Variable{{Name: "Word", DefaultValue: &word}},
			Stages: []*headracev1.Stage{
				{Name: "Source", Actions: []*headracev1.Action{{
					Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
					Configuration:   map[string]string{"RepositoryUrl": "file://" + repository, "Branch": "main"},
					OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
				}}},
				commands("Compile", "Build", []string{"source"}, []string{"program"}, "cat greeting", `test "$WORD" != broken`),
				{Name: "Approve", Actions: []*headracev1.Action{
					{Name: "Ask", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"},
				}},
				commands("Ship", "Deploy", []string{"program"}, nil, `echo "shipped $WORD"`),
			},
		},
	}})
	require.NoError(t, err)
	return repository
}

// TestWholePath goes the way of a person: a token for the approver, a run that
// waits, a server that restarts meanwhile, an approval, logs.
func TestWholePath(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b)
	created := headrace(t, b, b.AdminToken, "token", "create", "--principal", "alice", "--role", "default=approver")
	require.Equal(t, cli.ExitOK, created.code, created.stderr)
	alice := strings.TrimSpace(created.stdout)

	output := &watched{want: "approve with: headrace ", seen: make(chan string, 1)}
	var notices bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(t.Context(), process(b, b.AdminToken, output, &notices, []string{"run", "web", "--follow", "--var", "Word=moon"}))
	}()
	hint := strings.Fields(<-output.seen)
	require.Equal(t, []string{"approve", "web#1", "--stage", "Approve", "--action", "Ask", "--approval"}, hint[:7])
	b.Restart()

	why := headrace(t, b, alice, "explain", "web#1", "-o", "json")
	require.Equal(t, cli.ExitOK, why.code, why.stderr)
	var explained struct {
		Reasons []struct{ Kind, Stage, Action string }
	}
	require.NoError(t, json.Unmarshal([]byte(why.stdout), &explained))
	require.Equal(t, "WAIT_KIND_APPROVAL", explained.Reasons[0].Kind)

	approved := headrace(t, b, alice, hint...)
	require.Equal(t, cli.ExitOK, approved.code, approved.stderr)
	require.Contains(t, approved.stdout, "approved Approve/Ask of web#1")
	require.Equal(t, cli.ExitOK, <-done, output.text())
	require.Contains(t, notices.String(), "lost headraced at "+b.Endpoint)
	for _, once := range []string{"SUCCEEDED   Source/Checkout", "SUCCEEDED   Deploy/Ship", "APPROVED    Approve/Ask", "web#1  Succeeded in"} {
		require.Equal(t, 1, strings.Count(output.text(), once), "%s in\n%s", once, output.text())
	}

	logs := headrace(t, b, alice, "logs", "web")
	require.Equal(t, cli.ExitOK, logs.code, logs.stderr)
	for _, part := range []string{"==> Source/Checkout\n", "==> Build/Compile\n", "good morning\n", "==> Deploy/Ship\n", "shipped moon\n"} {
		require.Contains(t, logs.stdout, part)
	}
	one := headrace(t, b, alice, "logs", "web#1", "Ship", "-f")
	require.Equal(t, cli.ExitOK, one.code, one.stderr)
	require.Contains(t, one.stdout, "shipped moon\n")
	require.NotContains(t, one.stdout, "good morning")

	for _, form := range []string{"succeeded", "EXECUTION_STATUS_SUCCEEDED"} {
		list := headrace(t, b, alice, "execution", "list", "--status", form)
		require.Contains(t, list.stdout, "web#1      Succeeded")
	}
	again := headrace(t, b, alice, "approve", "web#1")
	require.Equal(t, cli.ExitFailed, again.code, "nothing waits any more")
}

// TestPipelineNamedLikeAnExecution reaches pipelines whose names look like the id of an
// execution.
func TestPipelineNamedLikeAnExecution(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b)
	for _, name := range []string{"6f1c2d3e-0000-4000-8000-00000000dead", "d41d8cd98f00b204e9800998ecf8427e"} {
		found, err := b.Admin().Pipelines.GetPipeline(t.Context(), &headracev1.GetPipelineRequest{Name: client.PipelineName("default", "web")})
		require.NoError(t, err)
		_, err = b.Admin().Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
			Name: client.PipelineName("default", name), Composition: headracev1.Composition_COMPOSITION_INLINE,
			Definition: found.GetPipeline().GetDefinition(),
		}})
		require.NoError(t, err)
		started := headrace(t, b, b.AdminToken, "run", name)
		require.Equal(t, cli.ExitOK, started.code, started.stderr)
		shown := headrace(t, b, b.AdminToken, "execution", "show", name)
		require.Equal(t, cli.ExitOK, shown.code, shown.stderr)
		require.Contains(t, shown.stdout, name+"#1")
	}
}

func TestWholePathFails(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b)
	got := headrace(t, b, b.AdminToken, "run", "web", "--follow", "--var", "Word=broken")
	require.Equal(t, cli.ExitFailed, got.code, got.stderr)
	require.Contains(t, got.stdout, "web#1  Failed in")
	why := headrace(t, b, b.AdminToken, "explain", "web")
	for _, said := range []string{got.stdout, why.stdout} {
		require.Contains(t, said, "JobFailed: command 2 of 2 (`test \"$WORD\" != broken`) exited with 1\n")
		require.Contains(t, said, "  its log: headrace logs web#1 Build/Compile\n")
	}
	require.Equal(t, 1, strings.Count(why.stdout, "exited with 1"), "said once: %s", why.stdout)
	require.Equal(t, 1, strings.Count(why.stdout, "Failed in"), why.stdout)
}

// TestHintsAreAccepted pastes what explain advises of a failed execution, and holds what it
// does not advise against the refusal of the call.
func TestHintsAreAccepted(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b)
	fails := func(run string) {
		require.Eventually(t, func() bool {
			return strings.Contains(headrace(t, b, b.AdminToken, "explain", run).stdout, run+"  Failed in")
		}, 20*time.Second, 20*time.Millisecond)
	}
	require.Equal(t, cli.ExitFailed, headrace(t, b, b.AdminToken, "run", "web", "-f", "--var", "Word=broken").code)
	why := headrace(t, b, b.AdminToken, "explain", "web").stdout
	pasted(t, b, b.AdminToken, why, "headrace execution retry web#1\n")
	fails("web#1")
	started := pasted(t, b, b.AdminToken, why, "headrace run web --var Word=broken\n")
	require.Contains(t, started.stdout, "started web#2")
	fails("web#2")

	why = headrace(t, b, b.AdminToken, "explain", "web#1").stdout
	require.NotContains(t, why, "execution retry")
	refused := headrace(t, b, b.AdminToken, "execution", "retry", "web#1")
	require.Equal(t, cli.ExitFailed, refused.code)
	reason := strings.TrimSpace(strings.TrimPrefix(refused.stderr, "headrace: "))
	require.Contains(t, reason, "a later execution has entered the stage: execution 2")
	require.Contains(t, why, reason, "in the words of the refusal")
	require.Equal(t, cli.ExitOK, headrace(t, b, b.AdminToken, "execution", "retry", "web").code, "by name it is the one that can be")
	fails("web#2")
	pasted(t, b, b.AdminToken, why, "headrace run web --var Word=broken\n")
	fails("web#3")
	stopped := headrace(t, b, b.AdminToken, "execution", "stop", "web")
	require.Equal(t, cli.ExitFailed, stopped.code)
	require.Contains(t, stopped.stderr, "no execution of web is in progress; the newest, web#3, is Failed")
	stopped = headrace(t, b, b.AdminToken, "execution", "stop", "web#2")
	require.Contains(t, stopped.stderr, "the execution is no longer in progress: execution 2 has ended with status Failed")
}

// TestWaitBehindAnother looks at one execution that waits for a stage that another
// one holds, and at what is left of it when it is stopped.
func TestWaitBehindAnother(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b)
	for range 2 {
		started := headrace(t, b, b.AdminToken, "run", "web")
		require.Equal(t, cli.ExitOK, started.code, started.stderr)
	}
	require.Eventually(t, func() bool { // the stages before it are left soon, this one is held by the approval
		told := headrace(t, b, b.AdminToken, "explain", "web#2").stdout
		return strings.Contains(told, "stage Approve") && strings.Contains(told, "    behind web#1\n")
	}, 20*time.Second, 20*time.Millisecond)

	output := &watched{want: "behind ", seen: make(chan string, 1)}
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(t.Context(), process(b, b.AdminToken, output, output, []string{"execution", "watch", "web#2"}))
	}()
	require.Equal(t, "web#1", <-output.seen)
	require.Greater(t, strings.Index(output.text(), "WAITING"), strings.Index(output.text(), "SUCCEEDED   Build"),
		"what led to the wait comes before it: %s", output.text())

	stopped := headrace(t, b, b.AdminToken, "execution", "stop", "web#2")
	require.Equal(t, cli.ExitOK, stopped.code, stopped.stderr)
	require.Equal(t, cli.ExitFailed, <-done, output.text())
	show := headrace(t, b, b.AdminToken, "execution", "show", "web#2")
	require.Contains(t, show.stdout, "not entered")
	require.NotContains(t, show.stdout, "waits for entry")
	require.Regexp(t, `Stop +asked for by admin at [-0-9: ]+[0-9]\n`, show.stdout, "no colon where no reason follows")
}

func TestStopOfWaiting(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b)
	output := &watched{want: "approve with: ", seen: make(chan string, 1)}
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(t.Context(), process(b, b.AdminToken, output, output, []string{"run", "web", "--follow"}))
	}()
	<-output.seen
	got := headrace(t, b, b.AdminToken, "execution", "stop", "web", "--abandon", "--reason", "not today")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Equal(t, cli.ExitFailed, <-done, "a stopped execution did not succeed")
	require.Contains(t, output.text(), "web#1  Stopped in")
	require.Contains(t, headrace(t, b, b.AdminToken, "execution", "show", "web").stdout, "not today")
}

func TestRefusalsOfTheBackend(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b)
	viewer := b.Token("victor", nil, backendtest.Binding("default", headracev1.Role_ROLE_VIEWER))
	tests := map[string]struct {
		token string
		args  []string
		code  int
		want  string
	}{
		"unknown pipeline": {b.AdminToken, []string{"run", "nope"}, cli.ExitFailed, `"nope"`},
		"unknown account":  {b.AdminToken, []string{"pipeline", "list", "--account", "nope"}, cli.ExitFailed, "nope"},
		"unknown variable": {b.AdminToken, []string{"run", "web", "--var", "Nope=1"}, cli.ExitFailed, "Nope"},
		"no token":         {"", []string{"pipeline", "list"}, cli.ExitNoAccess, "HEADRACE_TOKEN_FILE"},
		"bad token":        {"sesame", []string{"pipeline", "list"}, cli.ExitNoAccess, "does not accept the token"},
		"missing role":     {viewer, []string{"run", "web"}, cli.ExitNoAccess, "deployer"},
		"bad name":         {b.AdminToken, []string{"pipeline", "show", "no/such"}, cli.ExitFailed, "no/such"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := headrace(t, b, test.token, test.args...)
			require.Equal(t, test.code, got.code, got.stderr)
			require.Contains(t, got.stderr, test.want)
			require.NotContains(t, got.stderr, "sesame")
			require.Empty(t, got.stdout)
		})
	}
	require.Equal(t, cli.ExitOK, headrace(t, b, "", "server-info").code, "needs no token")
}

func TestApprovalRulesSayWhatTheyGuard(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b)
	run := func(args ...string) string {
		t.Helper()
		got := headrace(t, b, b.AdminToken, args...)
		require.Equal(t, cli.ExitOK, got.code, "%v: %s", args, got.stderr)
		return got.stdout
	}
	rule := func(name string, selector *headracev1.ApprovalSelector) {
		_, err := b.Admin().ApprovalRules.CreateApprovalRule(t.Context(), &headracev1.CreateApprovalRuleRequest{ApprovalRule: &headracev1.ApprovalRule{
			Name: client.ApprovalRuleName("default", name), MinimumCount: 1, Selector: selector,
		}})
		require.NoError(t, err)
	}
	rule("typo", &headracev1.ApprovalSelector{Pipelines: []string{"web"}, Stages: []string{"Deplyo"}})
	rule("future", &headracev1.ApprovalSelector{Pipelines: []string{"later-*"}})
	rule("all", &headracev1.ApprovalSelector{Pipelines: []string{"*"}, Stages: []string{"*"}})
	list := run("approval-rule", "list")
	require.Regexp(t, `(?m)^typo .* nothing *$`, list)
	require.Regexp(t, `(?m)^warning: rule typo: stage "Deplyo" matches nothing; pipeline web has stages .*; did you mean Deploy\?$`, list)
	require.Regexp(t, `(?m)^warning: rule future: pipeline "later-\*" matches nothing; account default has pipeline web$`, list)
	show := run("approval-rule", "show", "typo")
	require.Regexp(t, `(?m)^Guards now +nothing$`, show)
	require.Contains(t, show, "warning: rule typo")
	require.Regexp(t, `(?m)^web +Deploy +\(entry of the stage\) +guarded$`, run("approval-rule", "show", "all"))
	require.NotContains(t, run("approval-rule", "show", "all"), "warning")

	for _, args := range [][]string{{"set", "default", "--require-approval-rule"}, {"show", "default"}} {
		account := run(append([]string{"account"}, args...)...)
		require.Contains(t, account, "required")
		require.Regexp(t, `(?m)^warning: action \w+ of stage Approve of pipeline web fails without an approval rule; .*: create a rule$`, account)
	}
	rule("manual", &headracev1.ApprovalSelector{Pipelines: []string{"web"}})
	require.NotContains(t, run("account", "show", "default"), "warning", "the rule matches it")
	optional := run("account", "set", "default", "--require-approval-rule=false")
	require.Contains(t, optional, "optional")
	require.NotContains(t, optional, "warning")
	require.Equal(t, cli.ExitUsage, headrace(t, b, b.AdminToken, "account", "set", "default").code)
	require.Equal(t, cli.ExitFailed, headrace(t, b, b.AdminToken, "account", "show", "ghost").code)
}
