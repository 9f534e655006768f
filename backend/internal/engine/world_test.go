package engine_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	FailNow()
}

// The action types of the tests, one for each kind of work.
var (
	typeAttempt  = pipeline.TypeID{Category: pipeline.CategoryBuild, Owner: pipeline.Owner, Provider: "Commands", Version: "1"}
	typeTurn     = pipeline.TypeID{Category: pipeline.CategoryInvoke, Owner: pipeline.Owner, Provider: "Turn", Version: "1"}
	typeApproval = pipeline.TypeID{Category: pipeline.CategoryApproval, Owner: pipeline.Owner, Provider: "Manual", Version: "1"}

	// typeNow is an action that is decided at once.
	typeNow = pipeline.TypeID{Category: pipeline.CategoryTest, Owner: pipeline.Owner, Provider: "Now", Version: "1"}
	// typePoll is a rule that asks a service.
	typePoll = pipeline.TypeID{Category: pipeline.CategoryRule, Owner: pipeline.Owner, Provider: rulePoll, Version: "1"}

	catalog = pipeline.NewCatalog(
		pipeline.Type{ID: typeAttempt, Work: pipeline.WorkAttempt, OnLost: pipeline.OnLostFail, DefaultTimeout: time.Hour},
		pipeline.Type{ID: typeTurn, Work: pipeline.WorkTurn, DefaultTimeout: time.Hour},
		pipeline.Type{ID: typeApproval, Work: pipeline.WorkApproval, DefaultTimeout: 7 * 24 * time.Hour},
		pipeline.Type{
			ID: typeNow, Work: pipeline.WorkImmediate, Properties: []pipeline.Property{{Name: "v"}},
			Decide: func(values map[string]string, _ pipeline.Facts) (bool, string, error) {
				return values["v"] == "x", "looked at v", nil
			},
		},
		pipeline.Type{ID: typePoll, Work: pipeline.WorkTurn, DefaultTimeout: time.Hour},
		declared.RuleCommands(), declared.RuleExpression(), declared.RuleVariable(), declared.RuleWindow(),
	)
)

// The rules of the tests.
const (
	ruleCommands   = "Commands"
	rulePoll       = "Poll"
	ruleExpression = "Expression"
	ruleVariable   = "VariableCheck"
	ruleWindow     = "DeploymentWindow"
)

// world is a pipeline with its memory of live executions, and beside it a model
// of the store that only knows what changes told it. Every decision is taken on
// both, and they must agree.
type world struct {
	t   tester
	now time.Time
	// versions are the definitions, from version 1.
	versions []*pipeline.Definition
	rules    map[string][]execution.Requirement
	// ruleRequired lets manual actions fail that no rule guards.
	ruleRequired bool
	memory       map[execution.ScopeKey]*engine.Scope
	model        *model
	ids          int
	count        int64
	// given is set while an execution is decided upon that has a number already.
	given bool
}

func newWorld(t tester, definition *pipeline.Definition) *world {
	return &world{
		t: t,
		// Finer than the store keeps, as real clocks are.
		now:      time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("elsewhere", 3600)),
		versions: []*pipeline.Definition{definition},
		rules:    make(map[string][]execution.Requirement),
		memory:   make(map[execution.ScopeKey]*engine.Scope),
		model:    newModel(),
	}
}

// guard adds approval rules: of "Stage/action", or of the entry of "Stage/".
func (w *world) guard(what string, rules ...execution.Requirement) *world {
	for _, rule := range rules {
		if rule.Rule == "" {
			rule.Rule = "r"
		}
		w.rules[what] = append(w.rules[what], rule)
	}
	return w
}

// makes counts what a decision asked for by itself.
type makes struct{ ids, rollbacks int }

// newScope is a scope as the model of the store would load it.
func (w *world) newScope(key execution.ScopeKey) *engine.Scope {
	scope := &engine.Scope{
		Key: key, Live: w.model.live(key), State: w.model.stateOf(key), Catalog: catalog,
		Definition:   func(version int64) *pipeline.Definition { return w.versions[version-1] },
		Requirements: func(stage, action string) []execution.Requirement { return w.rules[stage+"/"+action] },
		RuleRequired: func() bool { return w.ruleRequired },
		Load: func(id string) *execution.Execution {
			if e, ok := w.model.executions[id]; ok {
				return clone(e)
			}
			return nil
		},
	}
	w.counting(scope)
	return scope
}

// counting lets a scope make ids and numbers from where the world is now.
func (w *world) counting(scope *engine.Scope) *makes {
	made := &makes{}
	ids, count := w.ids, w.count
	if w.given {
		count++
	}
	scope.NewID = func() string {
		made.ids++
		return fmt.Sprintf("a%06d", ids+made.ids)
	}
	scope.NewRollback = func() (string, int64) {
		made.rollbacks++
		number := count + int64(made.rollbacks)
		return "e" + strconv.FormatInt(number, 10), number
	}
	return made
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// same compares two texts, and shows where they differ.
func same(t tester, want, got, message string) {
	t.Helper()
	if want == got {
		return
	}
	lines := func(text string) string {
		return strings.NewReplacer(`,"`, ",\n\"", "{", "{\n", "}", "\n}").Replace(text)
	}
	require.Equal(t, lines(want), lines(got), message)
}

func clone[T any](v *T) *T {
	copied := new(T)
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, copied)
	}
	if err != nil {
		panic(err) //nolint:forbidigo // Our own records always encode.
	}
	return copied
}

// copied gives the second decision an input of its own, as it changes executions.
func copied(in engine.Input) engine.Input {
	again := reflect.New(reflect.TypeOf(in))
	data, err := json.Marshal(in)
	if err == nil {
		err = json.Unmarshal(data, again.Interface())
	}
	made, ok := again.Elem().Interface().(engine.Input)
	if err != nil || !ok {
		panic(err) //nolint:forbidigo // Our own inputs always encode.
	}
	return made
}

// decide takes an input through the engine, on the memory and on what the model
// of the store would load, and checks all that must hold at any time.
func (w *world) decide(key execution.ScopeKey, in engine.Input) (*execution.Change, error) {
	w.t.Helper()
	if _, w.given = in.(engine.Start); w.given {
		// Its execution has a number already.
		defer func() { w.given = false }()
	}
	stored := w.newScope(key)
	memory := w.memory[key]
	if memory == nil {
		memory = w.newScope(key)
	}
	made, made2 := w.counting(memory), w.counting(stored)
	again := copied(in)
	known, knownText := memory.State, text(memory.State)
	change, err := engine.Decide(memory, in, w.now)
	change2, err2 := engine.Decide(stored, again, w.now)
	same(w.t, text(change), text(change2), "a decision on what the store loads differs from one on memory")
	require.Equal(w.t, fmt.Sprint(err), fmt.Sprint(err2))
	if err != nil {
		require.Nil(w.t, change)
		// They were the same before.
		same(w.t, text(w.model.rows(key))+text(w.model.stateOf(key)), text(memory.Live)+text(memory.State), "a refusal changed the state")
		return nil, err
	}
	w.memory[key] = memory
	require.Equal(w.t, *made, *made2)
	same(w.t, knownText, text(known), "the state of the pipeline was changed in place")
	w.ids += made.ids
	w.count += int64(made.rollbacks)
	if w.given {
		w.count++
		made.rollbacks++
	}
	require.Len(w.t, change.Started, made.rollbacks, "the numbers of executions have a gap")
	w.model.apply(w.t, key, in, change)
	same(w.t, text(w.model.rows(key)), text(memory.Live), "a row changed and the change does not say so")
	same(w.t, text(w.model.stateOf(key)), text(memory.State), "the state changed and the change does not say so")
	w.model.check(w.t)
	for _, stage := range change.NewStages {
		require.Equal(w.t, w.pinned(stage.ExecutionID).Stages[stage.Position].Name, stage.Name, "a stage of another version")
	}
	for _, a := range change.NewActions {
		require.NotNil(w.t, w.pinned(a.ExecutionID).Stages[a.Stage].Action(a.Name), "action %s is of another version", a.Name)
	}
	w.explained()
	return change, nil
}

// explained checks that nobody waits without a reason, and that WorkOf names all the work
// that the reasons are made of.
func (w *world) explained() {
	w.t.Helper()
	work := engine.Work{Leases: w.model.leases, Turns: w.model.turns}
	for _, scope := range w.memory {
		for _, e := range scope.Live {
			reasons := engine.Explain(scope, e.ID, work, w.now)
			require.NotEmpty(w.t, reasons, "nobody knows why %s is where it is", show(e))
			require.Equal(w.t, reasons, engine.Explain(scope, e.ID, w.workOf(engine.WorkOf(scope, e.ID)), w.now))
			for _, reason := range reasons {
				require.NotEmpty(w.t, reason.Kind)
				require.NotEmpty(w.t, reason.Message)
			}
		}
	}
}

// workOf returns the pending work that has one of the ids.
func (w *world) workOf(ids []string) engine.Work {
	work := engine.Work{Leases: make(map[string]*execution.Lease), Turns: make(map[string]*execution.Turn)}
	for _, id := range ids {
		if lease, ok := w.model.leases[id]; ok {
			work.Leases[id] = lease
		}
		if turn, ok := w.model.turns[id]; ok {
			work.Turns[id] = turn
		}
	}
	return work
}

// pinned is the definition that an execution started with.
func (w *world) pinned(executionID string) *pipeline.Definition {
	return w.versions[w.model.executions[executionID].Version-1]
}

func (w *world) must(key execution.ScopeKey, in engine.Input) *execution.Change {
	w.t.Helper()
	change, err := w.decide(key, in)
	require.NoError(w.t, err)
	return change
}

// fresh is the next execution of the pipeline, of which nothing is decided yet.
func (w *world) fresh(principal string) *execution.Execution {
	number := w.count + 1
	return &execution.Execution{
		ID: "e" + strconv.FormatInt(number, 10), Account: "default", PipelineID: "p", Pipeline: "web", Number: number,
		Trigger: execution.Trigger{Principal: principal},
	}
}

// start starts the newest version.
func (w *world) start(principal string, variables map[string]string) *execution.Execution {
	w.t.Helper()
	e := w.fresh(principal)
	e.Version = int64(len(w.versions))
	e.Mode, e.Type, e.Variables = w.versions[e.Version-1].Mode(), pipeline.TypeStandard, variables
	e.Trigger.Type = execution.TriggerStart
	w.must(e.Scope(), engine.Start{Execution: e})
	return w.execution(e.Number)
}

// scope is the one that all executions share that are not PARALLEL.
func (w *world) scope() execution.ScopeKey { return execution.ScopeKey{PipelineID: "p"} }

func (w *world) execution(number int64) *execution.Execution {
	w.t.Helper()
	e, ok := w.model.executions["e"+strconv.FormatInt(number, 10)]
	require.True(w.t, ok, "no execution %d", number)
	return e
}

// action finds an action execution as the store has it: the newest of that name,
// or with "name#2" the second.
func (w *world) action(e *execution.Execution, name string) *execution.Action {
	w.t.Helper()
	name, place, numbered := strings.Cut(name, "#")
	var found []*execution.Action
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			if a.Name == name {
				found = append(found, a)
			}
		}
	}
	if len(found) > 0 && !numbered {
		return found[len(found)-1]
	}
	if i, err := strconv.Atoi(place); err == nil && i >= 1 && i <= len(found) {
		return found[i-1]
	}
	return nil
}

// rule finds a rule of a condition in the same way.
func (w *world) rule(e *execution.Execution, name string) *execution.Rule {
	w.t.Helper()
	name, place, numbered := strings.Cut(name, "#")
	var found []*execution.Rule
	for _, stage := range e.Stages {
		for _, c := range stage.Conditions {
			for _, rule := range c.Rules {
				if rule.Name == name {
					found = append(found, rule)
				}
			}
		}
	}
	if len(found) > 0 && !numbered {
		return found[len(found)-1]
	}
	if i, err := strconv.Atoi(place); err == nil && i >= 1 && i <= len(found) {
		return found[i-1]
	}
	return nil
}

// show writes an execution on one line: "2 InProgress Build(a+ b!)! Ship(c…)".
// A rollback has an arrow: "3< InProgress Ship(c…)", a second attempt of an
// execution as many apostrophes: "1' InProgress …".
//
//	stage: ? waits in front of it, ?| at a closed door, + Succeeded, ! Failed, - Stopped, / Stopping, x Cancelled, > Skipped, & waits for its entry's approval
//	condition: ^ before the entry, $ on success, % on failure, each with … InProgress, + Succeeded, ! Failed, E Errored, x Cancelled, ~ Abandoned, o Overridden
//	action: … InProgress, + Succeeded, ! Failed, ~ Abandoned; * where a retry replaced it
func (w *world) show(e *execution.Execution) string { return showAt(e, w.model.state) }

func show(e *execution.Execution) string { return showAt(e, nil) }

func marks() map[pipeline.Status]string {
	return map[pipeline.Status]string{
		pipeline.Succeeded: "+", pipeline.Failed: "!", pipeline.Stopped: "-", pipeline.Stopping: "/",
		pipeline.Cancelled: "x", pipeline.Abandoned: "~", pipeline.Skipped: ">", pipeline.Errored: "E", pipeline.Overridden: "o",
	}
}

func showAt(e *execution.Execution, state *execution.PipelineState) string {
	marks := marks()
	mark := func(status pipeline.Status) string {
		if status == pipeline.InProgress {
			return "…"
		}
		return marks[status]
	}
	out := strconv.FormatInt(e.Number, 10)
	if e.Type == pipeline.TypeRollback {
		out += "<"
	}
	if e.Attempt > 1 {
		out += strings.Repeat("'", e.Attempt-1)
	}
	out += " " + string(e.Status)
	for _, stage := range e.Stages {
		out += " " + stage.Name
		if stage.Waiting() {
			out += "?"
			if transition := state.Stage(stage.Name).Transition; transition != nil && transition.Disabled {
				out += "|"
			}
			continue
		}
		kinds := map[pipeline.ConditionKind]string{
			pipeline.ConditionBeforeEntry: "^", pipeline.ConditionOnSuccess: "$", pipeline.ConditionOnFailure: "%",
		}
		for _, c := range stage.Conditions {
			out += kinds[c.Kind] + mark(c.Status)
		}
		if len(stage.Actions) > 0 {
			var actions []string
			for _, a := range stage.Actions {
				word := a.Name + mark(a.Status)
				if a.Retried {
					word += "*"
				}
				actions = append(actions, word)
			}
			out += "(" + strings.Join(actions, " ") + ")"
		}
		if stage.Live() && stage.Entry != nil && !engine.Met(stage.Entry) {
			out += "&"
		}
		out += marks[stage.Status]
	}
	return out
}

// state shows all executions.
func (w *world) state() string {
	var all []string
	for n := int64(1); n <= w.count; n++ {
		all = append(all, w.show(w.execution(n)))
	}
	return strings.Join(all, " | ")
}

// entry is the id of the turn of a stage: the expiry of its entry's approval, or the
// recheck of its condition.
func entry(e *execution.Execution) string {
	return e.ID + "/" + strconv.Itoa(e.Current().Position)
}

func names(of []pipeline.Action) []string {
	all := make([]string, 0, len(of))
	for i := range of {
		all = append(all, of[i].Name)
	}
	slices.Sort(all)
	return all
}
