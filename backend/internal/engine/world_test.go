package engine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
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

	catalog = pipeline.NewCatalog(
		pipeline.ActionType{ID: typeAttempt, Work: pipeline.WorkAttempt, OnLost: pipeline.OnLostFail, DefaultTimeout: time.Hour},
		pipeline.ActionType{ID: typeTurn, Work: pipeline.WorkTurn, DefaultTimeout: time.Hour},
		pipeline.ActionType{ID: typeApproval, Work: pipeline.WorkApproval, DefaultTimeout: 7 * 24 * time.Hour},
	)
)

// define reads a definition: stages are separated by "|", groups of one run
// order by ";", actions by spaces. "?" makes an action an approval, "~" a turn.
//
//	Build: compile lint; test | Release: ?sign ~announce
func define(text string) *pipeline.Definition {
	def := &pipeline.Definition{}
	for part := range strings.SplitSeq(text, "|") {
		name, groups, _ := strings.Cut(part, ":")
		stage := pipeline.Stage{Name: strings.TrimSpace(name)}
		for order, group := range strings.Split(groups, ";") {
			for word := range strings.FieldsSeq(group) {
				id := typeAttempt
				switch word[0] {
				case '?':
					id = typeApproval
				case '~':
					id = typeTurn
				}
				stage.Actions = append(stage.Actions, pipeline.Action{
					Name: strings.TrimLeft(word, "?~"), Category: id.Category, Owner: id.Owner, Provider: id.Provider,
					Version: id.Version, RunOrder: order + 1,
				})
			}
		}
		def.Stages = append(def.Stages, stage)
	}
	return def
}

// world is a pipeline with its memory of live executions, and beside it a model
// of the store that only knows what changes told it. Every decision is taken on
// both, and they must agree.
type world struct {
	t   tester
	now time.Time
	// versions are the definitions, from version 1.
	versions []*pipeline.Definition
	rules    map[string][]execution.Requirement
	memory   map[execution.ScopeKey]*engine.Scope
	model    *model
	ids      int
	count    int64
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
	w.rules[what] = append(w.rules[what], rules...)
	return w
}

func (w *world) newScope(key execution.ScopeKey, live []*execution.Execution) *engine.Scope {
	next := w.ids
	return &engine.Scope{
		Key: key, Live: live, Catalog: catalog,
		Definition:   func(version int64) *pipeline.Definition { return w.versions[version-1] },
		Requirements: func(stage, action string) []execution.Requirement { return w.rules[stage+"/"+action] },
		NewID: func() string {
			next++
			return fmt.Sprintf("a%06d", next)
		},
	}
}

func text(v any) string {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(data)
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

// decide takes an input through the engine, on the memory and on what the model
// of the store would load, and checks all that must hold at any time.
func (w *world) decide(key execution.ScopeKey, in engine.Input) (*execution.Change, error) {
	w.t.Helper()
	stored := w.newScope(key, w.model.live(key))
	memory := w.memory[key]
	if memory == nil {
		memory = w.newScope(key, nil)
	}
	memory.NewID = w.newScope(key, nil).NewID
	again := in
	if start, ok := in.(engine.Start); ok {
		again = engine.Start{Execution: clone(start.Execution)}
	}
	before := text(memory.Live)
	change, err := engine.Decide(memory, in, w.now)
	change2, err2 := engine.Decide(stored, again, w.now)
	require.Equal(w.t, text(change), text(change2), "a decision on what the store loads differs from one on memory")
	require.Equal(w.t, fmt.Sprint(err), fmt.Sprint(err2))
	if err != nil {
		require.Nil(w.t, change)
		require.Equal(w.t, before, text(memory.Live), "a refusal changed the state")
		return nil, err
	}
	w.memory[key] = memory
	w.ids += len(change.NewActions)
	w.model.apply(w.t, in, change)
	require.Equal(w.t, text(w.model.live(key)), text(memory.Live), "a row changed and the change does not say so")
	w.model.check(w.t)
	for _, stage := range change.NewStages {
		require.Equal(w.t, w.pinned(stage.ExecutionID).Stages[stage.Position].Name, stage.Name, "a stage of another version")
	}
	for _, a := range change.NewActions {
		require.NotNil(w.t, w.pinned(a.ExecutionID).Stages[a.Stage].Action(a.Name), "action %s is of another version", a.Name)
	}
	return change, nil
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

// start starts the newest version.
func (w *world) start(principal string, variables map[string]string) *execution.Execution {
	w.t.Helper()
	w.count++
	version := int64(len(w.versions))
	e := &execution.Execution{
		ID: "e" + strconv.FormatInt(w.count, 10), Account: "default", PipelineID: "p", Pipeline: "web",
		Number: w.count, Version: version, Mode: w.versions[version-1].Mode(), Variables: variables,
		Trigger: execution.Trigger{Type: execution.TriggerStart, Principal: principal},
	}
	w.must(e.Scope(), engine.Start{Execution: e})
	return w.execution(e.Number)
}

func (w *world) execution(number int64) *execution.Execution {
	w.t.Helper()
	e, ok := w.model.executions["e"+strconv.FormatInt(number, 10)]
	require.True(w.t, ok, "no execution %d", number)
	return e
}

// action finds an action execution as the store has it.
func (w *world) action(e *execution.Execution, name string) *execution.Action {
	w.t.Helper()
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			if a.Name == name {
				return a
			}
		}
	}
	require.Failf(w.t, "no such action", "%s in %s", name, show(e))
	return nil
}

// show writes an execution on one line: "2 InProgress Build(a+ b!)! Ship(c…)".
//
//	stage: ? waits in front of it, + Succeeded, ! Failed, - Stopped, / Stopping, x Cancelled, & waits for its entry's approval
//	action: … InProgress, + Succeeded, ! Failed, ~ Abandoned
func show(e *execution.Execution) string {
	marks := map[pipeline.Status]string{
		pipeline.Succeeded: "+", pipeline.Failed: "!", pipeline.Stopped: "-", pipeline.Stopping: "/",
		pipeline.Cancelled: "x", pipeline.Abandoned: "~",
	}
	out := fmt.Sprintf("%d %s", e.Number, e.Status)
	for _, stage := range e.Stages {
		out += " " + stage.Name
		if stage.Waiting() {
			out += "?"
			continue
		}
		if len(stage.Actions) > 0 {
			var actions []string
			for _, a := range stage.Actions {
				mark := marks[a.Status]
				if a.Status == pipeline.InProgress {
					mark = "…"
				}
				actions = append(actions, a.Name+mark)
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
		all = append(all, show(w.execution(n)))
	}
	return strings.Join(all, " | ")
}

// entry is the id of the expiry turn of a stage's entry.
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
