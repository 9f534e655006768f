package engine

import (
	"errors"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Refusals of commands on a stage, as CodePipeline names them. What Decide returns
// wraps one of them.
var (
	ErrStageNotFound    = errors.New("no such stage")
	ErrNotRetryable     = errors.New("the stage cannot be retried")
	ErrNotLatest        = errors.New("a later execution has entered the stage")
	ErrUnableToRollback = errors.New("the stage cannot be rolled back")
	ErrOutdated         = errors.New("the execution cannot be rolled back to")
	ErrNotOverridable   = errors.New("the condition cannot be overridden")
	ErrNoTransitions    = errors.New("the pipeline has no transitions")
)

// Refusals of a stop, as CodePipeline names them.
var (
	ErrNotStoppable  = errors.New("the execution is no longer in progress")
	ErrDuplicateStop = errors.New("the execution is being stopped already")
)

// stop ends an execution (CodePipeline 3.6): without abandon nothing new starts
// and running actions finish; with abandon they end as Abandoned at once. A wait
// for people is not running work: either way it ends at once.
func (d *decision) stop(in Stop) error {
	e := d.scope.Find(in.ExecutionID)
	if e == nil || e.Status.Terminal() {
		return ErrNotStoppable
	}
	if e.Stop != nil && (e.Stop.Abandon || !in.Abandon) {
		return fmt.Errorf("%w by %s", ErrDuplicateStop, e.Stop.Principal)
	}
	e.Stop = &execution.Stop{Principal: in.Principal, Reason: in.Reason, Abandon: in.Abandon, At: d.now}
	if e.Status != pipeline.Stopping {
		e.Status = pipeline.Stopping
	}
	d.event(e, execution.Event{
		Subject: execution.SubjectExecution, State: execution.EventStopping, Principal: in.Principal, Message: in.Reason,
	})
	d.executionChanged(e)
	stage := e.Current()
	if stage.Waiting() {
		stage.Status, stage.EndedAt = pipeline.Stopped, d.now
		d.stageChanged(e, stage)
		d.end(e, pipeline.Stopped, execution.EventStopped, stopSummary(e.Stop))
		return nil
	}
	if open(stage.Entry) {
		d.turnDone(entryID(e, stage))
		// The entry is over, and with it what advance would wait for.
		d.endStage(e, stage, pipeline.Stopped, execution.EventStopped)
		d.end(e, pipeline.Stopped, execution.EventStopped, stopSummary(e.Stop))
		d.leave(stage.Name)
		return nil
	}
	if stage.Status != pipeline.Stopping {
		stage.Status = pipeline.Stopping
		d.stageChanged(e, stage)
		d.event(e, execution.Event{Subject: execution.SubjectStage, State: execution.EventStopping, Stage: stage.Name})
	}
	for _, a := range stage.Actions {
		if a.Status == pipeline.InProgress && (in.Abandon || a.Work == pipeline.WorkApproval) {
			a.Status, a.EndedAt = pipeline.Abandoned, d.now
			a.Details.Summary = "abandoned: " + stopSummary(e.Stop)
			d.actionChanged(e, a)
			d.event(e, d.actionEvent(stage, a, execution.EventAbandoned))
			d.workDone(a)
		}
	}
	d.advance(e)
	return nil
}

func stopSummary(stop *execution.Stop) string {
	if stop.Reason == "" {
		return "stopped by " + stop.Principal
	}
	return "stopped by " + stop.Principal + ": " + stop.Reason
}
