package engine

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Refusals of a decision on an approval. What Decide returns wraps one of them.
var (
	ErrNoApproval      = errors.New("no such approval is open")
	ErrNotEligible     = errors.New("not among the approvers")
	ErrCommentRequired = errors.New("a comment is required")
	ErrAlreadyDecided  = errors.New("already decided")
)

// openApproval begins a wait. Without a rule one approver is enough, as in
// CodePipeline. The shortest of all times to decide counts.
func (d *decision) openApproval(requirements []execution.Requirement, timeout time.Duration) *execution.Approval {
	if len(requirements) == 0 {
		requirements = []execution.Requirement{{MinimumCount: 1, AllowStarter: true}}
	}
	for _, r := range requirements {
		if r.ExpireAfter > 0 && (timeout == 0 || r.ExpireAfter < timeout) {
			timeout = r.ExpireAfter
		}
	}
	if timeout == 0 {
		timeout = pipeline.DefaultApprovalTimeout
	}
	return &execution.Approval{Requirements: slices.Clone(requirements), ExpiresAt: d.now.Add(timeout)}
}

func (d *decision) expiry(e *execution.Execution, id string, approval *execution.Approval) *execution.Turn {
	return &execution.Turn{ID: id, Kind: execution.TurnExpire, Scope: d.scope.Key, ExecutionID: e.ID, DueAt: approval.ExpiresAt}
}

// entryID names the one turn that a stage itself waits for: the expiry of the approval
// that guards its entry and, behind that, the recheck of its windows. They share it,
// since they never wait at the same time.
func entryID(e *execution.Execution, stage *execution.Stage) string {
	return e.ID + "/" + strconv.Itoa(stage.Position)
}

// open tells whether an entry approval still keeps its stage from starting.
func open(approval *execution.Approval) bool {
	return approval != nil && !Met(approval)
}

// Met tells whether every requirement of an approval has its approvers.
func Met(approval *execution.Approval) bool {
	for _, r := range approval.Requirements {
		if Count(approval, r) < r.MinimumCount {
			return false
		}
	}
	return true
}

// Count returns how many different people agreed and count for a requirement.
// Eligibility was checked when each decided, but a person who may decide for one
// requirement does not count for another.
func Count(approval *execution.Approval, r execution.Requirement) int {
	n := 0
	for _, v := range approval.Decisions {
		if v.Approved && listed(r, v.Principal, v.Groups) {
			n++
		}
	}
	return n
}

func listed(r execution.Requirement, principal string, groups []string) bool {
	if len(r.Users) == 0 && len(r.Groups) == 0 {
		return true
	}
	return slices.Contains(r.Users, principal) ||
		slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(r.Groups, g) })
}

// target is one open approval: of an action, or of a stage's entry.
type target struct {
	stage    *execution.Stage
	action   *execution.Action
	approval *execution.Approval
}

func (t target) String() string {
	if t.action == nil {
		return "the entry of stage " + t.stage.Name
	}
	return "action " + t.action.Name + " of stage " + t.stage.Name
}

func openApprovals(e *execution.Execution) []target {
	stage := e.Current()
	if stage == nil || !stage.Live() {
		return nil
	}
	if stage.Phase == execution.PhaseApproval && open(stage.Entry) {
		return []target{{stage: stage, approval: stage.Entry}}
	}
	var found []target
	for _, a := range stage.Actions {
		if a.Status == pipeline.InProgress && a.Details.Approval != nil {
			found = append(found, target{stage: stage, action: a, approval: a.Details.Approval})
		}
	}
	return found
}

func choose(e *execution.Execution, stage, name string) (target, error) {
	all := openApprovals(e)
	matching := slices.DeleteFunc(slices.Clone(all), func(t target) bool {
		return (stage != "" && t.stage.Name != stage) || (name != "" && (t.action == nil || t.action.Name != name))
	})
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.String()
	}
	switch {
	case len(all) == 0:
		return target{}, fmt.Errorf("%w: execution %d waits for nobody", ErrNoApproval, e.Number)
	case len(matching) == 0:
		return target{}, fmt.Errorf("%w under that name; open: %s", ErrNoApproval, strings.Join(names, ", "))
	case len(matching) > 1:
		return target{}, fmt.Errorf("%w: several are open, name one of %s", ErrNoApproval, strings.Join(names, ", "))
	}
	return matching[0], nil
}

func (d *decision) approve(in Approve) error {
	e := d.scope.Find(in.ExecutionID)
	if e == nil {
		return fmt.Errorf("%w: the execution has ended", ErrNoApproval)
	}
	t, err := choose(e, in.Stage, in.Action)
	if err != nil {
		return err
	}
	if !d.now.Before(t.approval.ExpiresAt) {
		// It fails closed, also when nobody has looked at its expiry so far.
		return fmt.Errorf("%w: the time to decide on %s was over at %s", ErrNoApproval, t, t.approval.ExpiresAt.UTC().Format(time.RFC3339))
	}
	if err := eligible(e, t, in); err != nil {
		return err
	}
	verdict := execution.Verdict{
		Principal: in.Principal, Groups: in.Groups, Approved: in.Approved, Comment: in.Comment, At: d.now,
		Version: e.Version, Artifacts: produced(e),
	}
	t.approval.Decisions = append(t.approval.Decisions, verdict)
	ev := execution.Event{Subject: execution.SubjectStage, State: execution.EventApproved, Stage: t.stage.Name}
	if t.action != nil {
		ev = d.actionEvent(t.stage, t.action, execution.EventApproved)
	}
	if !in.Approved {
		ev.State = execution.EventRejected
	}
	ev.Principal, ev.Message = in.Principal, in.Comment
	d.event(e, ev)

	switch {
	case !in.Approved:
		d.close(e, t, action.Failed(action.ApprovalRejected, "rejected by %s%s", in.Principal, quoted(in.Comment)))
	case Met(t.approval):
		d.close(e, t, action.Result{Summary: "approved by " + strings.Join(approvers(t.approval), ", ")})
	case t.action != nil:
		d.actionChanged(e, t.action)
	default:
		d.stageChanged(e, t.stage)
	}
	return nil
}

func quoted(comment string) string {
	if comment == "" {
		return ""
	}
	return ": " + comment
}

func approvers(approval *execution.Approval) []string {
	var names []string
	for _, v := range approval.Decisions {
		if v.Approved {
			names = append(names, v.Principal)
		}
	}
	return names
}

// produced lists the artifacts that an execution has.
func produced(e *execution.Execution) []action.Artifact {
	var all []action.Artifact
	if e.Rollback != nil {
		all = append(all, e.Rollback.Artifacts...)
	}
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			if !a.Retried {
				all = append(all, a.Details.Outputs...)
			}
		}
	}
	return all
}

// eligible says whether somebody may decide, and if not, why.
func eligible(e *execution.Execution, t target, in Approve) error {
	for _, v := range t.approval.Decisions {
		if v.Principal == in.Principal {
			return fmt.Errorf("%w: %s has approved %s before", ErrAlreadyDecided, in.Principal, t)
		}
	}
	counts, starter, comment := false, false, false
	for _, r := range t.approval.Requirements {
		if !listed(r, in.Principal, in.Groups) {
			continue
		}
		if in.Principal == e.Trigger.Principal && !r.AllowStarter {
			starter = true
			continue
		}
		counts = true
		comment = comment || r.RequireComment
	}
	switch {
	case starter:
		// Also where another rule would count them: the strictest wins.
		return fmt.Errorf("%w: %s started execution %d, and the one who started it does not count for %s",
			ErrNotEligible, in.Principal, e.Number, t)
	case !counts:
		return fmt.Errorf("%w: %s may not decide on %s; %s", ErrNotEligible, in.Principal, t, Missing(t.approval))
	case comment && strings.TrimSpace(in.Comment) == "":
		return fmt.Errorf("%w for %s: say why", ErrCommentRequired, t)
	}
	return nil
}

// Missing says what an approval still needs and who could give it.
func Missing(approval *execution.Approval) string {
	var parts []string
	for _, r := range approval.Requirements {
		missing := r.MinimumCount - Count(approval, r)
		if missing <= 0 {
			continue
		}
		who := "anyone with the approver role"
		if len(r.Users)+len(r.Groups) > 0 {
			var list []string
			list = append(list, r.Users...)
			for _, g := range r.Groups {
				list = append(list, "group "+g)
			}
			who = strings.Join(list, " or ")
		}
		if !r.AllowStarter {
			who += ", not the one who started it"
		}
		rule := ""
		if r.Rule != "" {
			rule = "rule " + r.Rule + ": "
		}
		parts = append(parts, fmt.Sprintf("%s%d more of %s", rule, missing, who))
	}
	if len(parts) == 0 {
		return "it has all it needs"
	}
	return "it needs " + strings.Join(parts, " and ")
}

// close ends an open approval and lets the execution go on.
func (d *decision) close(e *execution.Execution, t target, result action.Result) {
	if t.action != nil {
		d.finish(e, t.stage, t.action, result)
		d.advance(e)
		return
	}
	d.turnDone(entryID(e, t.stage))
	d.stageChanged(e, t.stage)
	if result.Failure != nil {
		d.fail(e, t.stage, fmt.Sprintf("the entry of stage %s was not approved: %s", t.stage.Name, result.Failure.Message), false)
		return
	}
	d.advance(e)
}

// expire ends an approval whose time is over. A turn that comes early, since the
// clock was set back meanwhile, is asked for again: an approval must not be left
// that nobody looks at any more.
func (d *decision) expire(in Expire) {
	e := d.scope.Find(in.ExecutionID)
	if e == nil {
		return
	}
	for _, t := range openApprovals(e) {
		id := entryID(e, t.stage)
		if t.action != nil {
			id = t.action.ID
		}
		switch {
		case id != in.ID:
			continue
		case d.now.Before(t.approval.ExpiresAt):
			d.change.Turns = append(d.change.Turns, d.expiry(e, id, t.approval))
		default:
			d.close(e, t, action.Failed(action.ApprovalExpired, "nobody decided until %s; %s",
				t.approval.ExpiresAt.UTC().Format(time.RFC3339), Missing(t.approval)))
		}
		return
	}
}
