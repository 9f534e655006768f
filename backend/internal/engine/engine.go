// Package engine decides: given the live executions of a scope and one input it
// says what changes, which events tell of it and which work follows. It does no
// I/O, reads no clock and starts no goroutine.
package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
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
	// Definition returns the version that an execution is pinned to.
	Definition func(version int64) *pipeline.Definition
	Catalog    *pipeline.Catalog
	// Requirements returns the approval rules that guard a manual action, or the
	// entry of a stage where actionName is empty.
	Requirements func(stage, actionName string) []execution.Requirement
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

// Input is something that happened. Decide knows the types of this package.
type Input interface{ input() }

// Start adds an execution. Its stages are empty and its status InProgress.
type Start struct{ Execution *execution.Execution }

// Finish is the result of an attempt or a turn. Attempt 0 stands for a turn.
type Finish struct {
	ExecutionID, ActionExecutionID string
	Attempt                        int
	Result                         action.Result
}

// Again carries a turn on later.
type Again struct {
	ExecutionID, ActionExecutionID string
	Again                          action.Again
}

// Lost says that the runner of an attempt went away.
type Lost struct {
	ExecutionID, ActionExecutionID string
	Attempt                        int
	Reason                         string
}

// Approve is one person's decision on an open approval.
type Approve struct {
	ExecutionID string
	// Stage and Action name the approval; both may be empty when only one is open.
	Stage, Action string
	Principal     string
	Groups        []string
	Approved      bool
	Comment       string
}

// Expire says that the time of an approval is over. ID is the turn's.
type Expire struct{ ExecutionID, ID string }

// Stop ends an execution: once its actions ended, or at once.
type Stop struct {
	ExecutionID string
	Principal   string
	Reason      string
	Abandon     bool
}

// Recheck looks again at a condition that waits for a time. ID is the turn's.
type Recheck struct{ ExecutionID, ID string }

// Retry runs a stage of an execution again, which may have ended: the execution is
// given as the store has it, and is ignored where the scope knows it as live.
type Retry struct {
	Execution *execution.Execution
	// Stage may be empty for the one where the execution is or ended.
	Stage     string
	Mode      pipeline.RetryMode
	Principal string
	// Newest is the newest version of the pipeline.
	Newest int64
}

// Rollback runs a stage again as the target did. Execution is the new one; its
// stages are empty, and what it takes from the target is left to the engine.
type Rollback struct {
	Execution *execution.Execution
	Target    *execution.Execution
	Stage     string
	// Newest is the newest version of the pipeline.
	Newest int64
}

// Override lets an execution go on that a condition stopped or holds. The
// execution is given as in Retry.
type Override struct {
	Execution *execution.Execution
	Stage     string
	Condition pipeline.ConditionKind
	Principal string
	Reason    string
}

// SetTransition disables or enables the inbound transition of a stage.
type SetTransition struct {
	Stage     string
	Enabled   bool
	Reason    string
	Principal string
}

// Cancel ends the executions of versions before this one, once their running
// actions ended.
type Cancel struct {
	Version   int64
	Principal string
}

func (Recheck) input()       {}
func (Retry) input()         {}
func (Rollback) input()      {}
func (Override) input()      {}
func (SetTransition) input() {}
func (Cancel) input()        {}

func (Start) input()   {}
func (Finish) input()  {}
func (Again) input()   {}
func (Lost) input()    {}
func (Approve) input() {}
func (Expire) input()  {}
func (Stop) input()    {}

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
	if err := d.apply(in); err != nil {
		return nil, err
	}
	scope.Live = slices.DeleteFunc(scope.Live, func(e *execution.Execution) bool { return e.Status.Terminal() })
	return d.change, nil
}

// decision collects what one call of Decide changes.
type decision struct {
	scope  *Scope
	now    time.Time
	change *execution.Change
}

func (d *decision) apply(in Input) error {
	switch in := in.(type) {
	case Start:
		return d.start(in)
	case Finish:
		if e, stage, a := d.running(in.ExecutionID, in.ActionExecutionID, in.Attempt); a != nil {
			d.finish(e, stage, a, in.Result)
			d.advance(e)
		}
		return nil
	case Again:
		if e, stage, a := d.running(in.ExecutionID, in.ActionExecutionID, 0); a != nil {
			d.again(e, stage, a, in.Again)
		}
		return nil
	case Lost:
		if e, stage, a := d.running(in.ExecutionID, in.ActionExecutionID, in.Attempt); a != nil && a.Work == pipeline.WorkAttempt {
			d.lost(e, stage, a, in.Reason)
			d.advance(e)
		}
		return nil
	case Approve:
		return d.approve(in)
	case Expire:
		d.expire(in)
		return nil
	case Stop:
		return d.stop(in)
	default:
		return fmt.Errorf("engine: unknown input %T", in)
	}
}

func (d *decision) definition(e *execution.Execution) *pipeline.Definition {
	return d.scope.Definition(e.Version)
}

func (d *decision) start(in Start) error {
	e := in.Execution
	if d.scope.Find(e.ID) != nil {
		return fmt.Errorf("engine: execution %s was started before", e.ID)
	}
	d.scope.Live = append(d.scope.Live, e)
	e.Status, e.StartedAt, e.UpdatedAt = pipeline.InProgress, d.now, d.now
	d.change.Started = append(d.change.Started, e)
	d.event(e, execution.Event{Subject: execution.SubjectExecution, State: execution.EventStarted, Principal: e.Trigger.Principal})
	d.arrive(e, 0)
	d.advance(e)
	return nil
}

func (d *decision) actionEvent(stage *execution.Stage, a *execution.Action, state string) execution.Event {
	return execution.Event{
		Subject: execution.SubjectAction, State: state, Stage: stage.Name, Action: a.Name,
		ActionExecutionID: a.ID, Attempt: a.Attempt,
	}
}

func (d *decision) event(e *execution.Execution, ev execution.Event) {
	ev.At, ev.ExecutionID = d.now, e.ID
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
