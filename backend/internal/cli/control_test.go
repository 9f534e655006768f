package cli_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

// said runs a command that has to succeed and returns what it printed.
func (f *fake) said(t *testing.T, args ...string) string {
	t.Helper()
	got := f.run(t, args...)
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Empty(t, got.stderr)
	require.NotContains(t, got.stdout, "\x1b")
	return got.stdout
}

func TestRunWithRevisions(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	f.said(t, "run", "web", "--source-revision", "Checkout=COMMIT_ID:0123", "--source-revision", "Docs=abc:def",
		"--source-revision", "Image=IMAGE_DIGEST:sha256:ff")
	want := []*headracev1.SourceRevisionOverride{
		{Action: "Checkout", RevisionType: "COMMIT_ID", RevisionValue: "0123"},
		{Action: "Docs", RevisionType: "COMMIT_ID", RevisionValue: "abc:def"},
		{Action: "Image", RevisionType: "IMAGE_DIGEST", RevisionValue: "sha256:ff"},
	}
	got := sent[*headracev1.StartExecutionRequest](t, f, "StartExecution")
	require.True(t, proto.Equal(&headracev1.StartExecutionRequest{SourceRevisions: want},
		&headracev1.StartExecutionRequest{SourceRevisions: got.GetSourceRevisions()}), "%v", got)
}

// TestRetryFindsWhatFailed holds that of a pipeline it is the only execution that the
// server lets be retried, and that nobody guesses where there are several or none.
func TestRetryFindsWhatFailed(t *testing.T) {
	t.Parallel()
	const newName = web + "/executions/new"
	failed := func(t *testing.T) *fake {
		t.Helper()
		f := newFake(t)
		f.failed()
		newer := proto.CloneOf(f.executions[0])
		newer.Name, newer.Id, newer.Number = newName, "new", 4
		f.executions = append([]*headracev1.Execution{newer}, f.executions...)
		f.state = &headracev1.PipelineState{Name: web, PipelineVersion: 4, Stages: []*headracev1.StageState{
			{Stage: "Source", LatestExecution: newName}, {Stage: "Build", LatestExecution: runName}, {Stage: "Deploy"},
		}}
		return f
	}
	refused := []*headracev1.StepRefusal{{
		Kind: headracev1.NextStepKind_NEXT_STEP_KIND_RETRY_STAGE, Stage: "Build", Reason: "STAGE_NOT_RETRYABLE",
		Message: "the stage cannot be retried: the definition changed: execution 4 runs version 3, the newest is 4; start a new execution",
	}}
	start := []*headracev1.NextStep{{Kind: headracev1.NextStepKind_NEXT_STEP_KIND_START_EXECUTION}}
	for _, mode := range []headracev1.ExecutionMode{headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			f := failed(t)
			f.state.ExecutionMode = mode
			f.said(t, "execution", "retry", "web")
			request := sent[*headracev1.RetryStageRequest](t, f, "RetryStage")
			require.Equal(t, runName, request.GetName(), "not the newest, which the server does not offer")
			require.Equal(t, headracev1.RetryMode_RETRY_MODE_FAILED_ACTIONS, request.GetMode())
			require.Empty(t, request.GetStage())

			f = failed(t)
			f.state.ExecutionMode = mode
			f.steps[newName] = []*headracev1.NextStep{retryStep(newName, "Build", headracev1.RetryMode_RETRY_MODE_FAILED_ACTIONS)}
			got := f.run(t, "execution", "retry", "web")
			require.Equal(t, cli.ExitUsage, got.code)
			require.Contains(t, got.stderr, "several executions of web can be retried; name one:\n")
			require.Regexp(t, `(?m)^  web#3  Build  for 1m0s  0123456789ab .* bob  headrace execution retry web#3$`, got.stderr)
			require.Regexp(t, `(?m)^  web#4  .*  headrace execution retry web#4$`, got.stderr)
			require.Empty(t, f.requests["RetryStage"])

			f = failed(t)
			f.state.ExecutionMode = mode
			f.steps = map[string][]*headracev1.NextStep{newName: start}
			f.refusals[newName] = refused
			got = f.run(t, "execution", "retry", "web")
			require.Equal(t, cli.ExitFailed, got.code)
			require.Contains(t, got.stderr, "no execution of web can be retried; web#4: the stage cannot be retried: the definition changed: "+
				"execution 4 runs version 3, the newest is 4; start a new execution: headrace run web\n")
			require.Contains(t, f.said(t, "explain", "web"), "  the stage cannot be retried: the definition changed: "+
				"execution 4 runs version 3, the newest is 4; start a new execution: headrace run web\n")
		})
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.failed()
	require.Equal(t, "retried stage Build of web#3\nwatch it with: headrace execution watch web#3\n",
		f.said(t, "execution", "retry", "web#3", "--stage", "Build", "--all-actions"))
	request := sent[*headracev1.RetryStageRequest](t, f, "RetryStage")
	require.Equal(t, "Build", request.GetStage())
	require.Equal(t, headracev1.RetryMode_RETRY_MODE_ALL_ACTIONS, request.GetMode())
	require.Contains(t, f.said(t, "explain", "web"), "  retry it with: headrace execution retry web#3\n"+
		`  or fix the cause and start a new execution: headrace run web --var 'Color=it'\''s red'`+"\n")

	got := f.run(t, "execution", "retry", "web#3", "--follow")
	require.Equal(t, cli.ExitFailed, got.code)
	require.Contains(t, got.stdout, "web#3  Failed in")

	f = newFake(t)
	f.waits()
	f.executions = f.executions[:1]
	f.state = &headracev1.PipelineState{Name: web, Stages: []*headracev1.StageState{{Stage: "Build", LatestExecution: runName}}}
	f.refusals[runName] = []*headracev1.StepRefusal{{
		Kind: headracev1.NextStepKind_NEXT_STEP_KIND_RETRY_STAGE, Message: "the stage cannot be retried: no action of stage Build failed",
	}}
	none := f.run(t, "execution", "retry", "web")
	require.Equal(t, cli.ExitFailed, none.code)
	require.Contains(t, none.stderr, "no execution of web can be retried; web#3: the stage cannot be retried: no action of stage Build failed\n")
	f.executions[0].Status = headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED
	none = f.run(t, "execution", "retry", "web")
	require.Contains(t, none.stderr, "no execution of web can be retried; web#3: it is Succeeded\n")
}

func TestOverride(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.conditioned()
	newer := proto.CloneOf(f.executions[0])
	newer.Name, newer.Number = web+"/executions/new", 4
	f.executions = append([]*headracev1.Execution{newer}, f.executions...)
	f.state = &headracev1.PipelineState{Name: web, Stages: []*headracev1.StageState{{Stage: "Deploy", LatestExecution: runName}}}
	f.refusals[newer.GetName()] = []*headracev1.StepRefusal{{Kind: headracev1.NextStepKind_NEXT_STEP_KIND_RETRY_STAGE}}
	require.Equal(t, "overrode the before-entry condition of stage Deploy of web#3\nwatch it with: headrace execution watch web#3\n",
		f.said(t, "execution", "override", "web", "--stage", "Deploy", "--condition", "before_entry", "--reason", "urgent"))
	request := sent[*headracev1.OverrideConditionRequest](t, f, "OverrideCondition")
	require.Equal(t, runName, request.GetName(), "that which the condition stopped, not the newest")
	require.Equal(t, headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY, request.GetCondition())
	require.Equal(t, "urgent", request.GetReason())

	none := f.run(t, "execution", "override", "web", "--stage", "Deploy", "--condition", "on-success", "--reason", "urgent")
	require.Equal(t, cli.ExitFailed, none.code)
	require.Contains(t, none.stderr, "no execution of web can be continued without the on-success condition of stage Deploy; web#4: it is Failed")
}

// TestOlderServerGivesNoHints holds that the command line offers nothing of its own.
func TestOlderServerGivesNoHints(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*fake){
		"waits": (*fake).waits, "queued": (*fake).queued, "failed": (*fake).failed, "conditioned": (*fake).conditioned,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			prepare(f)
			clear(f.steps)
			said := f.said(t, "explain", "web")
			for _, verb := range []string{"approve", "retry", "override", "enable", "stop", "run"} {
				require.NotRegexp(t, "headrace .*"+verb, said)
			}
			f.state = &headracev1.PipelineState{Name: web, Stages: []*headracev1.StageState{{Stage: "Build", LatestExecution: runName}}}
			got := f.run(t, "execution", "retry", "web")
			require.Equal(t, cli.ExitFailed, got.code)
			require.Contains(t, got.stderr, "this server does not say which execution of web can be retried; name one, for example web#")
			f.said(t, "execution", "retry", "web#3")
		})
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"1", "web#1", olderID, oldName} {
		f := newFake(t)
		f.succeeded()
		require.Contains(t, f.said(t, "rollback", "web", "Deploy", "--to", word, "--request-id", "r1"),
			"started web#3 ("+runID+"), which rolls stage Deploy back to web#1\n")
		request := sent[*headracev1.RollbackStageRequest](t, f, "RollbackStage")
		require.True(t, proto.Equal(&headracev1.RollbackStageRequest{
			Pipeline: web, Stage: "Deploy", TargetExecution: oldName, RequestId: "r1",
		}, request), "%s: %v", word, request)
	}
	f := newFake(t)
	f.rolledBack()
	show := f.said(t, "execution", "show", "web")
	for _, want := range []string{
		"Rollback to  web#1\n", " by the failure of a stage\n", "Asked for    COMMIT_ID " + revision + " of Checkout\n",
		"✓ web#4  Succeeded  10s  rollback to web#1\n",
	} {
		require.Contains(t, show, want)
	}
	require.Contains(t, f.said(t, "execution", "list", "web"), "rollback to web#1\n")
	f.said(t, "rollback", "web", "Deploy", "--to", "1", "--follow")
}

func TestTransition(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	text := f.said(t, "transition", "disable", "web", "Deploy", "--reason", "freeze", "--account", "default")
	require.Regexp(t, `^stage Deploy of web: disabled by ann at [-0-9: ]+: freeze\nin front of it: web#3\n`+
		`enable it with: headrace transition enable web Deploy --account default\n$`, text)
	request := sent[*headracev1.SetStageTransitionRequest](t, f, "SetStageTransition")
	require.True(t, proto.Equal(&headracev1.SetStageTransitionRequest{Pipeline: web, Stage: "Deploy", Reason: "freeze"}, request), "%v", request)
	require.Regexp(t, `^stage Deploy of web: enabled by ann at [-0-9: ]+\n`, f.said(t, "transition", "enable", "web", "Deploy"))
	require.True(t, sent[*headracev1.SetStageTransitionRequest](t, f, "SetStageTransition").GetEnabled())
}

func TestPipelineState(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	f.state = &headracev1.PipelineState{
		Name: web, PipelineVersion: 4, ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_QUEUED,
		Stages: []*headracev1.StageState{
			{Stage: "Source", Transition: &headracev1.StageTransition{Enabled: true}, LatestSucceededExecution: runName},
			{
				Stage: "Deploy", CurrentExecution: oldName, LatestSucceededExecution: oldName, InboundExecutions: []string{runName, web + "/executions/gone"},
				Transition: &headracev1.StageTransition{DisabledReason: "freeze\x1b[2J", Principal: "ann", ChangeTime: at(0)},
			},
		},
	}
	text := f.said(t, "pipeline", "state", "web")
	require.Contains(t, text, "web  version 4  QUEUED\n")
	require.Regexp(t, `(?m)^STAGE +TRANSITION +INSIDE +WAITING +ROLLBACK TARGET$`, text)
	require.Regexp(t, `(?m)^Source +enabled +- +- +-$`, text)
	require.Regexp(t, `(?m)^Deploy +disabled by ann at [-0-9: ]+: freeze\[2J +web#1 +web#3, `+web+`/executions/gone +web#1$`, text)

	f.state = &headracev1.PipelineState{Name: web, ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL}
	require.Contains(t, f.said(t, "pipeline", "state", "web"), "headrace execution list web --status InProgress\n")
}

func TestPipelineStateSaysWhoWaitsForWhat(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	f.state = &headracev1.PipelineState{
		Name: web, PipelineVersion: 4, ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_QUEUED,
		Stages: []*headracev1.StageState{
			{Stage: "Source", Transition: &headracev1.StageTransition{Enabled: true}},
			{
				Stage: "Deploy", Transition: &headracev1.StageTransition{Enabled: true}, CurrentExecution: oldName, InboundExecutions: []string{runName},
				Holder:  &headracev1.StageOccupant{Execution: oldName, Number: 1, Since: at(0), Principal: "ann", Stopping: true},
				Waiting: []*headracev1.StageOccupant{{Execution: runName, Number: 3, Since: at(60), Principal: "eve\x1b[2J"}},
				Gates: []*headracev1.StageGate{
					{Kind: headracev1.StageGateKind_STAGE_GATE_KIND_APPROVAL, Approvals: []*headracev1.StageGateApproval{
						{Rule: "two", MinimumCount: 3, ApprovedCount: 2}, {Rule: "ops", MinimumCount: 1},
					}, Execution: oldName, ExecutionNumber: 1, Since: at(0), Until: at(60)},
					{Kind: headracev1.StageGateKind_STAGE_GATE_KIND_WINDOW, Rule: "Night", Condition: "before_entry"},
					{Kind: headracev1.StageGateKind_STAGE_GATE_KIND_APPROVAL, Action: "Sign", Approvals: []*headracev1.StageGateApproval{{MinimumCount: 1}}},
				},
			},
		},
	}
	text := f.said(t, "pipeline", "state", "web")
	require.NotContains(t, text, "\nSource\n")
	require.Regexp(t, `(?m)^Deploy\n`+
		`  #1 inside for \S+, started by ann, is being stopped\n`+
		`  #3 waiting in position 1 for \S+, started by eve\[2J\n`+
		`  approval of the entry: 2 of 3 for rule two, 0 of 1 for rule ops; #1 waits for \S+, until [-0-9: ]+\n`+
		`  window Night of before_entry\n`+
		`  approval Sign: 0 of 1\n$`, text)
}

func TestExecutionListFilters(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	f.said(t, "execution", "list", "web", "--by", "ann", "--revision", "9fceb02d", "--trigger-type", "WebhookV2,Webhook",
		"--from", "2027-01-31", "--to", "2027-02-01T08:00:00+01:00")
	request := sent[*headracev1.ListExecutionsRequest](t, f, "ListExecutions")
	require.Equal(t, "ann", request.GetPrincipal())
	require.Equal(t, "9fceb02d", request.GetRevision())
	require.Equal(t, []string{"WebhookV2", "Webhook"}, request.GetTriggerTypes())
	require.Equal(t, time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC), request.GetStartTimeFrom().AsTime())
	require.Equal(t, time.Date(2027, 2, 1, 7, 0, 0, 0, time.UTC), request.GetStartTimeTo().AsTime())
	got := f.run(t, "execution", "list", "--from", "yesterday")
	require.Equal(t, cli.ExitUsage, got.code)
	require.Contains(t, got.stderr, `--from is "yesterday": use a time`)
}

func TestRollbackIsShownAsOne(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.waits()
	e := f.executions[0]
	e.Trigger = &headracev1.ExecutionTrigger{Type: "AutomatedRollback"}
	e.Rollback = &headracev1.RollbackMetadata{TargetExecution: oldName, TargetNumber: 1}
	require.Contains(t, f.said(t, "explain", "web"), "  rollback of stage "+e.GetStages()[len(e.GetStages())-1].GetStage()+" to web#1, started by the failure of a stage\n")
	require.Regexp(t, `(?m)^web#3 .* automatic .*rollback to web#1`, f.said(t, "execution", "list", "web"))
}

func TestEventsAreFoundInWatch(t *testing.T) {
	t.Parallel()
	got := newFake(t).run(t, "events")
	require.Equal(t, cli.ExitUsage, got.code)
	require.Contains(t, got.stderr, "Did you mean this?\n\texecution\n")
}

func TestConditionsAreShown(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.conditioned()
	show := f.said(t, "execution", "show", "web")
	place := -1
	for _, want := range []string{
		"Attempt    2\n",
		"✗ web#3  Failed  12s  attempt 2",
		"  ✓ Build                       Succeeded   11s     retried 1 by hand\n",
		"    ✗ Compile (attempt 2, retried)  Failed ",
		"    ✓ Compile                   Succeeded   6s\n",
		"    ✓ on-success condition      Overridden  0s      by ann: coverage is fine\n",
		"  ○ Canary                      Skipped     0s\n",
		"    ✗ before-entry condition    Failed      0s      rule Size was not met\n",
		"      ✗ Size VariableCheck      Failed      0s      M is not XL\n",
		"  ✗ Deploy ",
		"      ✗ Smoke Commands          Failed      2s      JobFailed: ./smoke exited with 1\n",
	} {
		at := strings.Index(show, want)
		require.Greater(t, at, place, "%q in\n%s", want, show)
		place = at
	}
	require.Equal(t, `web#3  Failed in 12s: the before-entry condition of stage Deploy was not met
  Deploy/before-entry/Smoke failed with JobFailed: ./smoke exited with 1
    its log: headrace logs web#3 Deploy/before-entry/Smoke
  Deploy/before-entry/Region was not met: eu is not us
  retry it with: headrace execution retry web#3 --all-actions
  or continue without the condition: headrace execution override web#3 --stage Deploy --condition before-entry --reason "..."
`, f.said(t, "explain", "web"))

	for word, want := range map[string]string{
		"Smoke": "no smoke\n", "Deploy/Smoke": "no smoke\n", "Deploy/before-entry/Smoke": "no smoke\n",
		"Compile": "compiling again\n", "Build/Compile": "compiling again\n",
	} {
		require.Equal(t, want, f.said(t, "logs", "web", word))
	}
	// The header begins a line, also after a log without a newline at its end.
	f.logs["a4"] = "compiling again"
	require.Contains(t, f.said(t, "logs", "web"), "==> Build/Compile (retried)\ncompiling\nok\n"+
		"==> Build/Compile\ncompiling again\n==> Deploy/before-entry/Smoke\nno smoke\n")
}

// Work in another service is named below its action or rule, without what would reach the
// terminal.
func TestWorkElsewhereIsNamed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.conditioned()
	stages := f.executions[0].GetStages()
	compile := stages[1].GetActions()[2]
	compile.ExternalExecutionId, compile.ExternalExecutionUrl = "web:7\x1b[2J", "https://builds.example.com/7"
	smoke := stages[len(stages)-1].GetConditions()[0].GetRules()[0]
	smoke.ExternalExecutionUrl = "https://alarms.example.com/smoke"
	show := f.said(t, "execution", "show", "web")
	require.Contains(t, show, "    ✓ Compile                   Succeeded   6s\n      runs as web:7[2J  https://builds.example.com/7\n")
	require.Contains(t, show, "      ✗ Smoke Commands          Failed      2s      JobFailed: ./smoke exited with 1\n"+
		"        runs as https://alarms.example.com/smoke\n      ✗ Region ")
	require.Equal(t, 2, strings.Count(show, "runs as "))
}

func TestExplainPrintsATree(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.queued()
	require.Regexp(t, `^web#3  InProgress
  Approve: waits for stage Approve, which execution 1 is in \(for 1m0s\)
    behind web#1
      Approve/Approve: 1 of 1 approvals is missing \(for 1m0s\)
        version 2
        rule prod: 0 of 1 from alice, bob, with a comment, not by the starter
        may still approve: alice; not bob
        zoe approved at [-0-9: ]+: fine
        deadline: [-0-9: ]+ \(in 59m0s\)
        approve with: headrace approve web#1 --stage Approve --action Approve --approval a4 --comment "..."
  Deploy: the transition into stage Deploy is disabled \(for 1m0s\)
    enable it with: headrace transition enable web Deploy
  Deploy/before-entry/Night: the deployment window is closed \(for 1m0s, until [-0-9: ]+\)
    continue without it: headrace execution override web#3 --stage Deploy --condition before-entry --reason "..."
$`, f.said(t, "explain", "web"))

	var explained struct {
		Reasons []struct {
			QueuePosition int
			Causes        []struct{ Kind string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(f.said(t, "explain", "web", "-o", "json")), &explained))
	require.Equal(t, 2, explained.Reasons[0].QueuePosition)
	require.Equal(t, "WAIT_KIND_APPROVAL", explained.Reasons[0].Causes[0].Kind)
}

// Without a step that the caller can take, explain says who can.
func TestExplainSaysWhichRolesEndAWait(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.queued()
	f.reasons[1].Ender = &headracev1.WaitEnder{Roles: []headracev1.Role{headracev1.Role_ROLE_DEPLOYER, headracev1.Role_ROLE_ADMIN}, Anyone: true}
	const line = "  people with the role deployer or admin can end it\n"
	require.NotContains(t, f.said(t, "explain", "web"), line)
	f.steps[runName] = nil
	require.Contains(t, f.said(t, "explain", "web"), "the transition into stage Deploy is disabled (for 1m0s)\n  "+line)
}

func TestWatchTellsConditionsAndAttempts(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.conditioned()
	condition := &headracev1.Event{
		Position: 6, EventTime: at(12), Subject: headracev1.EventSubject_EVENT_SUBJECT_CONDITION, State: "OVERRIDDEN", Stage: "Deploy",
		Condition: headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY, Principal: "ann", Message: "urgent",
	}
	resumed := &headracev1.Event{
		Position: 7, EventTime: at(12), Subject: headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION, State: "RESUMED",
		ExecutionAttempt: 2, PipelineVersion: 4, StartTime: at(0),
		ActionType:      &headracev1.ActionTypeId{Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1"},
		ExecutionResult: &headracev1.ActionExecutionResult{ErrorCode: "JobFailed"},
	}
	f.events = append(f.events, condition, resumed)
	got := f.run(t, "execution", "watch", "web")
	require.Contains(t, got.stdout, "  OVERRIDDEN  Deploy/before-entry       by ann  urgent\n")
	require.Contains(t, got.stdout, "  RESUMED     web#3 (attempt 2)\n")

	got = f.run(t, "execution", "watch", "web", "-o", "json")
	lines := strings.Split(got.stdout, "\n")
	for i, want := range f.events {
		told := &headracev1.WatchExecutionResponse{}
		require.NoError(t, protojson.Unmarshal([]byte(lines[i]), told))
		require.True(t, proto.Equal(want, told.GetEvent()), "no field is lost: %s", lines[i])
	}
}
