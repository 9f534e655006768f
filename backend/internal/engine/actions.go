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

// findRunning returns an action that still runs in that attempt.
func (d *decision) findRunning(executionID, actionExecutionID string, attempt int) (*execution.Execution, *execution.Stage, *execution.Action) {
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

// onFinish ends an action or a rule if the attempt still counts.
func (d *decision) onFinish(in Finish) {
	if e, stage, a := d.findRunning(in.ExecutionID, in.ActionExecutionID, in.Attempt); a != nil {
		if in.Unanswered && a.Work == pipeline.WorkTurn {
			d.abandonWork(d.actionInTurns(e, stage, a))
		}
		d.keepLog(in)
		d.endAction(e, stage, a, in.Result)
		d.advance(e)
		return
	}
	if e, stage, r := d.findRunningRule(in.ExecutionID, in.ActionExecutionID, in.Attempt); r != nil {
		d.keepLog(in)
		if in.Unanswered && r.Work == pipeline.WorkTurn {
			d.abandonWork(ruleInTurns(e, stage, r))
		}
		d.endRunningRule(e, stage, r, in.Result)
	}
}

// keepLog keeps a log that came with a result that counts.
func (d *decision) keepLog(in Finish) {
	if in.Result.Log != nil {
		d.change.Log = &execution.Log{ExecutionID: in.ExecutionID, ActionExecutionID: in.ActionExecutionID, SmallLog: *in.Result.Log}
	}
}

// onRunnerLost ends an action or a rule whose runner was lost, or tries an action again. A
// rule is not tried again, because it is not known what it did so far.
func (d *decision) onRunnerLost(in Lost) {
	if e, stage, a := d.findRunning(in.ExecutionID, in.ActionExecutionID, in.Attempt); a != nil && a.Work == pipeline.WorkAttempt {
		d.applyOnLost(e, stage, a, in.Reason)
		d.advance(e)
		return
	}
	if e, stage, r := d.findRunningRule(in.ExecutionID, in.ActionExecutionID, in.Attempt); r != nil && r.Work != pipeline.WorkTurn {
		d.endRunningRule(e, stage, r, action.Failed(action.RunnerLost, "%s", in.Reason))
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
			// Also one that failed at once: nothing starts instead of a failure.
			busy++
		}
	}
	return started
}

// nextGroup returns the actions of the lowest run order among those that have not
// started.
func nextGroup(actions []pipeline.Action, started map[string]bool) []*pipeline.Action {
	var group []*pipeline.Action
	for i := range actions {
		a := &actions[i]
		switch {
		case started[a.Name]:
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
		d.endAction(e, stage, a, action.Failed(action.ConfigurationError,
			"no executor for %s/%s/%s version %s on this server", declared.Category, declared.Owner, declared.Provider, declared.Version))
		return
	}
	resolved, err := d.resolve(e, declared)
	if err != nil {
		d.endAction(e, stage, a, action.Failed(action.ConfigurationError, "%s", err))
		return
	}
	a.Details.Configuration = resolved.Configuration
	a.Details.Inputs, err = inputs(e, declared.InputArtifacts)
	if err != nil {
		d.endAction(e, stage, a, action.Failed(action.ConfigurationError, "%s", err))
		return
	}
	switch kind.Work {
	case pipeline.WorkApproval:
		d.startApproval(e, stage, a, timeout(declared, kind))
	case pipeline.WorkTurn:
		d.startTurns(d.actionInTurns(e, stage, a), resolved, a.Details.Inputs)
	case pipeline.WorkAttempt:
		d.lease(e, stage, a, resolved)
	case pipeline.WorkImmediate:
		d.endAction(e, stage, a, decideNow(&kind, resolved.Configuration, d.facts(e, stage)))
	case pipeline.WorkTimed:
		// Conditions alone wait for a time.
		d.endAction(e, stage, a, action.Failed(action.ConfigurationError, "type %s is only for rules of conditions", kind.ID))
	}
}

// decideNow is the result of a type that is decided at once.
func decideNow(kind *pipeline.Type, configuration map[string]string, facts pipeline.Facts) action.Result {
	met, summary, err := kind.Decide(kind.WithDefaults(configuration), facts)
	switch {
	case err != nil:
		return action.Failed(action.ConfigurationError, "%s", err)
	case met:
		return action.Result{Summary: summary}
	default:
		return action.Failed(action.JobFailed, "%s", summary)
	}
}

// timeout is the action's own, or its type's.
func timeout(declared *pipeline.Action, kind pipeline.Type) time.Duration {
	if declared.TimeoutInMinutes > 0 {
		return time.Duration(declared.TimeoutInMinutes) * time.Minute
	}
	return kind.DefaultTimeout
}

// resolve puts variables and defaults into an action, and into a source action the revision
// that was asked for at the start.
func (d *decision) resolve(e *execution.Execution, declared *pipeline.Action) (pipeline.Action, error) {
	kind, _ := d.scope.Catalog.Lookup(declared.TypeID())
	resolved, err := pipeline.ResolveAction(*declared, &kind, lookup(e))
	if err != nil {
		return resolved, err
	}
	for _, o := range e.Overrides {
		if o.Action == declared.Name && declared.Category == pipeline.CategorySource {
			resolved = pipeline.ApplyOverride(resolved, kind, o)
		}
	}
	resolved.Configuration = kind.WithDefaults(resolved.Configuration)
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

// endAction ends one action. advance decides what follows for the stage.
func (d *decision) endAction(e *execution.Execution, stage *execution.Stage, a *execution.Action, result action.Result) {
	if size := bytesOf(result.Variables); result.Failure == nil && size > action.MaxOutputBytes {
		result = action.Failed(action.OutputTooLarge, "the output variables take %d bytes; at most %d are kept", size, action.MaxOutputBytes)
	}
	a.EndedAt = d.now
	a.Details.Summary = result.Summary
	if result.ExternalID != "" || result.ExternalURL != "" {
		a.Details.ExternalID, a.Details.ExternalURL = result.ExternalID, result.ExternalURL
	}
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
		ev.Message = string(result.Failure.Code) + ": " + result.Failure.Message
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

// applyOnLost follows the action's policy for a lost runner.
func (d *decision) applyOnLost(e *execution.Execution, stage *execution.Stage, a *execution.Action, reason string) {
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
		d.endAction(e, stage, a, action.Failed(action.RunnerLost,
			"%s in attempt %d; whether its work was done is not known (on_lost = %q)", reason, a.Attempt, policy))
		return
	}
	resolved, err := d.resolve(e, declared)
	if err != nil {
		d.endAction(e, stage, a, action.Failed(action.ConfigurationError, "%s", err))
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
			Inputs: a.Details.Inputs, Timeout: timeout(&resolved, kind), Change: change(e, &resolved),
		},
	})
}

// change returns what started the execution, if it was a change in the repository of a source
// action: the trigger asked for its commit by an override.
func change(e *execution.Execution, a *pipeline.Action) *action.Change {
	t := &e.Trigger
	asked := func(o pipeline.Override) bool { return o.Action == a.Name && o.Value == t.To }
	if a.Category != pipeline.CategorySource || t.To == "" || !slices.ContainsFunc(e.Overrides, asked) {
		return nil
	}
	if r := t.PullRequest; r != nil {
		return &action.Change{PullRequest: &action.PullRequest{
			Number: r.Number, Title: r.Title, SourceBranch: r.SourceBranch, DestinationBranch: r.DestinationBranch,
		}}
	}
	return &action.Change{Ref: t.Ref}
}

func scopeOf(e *execution.Execution, stage *execution.Stage, actionExecutionID string) action.Scope {
	return action.Scope{
		Account: e.Account, Pipeline: e.Pipeline, PipelineVersion: e.Version, ExecutionID: e.ID,
		Stage: stage.Name, ActionExecutionID: actionExecutionID,
	}
}
