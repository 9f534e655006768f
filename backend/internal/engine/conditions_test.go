package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	run(t, twice([]script{
		{
			name: "before the entry, inside of the lock", pipeline: "A (before v=x fail): a",
			steps: []string{
				"start ann v=x => 1 InProgress A^+(a…)", "start ann v=y => 1 InProgress A^+(a…) | 2 InProgress A?",
				"ok 1 a => 1 Succeeded A^+(a+)+ | 2 Failed A^!!",
			},
		},
		{
			name: "SKIP goes on", pipeline: "A: a | B (before v=x skip): b | C (before v=x skip): c",
			steps: []string{
				"start ann v=x => ", "start ann v=y => ", "ok 1 a => 1 InProgress A(a+)+ B^+(b…) | 2 InProgress A(a…)", "ok 1 b => ",
				"ok 2 a => 1 InProgress A(a+)+ B^+(b+)+ C^+(c…) | 2 InProgress A(a+)+ B^!> C?",
				"ok 1 c => 1 Succeeded A(a+)+ B^+(b+)+ C^+(c+)+ | 2 Succeeded A(a+)+ B^!> C^!>",
			},
		},
		{
			name: "what cannot be checked fails the stage, SKIP or not", pipeline: "A: a | B (before v=x skip): b | C: c",
			steps: []string{"start ann => ", "ok 1 a => 1 Failed A(a+)+ B^E!", `override 1 B before-entry "x => refused: cannot be overridden`},
		},
		{
			name: "an unknown provider cannot be checked", pipeline: "A (before nobody fail): a",
			steps: []string{"start ann => 1 Failed A^E!", `override 1 A before-entry "x => 1' InProgress A^o(a…)`},
		},
		{
			name: "commands", pipeline: "A (before $probe v=x fail, success $after fail): a",
			steps: []string{
				"start ann v=x => 1 InProgress A^…", "ok 1 probe => 1 InProgress A^+(a…)", "ok 1 a => 1 InProgress A^+$…(a+)",
				"fail 1 after => 1 Failed A^+$!(a+)!", "ok 1 after => 1 Failed A^+$!(a+)!",
				"retry 1 => refused: cannot be retried", "retry 1 all => 1' InProgress A^+$!^…(a+*)",
				"fail 1 probe#1 => 1' InProgress A^+$!^…(a+*)", "broken 1 probe => 1' Failed A^+$!^E(a+*)!",
			},
		},
		{
			name: "the runner of a rule is lost", pipeline: "A (before $probe fail): a",
			steps: []string{"start ann => ", "lost 1 probe => 1 Failed A^E!"},
		},
		{
			name: "a window: Sunday in March, eleven o'clock UTC", pipeline: "A (before w9-17 fail): a",
			steps: []string{
				"start ann => 1 InProgress A^…", "start ann => 1 InProgress A^… | 2 InProgress A?", "recheck 1 => 1 InProgress A^… | 2 InProgress A?",
				"wait 21h59m => ", "recheck 1 => 1 InProgress A^… | 2 InProgress A?", "wait 1m => ",
				"recheck 1 => 1 InProgress A^+(a…) | 2 InProgress A?", "recheck 1 => 1 InProgress A^+(a…) | 2 InProgress A?",
			},
		},
		{
			name: "all windows at the same minute, then the rest", pipeline: "A (before w9-17 w16-20 v=x fail): a",
			steps: []string{
				"start ann v=x => ", "wait 22h => ", "recheck 1 => 1 InProgress A^…", "wait 7h => ", "recheck 1 => 1 InProgress A^+(a…)",
			},
		},
		{
			name: "a window that does not open in time, or never", pipeline: "A (before w9-17/600 fail): a | B (before never fail): b",
			steps: []string{
				"start ann => ", "wait 10h => ", "recheck 1 => 1 Failed A^!!",
				"override 1 A before-entry \"now => 1' InProgress A^o(a…)", "ok 1 a => 1' Failed A^o(a+)+ B^!!",
			},
		},
		{
			name: "stop ends a wait for a window", pipeline: "A (before w9-17 fail): a",
			steps: []string{
				"start ann => ", "stop 1 bob => 1 Stopped A^x-", "recheck 1 => 1 Stopped A^x-",
				"retry 1 => 1' InProgress A^x^…", "abandon 1 bob => 1' Stopped A^x^~-",
			},
		},
		{
			name: "stop lets commands of a rule finish", pipeline: "A (before $probe fail): a",
			steps: []string{
				"start ann => ", "stop 1 bob => 1 Stopping A^…/", "ok 1 probe => 1 Stopped A^x-",
				"retry 1 all => 1' InProgress A^x^…", "abandon 1 bob => 1' Stopped A^x^~-", "ok 1 probe => 1' Stopped A^x^~-",
			},
		},
		{
			name: "a retry checks again before the entry, one by itself does not", pipeline: "A (before v=x fail, failure retry): a",
			steps: []string{
				"start ann v=x => ", "fail 1 a => 1 InProgress A^+(a!* a…)", "fail 1 a => 1 Failed A^+(a!* a!)!",
				"retry 1 => 1' InProgress A^+^+(a!* a!* a…)",
			},
		},
	}))
}

func TestOverride(t *testing.T) {
	t.Parallel()
	run(t, twice([]script{
		{
			name: "of a condition before the entry", pipeline: "A (before v=x fail): a | B: b",
			steps: []string{
				"start ann v=y => 1 Failed A^!!", `override 1 A on-success "x => refused: cannot be overridden`,
				`override 1 B before-entry "x => refused: cannot be overridden`, `override 1 X before-entry "x => refused: no such stage`,
				"override 1 A before-entry \"x => 1' InProgress A^o(a…)", `override 1 A before-entry "x => refused: cannot be overridden`,
				"ok 1 a => 1' InProgress A^o(a+)+ B(b…)",
			},
		},
		{
			name: "of one that waits for a window", pipeline: "A (before w9-17 fail): a",
			steps: []string{"start ann => ", `override 1 A before-entry "now => 1 InProgress A^o(a…)`, "recheck 1 => 1 InProgress A^o(a…)"},
		},
		{
			name: "of one on success", pipeline: "A (success v=x fail): a",
			steps: []string{"start ann v=y => ", "ok 1 a => 1 Failed A$!(a+)!", "override 1 A on-success \"x => 1' Succeeded A$o(a+)+"},
		},
		{
			name: "not of one on failure, not of one that was met", pipeline: "A (before v=x fail, failure v=x fail): a",
			steps: []string{
				"start ann v=x => ", "fail 1 a => 1 Failed A^+%+(a!)!", `override 1 A on-failure "x => refused: cannot be overridden`,
				`override 1 A before-entry "x => refused: cannot be overridden`,
			},
		},
		{
			name: "not once another execution has entered", pipeline: "A (before v=x fail): a",
			steps: []string{
				"start ann v=y => ", "start ann v=x => 1 Failed A^!! | 2 InProgress A^+(a…)", `override 1 A before-entry "x => refused: later execution`,
			},
		},
		{
			name: "not while it is stopped or cancelled", pipeline: "A (before $probe fail): a",
			steps: []string{
				"start ann => ", "stop 1 ann => 1 Stopping A^…/", `override 1 A before-entry "x => refused: cannot be overridden`, "ok 1 probe => ",
				"retry 1 all => 1' InProgress A^x^…", "publish cancel A: a => ", `override 1 A before-entry "x => refused: cannot be overridden`,
			},
		},
		{
			name: "not of one that was stopped", pipeline: "A (before w9-17 fail): a",
			steps: []string{"start ann => ", "stop 1 ann => 1 Stopped A^x-", `override 1 A before-entry "x => refused: cannot be overridden`},
		},
		{
			name: "another version does not matter", pipeline: "A (before v=x fail): a",
			steps: []string{"start ann v=y => ", "publish A: a => ", "override 1 A before-entry \"x => 1' InProgress A^o(a…)"},
		},
	}))
}

func TestRuleThatRunsIsAnAttempt(t *testing.T) {
	t.Parallel()
	def := define("A: a | B (before $probe fail): b")
	rule := &def.Stages[1].BeforeEntry.Rules[0]
	rule.InputArtifacts = []string{"out-a"}
	rule.EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "K", Value: "#{n-a.k}"}}
	w := newWorld(t, def)
	e := w.start("ann", nil)
	require.NoError(t, w.step("ok 1 a"))
	id := w.rule(e, "probe").ID
	attempt := w.model.leases[id].Attempt
	require.Equal(t, action.Scope{
		Account: "default", Pipeline: "web", PipelineVersion: 1, ExecutionID: e.ID, Stage: "B", ActionExecutionID: id,
	}, attempt.Scope)
	require.Equal(t, pipeline.TypeID{Category: pipeline.CategoryRule, Owner: pipeline.Owner, Provider: "Commands", Version: "1"}, attempt.Action.TypeID())
	require.Equal(t, "probe", attempt.Action.Name)
	require.Equal(t, []string{"true"}, attempt.Action.Commands)
	require.Equal(t, []pipeline.EnvironmentVariable{{Name: "K", Value: "a"}}, attempt.Action.EnvironmentVariables)
	require.Equal(t, []action.Artifact{{Name: "out-a"}}, attempt.Inputs)
	require.Equal(t, time.Hour, attempt.Timeout)
	require.Equal(t, 1, attempt.Number)
	for _, dead := range []int{0, 2} {
		w.must(e.Scope(), engine.Finish{ExecutionID: e.ID, ActionExecutionID: id, Attempt: dead})
		w.must(e.Scope(), engine.Lost{ExecutionID: e.ID, ActionExecutionID: id, Attempt: dead})
	}
	require.Equal(t, "1 InProgress A(a+)+ B^…", w.state())
}

func TestOverrideIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A (before v=x fail): a"))
	w.start("ann", map[string]string{"v": "y"})
	require.NoError(t, w.step(`override 1 A before-entry "fire`))
	c := w.execution(1).Current().Conditions[0]
	require.Equal(t, &execution.Override{Principal: "ann", Reason: "fire", At: w.now.UTC().Truncate(time.Microsecond)}, c.Override)
	require.False(t, c.EndedAt.IsZero())
	for _, ev := range w.model.events {
		if ev.State == execution.EventOverridden {
			require.Equal(t, "ann", ev.Principal)
			require.Equal(t, "fire", ev.Message)
			return
		}
	}
	require.Fail(t, "nobody was told")
}

// A condition that nobody decides any more says who ended its execution, and how.
func TestConditionThatIsCutShortSaysWhy(t *testing.T) {
	t.Parallel()
	for step, want := range map[string]string{"publish cancel A: a": "cancelled by ann with version 2", "stop 1 bob": "stopped by bob: because"} {
		w := newWorld(t, define("A (before $c fail): a"))
		w.start("ann", nil)
		require.NoError(t, w.step(step))
		require.NoError(t, w.step("ok 1 c"))
		require.Equal(t, want, w.execution(1).Stages[0].Conditions[0].Summary)
	}
}

func TestExplainDoorsAndConditions(t *testing.T) {
	t.Parallel()
	def := define("A (before w9-17/60 fail): a | B (before $probe fail): b")
	def.ExecutionMode = pipeline.Queued
	w := newWorld(t, def)
	w.start("ann", nil)
	explain := func(id string) []engine.Reason {
		return engine.Explain(w.memory[w.scope()], id, engine.Work{Leases: w.model.leases, Turns: w.model.turns}, w.now)
	}
	reasons := explain("e1")
	require.Len(t, reasons, 1)
	require.Equal(t, engine.WaitWindow, reasons[0].Kind)
	require.Equal(t, "r0", reasons[0].Rule)
	require.Equal(t, pipeline.ConditionBeforeEntry, reasons[0].Condition)
	require.Equal(t, w.now.UTC().Truncate(time.Microsecond).Add(time.Hour), reasons[0].Until, "it fails before the window opens")

	w.start("ann", nil)
	w.start("ann", nil)
	require.NoError(t, w.step(`disable A "freeze`))
	reasons = explain("e3")
	require.Len(t, reasons, 2)
	require.Equal(t, engine.WaitTransition, reasons[0].Kind)
	require.Equal(t, "freeze", reasons[0].Transition.Reason)
	require.Equal(t, 2, reasons[0].Place)
	require.Equal(t, engine.WaitLock, reasons[1].Kind)
	require.Equal(t, "e1", reasons[1].BlockingExecution)
	require.Equal(t, engine.WaitWindow, reasons[1].Causes[0].Kind)

	require.NoError(t, w.step(`override 1 A before-entry "now`))
	require.NoError(t, w.step("ok 1 a"))
	reasons = explain("e1")
	require.Equal(t, engine.WaitRunner, reasons[0].Kind)
	require.Equal(t, "probe", reasons[0].Rule)
	w.model.leases[w.rule(w.execution(1), "probe").ID].Runner = "r1"
	require.Equal(t, engine.WaitRule, explain("e1")[0].Kind)
	require.NoError(t, w.step("publish cancel A: a"))
	require.Equal(t, engine.WaitCancelling, explain("e1")[0].Kind)
}

// A condition that waits for windows is looked at when the last of them opens, or
// when the first rule gives up.
func TestWindowsAreRecheckedInTime(t *testing.T) {
	t.Parallel()
	monday := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for rules, due := range map[string]time.Time{
		"w9-17":             monday.Add(9 * time.Hour),
		"w9-17 w16-20":      monday.Add(16 * time.Hour),
		"w9-17 w16-20/600":  time.Date(2026, 3, 1, 21, 0, 0, 123456000, time.UTC),
		"w9-17/1320 w16-20": time.Date(2026, 3, 2, 9, 0, 0, 123456000, time.UTC),
	} {
		w := newWorld(t, define("A (before "+rules+" fail): a"))
		e := w.start("ann", nil)
		turn := w.model.turns[entry(e)]
		require.Equal(t, due, turn.DueAt, rules)
		require.Equal(t, execution.TurnRecheck, turn.Kind)
	}
}
