package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestStop(t *testing.T) {
	t.Parallel()
	run(t, []script{
		{
			name: "running actions finish, nothing new starts", pipeline: "A: a ~b; c | B: d",
			steps: []string{
				"start ann => ", "stop 1 bob => 1 Stopping A(a… b…)/", "again 1 b => 1 Stopping A(a… b…)/",
				"ok 1 a => 1 Stopping A(a+ b…)/", "ok 1 b => 1 Stopped A(a+ b+)-",
			},
		},
		{
			name: "a failure while it stops is still a stop", pipeline: "A: a; b",
			steps: []string{"start ann => ", "stop 1 bob => ", "fail 1 a => 1 Stopped A(a!)-"},
		},
		{
			name: "abandon ends all at once; late answers have no effect", pipeline: "A: a ~b ?c; d",
			steps: []string{
				"start ann => ", "abandon 1 bob => 1 Stopped A(a~ b~ c~)-",
				"ok 1 a => 1 Stopped A(a~ b~ c~)-", "ok 1 b => 1 Stopped A(a~ b~ c~)-", "again 1 b => 1 Stopped A(a~ b~ c~)-",
				"expire 1 c => 1 Stopped A(a~ b~ c~)-", "lost 1 a => 1 Stopped A(a~ b~ c~)-",
			},
		},
		{
			name: "from waiting to abandoning, not back and not twice", pipeline: "A: a b",
			steps: []string{
				"start ann => ", "stop 1 bob => ", "stop 1 cy => refused: already being stopped: execution 1, by bob", "ok 1 b => ",
				"abandon 1 cy => 1 Stopped A(a~ b+)-", "abandon 1 cy => refused: no longer in progress", "stop 1 cy => refused: no longer in progress",
			},
		},
		{
			name: "people are not waited for", pipeline: "A: a ?sign",
			steps: []string{"start ann => ", "stop 1 bob => 1 Stopping A(a… sign~)/", "approve 1 cy => refused: is not waiting for an approval", "ok 1 a => 1 Stopped A(a+ sign~)-"},
		},
		{
			name: "alone at an approval it ends at once", pipeline: "A: ?sign; b",
			steps: []string{"start ann => ", "stop 1 bob => 1 Stopped A(sign~)-"},
		},
		{
			name: "at the entry of a stage; the next comes in", pipeline: "A: a",
			rules: map[string][]execution.Requirement{"A/": {{MinimumCount: 1, AllowStarter: true}}},
			steps: []string{"start ann => ", "start ann => ", "stop 1 bob => 1 Stopped A- | 2 InProgress A&"},
		},
		{
			name: "in front of a stage", pipeline: "A: a",
			steps: []string{"start ann => ", "start ann => ", "stop 2 bob => 1 InProgress A(a…) | 2 Stopped A-", "ok 1 a => 1 Succeeded A(a+)+ | 2 Stopped A-"},
		},
		{
			name: "a lost action of a stopping execution is not tried again", pipeline: "A: a; b", onLost: pipeline.OnLostRetry,
			steps: []string{"start ann => ", "stop 1 bob => ", "lost 1 a => 1 Stopped A(a!)-"},
		},
		{
			name: "of an ended execution", pipeline: "A: a",
			steps: []string{"start ann => ", "ok 1 a => ", "stop 1 bob => refused: no longer in progress", "abandon 1 bob => refused: no longer in progress"},
		},
	})
}

func TestStopSaysWhoAndWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: a"))
	e := w.start("ann", nil)
	require.NoError(t, w.step("stop 1 bob"))
	require.Equal(t, "bob", e.Stop.Principal)
	require.Equal(t, "because", e.Stop.Reason)
	require.NoError(t, w.step("abandon 1 cy"))
	require.Equal(t, "stopped by cy: because", e.Summary)
	var asked []string
	for _, ev := range w.model.events {
		if ev.Subject == execution.SubjectExecution && ev.State == execution.EventStopping {
			asked = append(asked, ev.Principal+": "+ev.Message)
		}
	}
	require.Equal(t, []string{"bob: because", "cy: because"}, asked, "the first one's reason is not lost")
}

func TestExplain(t *testing.T) {
	t.Parallel()
	def := define("A: a ~b ?sign | B: c")
	def.ExecutionMode = pipeline.Queued
	w := newWorld(t, def)
	e := w.start("ann", nil)
	w.start("ann", nil)
	w.start("ann", nil)
	explain := func(id string) []engine.Reason {
		return engine.Explain(w.memory[e.Scope()], id, engine.Work{Leases: w.model.leases, Turns: w.model.turns}, w.now)
	}
	kinds := func(reasons []engine.Reason) (all []engine.WaitKind) {
		for _, r := range reasons {
			all = append(all, r.Kind)
		}
		return all
	}
	require.Equal(t, []engine.WaitKind{engine.WaitApproval, engine.WaitRunner, engine.WaitAction}, kinds(explain("e1")))
	w.model.leases[w.action(e, "a").ID].Runner = "r1"
	require.NoError(t, w.step("again 1 b"))
	reasons := explain("e1")
	require.Equal(t, []engine.WaitKind{engine.WaitApproval, engine.WaitAction, engine.WaitTimer}, kinds(reasons))
	require.Contains(t, reasons[1].Message, "runner r1")
	require.False(t, reasons[2].Until.IsZero())

	behind := explain("e3")
	require.Equal(t, []engine.WaitKind{engine.WaitLock}, kinds(behind))
	require.Equal(t, "e1", behind[0].BlockingExecution)
	require.Contains(t, behind[0].Message, "which execution 1 is in; it enters in turn, as number 2")

	require.NoError(t, w.step("stop 1 bob"))
	require.Equal(t, []engine.WaitKind{engine.WaitStopping, engine.WaitAction, engine.WaitTimer}, kinds(explain("e1")))
	require.NoError(t, w.step("abandon 1 bob"))
	require.Empty(t, explain("e1"))
	require.NotEmpty(t, explain("e2"))
}
