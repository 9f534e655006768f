// Package engine decides: given the live executions of a scope and one input it
// says what changes, which events tell of it and which work follows. It does no
// I/O, reads no clock and starts no goroutine.
package engine

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Scope is what one decision looks at and changes.
type Scope struct {
	Key execution.ScopeKey
	// Live are the live executions, by number.
	Live []*execution.Execution
	// State is what is known of the pipeline's stages. It is never changed in place.
	State *execution.PipelineState
	// Definition returns a version: one that a live execution is pinned to, or while an
	// input is decided also that of an earlier success.
	Definition func(version int64) *pipeline.Definition
	Catalog    *pipeline.Catalog
	// Requirements returns the approval rules that guard a manual action, or the
	// entry of a stage where actionName is empty.
	Requirements func(stage, actionName string) []execution.Requirement
	// RuleRequired tells whether the account lets a manual action that no rule guards
	// fail instead of waiting.
	RuleRequired func() bool
	// NewID returns a fresh id for an action execution or a rule.
	NewID func() string
	// Load returns an execution of the pipeline that need not be live, with its
	// stages and actions; nil where there is none.
	Load func(id string) *execution.Execution
	// NewRollback returns the id and the number of an execution that the engine
	// starts by itself.
	NewRollback func() (id string, number int64)
}

// Find returns the live execution of that id, or nil.
func (s *Scope) Find(id string) *execution.Execution {
	for _, e := range s.Live {
		if e.ID == id {
			return e
		}
	}
	return nil
}

// MaxParallelActions bounds the actions that a PARALLEL execution runs at once, as
// in CodePipeline. Waits for people do not count.
const MaxParallelActions = 5

// MaxAttempts bounds how often an action whose runner was lost is tried.
const MaxAttempts = 3

// Decide applies an input to the scope. It changes the scope in place and
// returns what to write, or returns an error and changes nothing. An input that
// has no effect any more, such as the result of a dead attempt, gives an empty
// change.
func Decide(scope *Scope, in Input, now time.Time) (*execution.Change, error) {
	// As fine as a store keeps times: what was read back must decide alike.
	d := &decision{scope: scope, now: now.UTC().Truncate(time.Microsecond), change: &execution.Change{}}
	if err := in.apply(d); err != nil {
		return nil, err
	}
	d.supersedeWaiting()
	scope.Live = slices.DeleteFunc(scope.Live, func(e *execution.Execution) bool { return e.Status.Terminal() })
	if d.change.State != nil {
		scope.State = d.change.State
	}
	return d.change, nil
}

// decision collects what one call of Decide changes.
type decision struct {
	scope  *Scope
	now    time.Time
	change *execution.Change
}

func (d *decision) definition(e *execution.Execution) *pipeline.Definition {
	return d.scope.Definition(e.Version)
}

// declared is the stage as the version of its execution declares it.
func (d *decision) declared(e *execution.Execution, stage *execution.Stage) *pipeline.Stage {
	return &d.definition(e).Stages[stage.Position]
}

func (d *decision) start(in Start) error {
	e := in.Execution
	if d.scope.Find(e.ID) != nil {
		return fmt.Errorf("engine: execution %s was started before", e.ID)
	}
	d.begin(e)
	d.arrive(e, 0)
	d.advance(e)
	return nil
}

// begin takes in an execution that starts now.
func (d *decision) begin(e *execution.Execution) {
	if e.Type == "" {
		e.Type = pipeline.TypeStandard
	}
	e.Attempt = 1
	e.Status, e.StartedAt, e.UpdatedAt = pipeline.InProgress, d.now, d.now
	d.scope.Live = append(d.scope.Live, e)
	d.change.Started = append(d.change.Started, e)
	d.event(e, execution.Event{
		Subject: execution.SubjectExecution, State: execution.EventStarted, Principal: e.Trigger.Principal,
	})
}

// resume makes an execution live again that ended in a stage.
func (d *decision) resume(e *execution.Execution, principal, message string) {
	e.Status, e.Summary, e.EndedAt = pipeline.InProgress, "", time.Time{}
	e.Stop, e.Cancel = nil, nil
	e.Attempt++
	// Kept by number, as they are loaded.
	i, _ := slices.BinarySearchFunc(d.scope.Live, e.Number, func(other *execution.Execution, number int64) int {
		return int(other.Number - number)
	})
	d.scope.Live = slices.Insert(d.scope.Live, i, e)
	d.change.Resumed = append(d.change.Resumed, e)
	d.executionChanged(e)
	d.event(e, execution.Event{
		Subject: execution.SubjectExecution, State: execution.EventResumed, Principal: principal, Message: message,
	})
	stage := e.Current()
	stage.Status, stage.EndedAt = pipeline.InProgress, time.Time{}
	d.resumed(e, stage, principal, message)
}

// resumed tells that a stage is worked on again.
func (d *decision) resumed(e *execution.Execution, stage *execution.Stage, principal, message string) {
	d.stageChanged(e, stage)
	d.event(e, execution.Event{
		Subject: execution.SubjectStage, State: execution.EventResumed, Stage: stage.Name, Principal: principal, Message: message,
	})
}

// stageState returns what is known of a stage of the pipeline, with the changes of
// this decision.
func (d *decision) stageState(name string) execution.StageState {
	if d.change.State != nil {
		return d.change.State.Stage(name)
	}
	return d.scope.State.Stage(name)
}

// changeState changes what is known of a stage of the pipeline, on a copy.
func (d *decision) changeState(name string, change func(*execution.StageState)) {
	if d.change.State == nil {
		state := &execution.PipelineState{Stages: make(map[string]*execution.StageState)}
		if d.scope.State != nil {
			maps.Copy(state.Stages, d.scope.State.Stages)
		}
		d.change.State, d.change.Scope = state, d.scope.Key
	}
	stage := d.stageState(name)
	change(&stage)
	d.change.State.Stages[name] = &stage
}

func (d *decision) actionEvent(stage *execution.Stage, a *execution.Action, state execution.EventState) execution.Event {
	return execution.Event{
		Subject: execution.SubjectAction, State: state, Stage: stage.Name, Action: a.Name,
		ActionExecutionID: a.ID, Attempt: a.Attempt,
	}
}

func (d *decision) event(e *execution.Execution, ev execution.Event) {
	ev.At, ev.ExecutionID, ev.ExecutionAttempt = d.now, e.ID, e.Attempt
	d.change.Events = append(d.change.Events, ev)
}

// The three below note a row as changed, once; a row that the same change adds
// is written as it is at the end.

func (d *decision) executionChanged(e *execution.Execution) {
	e.UpdatedAt = d.now
	if !slices.Contains(d.change.Started, e) && !slices.Contains(d.change.Updated, e) {
		d.change.Updated = append(d.change.Updated, e)
	}
}

func (d *decision) stageChanged(e *execution.Execution, stage *execution.Stage) {
	is := func(s execution.StageOf) bool { return s.Stage == stage }
	if !slices.ContainsFunc(d.change.NewStages, is) && !slices.ContainsFunc(d.change.Stages, is) {
		d.change.Stages = append(d.change.Stages, execution.StageOf{ExecutionID: e.ID, Stage: stage})
	}
}

func (d *decision) actionChanged(e *execution.Execution, a *execution.Action) {
	is := func(o execution.ActionOf) bool { return o.Action == a }
	if !slices.ContainsFunc(d.change.NewActions, is) && !slices.ContainsFunc(d.change.Actions, is) {
		d.change.Actions = append(d.change.Actions, execution.ActionOf{ExecutionID: e.ID, Action: a})
	}
}
