package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestTurns(t *testing.T) {
	t.Parallel()
	run(t, twice([]script{
		{
			name: "answered again until its timeout", pipeline: "A: ~a; b",
			steps: []string{
				"start ann => ", "again 1 a => 1 InProgress A(a…)", "wait 59m => ", "again 1 a => 1 InProgress A(a…)",
				"wait 1m => ", "again 1 a => 1 Failed A(a!)!",
			},
		},
		{
			name: "only an answer ends it, however long ago its deadline is", pipeline: "A: ~a",
			steps: []string{"start ann => ", "wait 100h => ", "expire 1 a => 1 InProgress A(a…)", "again 1 a => 1 Failed A(a!)!"},
		},
		{
			name: "a result that comes after the deadline counts", pipeline: "A: ~a",
			steps: []string{"start ann => ", "wait 2h => ", "ok 1 a => 1 Succeeded A(a+)+"},
		},
		{
			name: "a timeout is retried as any failure is", pipeline: "A (failure retry): ~a",
			steps: []string{
				"start ann => ", "wait 1h => ", "again 1 a => 1 InProgress A(a!* a…)", "again 1 a => ", "ok 1 a => 1 Succeeded A(a!* a+)+",
			},
		},
		{
			name: "while it stops it still times out", pipeline: "A: ~a; b",
			steps: []string{"start ann => ", "stop 1 bob => 1 Stopping A(a…)/", "wait 1h => ", "again 1 a => 1 Stopped A(a!)-"},
		},
		{
			name: "late answers of abandoned work", pipeline: "A: ~a",
			steps: []string{
				"start ann => ", "again 1 a => ", "abandon 1 bob => 1 Stopped A(a~)-",
				"again 1 a => 1 Stopped A(a~)-", "ok 1 a => 1 Stopped A(a~)-", "fail 1 a => 1 Stopped A(a~)-", "expire 1 a => 1 Stopped A(a~)-",
			},
		},
		{
			name: "an update that cancels waits for attempts alone", pipeline: "A: a ~b; c | B: d",
			steps: []string{
				"start ann => ", "again 1 b => ", "publish cancel A: a ~b => 1 InProgress A(a… b~)", "ok 1 b => 1 InProgress A(a… b~)",
				"ok 1 a => 1 Cancelled A(a+ b~)x",
			},
		},
		{
			name: "an update that cancels ends work in turns that stops", pipeline: "A: ~a; b",
			steps: []string{"start ann => ", "stop 1 bob => 1 Stopping A(a…)/", "publish cancel A: ~a => 1 Stopped A(a~)-"},
		},
		{
			name: "an executor that did not answer", pipeline: "A: ~a",
			steps: []string{"start ann => ", "again 1 a => ", "unanswered 1 a => 1 Failed A(a!)!"},
		},
		{
			name: "an earlier try of an action that a retry replaced", pipeline: "A (failure retry): ~a",
			steps: []string{"start ann => ", "fail 1 a => 1 InProgress A(a!* a…)", "again 1 a#1 => 1 InProgress A(a!* a…)", "ok 1 a => 1 Succeeded A(a!* a+)+"},
		},
	}))
}

// What is abandoned is told with the state that the executor told of last.
func TestAbandonTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: ~a"))
	e := w.start("ann", nil)
	id := w.action(e, "a").ID
	in := w.again(e, "a", action.Again{State: []byte("build 7"), Delay: time.Minute})
	w.must(e.Scope(), in)
	began := w.now
	require.NoError(t, w.step("abandon 1 bob"))
	turn := w.model.abandons[execution.AbandonTurnID(id)]
	require.Equal(t, "build 7", string(turn.Work.State))
	require.Equal(t, "A", turn.Work.Stage)
	require.Equal(t, typeTurn, turn.Work.Action.TypeID())
	require.True(t, turn.DueAt.Equal(began.Truncate(time.Microsecond)), "at once")
	require.Zero(t, turn.Abandon.Tries)

	// One that was under way tells of what the first abandon did not know.
	w.now = w.now.Add(time.Second)
	w.must(e.Scope(), w.again(e, "a", action.Again{State: []byte("build 8")}))
	late := w.model.abandons[execution.LateAbandonTurnID(id)]
	require.Equal(t, "build 8", string(late.Work.State))
	require.Equal(t, "build 7", string(turn.Work.State))
	require.Equal(t, pipeline.Stopped, e.Status)
}

// A newer server may refuse a value that an older one began the work with. The work is then
// abandoned as it began.
func TestWorkThatCannotGoOnIsAbandoned(t *testing.T) {
	t.Parallel()
	def := define("A: ~a")
	def.Stages[0].Actions[0].Configuration = map[string]string{"Url": "#{variables.url}"}
	w := newWorld(t, def)
	e := w.start("ann", map[string]string{"url": "http://old"})
	in := w.again(e, "a", action.Again{State: []byte("build 7")})
	scope := w.newScope(e.Scope())
	stricter, _ := catalog.Lookup(typeTurn)
	stricter.Properties = []pipeline.Property{{Name: "Url", Check: func(string) error { return errors.New("http is refused") }}}
	scope.Catalog = pipeline.NewCatalog(stricter)
	change, err := engine.Decide(scope, in, w.now)
	require.NoError(t, err)
	require.Contains(t, change.Actions[0].Details.Failure.Message, "http is refused")
	require.Len(t, change.Turns, 1)
	require.Equal(t, execution.TurnAbandon, change.Turns[0].Kind)
	require.Equal(t, "build 7", string(change.Turns[0].Work.State))
	require.Equal(t, map[string]string{"Url": "http://old"}, change.Turns[0].Work.Action.Configuration)
}

// Work in turns ends, also if its type declares no timeout.
func TestTypeWithoutATimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: ~a"))
	e := w.fresh("ann")
	e.Version, e.Mode, e.Type = 1, w.versions[0].Mode(), pipeline.TypeStandard
	scope := w.newScope(e.Scope())
	scope.Catalog = pipeline.NewCatalog(pipeline.Type{ID: typeTurn, Work: pipeline.WorkTurn})
	change, err := engine.Decide(scope, engine.Start{Execution: e}, w.now)
	require.NoError(t, err)
	require.WithinDuration(t, w.now.Add(time.Hour), change.Turns[0].Work.Deadline, time.Millisecond)
}

func TestWorkElsewhereIsNamedWhileItRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: ~a"))
	e := w.start("ann", nil)
	again := func(a action.Again) *execution.Change {
		a.Delay = time.Minute
		return w.must(e.Scope(), w.again(e, "a", a))
	}
	require.Empty(t, again(action.Again{}).Actions, "nothing new, nothing to write")
	change := again(action.Again{ExternalID: "build-7", ExternalURL: "https://x/7", Summary: "phase INSTALL"})
	require.Len(t, change.Actions, 1)
	require.Len(t, change.Events, 1)
	require.Equal(t, execution.EventLinked, change.Events[0].State)
	require.Equal(t, "build-7 https://x/7", change.Events[0].Message)
	require.Empty(t, again(action.Again{ExternalID: "build-7"}).Actions, "it is known")
	change = again(action.Again{Summary: "phase BUILD"})
	require.Len(t, change.Actions, 1)
	require.Empty(t, change.Events)
	details := w.action(e, "a").Details
	require.Equal(t, "build-7", details.ExternalID)
	require.Equal(t, "https://x/7", details.ExternalURL)
	require.Equal(t, "phase BUILD", details.Summary)
	reasons := engine.Explain(w.memory[e.Scope()], e.ID, engine.Work{Leases: w.model.leases, Turns: w.model.turns}, w.now)
	require.Contains(t, reasons[0].Message, " (build-7 https://x/7) is checked again at 2026-03-01T11:01:00Z; it times out at 2026-03-01T12:00:00Z")
	require.NoError(t, w.step("ok 1 a"))
	require.Equal(t, "build-7", w.action(e, "a").Details.ExternalID, "a result that names nothing leaves it")
}

// The next look is never after the deadline, however long the executor wants to wait.
func TestNoLookAfterTheDeadline(t *testing.T) {
	t.Parallel()
	def := define("A: ~a")
	def.Stages[0].Actions[0].TimeoutInMinutes = 1
	w := newWorld(t, def)
	e := w.start("ann", nil)
	w.must(e.Scope(), w.again(e, "a", action.Again{Delay: time.Hour}))
	turn := w.model.turns[w.action(e, "a").ID]
	require.True(t, turn.DueAt.Equal(e.StartedAt.Add(time.Minute)), "%s", turn.DueAt)
	require.True(t, turn.Work.Deadline.Equal(turn.DueAt))
	w.now = turn.DueAt
	require.NoError(t, w.step("again 1 a"))
	failure := w.action(e, "a").Details.Failure
	require.Equal(t, action.TimedOut, failure.Code)
	require.Contains(t, failure.Message, "its timeout of 1m0s; its work is abandoned")
}

func TestRulesInTurns(t *testing.T) {
	t.Parallel()
	run(t, twice([]script{
		{
			name: "a condition waits for the service", pipeline: "A (before ~p fail): a",
			steps: []string{
				"start ann => 1 InProgress A^…", "again 1 p => 1 InProgress A^…", "wait 59m => ", "again 1 p => 1 InProgress A^…",
				"ok 1 p => 1 InProgress A^+(a…)", "fail 1 p => 1 InProgress A^+(a…)",
			},
		},
		{
			name: "not met", pipeline: "A (before ~p skip): a | B: b",
			steps: []string{"start ann => ", "fail 1 p => 1 InProgress A^!> B(b…)"},
		},
		{
			name: "times out, which is not met", pipeline: "A (before ~p fail): a",
			steps: []string{"start ann => ", "again 1 p => ", "wait 1h => ", "again 1 p => 1 Failed A^!!"},
		},
		{
			name: "a result that comes after the deadline counts", pipeline: "A (before ~p fail): a",
			steps: []string{"start ann => ", "wait 100h => ", "expire 1 p => 1 InProgress A^…", "ok 1 p => 1 InProgress A^+(a…)"},
		},
		{
			name: "an executor that did not answer could not check it", pipeline: "A (before ~p fail): a",
			steps: []string{"start ann => ", "unanswered 1 p => 1 Failed A^E!"},
		},
		{
			name: "overridden while it runs", pipeline: "A (before ~p fail): a",
			steps: []string{`start ann => `, `again 1 p => `, `override 1 A before-entry "now => 1 InProgress A^o(a…)`, `again 1 p => 1 InProgress A^o(a…)`},
		},
		{
			name: "a stop waits for it, abandon does not", pipeline: "A (before ~p fail): a",
			steps: []string{"start ann => ", "stop 1 bob => 1 Stopping A^…/", "abandon 1 bob => 1 Stopped A^~-", "ok 1 p => 1 Stopped A^~-"},
		},
		{
			name: "an update that cancels does not wait for it", pipeline: "A (before ~p fail): a",
			steps: []string{"start ann => ", "publish cancel A: a => 1 Cancelled A^xx"},
		},
	}))
}

func TestRuleElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A (before ~p fail): a"))
	e := w.start("ann", nil)
	w.must(e.Scope(), w.again(e, "p", action.Again{State: []byte("s"), Delay: time.Minute, ExternalID: "alarm-1"}))
	require.Equal(t, "alarm-1", w.rule(e, "p").ExternalID)
	reasons := engine.Explain(w.memory[e.Scope()], e.ID, engine.Work{Leases: w.model.leases, Turns: w.model.turns}, w.now)
	require.Len(t, reasons, 1)
	require.Equal(t, engine.WaitRule, reasons[0].Kind)
	require.Equal(t, "rule p of condition before_entry of stage A (alarm-1) is checked again at 2026-03-01T11:01:00Z; it times out at 2026-03-01T12:00:00Z",
		reasons[0].Message)
	require.NoError(t, w.step("abandon 1 bob"))
	id := w.rule(e, "p").ID
	require.Equal(t, []string{execution.AbandonTurnID(id), execution.LateAbandonTurnID(id)}, engine.AbandonTurns(e))
	pending := w.model.abandons[execution.AbandonTurnID(id)]
	require.Equal(t, typePoll, pending.Work.Action.TypeID())
	pending.Abandon.Tries, pending.Abandon.Error = 1, "no answer"
	require.Equal(t, []string{"the service has not confirmed that rule p of stage A (alarm-1) was abandoned: no answer; next try at 2026-03-01T11:00:00Z"},
		engine.Unconfirmed(e, []*execution.Turn{pending}))
}

// An action whose type is decided at once ends in the decision that starts it.
func TestActionsThatTheEngineDecides(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"x": "1 InProgress A(now+) B(b…)", "y": `1 Failed A(now!)!`,
	} {
		def := define("A: a | B: b")
		id := typeNow
		def.Stages[0].Actions[0] = pipeline.Action{
			Name: "now", Category: id.Category, Owner: id.Owner, Provider: id.Provider, Version: id.Version,
			Configuration: map[string]string{"v": "#{variables.v}"},
		}
		w := newWorld(t, def)
		w.start("ann", map[string]string{"v": value})
		require.Equal(t, want, strings.Replace(w.state(), "A(now+)+", "A(now+)", 1))
	}
}
