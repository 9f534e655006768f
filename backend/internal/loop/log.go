package loop

import (
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// note is a line of the server's log about an execution. It is taken while the
// decision is the newest, since records change with the next one, and written
// after the commit.
type note struct {
	account, pipeline string
	number            int64
	event             execution.Event
}

// notes returns what an operator looks for in the log: executions that begin and
// end, actions that fail, conditions that are not met or overridden.
func notes(change *execution.Change, live []*execution.Execution) []note {
	var found []note
	for i := range change.Events {
		ev := &change.Events[i]
		troubled := ev.Subject == execution.SubjectAction && (ev.State == execution.EventFailed || ev.State == execution.EventLost)
		if ev.Subject == execution.SubjectCondition {
			troubled = ev.State != execution.EventStarted && ev.State != execution.EventSucceeded
		}
		if ev.Subject != execution.SubjectExecution && !troubled {
			continue
		}
		for _, of := range [][]*execution.Execution{change.Started, change.Updated, live} {
			if e := findExecution(of, ev.ExecutionID); e != nil {
				found = append(found, note{account: e.Account, pipeline: e.Pipeline, number: e.Number, event: *ev})
				break
			}
		}
	}
	return found
}

func findExecution(all []*execution.Execution, id string) *execution.Execution {
	for _, e := range all {
		if e.ID == id {
			return e
		}
	}
	return nil
}

// write logs the notes. What the server itself could not do is a warning.
func (l *Loop) write(all []note) {
	for i := range all {
		n := &all[i]
		args := []any{
			"account", n.account, "pipeline", n.pipeline, "number", n.number, "execution", n.event.ExecutionID,
			"state", n.event.State,
		}
		if n.event.Message != "" {
			args = append(args, "message", n.event.Message)
		}
		if n.event.Principal != "" {
			args = append(args, "principal", n.event.Principal)
		}
		switch n.event.Subject {
		case execution.SubjectExecution:
			l.config.Log.Info("Execution", args...)
			continue
		case execution.SubjectCondition:
			l.config.Log.Info("Condition", append(args, "stage", n.event.Stage, "condition", n.event.Condition)...)
			continue
		default:
		}
		args = append(args, "stage", n.event.Stage, "action", n.event.Action, "action_execution", n.event.ActionExecutionID)
		if n.event.State == execution.EventLost || strings.HasPrefix(n.event.Message, string(action.SystemUnavailable)+":") {
			l.config.Log.Warn("Action", args...)
			continue
		}
		l.config.Log.Info("Action", args...)
	}
}
