package engine

import (
	"fmt"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

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

// advance moves an execution on as far as it goes: to the next group, stage or
// its end.
func (d *decision) advance(e *execution.Execution) {
	for !e.Status.Terminal() {
		stage := e.Current()
		if !stage.Live() || open(stage.Entry) {
			return
		}
		var failed *execution.Action
		for _, a := range stage.Actions {
			switch a.Status {
			case pipeline.InProgress:
				return
			case pipeline.Failed:
				failed = a
			default:
			}
		}
		switch {
		case e.Stop != nil:
			d.endStage(e, stage, pipeline.Stopped, execution.EventStopped)
			d.end(e, pipeline.Stopped, execution.EventStopped, stopSummary(e.Stop))
			d.leave(stage.Name)
		case failed != nil:
			d.fail(e, stage, fmt.Sprintf("action %s of stage %s failed: %s: %s",
				failed.Name, stage.Name, failed.Details.Failure.Code, failed.Details.Failure.Message))
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
