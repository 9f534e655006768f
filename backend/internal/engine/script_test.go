package engine_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// script is a scenario. A step is "input => state of all executions", as show
// writes it, or "input => refused: part of the message". Inputs:
//
//	start PRINCIPAL [VARIABLE=VALUE…]
//	ok N ACTION, fail N ACTION, again N ACTION, lost N ACTION; also of a rule that
//	                               runs commands; ACTION#2 is the second of that name
//	broken N ACTION                the runner could not do it
//	late N ACTION ATTEMPT          the result of that attempt
//	approve N PERSON[,GROUP…] [STAGE] [ACTION] ["comment], reject likewise
//	unanswered N ACTION            a turn failed without its executor's answer
//	expire N [ACTION]              of the action, else of the stage's entry
//	recheck N                      of the condition that waits for a window
//	stop N PRINCIPAL, abandon N PRINCIPAL
//	retry N [STAGE] [all]
//	rollback STAGE N
//	override N STAGE before-entry|on-success|on-failure ["reason]
//	disable STAGE ["reason], enable STAGE
//	publish [cancel] [superseded|queued|parallel] DEFINITION, in the mode of the
//	                               version before where none is said
//	guard STAGE/[ACTION] COUNT [supersede] [DURATION]
//	require-rules on|off           the setting of the account
//	wait DURATION
//	restart                        what was in memory is gone
type script struct {
	name     string
	mode     pipeline.ExecutionMode
	pipeline string
	onLost   pipeline.OnLost
	// rules are by "Stage/action", or "Stage/" for an entry.
	rules map[string][]execution.Requirement
	// both takes the script through the reference too.
	both  bool
	steps []string
}

// twice takes all scripts through the engine and through the reference.
func twice(scripts []script) []script {
	for i := range scripts {
		scripts[i].both = true
	}
	return scripts
}

func run(t *testing.T, scripts []script) {
	t.Helper()
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			def := define(s.pipeline)
			def.ExecutionMode = s.mode
			for i := range def.Stages {
				for j := range def.Stages[i].Actions {
					if a := &def.Stages[i].Actions[j]; a.OnLost == "" {
						a.OnLost = s.onLost
					}
				}
			}
			w := newWorld(t, def)
			for what, rules := range s.rules {
				w.guard(what, rules...)
			}
			var d *duel
			if s.both {
				d = &duel{w: w, r: newReference()}
				d.r.versions, d.r.now = append(d.r.versions, def), w.now
				w.t = traced{t, d}
			}
			for _, step := range s.steps {
				input, want, _ := strings.Cut(step, " => ")
				var err error
				if s.both {
					err = d.take(input)
				} else {
					err = w.step(input)
				}
				if message, refused := strings.CutPrefix(want, "refused: "); refused {
					require.ErrorContains(t, err, message, "%s", step)
					continue
				}
				require.NoError(t, err, "%s", step)
				if want != "" {
					require.Equal(t, want, w.state(), "%s", step)
				}
			}
		})
	}
}

// step takes one input of a script.
func (w *world) step(input string) error {
	w.t.Helper()
	input, comment, _ := strings.Cut(input, ` "`)
	words := strings.Fields(input)
	verb, args := words[0], words[1:]
	if done, err := w.around(verb, args); done {
		return err
	}
	switch verb {
	case "start":
		variables := make(map[string]string)
		for _, word := range args[1:] {
			name, value, _ := strings.Cut(word, "=")
			variables[name] = value
		}
		w.start(args[0], variables)
		return nil
	case "publish":
		return w.publish(args)
	case "disable", "enable":
		_, err := w.decide(w.scope(), engine.SetTransition{
			Stage: args[0], Enabled: verb == "enable", Reason: comment, Principal: "ann", Newest: int64(len(w.versions)),
		})
		return err
	case "rollback":
		target, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return err
		}
		_, err = w.decide(w.scope(), engine.Rollback{
			Target: clone(w.execution(target)), Stage: args[0], Principal: "ann", Newest: int64(len(w.versions)),
		})
		return err
	}
	number, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	e := w.execution(number)
	in := w.input(e, verb, args[1:], comment)
	_, err = w.decide(e.Scope(), in)
	return err
}

// around takes what is no input of the engine.
func (w *world) around(verb string, args []string) (bool, error) {
	w.t.Helper()
	switch verb {
	case "wait":
		d, err := time.ParseDuration(args[0])
		w.now = w.now.Add(d)
		return true, err
	case "restart":
		clear(w.memory)
		return true, nil
	case "guard":
		w.guard(args[0], requirement(args[1:]))
		return true, nil
	case "require-rules":
		w.ruleRequired = args[0] == "on"
		return true, nil
	}
	return false, nil
}

// publish adds a version and does what it says about the executions before it.
func (w *world) publish(args []string) error {
	w.t.Helper()
	mode, update := w.versions[len(w.versions)-1].ExecutionMode, pipeline.OnUpdate("")
	for ; ; args = args[1:] {
		if args[0] == string(pipeline.OnUpdateCancel) {
			update = pipeline.OnUpdateCancel
			continue
		}
		if m := pipeline.ExecutionMode(strings.ToUpper(args[0])); slices.Contains([]pipeline.ExecutionMode{pipeline.Superseded, pipeline.Queued, pipeline.Parallel}, m) {
			mode = m
			continue
		}
		break
	}
	def := define(strings.Join(args, " "))
	def.ExecutionMode, def.OnUpdate = mode, update
	w.versions = append(w.versions, def)
	if update != pipeline.OnUpdateCancel {
		return nil
	}
	_, err := w.decide(w.scope(), engine.Cancel{Version: int64(len(w.versions)), Principal: "ann"})
	return err
}

func (w *world) input(e *execution.Execution, verb string, args []string, comment string) engine.Input {
	w.t.Helper()
	switch verb {
	case "ok":
		return w.finish(e, args[0], done(args[0]))
	case "fail":
		return w.finish(e, args[0], action.Failed(action.JobFailed, "exit code 1"))
	case "broken":
		return w.finish(e, args[0], action.Failed(action.SystemUnavailable, "the disk is full"))
	case "unanswered":
		in := w.finish(e, args[0], action.Failed(action.SystemUnavailable, "the executor crashed"))
		in.Unanswered = true
		return in
	case "again":
		return w.again(e, args[0], action.Again{State: []byte("s"), Delay: time.Minute})
	case "lost":
		id, attempt := w.running(e, args[0])
		return engine.Lost{ExecutionID: e.ID, ActionExecutionID: id, Attempt: attempt, Reason: "runner r did not renew its lease"}
	case "late":
		attempt, err := strconv.Atoi(args[1])
		require.NoError(w.t, err)
		id, _ := w.running(e, args[0])
		return engine.Finish{ExecutionID: e.ID, ActionExecutionID: id, Attempt: attempt, Result: done(args[0])}
	case "approve", "reject":
		who := strings.Split(args[0], ",")
		in := engine.Approve{ExecutionID: e.ID, Principal: who[0], Groups: who[1:], Approved: verb == "approve", Comment: comment}
		if len(args) > 1 {
			in.Stage = args[1]
		}
		if len(args) > 2 {
			in.Action = args[2]
		}
		return in
	case "expire":
		if len(args) == 0 {
			return engine.Expire{ExecutionID: e.ID, ID: entry(e)}
		}
		id, _ := w.running(e, args[0])
		return engine.Expire{ExecutionID: e.ID, ID: id}
	case "recheck":
		return engine.Recheck{ExecutionID: e.ID, ID: entry(e)}
	case "stop", "abandon":
		return engine.Stop{ExecutionID: e.ID, Principal: args[0], Reason: "because", Abandon: verb == "abandon"}
	case "retry":
		in := engine.Retry{Execution: clone(e), Mode: pipeline.RetryFailedActions, Principal: "ann", Newest: int64(len(w.versions))}
		for _, word := range args {
			if word == "all" {
				in.Mode = pipeline.RetryAllActions
			} else {
				in.Stage = word
			}
		}
		return in
	case "override":
		kind := pipeline.ConditionKind(strings.ReplaceAll(strings.ToUpper(args[1]), "-", "_"))
		return engine.Override{Execution: clone(e), Stage: args[0], Condition: kind, Principal: "ann", Reason: comment}
	}
	require.Failf(w.t, "no such input", "%s", verb)
	return nil
}

// done is a good result: what others may take of an action.
func done(name string) action.Result {
	name, _, _ = strings.Cut(name, "#")
	return action.Result{Variables: map[string]string{"k": name}, Artifacts: []action.Artifact{{Name: "out-" + name}}}
}

// running is the id of an action, or of a rule, and the attempt that it is in.
func (w *world) running(e *execution.Execution, name string) (id string, attempt int) {
	w.t.Helper()
	if a := w.action(e, name); a != nil {
		if a.Work == pipeline.WorkAttempt {
			attempt = a.Attempt
		}
		return a.ID, attempt
	}
	rule := w.rule(e, name)
	require.NotNil(w.t, rule, "no action or rule %s in %s", name, show(e))
	return rule.ID, rule.Attempt
}

// again is the answer of an action's executor that it goes on.
func (w *world) again(e *execution.Execution, name string, again action.Again) engine.Input {
	w.t.Helper()
	id, _ := w.running(e, name)
	in := engine.Again{ExecutionID: e.ID, ActionExecutionID: id, Again: again}
	a, r := w.action(e, name), w.rule(e, name)
	if a != nil && a.Work == pipeline.WorkTurn || a == nil && r.Work == pipeline.WorkTurn {
		in.Turn = &action.Turn{Scope: action.Scope{ExecutionID: e.ID, ActionExecutionID: id}}
	}
	return in
}

// finish is the result of an action as its executor reports it.
func (w *world) finish(e *execution.Execution, name string, result action.Result) engine.Finish {
	w.t.Helper()
	id, attempt := w.running(e, name)
	return engine.Finish{ExecutionID: e.ID, ActionExecutionID: id, Attempt: attempt, Result: result}
}
