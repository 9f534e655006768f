package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// WaitKind is the type of a reason to wait. Callers get the contract's kinds; these
// texts are read in tests alone.
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
	Place int
	// Wait is set for WaitApproval.
	Wait       *Wait
	Transition *execution.Transition
	// Rule and Condition name what runs or waits of a condition.
	Rule      string
	Condition pipeline.ConditionKind
	// Causes say why what is waited for is not over.
	Causes []Reason
	Ender  Ender
}

// Ender says who or what can end a wait.
type Ender struct {
	// Automatic is set if it ends without a person: when work is done or time has passed.
	Automatic bool
	// Steps are what people can do to end it, the most likely first.
	Steps []StepKind
	// Approvers are set for WaitApproval.
	Approvers Approvers
	// ExecutionID is the execution whose progress ends it, empty if it is the one that waits.
	ExecutionID string
}

// Work is the pending work of what WorkOf names, by its id.
type Work struct {
	Leases map[string]*execution.Lease
	Turns  map[string]*execution.Turn
}

// WorkOf returns the ids of the actions and rules whose pending work Explain reads for a
// live execution: those that run in its stage, or in the stage that it waits for.
func WorkOf(scope *Scope, id string) []string {
	e := scope.Find(id)
	if e == nil || e.Current() == nil {
		return nil
	}
	stage := e.Current()
	if stage.Waiting() {
		holder, _ := scope.Occupants(stage.Name)
		if holder == nil {
			return nil
		}
		stage = holder.Current()
	}
	var ids []string
	for _, a := range stage.Actions {
		if a.Status == pipeline.InProgress && a.Work != pipeline.WorkApproval {
			ids = append(ids, a.ID)
		}
	}
	if c := checked(stage); c != nil {
		for _, r := range c.Rules {
			if r.Status == pipeline.InProgress {
				ids = append(ids, r.ID)
			}
		}
	}
	return ids
}

// Explain says why a live execution waits. It returns no reason only for one
// that has ended.
func Explain(scope *Scope, id string, work Work, now time.Time) []Reason {
	e := scope.Find(id)
	if e == nil || e.Current() == nil {
		return nil
	}
	x := &explanation{decision: &decision{scope: scope, now: now, change: &execution.Change{}}, work: work}
	return x.reasons(e)
}

// explanation looks at a scope as a decision does, and changes nothing.
type explanation struct {
	*decision
	work Work
}

// reasons returns the reasons of an execution, each with who can end it.
func (x *explanation) reasons(e *execution.Execution) []Reason {
	reasons := x.waits(e)
	for i := range reasons {
		reasons[i].Ender = x.ender(e, &reasons[i])
	}
	return reasons
}

// ender says who or what can end a wait of an execution. The steps are those that Decide
// accepts.
func (x *explanation) ender(e *execution.Execution, reason *Reason) Ender {
	switch reason.Kind {
	case WaitApproval:
		return Ender{Steps: []StepKind{StepDecide}, Approvers: reason.Wait.Approvers()}
	case WaitTransition:
		return Ender{Steps: []StepKind{StepEnable}}
	case WaitLock:
		return Ender{Automatic: true, ExecutionID: reason.BlockingExecution}
	default:
	}
	ends := Ender{Automatic: true}
	switch {
	case reason.Kind == WaitStopping || reason.Kind == WaitCancelling:
		if stoppable(e, true) == nil {
			ends.Steps = []StepKind{StepAbandon}
		}
	case reason.Condition != "":
		if _, err := x.overridable(e, true, Override{Stage: reason.Stage, Condition: reason.Condition}); err == nil {
			ends.Steps = []StepKind{StepOverride}
		}
	}
	return ends
}

func (x *explanation) waits(e *execution.Execution) []Reason {
	stage := e.Current()
	var reasons []Reason
	switch {
	case e.Stop != nil:
		reasons = append(reasons, Reason{
			Kind: WaitStopping, Stage: stage.Name, Since: e.Stop.At,
			Message: stopSummary(e.Stop) + "; running actions finish first (stop with abandon to end them now)",
		})
	case e.Cancel != nil:
		reasons = append(reasons, Reason{
			Kind: WaitCancelling, Stage: stage.Name, Since: e.Cancel.At,
			Message: cancelSummary(e.Cancel) + "; running actions finish first (stop with abandon to end them now)",
		})
	}
	if stage.Waiting() {
		return append(reasons, x.inFront(e, stage)...)
	}
	for _, t := range openApprovals(e) {
		reason := Reason{
			Kind: WaitApproval, Stage: stage.Name, Since: stage.StartedAt, Until: t.Approval().ExpiresAt, Wait: &t,
			Message: "waits for people to approve " + t.String() + ": " + Missing(t.Approval()),
		}
		if t.Action != nil {
			reason.Action, reason.Since = t.Action.Name, t.Action.StartedAt
		}
		reasons = append(reasons, reason)
	}
	for _, a := range stage.Actions {
		if a.Status == pipeline.InProgress && a.Work != pipeline.WorkApproval {
			reasons = append(reasons, x.runningReason(stage, a))
		}
	}
	if c := checked(stage); c != nil {
		reasons = append(reasons, x.condition(stage, c)...)
	}
	if limited := x.limited(e, stage); limited != nil {
		reasons = append(reasons, *limited)
	}
	return reasons
}

// inFront says why an execution does not enter a stage.
func (x *explanation) inFront(e *execution.Execution, stage *execution.Stage) []Reason {
	holder, waiting := x.scope.Occupants(stage.Name)
	place := 1 + slices.Index(waiting, e)
	queue := fmt.Sprintf("it enters in turn, as number %d of those that wait", place)
	if e.Mode == pipeline.Superseded {
		queue = "it enters next, unless a newer execution comes and supersedes it"
	}
	var reasons []Reason
	if x.disabled(stage.Name) {
		t := x.stageState(stage.Name).Transition
		reasons = append(reasons, Reason{
			Kind: WaitTransition, Stage: stage.Name, Since: stage.ArrivedAt, Place: place, Transition: t,
			Message: fmt.Sprintf("the transition into stage %s was disabled by %s at %s: %s; once it is enabled, %s",
				stage.Name, t.Principal, clock(t.At), t.Reason, queue),
		})
	}
	if holder != nil {
		reasons = append(reasons, Reason{
			Kind: WaitLock, Stage: stage.Name, Since: stage.ArrivedAt, Place: place, BlockingExecution: holder.ID,
			Message: fmt.Sprintf("waits for stage %s, which execution %d is in; %s", stage.Name, holder.Number, queue),
			Causes:  x.reasons(holder),
		})
	}
	return reasons
}

// condition says what a condition waits for: windows first, then what runs.
func (x *explanation) condition(stage *execution.Stage, c *execution.Condition) []Reason {
	var reasons []Reason
	for _, r := range c.Rules {
		reason := Reason{Stage: stage.Name, Rule: r.Name, Condition: c.Kind, Since: r.StartedAt}
		if reason.Since.IsZero() {
			reason.Since = c.StartedAt
		}
		what := fmt.Sprintf("rule %s of condition %s of stage %s", r.Name, c.Kind.Argument(), stage.Name)
		switch lease := x.work.Leases[r.ID]; {
		case r.Status != pipeline.InProgress:
			continue
		case !r.Opens.IsZero():
			reason.Kind, reason.Until = WaitWindow, r.Opens
			reason.Message = fmt.Sprintf("waits for the deployment window of %s, which opens at %s", what, clock(r.Opens))
			if r.Deadline.Before(r.Opens) {
				reason.Until = r.Deadline
				reason.Message = fmt.Sprintf("waits for the deployment window of %s, which opens at %s; the rule times out before that, at %s",
					what, clock(r.Opens), clock(r.Deadline))
			}
		case lease != nil && lease.Runner == "":
			reason.Kind, reason.Since = WaitRunner, lease.QueuedAt
			reason.Message = what + " waits for a free runner slot" + returned(lease)
		case lease != nil:
			reason.Kind, reason.Until = WaitRule, r.StartedAt.Add(lease.Attempt.Timeout)
			reason.Message = fmt.Sprintf("%s runs on runner %s", what, lease.Runner)
		case r.Work == pipeline.WorkTurn:
			reason.Kind, reason.Until = WaitRule, r.Deadline
			reason.Message = x.inTurns(what, r)
		default:
			// It comes after a window, which has a reason of its own.
			continue
		}
		reasons = append(reasons, reason)
	}
	return reasons
}

// inTurns says how far a rule is that runs in turns.
func (x *explanation) inTurns(what string, r *execution.Rule) string {
	if name := elsewhere(r.ExternalID, r.ExternalURL); name != "" {
		what += " (" + name + ")"
	}
	message := what + " runs"
	if turn, ok := x.work.Turns[r.ID]; ok && turn.DueAt.After(x.now) {
		message = fmt.Sprintf("%s is checked again at %s", what, clock(turn.DueAt))
	}
	return message + "; it times out at " + clock(r.Deadline)
}

// limited says which actions of a PARALLEL execution wait for others of it, if any.
func (x *explanation) limited(e *execution.Execution, stage *execution.Stage) *Reason {
	if e.Mode != pipeline.Parallel || stage.Phase != execution.PhaseActions || e.Stop != nil {
		return nil
	}
	current := make(map[string]bool)
	order := 0
	for _, a := range stage.Actions {
		switch {
		case a.Retried:
		case a.Status == pipeline.Failed:
			// Then no more of them start.
			return nil
		default:
			current[a.Name], order = true, max(order, a.RunOrder)
		}
	}
	group := nextGroup(x.declared(e, stage).Actions, current)
	if len(group) == 0 || group[0].Order() != order {
		return nil
	}
	return &Reason{
		Kind: WaitActionLimit, Stage: stage.Name, Action: group[0].Name, Since: stage.StartedAt,
		Message: fmt.Sprintf("%d actions of stage %s wait, since a PARALLEL execution runs at most %d at once", len(group), stage.Name, MaxParallelActions),
	}
}

// runningReason says what an action that runs waits for.
func (x *explanation) runningReason(stage *execution.Stage, a *execution.Action) Reason {
	reason := Reason{Kind: WaitAction, Stage: stage.Name, Action: a.Name, Since: a.StartedAt}
	if lease, ok := x.work.Leases[a.ID]; ok {
		if lease.Runner == "" {
			reason.Kind, reason.Since = WaitRunner, lease.QueuedAt
			reason.Message = fmt.Sprintf("action %s of stage %s waits for a free runner slot", a.Name, stage.Name) + returned(lease)
			return reason
		}
		reason.Message = fmt.Sprintf("action %s of stage %s runs on runner %s (attempt %d)", a.Name, stage.Name, lease.Runner, a.Attempt)
		reason.Until = a.StartedAt.Add(lease.Attempt.Timeout)
		return reason
	}
	what := fmt.Sprintf("action %s of stage %s", a.Name, stage.Name)
	if name := elsewhere(a.Details.ExternalID, a.Details.ExternalURL); name != "" {
		what += " (" + name + ")"
	}
	reason.Message = what + " runs"
	turn, ok := x.work.Turns[a.ID]
	if !ok {
		return reason
	}
	reason.Until = turn.Work.Deadline
	if turn.DueAt.After(x.now) {
		reason.Kind, reason.Until = WaitTimer, turn.DueAt
		reason.Message = fmt.Sprintf("%s is checked again at %s", what, clock(turn.DueAt))
	}
	if !turn.Work.Deadline.IsZero() {
		reason.Message += "; it times out at " + clock(turn.Work.Deadline)
	}
	return reason
}

// returned says why runners returned an attempt, empty if none did.
func returned(lease *execution.Lease) string {
	r := lease.Attempt.Returned
	switch {
	case r == nil:
		return ""
	case r.Count == 1:
		return fmt.Sprintf("; runner %s returned it: %s", r.Runner, r.Reason)
	}
	return fmt.Sprintf("; runners returned it %d times, the last was %s: %s", r.Count, r.Runner, r.Reason)
}
