package crashtest

import (
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// The stages of every pipeline of the chaos, and what of theirs scripts name.
const (
	buildStage   = "Build"
	approveStage = "Approve"
	deployStage  = "Deploy"
	compile      = "Compile"
	manual       = "Manual"
	ship         = "Ship"
)

// script is what happens in one execution beside the chaos.
type script struct {
	name string
	// fail is the value of the variable FAIL: the action that fails, or "… once" for
	// one that fails in its first action execution only.
	fail string
	// What people do.
	stop, abandon, reject, silent, retry bool
	// ends are the outcomes where no runner was lost.
	ends []outcome
	// luck is the action whose first execution decides what the second one does: where
	// a runner of it was lost, the second one may be the first that fails.
	luck string
}

// outcome is the end of an execution.
type outcome struct {
	status string
	// action and code say what failed.
	action, code string
}

func (o outcome) String() string {
	if o.action == "" {
		return o.status
	}
	return fmt.Sprintf("%s (%s %s)", o.status, o.action, o.code)
}

func scripts() []script {
	succeeded, stopped := outcome{status: "SUCCEEDED"}, outcome{status: "STOPPED"}
	return []script{
		{name: "succeeds", ends: []outcome{succeeded}},
		{name: "build fails", fail: compile, ends: []outcome{{"FAILED", compile, "JobFailed"}}},
		{name: "succeeds", ends: []outcome{succeeded}},
		{name: "deploy fails once", fail: ship + " once", ends: []outcome{succeeded}, luck: ship},
		{name: "rejected", reject: true, ends: []outcome{{"FAILED", manual, "ApprovalRejected"}}},
		{name: "succeeds", ends: []outcome{succeeded}},
		{name: "stopped", stop: true, ends: []outcome{stopped}},
		{name: "deploy fails", fail: ship, ends: []outcome{{"FAILED", ship, "JobFailed"}}},
		// The retry is refused where another execution is in the stage by then.
		{
			name: "build is retried", fail: compile + " once", retry: true, luck: compile,
			ends: []outcome{succeeded, {"FAILED", compile, "JobFailed"}},
		},
		{name: "abandoned", stop: true, abandon: true, ends: []outcome{stopped}},
	}
}

// silence is the script of an approval that nobody decides.
func silence() script {
	return script{name: "nobody approves", silent: true, ends: []outcome{{"FAILED", manual, "ApprovalExpired"}}}
}

// allows says what is wrong with an outcome, or nothing. What a lost runner fails is
// checked with the history, action by action.
func (s *script) allows(mode headracev1.ExecutionMode, h *history) error {
	got := h.outcome()
	switch {
	case got.status == "SUPERSEDED" && mode == headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED:
		// By whom and where is checked with the history of the pipeline.
		return nil
	case got.status == "FAILED" && got.code == "RunnerLost":
		return nil
	case got.status == "FAILED" && got.code == "JobFailed" && got.action == s.luck && h.lost[s.luck] > 0:
		return nil
	}
	for _, end := range s.ends {
		if got == end {
			return nil
		}
	}
	return fmt.Errorf("it ended as %s, and its script (%s) allows %v", got, s.name, s.ends)
}

// silenceSuffix ends the names of the pipelines whose approvals expire.
const silenceSuffix = "-silence"

// silenceRule lets those approvals expire as soon as a rule can.
func silenceRule() *headracev1.ApprovalRule {
	return &headracev1.ApprovalRule{
		Name: client.ApprovalRuleName("default", "silence"), Selector: &headracev1.ApprovalSelector{Pipelines: []string{"*" + silenceSuffix}},
		MinimumCount: 1, ExpireAfterMinutes: 1, AllowStarter: true,
	}
}

// chaosStages are those of a pipeline of the chaos. Window is the cron expression of the
// deployment window of the last stage, or empty. Commands note in the record what they
// are and how far they came.
func (s *server) chaosStages(window string) []*headracev1.Stage {
	note := func(word string) string {
		return `echo "$HEADRACE_EXECUTION_ID $HEADRACE_ACTION $HEADRACE_ACTION_EXECUTION_ID $HEADRACE_ATTEMPT ` + word + `" >> ` + s.record
	}
	command := func(name, category, lost string, inputs ...string) *headracev1.Action {
		return &headracev1.Action{
			Name: name, Category: category, Owner: "Headrace", Provider: "Commands", Version: "1", OnLost: lost,
			InputArtifacts:       inputs,
			OutputArtifacts:      []*headracev1.OutputArtifact{{Name: "made-" + name}},
			EnvironmentVariables: []*headracev1.EnvironmentVariable{{Name: "FAIL", Value: "#{variables.FAIL}"}},
			Commands: []string{
				note("begins"),
				`echo "$HEADRACE_ACTION_EXECUTION_ID $HEADRACE_ATTEMPT" > made; sleep 0.2; test -s file`,
				`case "$FAIL" in "$HEADRACE_ACTION") exit 1;; "$HEADRACE_ACTION once") ` +
					`grep "^$HEADRACE_EXECUTION_ID $HEADRACE_ACTION " ` + s.record + ` | grep -qv " $HEADRACE_ACTION_EXECUTION_ID " || exit 1;; esac`,
				note("ends"),
			},
		}
	}
	deploy := &headracev1.Stage{
		Name: deployStage, Actions: []*headracev1.Action{command(ship, "Deploy", "retry", "source", "made-"+compile)},
		OnFailure: &headracev1.OnFailure{Result: "RETRY"},
	}
	if window != "" {
		deploy.BeforeEntry = &headracev1.Condition{Result: "FAIL", Rules: []*headracev1.Rule{{
			Name: "window", Provider: "DeploymentWindow", Version: "1", Configuration: map[string]string{"Cron": window},
		}}}
	}
	return []*headracev1.Stage{
		{Name: "Source", Actions: []*headracev1.Action{{
			Name: "Fetch", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
			Configuration:   map[string]string{"RepositoryUrl": s.repo, "Branch": "main"},
			OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
		}}},
		{Name: buildStage, Actions: []*headracev1.Action{
			command(compile, "Build", "retry", "source"), command("Publish", "Build", "fail", "source"),
		}},
		{Name: approveStage, Actions: []*headracev1.Action{{
			Name: manual, Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1",
		}}},
		deploy,
	}
}

// nextMinute returns the cron expression of a window that is closed until the next
// minute begins, where that is soon; else of one that is open.
func nextMinute(now time.Time, soon time.Duration) string {
	minute := now.UTC().Minute()
	if now.Truncate(time.Minute).Add(time.Minute).Sub(now) > soon {
		return "* * * * * ? *"
	}
	switch minute {
	case 0:
		return "* 1-59 * * * ? *"
	case 59:
		return "* 0-58 * * * ? *"
	default:
		return fmt.Sprintf("* 0-%d,%d-59 * * * ? *", minute-1, minute+1)
	}
}
