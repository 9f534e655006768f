package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// TestInvariants takes random pipelines through random inputs. What must hold is
// in model.apply, model.check and world.decide, after every single decision.
func TestInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom([]pipeline.ExecutionMode{pipeline.Superseded, pipeline.Queued, pipeline.Parallel}).Draw(t, "mode")
		w := newWorld(t, drawDefinition(t, mode))
		drawRules(t, w)
		inputs := map[string]func(*rapid.T){
			"start": w.drawStart(mode),
			"finish": func(t *rapid.T) {
				e, a := w.drawAction(t)
				w.must(e.Scope(), engine.Finish{ExecutionID: e.ID, ActionExecutionID: a.ID, Attempt: drawAttempt(t, a), Result: drawResult(t, a)})
			},
			"again": func(t *rapid.T) {
				e, a := w.drawAction(t)
				w.now = w.now.Add(rapid.SampledFrom([]time.Duration{0, time.Minute, 40 * time.Minute}).Draw(t, "later"))
				w.must(e.Scope(), w.again(e, a.Name, action.Again{
					State: []byte(rapid.SampledFrom([]string{"", "s", "t"}).Draw(t, "state")), Delay: time.Minute,
					ExternalID: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "external"),
				}))
			},
			"lost": func(t *rapid.T) {
				e, a := w.drawAction(t)
				w.must(e.Scope(), engine.Lost{ExecutionID: e.ID, ActionExecutionID: a.ID, Attempt: drawAttempt(t, a), Reason: "gone"})
			},
			"approve": func(t *rapid.T) {
				e := w.drawExecution(t)
				who := rapid.SampledFrom([]string{"ann", "bob", "cy", "dora"}).Draw(t, "who")
				// A refusal is fine; decide checks that it changes nothing.
				_, _ = w.decide(e.Scope(), engine.Approve{
					ExecutionID: e.ID, Principal: who, Groups: []string{"g-" + who},
					Approved: rapid.IntRange(0, 4).Draw(t, "approved") > 0, Comment: rapid.SampledFrom([]string{"", "fine"}).Draw(t, "comment"),
					Stage: rapid.SampledFrom([]string{"", e.Current().Name}).Draw(t, "stage"),
				})
			},
			"expire": func(t *rapid.T) {
				turns := slices.Sorted(maps.Keys(w.model.turns))
				if len(turns) == 0 {
					t.Skip("no turn is pending")
				}
				turn := w.model.turns[rapid.SampledFrom(turns).Draw(t, "turn")]
				w.now = w.now.Add(rapid.SampledFrom([]time.Duration{0, time.Hour, 10 * 24 * time.Hour}).Draw(t, "later"))
				w.must(turn.Scope, engine.Expire{ExecutionID: turn.ExecutionID, ID: turn.ID})
			},
			"stop": func(t *rapid.T) {
				e := w.drawExecution(t)
				_, _ = w.decide(e.Scope(), engine.Stop{ExecutionID: e.ID, Principal: "ann", Abandon: rapid.Bool().Draw(t, "abandon")})
			},
			"update": func(t *rapid.T) {
				if len(w.versions) == 3 {
					t.Skip("enough versions")
				}
				w.versions = append(w.versions, drawDefinition(t, mode))
			},
		}
		t.Repeat(inputs)
		w.drain()
	})
}

// drain ends all that is pending well: whatever came before, everything must
// come to its end by itself.
func (w *world) drain() {
	w.t.Helper()
	for {
		ids := slices.Sorted(maps.Keys(w.model.leases))
		if len(ids) > 0 {
			l := w.model.leases[ids[0]]
			w.must(l.Scope, engine.Finish{ExecutionID: l.Attempt.ExecutionID, ActionExecutionID: ids[0], Attempt: l.Attempt.Number})
			continue
		}
		turns := slices.Sorted(maps.Keys(w.model.turns))
		if len(turns) == 0 {
			break
		}
		turn := w.model.turns[turns[0]]
		if turn.Kind == execution.TurnAction {
			w.must(turn.Scope, engine.Finish{ExecutionID: turn.ExecutionID, ActionExecutionID: turn.ID})
			continue
		}
		w.now = w.now.Add(10 * 24 * time.Hour)
		w.must(turn.Scope, engine.Expire{ExecutionID: turn.ExecutionID, ID: turn.ID})
	}
	for id, e := range w.model.executions {
		if !e.Status.Terminal() {
			w.t.Errorf("execution %s never ends: %s", id, show(e))
		}
	}
}

func (w *world) drawStart(mode pipeline.ExecutionMode) func(*rapid.T) {
	return func(t *rapid.T) {
		if w.count >= 12 {
			t.Skip("enough executions")
		}
		if len(w.memory) > 0 && mode == pipeline.Parallel && w.count >= 4 {
			t.Skip("PARALLEL executions do not meet; a few are enough")
		}
		w.start(rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "principal"), map[string]string{"v": "x"})
	}
}

// drawExecution prefers the live ones, and picks an ended one now and then.
func (w *world) drawExecution(t *rapid.T) *execution.Execution {
	var live, ended []*execution.Execution
	for n := int64(1); n <= w.count; n++ {
		if e := w.execution(n); e.Status.Terminal() {
			ended = append(ended, e)
		} else {
			live = append(live, e)
		}
	}
	if len(live) == 0 || (len(ended) > 0 && rapid.IntRange(0, 9).Draw(t, "ended") == 0) {
		live = ended
	}
	if len(live) == 0 {
		t.Skip("no execution yet")
	}
	return rapid.SampledFrom(live).Draw(t, "execution")
}

func (w *world) drawAction(t *rapid.T) (*execution.Execution, *execution.Action) {
	e := w.drawExecution(t)
	var running, all []*execution.Action
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			all = append(all, a)
			if !a.Status.Terminal() {
				running = append(running, a)
			}
		}
	}
	if len(running) > 0 && rapid.IntRange(0, 9).Draw(t, "over") > 0 {
		all = running
	}
	if len(all) == 0 {
		t.Skip("no action yet")
	}
	return e, rapid.SampledFrom(all).Draw(t, "action")
}

// drawAttempt is mostly the attempt that runs.
func drawAttempt(t *rapid.T, a *execution.Action) int {
	if rapid.IntRange(0, 9).Draw(t, "dead") == 0 {
		return rapid.IntRange(0, a.Attempt+1).Draw(t, "attempt")
	}
	if a.Work == pipeline.WorkAttempt {
		return a.Attempt
	}
	return 0
}

func drawResult(t *rapid.T, a *execution.Action) action.Result {
	if rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
		return action.Failed(action.JobFailed, "exit code 1")
	}
	result := action.Result{Summary: "done", Variables: map[string]string{"k": a.Name}, Artifacts: []action.Artifact{{Name: "out-" + a.Name}}}
	if rapid.Bool().Draw(t, "revision") {
		result.Revision = &action.Revision{ID: "c0ffee"}
	}
	return result
}

// drawDefinition makes 2 to 5 stages, whose order may differ between versions,
// of 1 to 4 actions of all kinds that may refer to each other.
func drawDefinition(t *rapid.T, mode pipeline.ExecutionMode) *pipeline.Definition {
	def := &pipeline.Definition{ExecutionMode: mode}
	all := []string{"A", "B", "C", "D", "E"}
	order := rapid.Permutation(all).Draw(t, "stages")[:rapid.IntRange(2, 5).Draw(t, "count")]
	var earlier []string
	for _, name := range order {
		stage := pipeline.Stage{Name: name}
		for i := range rapid.IntRange(1, 4).Draw(t, "actions") {
			id := rapid.SampledFrom([]pipeline.TypeID{typeAttempt, typeAttempt, typeTurn, typeApproval}).Draw(t, "type")
			if rapid.IntRange(0, 30).Draw(t, "unknown") == 0 {
				id.Provider = "Nobody"
			}
			a := pipeline.Action{
				Name: fmt.Sprintf("%s%d", name, i), Namespace: fmt.Sprintf("n%s%d", name, i),
				Category: id.Category, Owner: id.Owner, Provider: id.Provider, Version: id.Version,
				RunOrder: rapid.IntRange(0, 3).Draw(t, "order"),
				OnLost:   rapid.SampledFrom([]pipeline.OnLost{"", pipeline.OnLostFail, pipeline.OnLostRetry}).Draw(t, "lost"),
			}
			if len(earlier) > 0 && rapid.Bool().Draw(t, "refers") {
				from := rapid.SampledFrom(earlier).Draw(t, "from")
				key := rapid.SampledFrom([]string{"k", "k", "k", "missing"}).Draw(t, "key")
				a.Configuration = map[string]string{"c": "#{n" + from + "." + key + "} #{variables.v}"}
				if id == typeAttempt {
					a.InputArtifacts = []string{"out-" + from}
				}
			}
			stage.Actions = append(stage.Actions, a)
		}
		def.Stages = append(def.Stages, stage)
		earlier = append(earlier, names(stage.Actions)...)
	}
	return def
}

func drawRules(t *rapid.T, w *world) {
	rule := rapid.Custom(func(t *rapid.T) execution.Requirement {
		r := execution.Requirement{
			Rule: "r", MinimumCount: rapid.IntRange(1, 2).Draw(t, "minimum"), AllowStarter: rapid.Bool().Draw(t, "starter"),
			RequireComment: rapid.Bool().Draw(t, "comment"), ExpireAfter: rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "expiry"),
		}
		if rapid.Bool().Draw(t, "listed") {
			r.Users, r.Groups = []string{"ann", "bob"}, []string{"g-cy"}
		}
		return r
	})
	for _, stage := range w.versions[0].Stages {
		if rapid.IntRange(0, 3).Draw(t, "guarded") == 0 {
			w.guard(stage.Name+"/", rapid.SliceOfN(rule, 1, 2).Draw(t, "entry")...)
		}
		for _, a := range stage.Actions {
			if a.TypeID() == typeApproval {
				w.guard(stage.Name+"/"+a.Name, rapid.SliceOfN(rule, 0, 2).Draw(t, "rules")...)
			}
		}
	}
}
