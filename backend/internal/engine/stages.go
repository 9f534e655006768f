package engine

import (
	"fmt"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// arrive brings an execution in front of a stage: it enters where the stage is
// free and the transition into it enabled, else it waits; in SUPERSEDED mode there
// is one place to wait, which the newest takes (CodePipeline, "how executions
// work").
func (d *decision) arrive(e *execution.Execution, position int) {
	stage := d.newStage(e, position)
	if e.Mode == pipeline.Parallel {
		d.enter(e)
		return
	}
	holder, waiting := d.scope.occupants(stage.Name, e)
	for _, w := range waiting {
		stage.Arrival = max(stage.Arrival, w.Current().Arrival+1)
	}
	if holder == nil && len(waiting) == 0 && !d.disabled(stage.Name) {
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

func (d *decision) newStage(e *execution.Execution, position int) *execution.Stage {
	stage := &execution.Stage{
		Position:  position,
		Name:      d.definition(e).Stages[position].Name,
		Status:    pipeline.InProgress,
		ArrivedAt: d.now,
	}
	e.Stages = append(e.Stages, stage)
	d.change.NewStages = append(d.change.NewStages, execution.StageOf{ExecutionID: e.ID, Stage: stage})
	return stage
}

// Occupants returns who is inside a stage and who waits in front of it, first come
// first.
func (s *Scope) Occupants(name string) (holder *execution.Execution, waiting []*execution.Execution) {
	return s.occupants(name, nil)
}

// occupants is Occupants without one execution.
func (s *Scope) occupants(name string, but *execution.Execution) (holder *execution.Execution, waiting []*execution.Execution) {
	for _, e := range s.Live {
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

// supersede ends an execution that is in front of a stage or, where an approval
// rule allows it, waits for approval inside.
func (d *decision) supersede(e, by *execution.Execution) {
	stage := e.Current()
	where := "in front of"
	if stage.Live() {
		where = "at an approval of"
		d.endWaits(e, stage, fmt.Sprintf("execution %d superseded it", by.Number))
		d.endStage(e, stage, pipeline.Cancelled, execution.EventCanceled)
	} else {
		// A stage that was never entered has no status of its own in CodePipeline;
		// Cancelled says that it will not be entered.
		stage.Status, stage.EndedAt = pipeline.Cancelled, d.now
		d.stageChanged(e, stage)
	}
	d.end(e, pipeline.StatusSuperseded, execution.EventSuperseded,
		fmt.Sprintf("superseded by execution %d %s stage %s", by.Number, where, stage.Name))
}

// supersedeWaiting lets newer executions take the place of those that wait for an approval
// whose rules allow it.
func (d *decision) supersedeWaiting() {
	for i := 0; i < len(d.scope.Live); i++ {
		next := d.scope.Live[i]
		if next.Status.Terminal() || next.Mode != pipeline.Superseded || !next.Current().Waiting() {
			continue
		}
		name := next.Current().Name
		holder, waiting := d.scope.Occupants(name)
		if holder == nil || d.disabled(name) || waiting[0] != next || holder.Number > next.Number || !supersedable(holder) {
			continue
		}
		d.supersede(holder, next)
		d.admitNext(name)
		// Who entered may have moved on and wait elsewhere.
		i = -1
	}
}

// supersedable tells whether an execution waits for nothing but approvals, all of
// whose rules let a newer one take its place.
func supersedable(e *execution.Execution) bool {
	if e.Mode != pipeline.Superseded || e.Type == pipeline.TypeRollback || e.Stop != nil || e.Cancel != nil {
		return false
	}
	approvals := openApprovals(e)
	if len(approvals) == 0 || len(approvals) != inProgress(e.Current()) {
		return false
	}
	for _, t := range approvals {
		if slices.ContainsFunc(t.Approval().Requirements, func(r execution.Requirement) bool { return !r.Supersede }) {
			return false
		}
	}
	return true
}

// inProgress counts what an execution waits for in its stage.
func inProgress(stage *execution.Stage) int {
	n := 0
	if stage.Phase == execution.PhaseApproval && isPending(stage.Entry) {
		n++
	}
	for _, a := range stage.Actions {
		if a.Status == pipeline.InProgress {
			n++
		}
	}
	if c := checked(stage); c != nil {
		n++
	}
	return n
}

// enter takes the stage.
func (d *decision) enter(e *execution.Execution) {
	stage := e.Current()
	stage.StartedAt = d.now
	d.stageChanged(e, stage)
	if e.Mode != pipeline.Parallel {
		d.changeState(stage.Name, func(s *execution.StageState) { s.Latest = passage(e) })
	}
	d.askForEntry(e, stage)
	ev := execution.Event{Subject: execution.SubjectStage, State: execution.EventStarted, Stage: stage.Name}
	if stage.Entry != nil && stage.Entry.Skipped != "" {
		ev.Message = "the approval of the entry is " + stage.Entry.Skipped
	}
	d.event(e, ev)
}

func passage(e *execution.Execution) *execution.Passage {
	return &execution.Passage{ExecutionID: e.ID, Number: e.Number, Version: e.Version}
}

// released is the passage of the release that an execution brought to a stage. A
// rollback brings that of its target.
func released(e *execution.Execution) *execution.Passage {
	if r := e.Rollback; r != nil {
		version := r.TargetVersion
		if version == 0 {
			// The stage is equal in both versions.
			version = e.Version
		}
		return &execution.Passage{ExecutionID: r.TargetID, Number: r.TargetNumber, Version: version}
	}
	return passage(e)
}

// askForEntry begins the first phase of a stage: the approval that rules ask for.
func (d *decision) askForEntry(e *execution.Execution, stage *execution.Stage) {
	stage.Phase = execution.PhaseApproval
	switch requirements := d.scope.Requirements(stage.Name, ""); {
	case len(requirements) == 0:
		stage.Entry = nil
	case d.skips(e, stage).SkipApprovals:
		stage.Entry = skippedApproval(stage, requirements)
	default:
		stage.Entry = d.openApproval(requirements, 0)
		stage.Entry.ExecutionAttempt = e.Attempt
		d.change.Turns = append(d.change.Turns, d.expiry(e, entryID(e, stage), stage.Entry))
	}
}

// admitNext lets the first execution that waits for a stage enter it.
func (d *decision) admitNext(name string) {
	if d.disabled(name) {
		return
	}
	if holder, waiting := d.scope.Occupants(name); holder == nil && len(waiting) > 0 {
		d.enter(waiting[0])
		d.advance(waiting[0])
	}
}

// advance moves an execution on as far as it goes: to the next phase, group, stage
// or its end.
func (d *decision) advance(e *execution.Execution) {
	for d.step(e) {
	}
}

// step moves an execution on by one phase or group. It returns false when it waits
// or has ended.
func (d *decision) step(e *execution.Execution) bool {
	stage := e.Current()
	switch {
	case e.Status.Terminal() || !stage.Live():
		return false
	case e.Stop != nil || e.Cancel != nil:
		d.windDown(e, stage)
		return false
	}
	switch stage.Phase {
	case execution.PhaseApproval:
		if isPending(stage.Entry) {
			return false
		}
		d.check(e, stage, pipeline.ConditionBeforeEntry)
		return true
	case execution.PhaseBeforeEntry, execution.PhaseOnSuccess, execution.PhaseOnFailure:
		return d.stepCondition(e, stage)
	default:
		return d.stepActions(e, stage)
	}
}

// stepActions starts what can start, and ends the phase when all actions ended.
func (d *decision) stepActions(e *execution.Execution, stage *execution.Stage) bool {
	var running, failed *execution.Action
	for _, a := range stage.Actions {
		switch {
		case a.Retried:
		case a.Status == pipeline.InProgress:
			running = a
		case a.Status == pipeline.Failed:
			failed = a
		}
	}
	switch {
	case failed != nil && running == nil:
		d.failed(e, stage, failed)
		return true
	case failed != nil:
		return false
	case d.startActions(e, stage):
		// Actions that failed at once are seen by the next round.
		return true
	case running != nil:
		return false
	}
	d.check(e, stage, pipeline.ConditionOnSuccess)
	return true
}

// failed does what the definition says of a stage whose actions failed: retry it,
// check a condition, or end it, with or without a rollback.
func (d *decision) failed(e *execution.Execution, stage *execution.Stage, a *execution.Action) {
	policy := d.declared(e, stage).OnFailure
	if policy == nil {
		policy = &pipeline.OnFailure{}
	}
	switch {
	case policy.Result == pipeline.ResultRetry && automaticRetries(stage) == 0 && !refused(stage):
		d.retryAutomatically(e, stage, policy.RetryMode)
	case policy.Condition != nil:
		d.check(e, stage, pipeline.ConditionOnFailure)
	default:
		d.fail(e, stage, failureOf(stage, a), policy.Result == pipeline.ResultRollback)
	}
}

func failureOf(stage *execution.Stage, a *execution.Action) string {
	return fmt.Sprintf("action %s of stage %s failed: %s: %s", a.Name, stage.Name, a.Details.Failure.Code, a.Details.Failure.Message)
}

// refused tells whether an approval kept a stage from succeeding: somebody rejected it,
// nobody decided in time, or the rule that it needs is missing. An automatic retry would
// change none of that.
func refused(stage *execution.Stage) bool {
	return slices.ContainsFunc(stage.Actions, func(a *execution.Action) bool {
		if a.Retried || a.Status != pipeline.Failed || a.Details.Failure == nil {
			return false
		}
		switch a.Details.Failure.Code {
		case action.ApprovalRejected, action.ApprovalExpired, action.ApprovalRuleMissing:
			return true
		default:
			return false
		}
	})
}

// succeed ends a stage well and brings the execution to the next one.
func (d *decision) succeed(e *execution.Execution, stage *execution.Stage) {
	d.endStage(e, stage, pipeline.Succeeded, execution.EventSucceeded)
	if e.Mode != pipeline.Parallel {
		d.changeState(stage.Name, func(s *execution.StageState) { s.Succeeded = released(e) })
	}
	d.next(e, stage)
}

// next brings an execution from a stage that it is through to the next or its end,
// and lets those who wait for the stage in. A rollback is about one stage only.
func (d *decision) next(e *execution.Execution, stage *execution.Stage) {
	if position := stage.Position + 1; e.Type != pipeline.TypeRollback && position < len(d.definition(e).Stages) {
		d.arrive(e, position)
	} else {
		d.end(e, pipeline.Succeeded, execution.EventSucceeded, "")
	}
	d.admitNext(stage.Name)
}

// fail ends a stage and its execution, starts the rollback that is asked for, and
// lets the next one in.
func (d *decision) fail(e *execution.Execution, stage *execution.Stage, summary string, rolls bool) {
	var back rollback
	if rolls {
		target, note := d.automaticTarget(e, stage)
		if target != nil {
			// It says which execution does it, since only that one tells how it went.
			back = rollback{
				target: target, stage: stage.Name, version: e.Version, failed: e,
				trigger: execution.Trigger{Type: execution.TriggerAutomatedRollback},
			}
			back.id, back.number = d.scope.NewRollback()
			note = fmt.Sprintf("; execution %d rolls the stage back to execution %d", back.number, target.Number)
		}
		summary += note
	}
	d.endStage(e, stage, pipeline.Failed, execution.EventFailed)
	d.end(e, pipeline.Failed, execution.EventFailed, summary)
	if back.target != nil {
		d.startRollback(back)
	}
	d.admitNext(stage.Name)
}

func (d *decision) endStage(e *execution.Execution, stage *execution.Stage, status pipeline.Status, event execution.EventState) {
	stage.Status, stage.EndedAt = status, d.now
	d.stageChanged(e, stage)
	d.event(e, execution.Event{Subject: execution.SubjectStage, State: event, Stage: stage.Name})
}

func (d *decision) end(e *execution.Execution, status pipeline.Status, event execution.EventState, summary string) {
	e.Status, e.Summary, e.EndedAt = status, summary, d.now
	d.executionChanged(e)
	d.event(e, execution.Event{Subject: execution.SubjectExecution, State: event, Message: summary})
}
