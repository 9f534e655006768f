package engine

import (
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// WaitKind is the type of a reason to wait.
type WaitKind string

// The kinds of waits.
const (
	WaitAction      WaitKind = "action_running"
	WaitApproval    WaitKind = "approval"
	WaitLock        WaitKind = "stage_lock"
	WaitRunner      WaitKind = "runner"
	WaitTimer       WaitKind = "timer"
	WaitStopping    WaitKind = "stopping"
	WaitTransition  WaitKind = "transition"
	WaitWindow      WaitKind = "window"
	WaitRule        WaitKind = "rule_running"
	WaitActionLimit WaitKind = "action_limit"
	WaitCancelling  WaitKind = "cancelling"
)

// Reason is one reason why an execution is where it is.
type Reason struct {
	Kind    WaitKind
	Message string
	Stage   string
	Action  string
	Since   time.Time
	// Until is when it ends by itself, zero where it does not.
	Until time.Time
	// BlockingExecution is the id of the execution that holds the stage.
	BlockingExecution string
	// Place is the place among those that wait for the stage, from 1.
	Place      int
	Approval   *execution.Approval
	Transition *execution.Transition
	// Rule and Condition name what runs or waits of a condition.
	Rule      string
	Condition pipeline.ConditionKind
	// Causes say why what is waited for is not over.
	Causes []Reason
}

// Work is the pending work of a scope, by action execution id.
type Work struct {
	Leases map[string]*execution.Lease
	Turns  map[string]*execution.Turn
}

// Explain says why a live execution waits. It returns no reason only for one
// that has ended.
func Explain(scope *Scope, id string, work Work, now time.Time) []Reason {
	e := scope.Find(id)
	if e == nil || e.Current() == nil {
		return nil
	}
	stage := e.Current()
	var reasons []Reason
	if e.Stop != nil {
		reasons = append(reasons, Reason{
			Kind: WaitStopping, Stage: stage.Name, Since: e.Stop.At,
			Message: stopSummary(e.Stop) + "; running actions finish first (stop with abandon to end them now)",
		})
	}
	if stage.Waiting() {
		return append(reasons, locked(scope, e, stage))
	}
	for _, t := range openApprovals(e) {
		reason := Reason{
			Kind: WaitApproval, Stage: stage.Name, Since: stage.StartedAt, Until: t.approval.ExpiresAt, Approval: t.approval,
			Message: "waits for people to approve " + t.String() + ": " + Missing(t.approval),
		}
		if t.action != nil {
			reason.Action, reason.Since = t.action.Name, t.action.StartedAt
		}
		reasons = append(reasons, reason)
	}
	for _, a := range stage.Actions {
		if a.Status != pipeline.InProgress || a.Work == pipeline.WorkApproval {
			continue
		}
		reasons = append(reasons, running(stage, a, work, now))
	}
	return reasons
}

func locked(scope *Scope, e *execution.Execution, stage *execution.Stage) Reason {
	reason := Reason{Kind: WaitLock, Stage: stage.Name, Since: stage.ArrivedAt}
	d := &decision{scope: scope}
	holder, waiting := d.occupants(stage.Name, nil)
	place := 1
	for _, w := range waiting {
		if w == e {
			break
		}
		place++
	}
	queue := fmt.Sprintf("it enters in turn, as number %d of those that wait", place)
	if e.Mode == pipeline.Superseded {
		queue = "it enters next, unless a newer execution comes and supersedes it"
	}
	if holder == nil {
		reason.Message = fmt.Sprintf("waits in front of stage %s; %s", stage.Name, queue)
		return reason
	}
	reason.BlockingExecution = holder.ID
	reason.Message = fmt.Sprintf("waits for stage %s, which execution %d is in; %s", stage.Name, holder.Number, queue)
	return reason
}

func running(stage *execution.Stage, a *execution.Action, work Work, now time.Time) Reason {
	reason := Reason{Kind: WaitAction, Stage: stage.Name, Action: a.Name, Since: a.StartedAt}
	if lease, ok := work.Leases[a.ID]; ok {
		if lease.Runner == "" {
			reason.Kind, reason.Since = WaitRunner, lease.QueuedAt
			reason.Message = fmt.Sprintf("action %s of stage %s waits for a free runner slot", a.Name, stage.Name)
			return reason
		}
		reason.Message = fmt.Sprintf("action %s of stage %s runs on runner %s (attempt %d)", a.Name, stage.Name, lease.Runner, a.Attempt)
		reason.Until = a.StartedAt.Add(lease.Attempt.Timeout)
		return reason
	}
	if turn, ok := work.Turns[a.ID]; ok && turn.DueAt.After(now) {
		reason.Kind, reason.Until = WaitTimer, turn.DueAt
		reason.Message = fmt.Sprintf("action %s of stage %s is looked at again at %s", a.Name, stage.Name, turn.DueAt.UTC().Format(time.RFC3339))
		return reason
	}
	reason.Message = fmt.Sprintf("action %s of stage %s runs", a.Name, stage.Name)
	return reason
}
