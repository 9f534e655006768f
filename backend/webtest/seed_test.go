package webtest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
)

const (
	account  = "default"
	patience = 30 * time.Second
)

// hostile is text that nothing may take for more than text: markup, a colour without an end, an
// override of the direction of writing, a bell.
const hostile = "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script> \x1b[31m \u202Egnp.exe\u202C \x07"

// site is a server with pipelines and executions in every state that the views show.
type site struct {
	*backendtest.Backend
	t     *testing.T
	admin *client.Client
	// repo is a repository with one commit, whose message is hostile.
	repo string
	// gate is a file for which running actions wait.
	gate string
}

func newSite(t *testing.T, changes ...func(*config.Config)) *site {
	t.Helper()
	backend := backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) {
		cfg.Isolation, cfg.RunnerSlots = runner.IsolationNone, 4
		for _, change := range changes {
			change(cfg)
		}
	}))
	s := &site{Backend: backend, t: t, admin: backend.Admin(), repo: filepath.Join(t.TempDir(), "repo"), gate: filepath.Join(t.TempDir(), "gate")}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main", s.repo},
		{"-C", s.repo, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "--allow-empty", "-m", hostile},
	} {
		out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	_, err := s.admin.ApprovalRules.CreateApprovalRule(t.Context(), &headracev1.CreateApprovalRuleRequest{ApprovalRule: &headracev1.ApprovalRule{
		Name: client.ApprovalRuleName(account, "two-people"), Selector: &headracev1.ApprovalSelector{Pipelines: []string{"*"}}, MinimumCount: 2,
	}})
	require.NoError(t, err)
	return s
}

func commands(category, name string, order int32, lines ...string) *headracev1.Action {
	return &headracev1.Action{Name: name, Category: category, Owner: "Headrace", Provider: "Commands", Version: "1", RunOrder: order, Commands: lines}
}

func approval(name string) *headracev1.Action {
	return &headracev1.Action{
		Name: name, Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1",
		Configuration: map[string]string{"CustomData": "Look at the dashboards first. " + strings.Map(printable, hostile)},
	}
}

// printable leaves out what reasons may not hold.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return -1
	}
	return r
}

// source is a stage that fetches a commit.
func (s *site) source() *headracev1.Stage {
	return &headracev1.Stage{Name: "Source", Actions: []*headracev1.Action{{
		Name: "Fetch", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
		Configuration:   map[string]string{"RepositoryUrl": s.repo, "Branch": "main"},
		OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
	}}}
}

func (s *site) define(name string, mode headracev1.ExecutionMode, stages ...*headracev1.Stage) {
	s.t.Helper()
	_, err := s.admin.Pipelines.CreatePipeline(s.t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name:       client.PipelineName(account, name),
		Definition: &headracev1.PipelineDefinition{ExecutionMode: mode, Description: "Pipeline " + name, Stages: stages},
	}})
	require.NoError(s.t, err)
}

// start starts an execution and returns its name.
func (s *site) start(pipeline string) string {
	s.t.Helper()
	resp, err := s.admin.Executions.StartExecution(s.t.Context(), &headracev1.StartExecutionRequest{Pipeline: client.PipelineName(account, pipeline)})
	require.NoError(s.t, err)
	return resp.GetExecution().GetName()
}

// await returns an execution once it is as wanted.
func (s *site) await(name string, what string, wanted func(*headracev1.Execution) bool) *headracev1.Execution {
	s.t.Helper()
	var last *headracev1.Execution
	require.Eventually(s.t, func() bool {
		resp, err := s.admin.Executions.GetExecution(s.t.Context(), &headracev1.GetExecutionRequest{Name: name})
		require.NoError(s.t, err)
		last = resp.GetExecution()
		return wanted(last)
	}, patience, 20*time.Millisecond, "%s is never %s", name, what)
	return last
}

func (s *site) awaitStatus(name string, status headracev1.ExecutionStatus) *headracev1.Execution {
	s.t.Helper()
	return s.await(name, status.String(), func(e *headracev1.Execution) bool { return e.GetStatus() == status })
}

// awaitAction waits until an action of an execution is in progress.
func (s *site) awaitAction(execution, name string) {
	s.t.Helper()
	s.await(execution, "in "+name, func(e *headracev1.Execution) bool {
		for _, stage := range e.GetStages() {
			for _, action := range stage.GetActions() {
				if action.GetAction() == name && action.GetStatus() == headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS {
					return true
				}
			}
		}
		return false
	})
}

// seeded are names that scripts ask for.
type seeded struct {
	Waiting, Behind, Succeeded, Failed, Running, Hostile, Wide, Files string
}

// seed fills the account: an execution that succeeded, one that waits for approval and one behind
// it, one that failed, one that runs, one whose texts are hostile, one with many actions, one with
// artifacts.
func (s *site) seed() seeded {
	s.t.Helper()
	queued, parallel := headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL
	var names seeded

	s.define("web", queued,
		s.source(),
		&headracev1.Stage{Name: "Build", Actions: []*headracev1.Action{
			commands("Build", "Compile", 1, "echo compiled"), commands("Build", "Lint", 1, "echo linted"), commands("Test", "Unit", 2, "echo tested"),
		}},
		&headracev1.Stage{Name: "Approve", Actions: []*headracev1.Action{approval("Manual")}},
		&headracev1.Stage{
			Name: "Deploy", Actions: []*headracev1.Action{commands("Deploy", "Roll", 1, "echo deployed")},
			BeforeEntry: &headracev1.Condition{Result: "FAIL", Rules: []*headracev1.Rule{{
				Name: "hours", Provider: "DeploymentWindow", Version: "1", Configuration: map[string]string{"Cron": "* * 9-17 ? * MON-FRI"},
			}}},
		},
	)
	names.Waiting = s.start("web")
	s.awaitAction(names.Waiting, "Manual")
	names.Behind = s.start("web")
	s.await(names.Behind, "before Approve", func(e *headracev1.Execution) bool {
		return len(e.GetStages()) > 1 && e.GetStages()[1].GetStatus() == headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED
	})

	s.define("docs", queued,
		s.source(),
		&headracev1.Stage{Name: "Publish", Actions: []*headracev1.Action{commands("Deploy", "Publish", 1, "echo published")}},
	)
	names.Succeeded = s.start("docs")
	s.awaitStatus(names.Succeeded, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED)

	s.define("api", queued,
		s.source(),
		&headracev1.Stage{Name: "Test", Actions: []*headracev1.Action{commands("Test", "Integration", 1, "echo connection refused >&2; exit 3")}},
	)
	names.Failed = s.start("api")
	s.awaitStatus(names.Failed, headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED)

	names.Running = s.seedRunning()

	quoted := strings.ReplaceAll(strings.ReplaceAll(hostile, `'`, `'\''`), "\x1b", `\033`)
	quoted = strings.ReplaceAll(quoted, "\x07", `\007`)
	s.define("hostile", queued,
		s.source(),
		&headracev1.Stage{Name: "Print", Actions: []*headracev1.Action{commands("Build", "Print", 1, "printf '"+quoted+"\\n'", "exit 1")}},
	)
	names.Hostile = s.start("hostile")
	s.awaitStatus(names.Hostile, headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED)
	_, err := s.admin.Pipelines.SetStageTransition(s.t.Context(), &headracev1.SetStageTransitionRequest{
		Pipeline: client.PipelineName(account, "hostile"), Stage: "Print", Reason: strings.Map(printable, hostile),
	})
	require.NoError(s.t, err)

	wide := &headracev1.Stage{Name: "Everything"}
	for n := range 50 {
		wide.Actions = append(wide.Actions, commands("Test", fmt.Sprintf("Shard%02d", n), 1, fmt.Sprintf("test %d -ne 42", n)))
	}
	s.define("wide", parallel, s.source(), wide)
	names.Wide = s.start("wide")
	s.awaitStatus(names.Wide, headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED)
	names.Files = s.seedFiles().GetName()
	return names
}

// seedRunning starts an execution that runs until there is a file at gate. It goes on after a
// restart of the server.
func (s *site) seedRunning() string {
	s.t.Helper()
	wait := commands("Build", "Wait", 1, fmt.Sprintf("until [ -e %s ]; do sleep 0.1; done; echo open", s.gate))
	wait.OnLost = "retry"
	s.define("slow", headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, s.source(), &headracev1.Stage{Name: "Build", Actions: []*headracev1.Action{wait}})
	running := s.start("slow")
	s.awaitAction(running, "Wait")
	return running
}
