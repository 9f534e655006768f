package engine

import (
	"errors"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Refusals of a stop, as CodePipeline names them.
var (
	ErrNotStoppable  = errors.New("the execution is no longer in progress")
	ErrDuplicateStop = errors.New("the execution is already being stopped")
)

// stop ends an execution (CodePipeline 3.6): without abandon nothing new starts
// and running actions finish; with abandon they end as Abandoned at once. A wait
// for people is not running work: either way it ends at once.
func (d *decision) stop(in Stop) error {
	e := d.scope.Find(in.ExecutionID)
	if e == nil {
		return fmt.Errorf("%w: %s", ErrNotStoppable, d.ended(in.ExecutionID))
	}
	if err := stoppable(e, in.Abandon); err != nil {
		return err
	}
	e.Stop = &execution.Stop{Principal: in.Principal, Reason: in.Reason, Abandon: in.Abandon, At: d.now}
	e.Status = pipeline.Stopping
	d.event(e, execution.Event{
		Subject: execution.SubjectExecution, State: execution.EventStopping, Principal: in.Principal, Message: in.Reason,
	})
	d.executionChanged(e)
	stage := e.Current()
	if stage.Waiting() {
		d.leaveQueue(e, stage, pipeline.Stopped)
		return nil
	}
	if stage.Status != pipeline.Stopping {
		stage.Status = pipeline.Stopping
		d.stageChanged(e, stage)
		d.event(e, execution.Event{Subject: execution.SubjectStage, State: execution.EventStopping, Stage: stage.Name})
	}
	d.endWaits(e, stage, stopSummary(e.Stop))
	if in.Abandon {
		d.abandon(e, stage)
	}
	d.advance(e)
	return nil
}

// stoppable says why a live execution cannot be stopped, or nothing.
func stoppable(e *execution.Execution, abandon bool) error {
	if e.Stop != nil && (e.Stop.Abandon || !abandon) {
		return fmt.Errorf("%w: execution %d, by %s", ErrDuplicateStop, e.Number, e.Stop.Principal)
	}
	return nil
}

// ended says how an execution ended that the scope does not know as live.
func (d *decision) ended(id string) string {
	if e := d.scope.Load(id); e != nil {
		return fmt.Sprintf("execution %d has ended with status %s", e.Number, e.Status)
	}
	return "the execution has ended"
}

// leaveQueue ends an execution that waits in front of a stage.
func (d *decision) leaveQueue(e *execution.Execution, stage *execution.Stage, status pipeline.Status) {
	stage.Status, stage.EndedAt = status, d.now
	d.stageChanged(e, stage)
	d.endEarly(e)
}

// endEarly ends an execution that was stopped or cancelled.
func (d *decision) endEarly(e *execution.Execution) {
	if e.Stop != nil {
		d.end(e, pipeline.Stopped, execution.EventStopped, earlySummary(e))
		return
	}
	d.end(e, pipeline.Cancelled, execution.EventCanceled, earlySummary(e))
}

// earlySummary says who ends an execution early. A stop goes before a cancel.
func earlySummary(e *execution.Execution) string {
	if e.Stop != nil {
		return stopSummary(e.Stop)
	}
	return cancelSummary(e.Cancel)
}

// endWaits ends what an execution waits for in its stage while nothing runs: people
// and deployment windows.
func (d *decision) endWaits(e *execution.Execution, stage *execution.Stage, why string) {
	if stage.Phase == execution.PhaseApproval && isPending(stage.Entry) {
		d.turnDone(entryID(e, stage))
	}
	for _, a := range stage.Actions {
		if a.Status == pipeline.InProgress && a.Work == pipeline.WorkApproval {
			d.abandonAction(e, stage, a, why)
		}
	}
	if c := checked(stage); c != nil {
		d.endRules(e, stage, c, false, why)
	}
}

// abandon ends what runs without waiting for it.
func (d *decision) abandon(e *execution.Execution, stage *execution.Stage) {
	why := stopSummary(e.Stop)
	for _, a := range stage.Actions {
		if a.Status == pipeline.InProgress {
			d.abandonAction(e, stage, a, why)
		}
	}
	if c := checked(stage); c != nil {
		d.endRules(e, stage, c, true, why)
	}
}

func (d *decision) abandonAction(e *execution.Execution, stage *execution.Stage, a *execution.Action, why string) {
	a.Status, a.EndedAt = pipeline.Abandoned, d.now
	a.Details.Summary = "abandoned: " + why
	d.actionChanged(e, a)
	d.event(e, d.actionEvent(stage, a, execution.EventAbandoned))
	if a.Work == pipeline.WorkTurn {
		d.abandonWork(d.actionInTurns(e, stage, a))
	}
	d.workDone(a)
}

// windDown ends a stopped or cancelled execution once nothing of it runs.
func (d *decision) windDown(e *execution.Execution, stage *execution.Stage) {
	for _, a := range stage.Actions {
		if a.Status == pipeline.InProgress {
			return
		}
	}
	if c := checked(stage); c != nil {
		for _, r := range c.Rules {
			if r.Status == pipeline.InProgress {
				return
			}
		}
		if e.Stop != nil && e.Stop.Abandon {
			d.endCondition(e, stage, c, pipeline.Abandoned, execution.EventAbandoned, earlySummary(e))
		} else {
			d.endCondition(e, stage, c, pipeline.Cancelled, execution.EventCanceled, earlySummary(e))
		}
	}
	if e.Stop != nil {
		d.endStage(e, stage, pipeline.Stopped, execution.EventStopped)
	} else {
		d.endStage(e, stage, pipeline.Cancelled, execution.EventCanceled)
	}
	d.endEarly(e)
	d.admitNext(stage.Name)
}

// cancel ends the executions of earlier versions (CodePipeline 3.9): those that
// wait at once, those inside of a stage when the attempts of their actions ended. Work
// that runs in turns is abandoned at once: a process that is killed may leave half of
// what it does, a service ends its work by itself. Like a stop it does not wait for
// people.
func (d *decision) cancel(in Cancel) {
	var inside []*execution.Execution
	for _, e := range d.scope.Live {
		if e.Version >= in.Version || e.Mode == pipeline.Parallel || e.Cancel != nil {
			continue
		}
		e.Cancel = &execution.Cancel{Principal: in.Principal, Version: in.Version, At: d.now}
		d.executionChanged(e)
		// Who waits goes first, so as not to enter what the others leave.
		if stage := e.Current(); stage.Waiting() {
			d.leaveQueue(e, stage, pipeline.Cancelled)
		} else {
			inside = append(inside, e)
		}
	}
	for _, e := range inside {
		d.endWaits(e, e.Current(), cancelSummary(e.Cancel))
		d.abandonTurns(e, e.Current(), cancelSummary(e.Cancel))
		d.advance(e)
	}
}

func cancelSummary(c *execution.Cancel) string {
	return fmt.Sprintf("cancelled by %s with version %d", c.Principal, c.Version)
}

func stopSummary(stop *execution.Stop) string {
	if stop.Reason == "" {
		return "stopped by " + stop.Principal
	}
	return "stopped by " + stop.Principal + ": " + stop.Reason
}
