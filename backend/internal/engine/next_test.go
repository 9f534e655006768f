package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// TestNextStepsAgreeWithDecisions takes random pipelines through random inputs. At any
// time each step that is offered is accepted, and a retry or an override that is not
// offered is refused in the words that Next gave.
func TestNextStepsAgreeWithDecisions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := newDuel(t)
		t.Repeat(map[string]func(*rapid.T){
			"input": func(t *rapid.T) {
				if len(d.lines) < d.begun+mostLines {
					d.step(d.draw(t))
				}
			},
			"look": func(t *rapid.T) {
				if len(d.r.all) == 0 {
					t.Skip("no execution yet")
				}
				e := clone(d.w.execution(rapid.Int64Range(1, d.w.count).Draw(t, "execution")))
				if e.Status.Terminal() && rapid.IntRange(0, 9).Draw(t, "removed") == 0 {
					e.OutputsRemovedAt = d.w.now
				}
				d.w.agreeOnNext(e)
			},
		})
	})
}

// agreeOnNext holds what Next says of an execution against what Decide does.
func (w *world) agreeOnNext(e *execution.Execution) {
	w.t.Helper()
	scope := w.newScope(e.Scope())
	before := text(scope.Live) + text(scope.State) + text(e)
	steps, refusals := engine.Next(scope, e, int64(len(w.versions)), w.now)
	same(w.t, before, text(scope.Live)+text(scope.State)+text(e), "looking at what is next changed it")
	for _, step := range steps {
		w.accepts(e, step)
	}
	offered := func(kind engine.StepKind, condition pipeline.ConditionKind) bool {
		return slices.ContainsFunc(steps, func(s engine.Step) bool {
			return s.Kind == kind && s.ExecutionID == e.ID && s.Condition == condition
		})
	}
	refused := func(kind engine.StepKind, condition pipeline.ConditionKind, in func() engine.Input) {
		if offered(kind, condition) {
			return
		}
		_, err := engine.Decide(w.newScope(e.Scope()), in(), w.now)
		require.Error(w.t, err, "%s %s of %s is not offered", kind, condition, show(e))
		for _, r := range refusals {
			if r.Kind == kind && r.Condition == condition {
				require.Equal(w.t, err.Error(), r.Err.Error())
			}
		}
	}
	for _, mode := range []pipeline.RetryMode{pipeline.RetryFailedActions, pipeline.RetryAllActions} {
		refused(engine.StepRetry, "", func() engine.Input { return w.retry(e, mode) })
	}
	for _, kind := range []pipeline.ConditionKind{pipeline.ConditionBeforeEntry, pipeline.ConditionOnSuccess} {
		refused(engine.StepOverride, kind, func() engine.Input { return override(e, e.Current().Name, kind) })
	}
	require.True(w.t, offered(engine.StepRetry, "") || slices.ContainsFunc(refusals, func(r engine.StepRefusal) bool {
		return r.Kind == engine.StepRetry
	}), "a retry is offered, or there is a reason")
}

func (w *world) retry(e *execution.Execution, mode pipeline.RetryMode) engine.Input {
	return engine.Retry{Execution: clone(e), Mode: mode, Principal: "ann", Newest: int64(len(w.versions))}
}

func override(e *execution.Execution, stage string, kind pipeline.ConditionKind) engine.Input {
	return engine.Override{Execution: clone(e), Stage: stage, Condition: kind, Principal: "ann", Reason: "fine"}
}

// accepts checks that a step that is offered is accepted, of a decision either way.
func (w *world) accepts(e *execution.Execution, step engine.Step) {
	w.t.Helper()
	if step.ExecutionID != e.ID {
		e = w.model.executions[step.ExecutionID]
	}
	var inputs []engine.Input
	switch step.Kind {
	case engine.StepDecide:
		for _, approved := range []bool{true, false} {
			inputs = append(inputs, engine.Approve{
				ExecutionID: e.ID, Stage: step.Stage, Action: step.Action, ApprovalID: step.ApprovalID,
				Principal: "zoe", Approved: approved, Comment: "fine",
			})
		}
	case engine.StepRetry:
		inputs = append(inputs, w.retry(e, step.Mode))
	case engine.StepOverride:
		inputs = append(inputs, override(e, step.Stage, step.Condition))
	case engine.StepEnable:
		inputs = append(inputs, engine.SetTransition{Stage: step.Stage, Enabled: true, Principal: "ann", Newest: int64(len(w.versions))})
	case engine.StepStop, engine.StepAbandon:
		inputs = append(inputs, engine.Stop{ExecutionID: e.ID, Principal: "ann", Abandon: step.Kind == engine.StepAbandon})
	default:
		require.Failf(w.t, "not the engine's to offer", "%s", step.Kind)
	}
	for _, in := range inputs {
		change, err := engine.Decide(w.newScope(e.Scope()), in, w.now)
		require.NoError(w.t, err, "%s of %s is offered", step.Kind, show(e))
		require.True(w.t, len(change.Events) > 0 || change.State != nil, "%s of %s has an effect", step.Kind, show(e))
	}
}

// TestNext shows what a person is offered, and why not more.
func TestNext(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode            pipeline.ExecutionMode
		pipeline        string
		steps           []string
		number          int64
		want, wantNever string
	}{
		"an approval, or a stop": {
			pipeline: "A: ?a", steps: []string{"start ann"}, number: 1, want: "decide_approval 1 A/a, stop_execution 1",
		},
		"what waits for a stage: the approval of the one that holds it": {
			pipeline: "A: ?a", steps: []string{"start ann", "start ann"}, number: 2, want: "decide_approval 1 A/a, stop_execution 2",
		},
		"a disabled transition": {
			pipeline: "A: a", steps: []string{`disable A "no`, "start ann"}, number: 1, want: "enable_transition 1 A, stop_execution 1",
		},
		"a failed action": {
			pipeline: "A: a", steps: []string{"start ann", "fail 1 a"}, number: 1, want: "retry_stage 1 A FAILED_ACTIONS, retry_stage 1 A ALL_ACTIONS",
		},
		"a failed action while another runs": {
			pipeline: "A: a b", steps: []string{"start ann", "fail 1 a"}, number: 1, want: "retry_stage 1 A FAILED_ACTIONS, stop_execution 1",
		},
		"a condition that was not met": {
			pipeline: "A (before v=x fail): a", steps: []string{"start ann v=y"}, number: 1,
			want: "retry_stage 1 A ALL_ACTIONS, override_condition 1 A BEFORE_ENTRY",
		},
		"a window that is closed": {
			pipeline: "A (before w9-17 fail): a", steps: []string{"start ann"}, number: 1, want: "override_condition 1 A BEFORE_ENTRY, stop_execution 1",
		},
		"another execution has entered the stage": {
			pipeline: "A: a", steps: []string{"start ann", "fail 1 a", "start ann"}, number: 1,
			wantNever: "retry_stage A: a later execution has entered the stage: execution 2 has been in stage A since execution 1 left it",
		},
		"an entry that was rejected, and another execution: no advice that is refused in turn": {
			pipeline: "A: a", steps: []string{"guard A/ 1", "start ann", "reject 1 bob", "start ann"}, number: 1,
			wantNever: "retry_stage A: a later execution has entered the stage: execution 2 has been in stage A since execution 1 left it",
		},
		"the definition changed": {
			pipeline: "A: a", steps: []string{"start ann", "fail 1 a", "publish A: b"}, number: 1,
			wantNever: "retry_stage A: the stage cannot be retried: the definition changed: execution 1 runs version 1, the newest is 2; start a new execution",
		},
		"a stop that waits for an action": {
			pipeline: "A: a", steps: []string{"start ann", "stop 1 ann"}, number: 1, want: "abandon_execution 1",
		},
		"a time to decide that has passed": {
			pipeline: "A: ?a", steps: []string{"guard A/a 1 1h", "start ann", "wait 2h"}, number: 1, want: "stop_execution 1",
		},
		"an execution that succeeded": {
			pipeline: "A: a", steps: []string{"start ann", "ok 1 a"}, number: 1, wantNever: "retry_stage A: the stage cannot be retried: execution 1 is Succeeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			def := define(test.pipeline)
			def.ExecutionMode = test.mode
			w := newWorld(t, def)
			for _, step := range test.steps {
				require.NoError(t, w.step(step))
			}
			e := w.execution(test.number)
			steps, refusals := engine.Next(w.newScope(e.Scope()), e, int64(len(w.versions)), w.now)
			var offered, never string
			for i, s := range steps {
				if i > 0 {
					offered += ", "
				}
				offered += fmt.Sprintf("%s %d", s.Kind, w.model.executions[s.ExecutionID].Number)
				for _, word := range []string{s.Stage, "/" + s.Action, string(s.Condition), string(s.Mode)} {
					switch {
					case word == "" || word == "/":
					case word[0] == '/':
						offered += word
					default:
						offered += " " + word
					}
				}
			}
			require.Equal(t, test.want, offered)
			if e.Status.Terminal() && len(steps) == 0 {
				require.NotEmpty(t, refusals)
				never = fmt.Sprintf("%s %s: %s", refusals[0].Kind, refusals[0].Stage, refusals[0].Err)
			}
			require.Equal(t, test.wantNever, never)
			w.agreeOnNext(e)
		})
	}
}

// TestNobodyIsLeftToApprove offers no decision that everybody would be refused.
func TestNobodyIsLeftToApprove(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: ?a")).guard("A/a", execution.Requirement{MinimumCount: 1, Users: []string{"ann"}, ExpireAfter: time.Hour})
	e := w.start("ann", nil)
	steps, _ := engine.Next(w.newScope(w.scope()), e, 1, w.now)
	require.Len(t, steps, 1)
	require.Equal(t, engine.StepStop, steps[0].Kind)
	require.ErrorIs(t, w.step("approve 1 ann"), engine.ErrNotEligible)
}
