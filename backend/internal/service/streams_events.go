package service

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// EventDetail is an event with what is told beside it: what never changes of the
// execution, or is final by the time of the event. So it is the same whenever the
// event is read.
type EventDetail struct {
	execution.Event
	Version int64
	// Trigger is set for the first event of an execution.
	Trigger *execution.Trigger
	// Started is when the execution, the stage or the action started; zero where it
	// did not, and for a condition.
	Started time.Time
	// Retried is when the stage had last been retried by then.
	Retried time.Time
	// ActionType and Acted are set for events of an action. How it went is in Acted
	// only where Ended is set.
	ActionType pipeline.TypeID
	Acted      *execution.Action
	Ended      bool
}

// eventEnricher adds to the events of a watch what is told beside them. It keeps the
// execution as it read it last, and reads it again only for what is not in there:
// at most once for each batch of events of a live execution, once for all of one
// that has ended.
type eventEnricher struct {
	x           *Streams
	executionID string
	head, full  *execution.Execution
	definition  *pipeline.Definition
	// retried are the times of the last retries of the stages; overridden those of
	// overrides, which are no retries although they bring a stage back too.
	retried, overridden map[string]time.Time
	// skipped is the position up to which a resumed watch has not seen the events; 0
	// once that made no difference any more.
	skipped int64
}

func newEnricher(x *Streams, executionID string, after int64) *eventEnricher {
	return &eventEnricher{
		x: x, executionID: executionID, skipped: after,
		retried: make(map[string]time.Time), overridden: make(map[string]time.Time),
	}
}

// read gets what tell needs for these events.
func (t *eventEnricher) read(ctx context.Context, r store.Reader, head *execution.Execution, events []execution.Event) (err error) {
	t.head = head
	stages := false
	for i := range events {
		if !t.knows(&events[i]) {
			if t.full, err = r.Execution(ctx, t.executionID); err != nil {
				return err
			}
			if t.definition, err = t.x.config.Loop.Definition(ctx, r, head.PipelineID, head.Version); err != nil {
				return err
			}
			break
		}
	}
	for i := range events {
		stages = stages || events[i].Subject == execution.SubjectStage
	}
	if !stages || t.skipped == 0 {
		return nil
	}
	before := t.skipped
	t.skipped = 0
	if !retriedEver(t.full) {
		return nil
	}
	return t.catchUp(ctx, r, before)
}

func retriedEver(e *execution.Execution) bool {
	for _, stage := range e.Stages {
		if stage.Retries != nil {
			return true
		}
	}
	return false
}

// catchUp looks for the retries up to the position where a resumed watch begins.
func (t *eventEnricher) catchUp(ctx context.Context, r store.ExecutionReader, before int64) error {
	for position, more := int64(0), true; more; {
		events, err := r.Events(ctx, t.executionID, position, eventsAtOnce)
		if err != nil {
			return err
		}
		more = len(events) == eventsAtOnce
		for i := range events {
			if position = events[i].Position; position > before {
				more = false
				break
			}
			t.note(&events[i])
		}
	}
	return nil
}

// note keeps when stages were retried.
func (t *eventEnricher) note(ev *execution.Event) {
	switch {
	case ev.Subject == execution.SubjectCondition && ev.State == execution.EventOverridden:
		t.overridden[ev.Stage] = ev.At
	case ev.Subject == execution.SubjectStage && ev.State == execution.EventResumed && !t.overridden[ev.Stage].Equal(ev.At):
		t.retried[ev.Stage] = ev.At
	}
}

// knows tells whether all that is told beside an event is known already.
func (t *eventEnricher) knows(ev *execution.Event) bool {
	stage, a := t.find(ev)
	switch ev.Subject {
	case execution.SubjectStage:
		return stage != nil && stage.Entered()
	case execution.SubjectAction:
		return a != nil && (a.Status.Terminal() || !ends(ev))
	default:
		return true
	}
}

func (t *eventEnricher) find(ev *execution.Event) (*execution.Stage, *execution.Action) {
	if t.full == nil {
		return nil, nil
	}
	for _, stage := range t.full.Stages {
		if stage.Name != ev.Stage {
			continue
		}
		for _, a := range stage.Actions {
			if a.ID == ev.ActionExecutionID {
				return stage, a
			}
		}
		return stage, nil
	}
	return nil, nil
}

// ends tells whether an event of an action is its last.
func ends(ev *execution.Event) bool {
	return ev.State == execution.EventSucceeded || ev.State == execution.EventFailed || ev.State == execution.EventAbandoned
}

// tell returns an event with what is told beside it.
func (t *eventEnricher) tell(ev execution.Event) EventDetail {
	told := EventDetail{Event: ev, Version: t.head.Version}
	t.note(&ev)
	stage, a := t.find(&ev)
	switch ev.Subject {
	case execution.SubjectExecution:
		told.Started = t.head.StartedAt
		if ev.State == execution.EventStarted {
			told.Trigger = &t.head.Trigger
		}
	case execution.SubjectStage:
		told.Retried = t.retried[ev.Stage]
		if stage != nil {
			told.Started = stage.StartedAt
		}
	case execution.SubjectAction:
		if a == nil {
			break
		}
		told.Started, told.Acted, told.Ended = a.StartedAt, a, ends(&ev)
		if declared := t.definition.Stage(ev.Stage); declared != nil {
			if declared := declared.Action(ev.Action); declared != nil {
				told.ActionType = declared.TypeID()
			}
		}
	case execution.SubjectCondition:
	}
	return told
}
