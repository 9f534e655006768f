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
	// Definition returns the version that an execution is pinned to.
	Definition func(version int64) *pipeline.Definition
	Catalog    *pipeline.Catalog
	// Requirements returns the approval rules that guard a manual action, or the
	// entry of a stage where actionName is empty.
	Requirements func(stage, actionName string) []execution.Requirement
	// NewID returns a fresh id for an action execution.
	NewID func() string
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

func (Start) input()   {}
func (Finish) input()  {}
func (Again) input()   {}
func (Lost) input()    {}
func (Approve) input() {}
func (Expire) input()  {}
func (Stop) input()    {}

// MaxAttempts bounds how often an action whose runner was lost is tried.
const MaxAttempts = 3

// MaxOutputBytes bounds the output variables of one action, as CodePipeline does.
const MaxOutputBytes = 122880

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

// running finds an action that still runs, in the attempt that is meant.
func (d *decision) running(executionID, actionExecutionID string, attempt int) (*execution.Execution, *execution.Stage, *execution.Action) {
	e := d.scope.Find(executionID)
	if e == nil {
		return nil, nil, nil
	}
	stage := e.Current()
	if stage == nil || !stage.Live() {
		return nil, nil, nil
	}
	for _, a := range stage.Actions {
		if a.ID == actionExecutionID && a.Status == pipeline.InProgress && answers(a, attempt) {
			return e, stage, a
		}
	}
	return nil, nil, nil
}

// answers tells whether an attempt, or a turn where it is 0, is what the action
// waits for. Nothing of the kind ends an approval.
func answers(a *execution.Action, attempt int) bool {
	switch a.Work {
	case pipeline.WorkTurn:
		return attempt == 0
	case pipeline.WorkAttempt:
		return attempt == a.Attempt
	default:
		return false
	}
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

// arrive brings an execution in front of a stage: it enters where the stage is
// free, else it waits; in SUPERSEDED mode there is one place to wait, which the
// newest takes (CodePipeline, "how executions work").
func (d *decision) arrive(e *execution.Execution, position int) {
	stage := &execution.Stage{
		Position:  position,
		Name:      d.definition(e).Stages[position].Name,
		Status:    pipeline.InProgress,
		ArrivedAt: d.now,
	}
	e.Stages = append(e.Stages, stage)
	d.change.NewStages = append(d.change.NewStages, execution.StageOf{ExecutionID: e.ID, Stage: stage})
	if e.Mode == pipeline.Parallel {
		d.enter(e)
		return
	}
	holder, waiting := d.occupants(stage.Name, e)
	for _, w := range waiting {
		stage.Arrival = max(stage.Arrival, w.Current().Arrival+1)
	}
	if holder == nil && len(waiting) == 0 {
		d.enter(e)
		return
	}
	if e.Mode != pipeline.Superseded {
		return
	}
	for _, w := range waiting {
		switch {
		case w.Mode != pipeline.Superseded:
			// Its version lets it queue, also when the pipeline's mode changed since.
		case w.Number > e.Number:
			d.supersede(e, w)
			return
		default:
			d.supersede(w, e)
		}
	}
}

// occupants returns who is inside a stage and who waits in front of it, first
// come first, without one execution itself.
func (d *decision) occupants(name string, but *execution.Execution) (holder *execution.Execution, waiting []*execution.Execution) {
	for _, e := range d.scope.Live {
		stage := e.Current()
		if e == but || e.Mode == pipeline.Parallel || stage == nil || stage.Name != name || e.Status.Terminal() {
			continue
		}
		switch {
		case stage.Live():
			holder = e
		case stage.Waiting():
			waiting = append(waiting, e)
		}
	}
	slices.SortFunc(waiting, func(a, b *execution.Execution) int {
		return int(a.Current().Arrival - b.Current().Arrival)
	})
	return holder, waiting
}

func (d *decision) supersede(e, by *execution.Execution) {
	stage := e.Current()
	// A stage that was never entered has no status of its own in CodePipeline;
	// Cancelled says that it will not be entered.
	stage.Status, stage.EndedAt = pipeline.Cancelled, d.now
	d.stageChanged(e, stage)
	d.end(e, pipeline.StatusSuperseded, execution.EventSuperseded,
		fmt.Sprintf("superseded by execution %d in front of stage %s", by.Number, stage.Name))
}

// enter takes the stage and starts its first actions, or its entry approval.
func (d *decision) enter(e *execution.Execution) {
	stage := e.Current()
	stage.StartedAt = d.now
	d.stageChanged(e, stage)
	d.event(e, execution.Event{Subject: execution.SubjectStage, State: execution.EventStarted, Stage: stage.Name})
	if requirements := d.scope.Requirements(stage.Name, ""); len(requirements) > 0 {
		stage.Entry = d.openApproval(requirements, 0)
		d.change.Turns = append(d.change.Turns, d.expiry(e, entryID(e, stage), stage.Entry))
		return
	}
	d.startNextGroup(e)
}

// leave lets the first that waits for a stage in.
func (d *decision) leave(name string) {
	if holder, waiting := d.occupants(name, nil); holder == nil && len(waiting) > 0 {
		d.enter(waiting[0])
		d.advance(waiting[0])
	}
}

// startNextGroup starts the actions of the lowest run order that has none yet.
// It returns false when there is no such group.
func (d *decision) startNextGroup(e *execution.Execution) bool {
	stage := e.Current()
	done := 0
	for _, a := range stage.Actions {
		done = max(done, a.RunOrder)
	}
	actions := d.definition(e).Stages[stage.Position].Actions
	next := 0
	for i := range actions {
		if order := actions[i].Order(); order > done && (next == 0 || order < next) {
			next = order
		}
	}
	if next == 0 {
		return false
	}
	for i := range actions {
		if actions[i].Order() == next {
			d.startAction(e, stage, &actions[i])
		}
	}
	return true
}

func (d *decision) startAction(e *execution.Execution, stage *execution.Stage, declared *pipeline.Action) {
	kind, known := d.scope.Catalog.Lookup(declared.TypeID())
	a := &execution.Action{
		ID: d.scope.NewID(), Stage: stage.Position, Name: declared.Name, Category: declared.Category,
		Provider: declared.Provider, Work: kind.Work, RunOrder: declared.Order(), Namespace: declared.Namespace,
		Attempt: 1, Status: pipeline.InProgress, StartedAt: d.now,
	}
	stage.Actions = append(stage.Actions, a)
	d.change.NewActions = append(d.change.NewActions, execution.ActionOf{ExecutionID: e.ID, Action: a})
	d.event(e, d.actionEvent(stage, a, execution.EventStarted))
	if !known {
		d.finish(e, stage, a, action.Failed(action.ConfigurationError,
			"no executor for %s/%s/%s version %s on this server", declared.Category, declared.Owner, declared.Provider, declared.Version))
		return
	}
	resolved, err := pipeline.ResolveAction(*declared, lookup(e))
	if err != nil {
		d.finish(e, stage, a, action.Failed(action.ConfigurationError, "%s", err))
		return
	}
	a.Details.Configuration = resolved.Configuration
	a.Details.Inputs, err = inputs(e, declared)
	if err != nil {
		d.finish(e, stage, a, action.Failed(action.ConfigurationError, "%s", err))
		return
	}
	switch kind.Work {
	case pipeline.WorkApproval:
		a.Details.Approval = d.openApproval(d.scope.Requirements(stage.Name, a.Name), timeout(declared, kind))
		d.change.Turns = append(d.change.Turns, d.expiry(e, a.ID, a.Details.Approval))
	case pipeline.WorkTurn:
		d.change.Turns = append(d.change.Turns, d.turn(e, stage, a, resolved, nil, 0))
	case pipeline.WorkAttempt:
		d.lease(e, stage, a, resolved)
	}
}

// timeout is the action's own, or its type's.
func timeout(declared *pipeline.Action, kind pipeline.ActionType) time.Duration {
	if declared.TimeoutInMinutes > 0 {
		return time.Duration(declared.TimeoutInMinutes) * time.Minute
	}
	return kind.DefaultTimeout
}

// lookup resolves references from what an execution produced so far.
func lookup(e *execution.Execution) func(namespace, key string) (string, bool) {
	return func(namespace, key string) (string, bool) {
		switch namespace {
		case "codepipeline":
			return e.ID, key == "PipelineExecutionId"
		case "variables":
			value, ok := e.Variables[key]
			return value, ok
		}
		for _, stage := range e.Stages {
			for _, a := range stage.Actions {
				if a.Namespace == namespace && a.Status == pipeline.Succeeded {
					value, ok := a.Details.Variables[key]
					return value, ok
				}
			}
		}
		return "", false
	}
}

// inputs finds the artifacts that an action takes among what was produced.
func inputs(e *execution.Execution, declared *pipeline.Action) ([]action.Artifact, error) {
	var found []action.Artifact
	for _, name := range declared.InputArtifacts {
		artifact, ok := output(e, name)
		if !ok {
			return nil, fmt.Errorf("input artifact %q was not produced by any action that ran", name)
		}
		found = append(found, artifact)
	}
	return found, nil
}

func output(e *execution.Execution, name string) (action.Artifact, bool) {
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			for _, artifact := range a.Details.Outputs {
				if artifact.Name == name {
					return artifact, true
				}
			}
		}
	}
	return action.Artifact{}, false
}

// finish ends one action; what follows for the stage is advance's.
func (d *decision) finish(e *execution.Execution, stage *execution.Stage, a *execution.Action, result action.Result) {
	if size := bytesOf(result.Variables); result.Failure == nil && size > MaxOutputBytes {
		result = action.Failed(action.OutputTooLarge, "the output variables take %d bytes; at most %d are kept", size, MaxOutputBytes)
	}
	a.EndedAt = d.now
	a.Details.Summary = result.Summary
	a.Details.ExternalID, a.Details.ExternalURL = result.ExternalID, result.ExternalURL
	event := execution.EventSucceeded
	if result.Failure != nil {
		a.Status, a.Details.Failure, event = pipeline.Failed, result.Failure, execution.EventFailed
	} else {
		a.Status = pipeline.Succeeded
		a.Details.Variables, a.Details.Outputs = result.Variables, result.Artifacts
		if result.Revision != nil {
			e.Revisions = append(e.Revisions, execution.SourceRevision{Action: a.Name, Revision: *result.Revision})
			d.executionChanged(e)
		}
	}
	ev := d.actionEvent(stage, a, event)
	if result.Failure != nil {
		ev.Message = result.Failure.Code + ": " + result.Failure.Message
	}
	d.event(e, ev)
	d.actionChanged(e, a)
	d.workDone(a)
}

func bytesOf(variables map[string]string) int {
	size := 0
	for key, value := range variables {
		size += len(key) + len(value)
	}
	return size
}

// workDone removes the work item of an action that needs it no more.
func (d *decision) workDone(a *execution.Action) {
	if a.Work == pipeline.WorkAttempt {
		for i, l := range d.change.Leases {
			if l.Attempt.ActionExecutionID == a.ID {
				d.change.Leases = slices.Delete(d.change.Leases, i, i+1)
				return
			}
		}
		d.change.DoneAttempts = append(d.change.DoneAttempts, a.ID)
		return
	}
	d.turnDone(a.ID)
}

func (d *decision) turnDone(id string) {
	for i, t := range d.change.Turns {
		if t.ID == id {
			d.change.Turns = slices.Delete(d.change.Turns, i, i+1)
			return
		}
	}
	d.change.DoneTurns = append(d.change.DoneTurns, id)
}

// advance moves an execution on as far as it goes: to the next group, stage or
// its end.
func (d *decision) advance(e *execution.Execution) {
	for !e.Status.Terminal() {
		stage := e.Current()
		if !stage.Live() || open(stage.Entry) {
			return
		}
		failed := ""
		for _, a := range stage.Actions {
			switch a.Status {
			case pipeline.InProgress:
				return
			case pipeline.Failed:
				failed = a.Name
			default:
			}
		}
		switch {
		case e.Stop != nil:
			d.endStage(e, stage, pipeline.Stopped, execution.EventStopped)
			d.end(e, pipeline.Stopped, execution.EventStopped, stopSummary(e.Stop))
			d.leave(stage.Name)
		case failed != "":
			d.fail(e, stage, fmt.Sprintf("action %s of stage %s failed", failed, stage.Name))
		case d.startNextGroup(e):
			// Actions that failed at once are seen by the next round.
		default:
			d.endStage(e, stage, pipeline.Succeeded, execution.EventSucceeded)
			if next := stage.Position + 1; next < len(d.definition(e).Stages) {
				d.arrive(e, next)
			} else {
				d.end(e, pipeline.Succeeded, execution.EventSucceeded, "")
			}
			d.leave(stage.Name)
		}
	}
}

// fail ends a stage and its execution, and lets the next one in.
func (d *decision) fail(e *execution.Execution, stage *execution.Stage, summary string) {
	d.endStage(e, stage, pipeline.Failed, execution.EventFailed)
	d.end(e, pipeline.Failed, execution.EventFailed, summary)
	d.leave(stage.Name)
}

func (d *decision) endStage(e *execution.Execution, stage *execution.Stage, status pipeline.Status, event string) {
	stage.Status, stage.EndedAt = status, d.now
	d.stageChanged(e, stage)
	d.event(e, execution.Event{Subject: execution.SubjectStage, State: event, Stage: stage.Name})
}

func (d *decision) end(e *execution.Execution, status pipeline.Status, event, summary string) {
	e.Status, e.Summary, e.EndedAt = status, summary, d.now
	d.executionChanged(e)
	d.event(e, execution.Event{Subject: execution.SubjectExecution, State: event, Message: summary})
}

func (d *decision) again(e *execution.Execution, stage *execution.Stage, a *execution.Action, again action.Again) {
	declared := d.definition(e).Stages[stage.Position].Action(a.Name)
	resolved, err := pipeline.ResolveAction(*declared, lookup(e))
	if err != nil {
		d.finish(e, stage, a, action.Failed(action.ConfigurationError, "%s", err))
		d.advance(e)
		return
	}
	d.change.Turns = append(d.change.Turns, d.turn(e, stage, a, resolved, again.State, again.Delay))
}

// lost follows the action's policy for a runner that went away.
func (d *decision) lost(e *execution.Execution, stage *execution.Stage, a *execution.Action, reason string) {
	ev := d.actionEvent(stage, a, execution.EventLost)
	ev.Message = reason
	d.event(e, ev)
	declared := d.definition(e).Stages[stage.Position].Action(a.Name)
	kind, _ := d.scope.Catalog.Lookup(declared.TypeID())
	policy := declared.OnLost
	if policy == "" {
		policy = kind.OnLost
	}
	if policy != pipeline.OnLostRetry || a.Attempt >= MaxAttempts || e.Stop != nil {
		d.finish(e, stage, a, action.Failed(action.RunnerLost,
			"%s in attempt %d; whether its work was done is not known (on_lost = %q)", reason, a.Attempt, policy))
		return
	}
	resolved, err := pipeline.ResolveAction(*declared, lookup(e))
	if err != nil {
		d.finish(e, stage, a, action.Failed(action.ConfigurationError, "%s", err))
		return
	}
	d.change.DoneAttempts = append(d.change.DoneAttempts, a.ID)
	a.Attempt++
	d.actionChanged(e, a)
	d.event(e, d.actionEvent(stage, a, execution.EventStarted))
	d.lease(e, stage, a, resolved)
}

func (d *decision) lease(e *execution.Execution, stage *execution.Stage, a *execution.Action, resolved pipeline.Action) {
	kind, _ := d.scope.Catalog.Lookup(resolved.TypeID())
	d.change.Leases = append(d.change.Leases, &execution.Lease{
		Scope:    d.scope.Key,
		QueuedAt: d.now,
		Attempt: action.Attempt{
			Scope: scopeOf(e, stage, a), Number: a.Attempt, Action: resolved,
			Inputs: a.Details.Inputs, Timeout: timeout(&resolved, kind),
		},
	})
}

func (d *decision) turn(e *execution.Execution, stage *execution.Stage, a *execution.Action, resolved pipeline.Action, state []byte, delay time.Duration) *execution.Turn {
	return &execution.Turn{
		ID: a.ID, Kind: execution.TurnAction, Scope: d.scope.Key, ExecutionID: e.ID, DueAt: d.now.Add(delay),
		Work: &action.Turn{Scope: scopeOf(e, stage, a), State: state, Action: resolved, Inputs: a.Details.Inputs},
	}
}

func scopeOf(e *execution.Execution, stage *execution.Stage, a *execution.Action) action.Scope {
	return action.Scope{
		Account: e.Account, Pipeline: e.Pipeline, PipelineVersion: e.Version, ExecutionID: e.ID,
		Stage: stage.Name, ActionExecutionID: a.ID,
	}
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
