package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestModes(t *testing.T) {
	t.Parallel()
	run(t, []script{
		{
			name:     "SUPERSEDED: the newest waits, the one before gives way",
			pipeline: "A: a | B: b",
			steps: []string{
				"start ann => 1 InProgress A(a…)",
				"start ann => 1 InProgress A(a…) | 2 InProgress A?",
				"start ann => 1 InProgress A(a…) | 2 Superseded Ax | 3 InProgress A?",
				"ok 1 a => 1 InProgress A(a+)+ B(b…) | 2 Superseded Ax | 3 InProgress A(a…)",
				"ok 3 a => 1 InProgress A(a+)+ B(b…) | 2 Superseded Ax | 3 InProgress A(a+)+ B?",
				"start ann => ",
				"ok 4 a => 1 InProgress A(a+)+ B(b…) | 2 Superseded Ax | 3 Superseded A(a+)+ Bx | 4 InProgress A(a+)+ B?",
				"fail 1 b => 1 Failed A(a+)+ B(b!)! | 2 Superseded Ax | 3 Superseded A(a+)+ Bx | 4 InProgress A(a+)+ B(b…)",
			},
		},
		{
			name:     "SUPERSEDED: nobody gives way inside of a stage, not even at an approval",
			pipeline: "A: ?sign | B: b",
			steps: []string{
				"start ann => ", "start ann => ",
				"start ann => 1 InProgress A(sign…) | 2 Superseded Ax | 3 InProgress A?",
				"approve 1 bob => 1 InProgress A(sign+)+ B(b…) | 2 Superseded Ax | 3 InProgress A(sign…)",
			},
		},
		{
			name: "QUEUED: first come, first served, a queue for every stage",
			mode: pipeline.Queued, pipeline: "A: a | B: b",
			steps: []string{
				"start ann => ", "start ann => ", "start ann => ",
				"start ann => 1 InProgress A(a…) | 2 InProgress A? | 3 InProgress A? | 4 InProgress A?",
				"ok 1 a => ", "ok 2 a => ",
				"ok 3 a => 1 InProgress A(a+)+ B(b…) | 2 InProgress A(a+)+ B? | 3 InProgress A(a+)+ B? | 4 InProgress A(a…)",
				"stop 2 ann => 1 InProgress A(a+)+ B(b…) | 2 Stopped A(a+)+ B- | 3 InProgress A(a+)+ B? | 4 InProgress A(a…)",
				"ok 1 b => 1 Succeeded A(a+)+ B(b+)+ | 2 Stopped A(a+)+ B- | 3 InProgress A(a+)+ B(b…) | 4 InProgress A(a…)",
			},
		},
		{
			name: "QUEUED: a failure lets the next in",
			mode: pipeline.Queued, pipeline: "A: a",
			steps: []string{
				"start ann => ", "start ann => ",
				"fail 1 a => 1 Failed A(a!)! | 2 InProgress A(a…)",
			},
		},
		{
			name: "PARALLEL: nobody waits",
			mode: pipeline.Parallel, pipeline: "A: a | B: b",
			steps: []string{
				"start ann => ", "start ann => ",
				"start ann => 1 InProgress A(a…) | 2 InProgress A(a…) | 3 InProgress A(a…)",
				"ok 2 a => ",
				"ok 1 a => 1 InProgress A(a+)+ B(b…) | 2 InProgress A(a+)+ B(b…) | 3 InProgress A(a…)",
			},
		},
	})
}

// Everyone who waits fails at once: one decision takes them all through.
func TestStageThatFailsAtOnceEmptiesItsQueue(t *testing.T) {
	t.Parallel()
	def := define("A: a | B: b")
	def.ExecutionMode = pipeline.Queued
	w := newWorld(t, def)
	w.start("ann", nil)
	broken := define("A: a | B: b")
	broken.ExecutionMode = pipeline.Queued
	broken.Stages[0].Actions[0].Provider = "Nobody"
	w.versions = append(w.versions, broken)
	w.start("ann", nil)
	w.start("ann", nil)
	require.NoError(t, w.step("ok 1 a"))
	require.Equal(t, "1 InProgress A(a+)+ B(b…) | 2 Failed A(a!)! | 3 Failed A(a!)!", w.state())
}

// An execution keeps the mode of its version: who queued is not superseded when
// the mode changes behind it.
func TestModeIsPinnedWithTheVersion(t *testing.T) {
	t.Parallel()
	def := define("A: a")
	def.ExecutionMode = pipeline.Queued
	w := newWorld(t, def)
	w.start("ann", nil)
	w.start("ann", nil)
	w.versions = append(w.versions, define("A: a"))
	w.start("ann", nil)
	w.start("ann", nil)
	require.Equal(t, "1 InProgress A(a…) | 2 InProgress A? | 3 Superseded Ax | 4 InProgress A?", w.state())
	require.NoError(t, w.step("ok 1 a"))
	require.Equal(t, "1 Succeeded A(a+)+ | 2 InProgress A(a…) | 3 Superseded Ax | 4 InProgress A?", w.state())
}

// Versions may order their stages differently; then an older execution can meet
// a newer one, and the newer one still goes first.
func TestOlderArrivalGivesWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: a | B: b | C: c"))
	w.start("ann", nil)
	w.versions = append(w.versions, define("C: c | A: a"))
	w.start("ann", nil)
	w.start("ann", nil)
	require.Equal(t, "1 InProgress A(a…) | 2 InProgress C(c…) | 3 InProgress C?", w.state())
	require.NoError(t, w.step("ok 1 a"))
	require.NoError(t, w.step("ok 1 b"))
	require.Equal(t, "1 Superseded A(a+)+ B(b+)+ Cx | 2 InProgress C(c…) | 3 InProgress C?", w.state())
}
