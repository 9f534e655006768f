package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// gates returns the gates of the first stage of a version as texts.
func (w *world) gates(def *pipeline.Definition, entry ...execution.Requirement) (texts []string) {
	for _, g := range engine.Gates(w.memory[w.scope()], &def.Stages[0], func(action string) []execution.Requirement {
		if action == "" {
			return entry
		}
		return nil
	}, engine.Work{Leases: w.model.leases, Turns: w.model.turns}, w.now) {
		text := string(g.Kind)
		if g.Rule != "" {
			text += " " + string(g.Condition) + " " + g.Rule
		}
		if g.Action != "" {
			text += " " + g.Action
		}
		for i, r := range g.Requirements {
			text += fmt.Sprintf(" %d/%d", g.Approved[i], r.MinimumCount)
		}
		if g.Execution != nil {
			text += fmt.Sprintf(" holds %d until %t", g.Execution.Number, !g.Reason.Until.IsZero())
		}
		texts = append(texts, text)
	}
	return texts
}

func TestGates(t *testing.T) {
	t.Parallel()
	def := define("A (before w9-17 $c fail, success $d fail): a; ?sign")
	w := newWorld(t, def)
	order := []string{"window BEFORE_ENTRY r0", "rule BEFORE_ENTRY c", "approval sign 0/1", "rule ON_SUCCESS d"}
	started := w.start("ann", nil)
	require.NotNil(t, started)
	held := append([]string{"window BEFORE_ENTRY r0 holds 1 until true"}, order[1:]...)
	require.Equal(t, held, w.gates(def))
	two := execution.Requirement{Rule: "two", MinimumCount: 2}
	require.Equal(t, append([]string{"approval 0/2"}, held...), w.gates(def, two), "a rule that is newer than the execution")

	require.NoError(t, w.step(`override 1 A before-entry "now`))
	require.NoError(t, w.step("ok 1 a"))
	require.Equal(t, "approval sign 0/1 holds 1 until true", w.gates(def)[2])
	// A version without the action at which the execution waits.
	other := define("A: a")
	require.Equal(t, []string{"approval sign 0/1 holds 1 until true"}, w.gates(other))
	require.NoError(t, w.step("approve 1 bob A sign"))
	require.Equal(t, "rule ON_SUCCESS d holds 1 until false", w.gates(def)[3], strings.Join(w.gates(def), "\n"))
	require.NoError(t, w.step("ok 1 d"))
	require.Equal(t, order, w.gates(def))
}

// TestWhoCanEndAWait holds that the steps of a reason are those that a call accepts.
func TestWhoCanEndAWait(t *testing.T) {
	t.Parallel()
	def := define("A (before w9-17 fail): a | B: ?sign b")
	def.ExecutionMode = pipeline.Queued
	w := newWorld(t, def)
	first, second := w.start("ann", nil), w.start("ann", nil)
	enders := func(id string) (found []engine.Ender) {
		for _, r := range engine.Explain(w.memory[w.scope()], id, engine.Work{Leases: w.model.leases, Turns: w.model.turns}, w.now) {
			require.False(t, r.Since.IsZero(), "%s", r.Kind)
			found = append(found, r.Ender)
		}
		return found
	}
	require.Equal(t, []engine.Ender{{Automatic: true, Steps: []engine.StepKind{engine.StepOverride}}}, enders(first.ID))
	require.Equal(t, []engine.Ender{{Automatic: true, ExecutionID: first.ID}}, enders(second.ID))
	require.NoError(t, w.step(`disable A "freeze`))
	require.Equal(t, []engine.Ender{{Steps: []engine.StepKind{engine.StepEnable}}, {Automatic: true, ExecutionID: first.ID}}, enders(second.ID))
	require.NoError(t, w.step(`override 1 A before-entry "now`))
	require.Equal(t, []engine.Ender{{Automatic: true}}, enders(first.ID))
	require.NoError(t, w.step(`stop 1 bob`))
	require.Equal(t, []engine.StepKind{engine.StepAbandon}, enders(first.ID)[0].Steps)
}

func TestOnlyApproversEndAnApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: ?sign"))
	e := w.start("ann", nil)
	reasons := engine.Explain(w.memory[w.scope()], e.ID, engine.Work{}, w.now)
	require.Equal(t, engine.Ender{Steps: []engine.StepKind{engine.StepDecide}, Approvers: reasons[0].Wait.Approvers()}, reasons[0].Ender)
	require.True(t, reasons[0].Ender.Approvers.Anyone)
}
