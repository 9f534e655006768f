package engine_test

import (
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
//	start PRINCIPAL
//	ok N ACTION, fail N ACTION, again N ACTION, lost N ACTION
//	late N ACTION ATTEMPT          the result of that attempt
//	approve N PERSON[,GROUP…] [STAGE] [ACTION] ["comment], reject likewise
//	expire N [ACTION]              of the action, else of the stage's entry
//	stop N PRINCIPAL, abandon N PRINCIPAL
//	wait DURATION
type script struct {
	name     string
	mode     pipeline.ExecutionMode
	pipeline string
	onLost   pipeline.OnLost
	// rules are by "Stage/action", or "Stage/" for an entry.
	rules map[string][]execution.Requirement
	steps []string
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
					def.Stages[i].Actions[j].OnLost = s.onLost
				}
			}
			w := newWorld(t, def)
			for what, rules := range s.rules {
				w.guard(what, rules...)
			}
			for _, step := range s.steps {
				input, want, _ := strings.Cut(step, " => ")
				err := w.step(input)
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
	switch verb {
	case "start":
		w.start(args[0], nil)
		return nil
	case "wait":
		d, err := time.ParseDuration(args[0])
		w.now = w.now.Add(d)
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

func (w *world) input(e *execution.Execution, verb string, args []string, comment string) engine.Input {
	w.t.Helper()
	switch verb {
	case "ok":
		return w.finish(e, args[0], action.Result{})
	case "fail":
		return w.finish(e, args[0], action.Failed(action.JobFailed, "exit code 1"))
	case "again":
		return engine.Again{ExecutionID: e.ID, ActionExecutionID: w.action(e, args[0]).ID, Again: action.Again{State: []byte("s"), Delay: time.Minute}}
	case "lost":
		a := w.action(e, args[0])
		return engine.Lost{ExecutionID: e.ID, ActionExecutionID: a.ID, Attempt: a.Attempt, Reason: "runner r was not heard of"}
	case "late":
		attempt, err := strconv.Atoi(args[1])
		require.NoError(w.t, err)
		return engine.Finish{ExecutionID: e.ID, ActionExecutionID: w.action(e, args[0]).ID, Attempt: attempt}
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
		return engine.Expire{ExecutionID: e.ID, ID: w.action(e, args[0]).ID}
	case "stop", "abandon":
		return engine.Stop{ExecutionID: e.ID, Principal: args[0], Reason: "because", Abandon: verb == "abandon"}
	}
	require.Failf(w.t, "no such input", "%s", verb)
	return nil
}

// finish is the result of an action as its executor reports it.
func (w *world) finish(e *execution.Execution, name string, result action.Result) engine.Input {
	w.t.Helper()
	a := w.action(e, name)
	in := engine.Finish{ExecutionID: e.ID, ActionExecutionID: a.ID, Result: result}
	if a.Work == pipeline.WorkAttempt {
		in.Attempt = a.Attempt
	}
	return in
}
