package engine_test

import (
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// replay is what somebody knows who only reads the events of an execution.
type replay struct {
	attempt int
	// statuses are by "execution", "stage/Build", "action/id" and
	// "condition/Build/0", the last counted from the first that was checked.
	statuses   map[string]pipeline.Status
	attempts   map[string]int
	conditions map[string]int
}

// becomes are the legal steps, by subject, from a status and by an event.
func becomes(subject execution.Subject, from pipeline.Status, state execution.EventState) (pipeline.Status, bool) {
	const none = pipeline.Status("")
	type step struct {
		from  pipeline.Status
		state execution.EventState
	}
	ends := func(to map[step]pipeline.Status) (pipeline.Status, bool) {
		status, ok := to[step{from, state}]
		return status, ok
	}
	switch subject {
	case execution.SubjectExecution:
		return ends(map[step]pipeline.Status{
			{none, execution.EventStarted}:                   pipeline.InProgress,
			{pipeline.InProgress, execution.EventSucceeded}:  pipeline.Succeeded,
			{pipeline.InProgress, execution.EventFailed}:     pipeline.Failed,
			{pipeline.InProgress, execution.EventSuperseded}: pipeline.StatusSuperseded,
			{pipeline.InProgress, execution.EventCanceled}:   pipeline.Cancelled,
			{pipeline.InProgress, execution.EventStopping}:   pipeline.Stopping,
			{pipeline.Stopping, execution.EventStopping}:     pipeline.Stopping,
			{pipeline.Stopping, execution.EventStopped}:      pipeline.Stopped,
			{pipeline.Failed, execution.EventResumed}:        pipeline.InProgress,
			{pipeline.Stopped, execution.EventResumed}:       pipeline.InProgress,
		})
	case execution.SubjectStage:
		return ends(map[step]pipeline.Status{
			{none, execution.EventStarted}:                  pipeline.InProgress,
			{pipeline.InProgress, execution.EventApproved}:  pipeline.InProgress,
			{pipeline.InProgress, execution.EventRejected}:  pipeline.InProgress,
			{pipeline.InProgress, execution.EventSucceeded}: pipeline.Succeeded,
			{pipeline.InProgress, execution.EventFailed}:    pipeline.Failed,
			{pipeline.InProgress, execution.EventSkipped}:   pipeline.Skipped,
			{pipeline.InProgress, execution.EventCanceled}:  pipeline.Cancelled,
			{pipeline.InProgress, execution.EventStopping}:  pipeline.Stopping,
			{pipeline.InProgress, execution.EventStopped}:   pipeline.Stopped,
			{pipeline.Stopping, execution.EventStopped}:     pipeline.Stopped,
			{pipeline.InProgress, execution.EventResumed}:   pipeline.InProgress,
			{pipeline.Failed, execution.EventResumed}:       pipeline.InProgress,
			{pipeline.Stopped, execution.EventResumed}:      pipeline.InProgress,
		})
	case execution.SubjectAction:
		return ends(map[step]pipeline.Status{
			{none, execution.EventStarted}:                  pipeline.InProgress,
			{pipeline.InProgress, execution.EventStarted}:   pipeline.InProgress,
			{pipeline.InProgress, execution.EventLost}:      pipeline.InProgress,
			{pipeline.InProgress, execution.EventLinked}:    pipeline.InProgress,
			{pipeline.InProgress, execution.EventApproved}:  pipeline.InProgress,
			{pipeline.InProgress, execution.EventRejected}:  pipeline.InProgress,
			{pipeline.InProgress, execution.EventSucceeded}: pipeline.Succeeded,
			{pipeline.InProgress, execution.EventFailed}:    pipeline.Failed,
			{pipeline.InProgress, execution.EventAbandoned}: pipeline.Abandoned,
		})
	default:
		return ends(map[step]pipeline.Status{
			{none, execution.EventStarted}:                   pipeline.InProgress,
			{pipeline.InProgress, execution.EventSucceeded}:  pipeline.Succeeded,
			{pipeline.InProgress, execution.EventFailed}:     pipeline.Failed,
			{pipeline.InProgress, execution.EventErrored}:    pipeline.Errored,
			{pipeline.InProgress, execution.EventCanceled}:   pipeline.Cancelled,
			{pipeline.InProgress, execution.EventAbandoned}:  pipeline.Abandoned,
			{pipeline.InProgress, execution.EventOverridden}: pipeline.Overridden,
			{pipeline.Failed, execution.EventOverridden}:     pipeline.Overridden,
			{pipeline.Errored, execution.EventOverridden}:    pipeline.Overridden,
			{none, execution.EventSkipped}:                   pipeline.Skipped,
		})
	}
}

// replayed reads the events that are new, and compares what they tell with the
// rows: every change is told exactly once and in order.
func (m *model) replayed(t tester) {
	t.Helper()
	for _, ev := range m.events[m.read:] {
		m.replay(t, ev)
	}
	m.read = len(m.events)
	for id := range m.touched {
		e, told := m.executions[id], m.told[id]
		require.NotNil(t, told, "nothing was told of execution %s", id)
		require.Equal(t, e.Attempt, told.attempt)
		require.Equal(t, e.Status, told.statuses["execution"], "the events of execution %s tell another end", id)
		for _, stage := range e.Stages {
			if stage.Entered() {
				require.Equal(t, stage.Status, told.statuses["stage/"+stage.Name], "the events of stage %s of %s tell another status", stage.Name, id)
			} else {
				require.NotContains(t, told.statuses, "stage/"+stage.Name, "a stage that was never entered")
			}
			for _, a := range stage.Actions {
				require.Equal(t, a.Status, told.statuses["action/"+a.ID], "the events of action %s of %s tell another status", a.Name, id)
				require.Equal(t, a.Attempt, told.attempts[a.ID])
			}
			require.Equal(t, len(stage.Conditions), told.conditions[stage.Name])
			for i, c := range stage.Conditions {
				require.Equal(t, c.Status, told.statuses["condition/"+stage.Name+"/"+strconv.Itoa(i)],
					"the events of condition %s of stage %s of %s tell another status", c.Kind, stage.Name, id)
			}
		}
	}
}

func (m *model) replay(t tester, ev execution.Event) {
	t.Helper()
	told := m.told[ev.ExecutionID]
	if told == nil {
		told = &replay{attempt: 1, statuses: make(map[string]pipeline.Status), attempts: make(map[string]int), conditions: make(map[string]int)}
		m.told[ev.ExecutionID] = told
	}
	key := string(ev.Subject)
	switch ev.Subject {
	case execution.SubjectStage:
		key += "/" + ev.Stage
	case execution.SubjectAction:
		key += "/" + ev.ActionExecutionID
		if ev.State == execution.EventStarted {
			told.attempts[ev.ActionExecutionID]++
		}
		require.Equal(t, told.attempts[ev.ActionExecutionID], ev.Attempt, "%s of %s", ev.State, ev.Action)
	case execution.SubjectCondition:
		if ev.State == execution.EventStarted || ev.State == execution.EventSkipped {
			told.conditions[ev.Stage]++
		}
		require.NotEmpty(t, ev.Condition)
		key += "/" + ev.Stage + "/" + strconv.Itoa(told.conditions[ev.Stage]-1)
	default:
	}
	status, legal := becomes(ev.Subject, told.statuses[key], ev.State)
	require.True(t, legal, "%s of execution %s was %q and cannot be %s", key, ev.ExecutionID, told.statuses[key], ev.State)
	told.statuses[key] = status
	if ev.Subject == execution.SubjectExecution && ev.State == execution.EventResumed {
		told.attempt++
	}
	require.Equal(t, told.attempt, ev.ExecutionAttempt, "%s %s of attempt", ev.Subject, ev.State)
	inside := []execution.Subject{execution.SubjectAction, execution.SubjectCondition}
	if slices.Contains(inside, ev.Subject) {
		require.Contains(t, []pipeline.Status{pipeline.InProgress, pipeline.Stopping, pipeline.Failed, pipeline.Stopped}, told.statuses["stage/"+ev.Stage],
			"%s %s outside of its stage", ev.Subject, ev.State)
	}
}
