package engine

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

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

// finished ends an action or a rule, where the attempt still counts.
func (d *decision) finished(in Finish) {
	if e, stage, a := d.running(in.ExecutionID, in.ActionExecutionID, in.Attempt); a != nil {
		d.finish(e, stage, a, in.Result)
		d.advance(e)
		return
	}
	if e, stage, r := d.runningRule(in.ExecutionID, in.ActionExecutionID, in.Attempt); r != nil {
		d.finishRule(e, stage, r, in.Result)
	}
}

// runnerLost tells an action or a rule that its runner went away. A rule is not
// tried again: what it did so far nobody knows.
func (d *decision) runnerLost(in Lost) {
	if e, stage, a := d.running(in.ExecutionID, in.ActionExecutionID, in.Attempt); a != nil && a.Work == pipeline.WorkAttempt {
		d.lost(e, stage, a, in.Reason)
		d.advance(e)
		return
	}
	if e, stage, r := d.runningRule(in.ExecutionID, in.ActionExecutionID, in.Attempt); r != nil {
		d.finishRule(e, stage, r, action.Failed(action.RunnerLost, "%s", in.Reason))
	}
}

// startActions starts the actions of the lowest run order that have not run yet, as
// many as may run at once. It returns false where none was started: there is none,
// or those of an earlier run order are not done.
func (d *decision) startActions(e *execution.Execution, stage *execution.Stage) bool {
	current := make(map[string]bool)
	busy := 0
	var waiting []int
	for _, a := range stage.Actions {
		if a.Retried {
			continue
		}
		current[a.Name] = true
		if a.Status == pipeline.InProgress {
			waiting = append(waiting, a.RunOrder)
			if a.Work != pipeline.WorkApproval {
				busy++
			}
		}
	}
	next := nextGroup(d.declared(e, stage).Actions, current)
	if len(next) == 0 || slices.ContainsFunc(waiting, func(order int) bool { return order < next[0].Order() }) {
		return false
	}
	started := false
	for _, declared := range next {
		kind, _ := d.scope.Catalog.Lookup(declared.TypeID())
		counts := kind.Work != pipeline.WorkApproval
		if e.Mode == pipeline.Parallel && counts && busy >= MaxParallelActions {
			continue
		}
		d.startAction(e, stage, declared)
		started = true
		if counts {
			// Also one that failed at once: nothing starts in the place of a failure.
			busy++
		}
	}
	return started
}

// nextGroup returns the actions of the lowest run order among those that are not
// there yet.
func nextGroup(actions []pipeline.Action, there map[string]bool) []*pipeline.Action {
	var group []*pipeline.Action
	for i := range actions {
		a := &actions[i]
		switch {
		case there[a.Name]:
		case len(group) == 0 || a.Order() < group[0].Order():
			group = append(group[:0], a)
		case a.Order() == group[0].Order():
			group = append(group, a)
		}
	}
	return group
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
	resolved, err := d.resolve(e, declared)
	if err != nil {
		d.finish(e, stage, a, action.Failed(action.ConfigurationError, "%s", err))
		return
	}
	a.Details.Configuration = resolved.Configuration
	a.Details.Inputs, err = inputs(e, declared.InputArtifacts)
	if err != nil {
		d.finish(e, stage, a, action.Failed(action.ConfigurationError, "%s", err))
		return
	}
	switch kind.Work {
	case pipeline.WorkApproval:
		d.startApproval(e, stage, a, timeout(declared, kind))
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

// resolve puts variables into an action, and into a source action the revision that
// was asked for at the start.
func (d *decision) resolve(e *execution.Execution, declared *pipeline.Action) (pipeline.Action, error) {
	resolved, err := pipeline.ResolveAction(*declared, lookup(e))
	if err != nil {
		return resolved, err
	}
	kind, _ := d.scope.Catalog.Lookup(declared.TypeID())
	for _, o := range e.Overrides {
		if o.Action == declared.Name && declared.Category == pipeline.CategorySource {
			resolved = pipeline.ApplyOverride(resolved, kind, o)
		}
	}
	return resolved, nil
}

// lookup resolves references from what an execution produced so far.
func lookup(e *execution.Execution) pipeline.LookupFunc {
	var published map[string]map[string]string
	return func(namespace, key string) (string, bool) {
		switch namespace {
		case pipeline.NamespaceCodePipeline:
			return e.ID, key == pipeline.KeyPipelineExecutionID
		case pipeline.NamespaceVariables:
			value, ok := e.Variables[key]
			return value, ok
		}
		if published == nil {
			published = outputs(e)
		}
		value, ok := published[namespace][key]
		return value, ok
	}
}

// outputs are the output variables of an execution by namespace.
func outputs(e *execution.Execution) map[string]map[string]string {
	all := make(map[string]map[string]string)
	if e.Rollback != nil {
		maps.Copy(all, e.Rollback.Variables)
	}
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			if a.Namespace != "" && a.Status == pipeline.Succeeded && !a.Retried {
				all[a.Namespace] = a.Details.Variables
			}
		}
	}
	return all
}

// inputs finds artifacts among what was produced.
func inputs(e *execution.Execution, names []string) ([]action.Artifact, error) {
	var found []action.Artifact
	all := produced(e)
	for _, name := range names {
		i := slices.IndexFunc(all, func(a action.Artifact) bool { return a.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("input artifact %q was not produced by any action that ran", name)
		}
		found = append(found, all[i])
	}
	return found, nil
}

// finish ends one action; what follows for the stage is advance's.
func (d *decision) finish(e *execution.Execution, stage *execution.Stage, a *execution.Action, result action.Result) {
	if size := bytesOf(result.Variables); result.Failure == nil && size > action.MaxOutputBytes {
		result = action.Failed(action.OutputTooLarge, "the output variables take %d bytes; at most %d are kept", size, action.MaxOutputBytes)
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
			// A retry fetches again.
			e.Revisions = slices.DeleteFunc(slices.Clone(e.Revisions), func(r execution.SourceRevision) bool { return r.Action == a.Name })
			e.Revisions = append(e.Revisions, execution.SourceRevision{Action: a.Name, Revision: *result.Revision})
			d.executionChanged(e)
		}
	}
	ev := d.actionEvent(stage, a, event)
	switch {
	case result.Failure != nil:
		ev.Message = result.Failure.Code + ": " + result.Failure.Message
	case a.Details.Approval != nil:
		ev.Message = a.Details.Approval.Skipped
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

func (d *decision) again(e *execution.Execution, stage *execution.Stage, a *execution.Action, again action.Again) {
	resolved, err := d.resolve(e, d.declared(e, stage).Action(a.Name))
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
	declared := d.declared(e, stage).Action(a.Name)
	kind, _ := d.scope.Catalog.Lookup(declared.TypeID())
	policy := declared.OnLost
	if policy == "" {
		policy = kind.OnLost
	}
	if policy != pipeline.OnLostRetry || a.Attempt >= MaxAttempts || e.Stop != nil || e.Cancel != nil {
		d.finish(e, stage, a, action.Failed(action.RunnerLost,
			"%s in attempt %d; whether its work was done is not known (on_lost = %q)", reason, a.Attempt, policy))
		return
	}
	resolved, err := d.resolve(e, declared)
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
			Scope: scopeOf(e, stage, a.ID), Number: a.Attempt, Action: resolved,
			Inputs: a.Details.Inputs, Timeout: timeout(&resolved, kind),
		},
	})
}

func (d *decision) turn(e *execution.Execution, stage *execution.Stage, a *execution.Action, resolved pipeline.Action, state []byte, delay time.Duration) *execution.Turn {
	return &execution.Turn{
		ID: a.ID, Kind: execution.TurnAction, Scope: d.scope.Key, ExecutionID: e.ID, DueAt: d.now.Add(delay),
		Work: &action.Turn{Scope: scopeOf(e, stage, a.ID), State: state, Action: resolved, Inputs: a.Details.Inputs},
	}
}

func scopeOf(e *execution.Execution, stage *execution.Stage, actionExecutionID string) action.Scope {
	return action.Scope{
		Account: e.Account, Pipeline: e.Pipeline, PipelineVersion: e.Version, ExecutionID: e.ID,
		Stage: stage.Name, ActionExecutionID: actionExecutionID,
	}
}
