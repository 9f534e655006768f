package engine

import (
	"errors"
	"fmt"
	"regexp"
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
	ErrStaleApproval   = errors.New("the approval you were shown is no longer open")
	ErrNotEligible     = errors.New("not among the approvers")
	ErrCommentRequired = errors.New("a comment is required")
	ErrAlreadyDecided  = errors.New("already decided")
)

// openApproval begins a wait. Without a rule it takes one approver who did not start the
// execution. The shortest of all times to decide counts.
func (d *decision) openApproval(requirements []execution.Requirement, timeout time.Duration) *execution.Approval {
	if len(requirements) == 0 {
		requirements = defaultRequirements()
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

// defaultRequirements are those of a manual action that no rule guards.
func defaultRequirements() []execution.Requirement { return []execution.Requirement{{MinimumCount: 1}} }

// startApproval begins the wait of a manual action, or fails it where the account asks for
// a rule and none guards it: on_rollback skips people, not that law.
func (d *decision) startApproval(e *execution.Execution, stage *execution.Stage, a *execution.Action, timeout time.Duration) {
	requirements := d.scope.Requirements(stage.Name, a.Name)
	if len(requirements) == 0 && d.scope.RuleRequired() {
		d.endAction(e, stage, a, action.Failed(action.ApprovalRuleMissing,
			"no approval rule matches action %s of stage %s of pipeline %s, and account %s has require_approval_rule set; "+
				"create a rule with actions = [%q], then retry the stage", a.Name, stage.Name, e.Pipeline, e.Account, a.Name))
		return
	}
	if d.skips(e, stage).SkipApprovals {
		a.Details.Approval = skippedApproval(stage, requirements)
		d.endAction(e, stage, a, action.Result{Summary: a.Details.Approval.Skipped})
		return
	}
	a.Details.Approval = d.openApproval(requirements, timeout)
	d.change.Turns = append(d.change.Turns, d.expiry(e, a.ID, a.Details.Approval))
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

// isPending reports whether an entry approval still keeps its stage from starting.
func isPending(approval *execution.Approval) bool {
	return approval != nil && !Met(approval)
}

// Met tells whether every requirement of an approval has its approvers, or nobody is
// asked.
func Met(approval *execution.Approval) bool {
	if approval.Skipped != "" {
		return true
	}
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

// Wait is an approval of an execution, open or not: of an action, or of the entry of a
// stage if Action is nil.
type Wait struct {
	Execution *execution.Execution
	Stage     *execution.Stage
	Action    *execution.Action
}

// Approval returns the record of the wait, nil if nothing was asked.
func (w Wait) Approval() *execution.Approval {
	if w.Action == nil {
		return w.Stage.Entry
	}
	return w.Action.Details.Approval
}

// ID names the wait. A retry runs an action under another id, and asks for the entry
// of a stage in another attempt of the execution.
func (w Wait) ID() string {
	if w.Action != nil {
		return w.Action.ID
	}
	return entryID(w.Execution, w.Stage) + "/" + strconv.Itoa(w.Approval().ExecutionAttempt)
}

// Open tells whether people can still decide.
func (w Wait) Open() bool { return slices.Contains(openApprovals(w.Execution), w) }

// String says what waits.
func (w Wait) String() string {
	if w.Action == nil {
		return "the entry of stage " + w.Stage.Name
	}
	return "action " + w.Action.Name + " of stage " + w.Stage.Name
}

// expired tells whether the time to decide has passed, also if nobody has looked at
// the expiry so far: it fails closed.
func (w Wait) expired(now time.Time) bool { return !now.Before(w.Approval().ExpiresAt) }

func openApprovals(e *execution.Execution) []Wait {
	stage := e.Current()
	if stage == nil || !stage.Live() {
		return nil
	}
	if stage.Phase == execution.PhaseApproval && isPending(stage.Entry) {
		return []Wait{{Execution: e, Stage: stage}}
	}
	var found []Wait
	for _, a := range stage.Actions {
		if a.Status == pipeline.InProgress && a.Details.Approval != nil {
			found = append(found, Wait{Execution: e, Stage: stage, Action: a})
		}
	}
	return found
}

// findApproval returns the open approval that a decision is about.
func findApproval(e *execution.Execution, in Approve) (Wait, error) {
	all := openApprovals(e)
	names := make([]string, len(all))
	for i, w := range all {
		names[i] = w.String()
	}
	matching := slices.DeleteFunc(slices.Clone(all), func(w Wait) bool { return in.ApprovalID != "" && w.ID() != in.ApprovalID })
	switch {
	case in.ApprovalID == "" || len(matching) > 0:
	case len(all) == 0:
		return Wait{}, fmt.Errorf("%w: %sexecution %d is not waiting for an approval now", ErrStaleApproval, fate(e, in.ApprovalID), e.Number)
	default:
		return Wait{}, fmt.Errorf("%w: %sexecution %d now waits for %s", ErrStaleApproval, fate(e, in.ApprovalID), e.Number, strings.Join(names, ", "))
	}
	matching = slices.DeleteFunc(matching, func(w Wait) bool { return !in.means(w) })
	switch {
	case len(all) == 0:
		return Wait{}, fmt.Errorf("%w: execution %d is not waiting for an approval", ErrNoApproval, e.Number)
	case len(matching) == 0 && in.Stage != "" && in.Action == "":
		return Wait{}, fmt.Errorf("%w: the entry of stage %s is not waiting for an approval; open: %s", ErrNoApproval, in.Stage, strings.Join(names, ", "))
	case len(matching) == 0:
		return Wait{}, fmt.Errorf("%w under that name; open: %s", ErrNoApproval, strings.Join(names, ", "))
	case len(matching) > 1:
		return Wait{}, fmt.Errorf("%w: several are open, name one of %s", ErrNoApproval, strings.Join(names, ", "))
	}
	return matching[0], nil
}

// means tells whether a decision names a wait. A stage alone names its entry: a decision
// on the entry that comes late must not count for an action of the stage.
func (in Approve) means(w Wait) bool {
	switch {
	case in.Stage != "" && w.Stage.Name != in.Stage:
		return false
	case in.Action != "":
		return w.Action != nil && w.Action.Name == in.Action
	}
	return in.Stage == "" || w.Action == nil || in.ApprovalID != ""
}

// fate says what became of a wait that is not open any more, as the beginning of a
// sentence; empty if that is not known.
func fate(e *execution.Execution, id string) string {
	for _, stage := range e.Stages {
		waits := []Wait{{Execution: e, Stage: stage}}
		for _, a := range stage.Actions {
			waits = append(waits, Wait{Execution: e, Stage: stage, Action: a})
		}
		for _, w := range waits {
			if w.Approval() == nil || w.ID() != id || len(w.Approval().Decisions) == 0 {
				continue
			}
			last := w.Approval().Decisions[len(w.Approval().Decisions)-1]
			switch {
			case !last.Approved:
				return last.Principal + " rejected " + w.String() + ", and "
			case Met(w.Approval()):
				return last.Principal + " approved " + w.String() + ", and "
			}
		}
	}
	return ""
}

func (d *decision) approve(in Approve) error {
	e := d.scope.Find(in.ExecutionID)
	switch {
	case e == nil && in.ApprovalID != "":
		return fmt.Errorf("%w: %s", ErrStaleApproval, d.ended(in.ExecutionID))
	case e == nil:
		return fmt.Errorf("%w: %s", ErrNoApproval, d.ended(in.ExecutionID))
	}
	t, err := findApproval(e, in)
	if err != nil {
		return err
	}
	if t.expired(d.now) {
		return fmt.Errorf("%w: the time to decide on %s ended at %s", ErrNoApproval, t, clock(t.Approval().ExpiresAt))
	}
	if err := eligible(e, t, in); err != nil {
		return err
	}
	decision := execution.ApprovalDecision{
		Principal: in.Principal, Groups: in.Groups, Approved: in.Approved, Comment: in.Comment, At: d.now,
		Version: e.Version, Artifacts: produced(e),
	}
	approval := t.Approval()
	approval.Decisions = append(approval.Decisions, decision)
	ev := execution.Event{Subject: execution.SubjectStage, State: execution.EventApproved, Stage: t.Stage.Name}
	if t.Action != nil {
		ev = d.actionEvent(t.Stage, t.Action, execution.EventApproved)
	}
	if !in.Approved {
		ev.State = execution.EventRejected
	}
	ev.Principal, ev.Message = in.Principal, in.Comment
	d.event(e, ev)

	switch {
	case !in.Approved:
		d.close(e, t, action.Failed(action.ApprovalRejected, "rejected by %s%s", in.Principal, quoted(in.Comment)))
	case Met(approval):
		d.close(e, t, action.Result{Summary: "approved by " + strings.Join(approvers(approval), ", ")})
	case t.Action != nil:
		d.actionChanged(e, t.Action)
	default:
		d.stageChanged(e, t.Stage)
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
func eligible(e *execution.Execution, t Wait, in Approve) error {
	comment, err := mayDecide(e, t, in.Principal, in.Groups)
	if err == nil && comment && strings.TrimSpace(in.Comment) == "" {
		err = fmt.Errorf("%w for %s: say why", ErrCommentRequired, t)
	}
	return err
}

// MayDecide says whether a person may decide on an open approval of an execution, whether
// with a comment only, and if not, why.
func MayDecide(e *execution.Execution, approvalID, principal string, groups []string) (comment bool, err error) {
	for _, w := range openApprovals(e) {
		if w.ID() == approvalID {
			return mayDecide(e, w, principal, groups)
		}
	}
	return false, fmt.Errorf("%w: approval %s", ErrNoApproval, approvalID)
}

// mayDecide says whether a person may decide, whether with a comment only, and if not,
// why.
func mayDecide(e *execution.Execution, t Wait, principal string, groups []string) (comment bool, err error) {
	for _, v := range t.Approval().Decisions {
		if v.Principal == principal {
			return false, fmt.Errorf("%w: %s has already approved %s", ErrAlreadyDecided, principal, t)
		}
	}
	counts := false
	var starter *execution.Requirement
	for i := range t.Approval().Requirements {
		r := &t.Approval().Requirements[i]
		if !listed(*r, principal, groups) {
			continue
		}
		if startedBy(e, principal) && !r.AllowStarter {
			starter = r
			continue
		}
		counts = true
		comment = comment || r.RequireComment
	}
	switch {
	case starter != nil && starter.Rule == "":
		return false, fmt.Errorf("%w: %s", ErrNotEligible, aloneText(e, t, principal))
	case starter != nil:
		// Also where another rule would count them: the strictest wins.
		return false, fmt.Errorf("%w: %s, and rule %s does not let the starter decide on %s",
			ErrNotEligible, startedText(e, principal), starter.Rule, t)
	case !counts:
		return false, fmt.Errorf("%w: %s may not decide on %s; %s", ErrNotEligible, principal, t, Missing(t.Approval()))
	}
	return comment, nil
}

// Approvers are those whose approval an open wait still needs.
type Approvers struct {
	Users  []string
	Groups []string
	// Anyone is set if a requirement names neither users nor groups.
	Anyone bool
	// Excluded are people who may not decide although a requirement lists them.
	Excluded []string
}

// Approvers returns who can still approve towards a requirement that is not met. It is
// empty of a wait that is not open.
func (w Wait) Approvers() Approvers {
	var found Approvers
	if !w.Open() {
		return found
	}
	exclude := func(name string) {
		if !slices.Contains(found.Excluded, name) {
			found.Excluded = append(found.Excluded, name)
		}
	}
	for _, r := range w.Approval().Requirements {
		if Count(w.Approval(), r) >= r.MinimumCount {
			continue
		}
		found.Anyone = found.Anyone || len(r.Users)+len(r.Groups) == 0
		for _, group := range r.Groups {
			if !slices.Contains(found.Groups, group) {
				found.Groups = append(found.Groups, group)
			}
		}
		for _, user := range r.Users {
			if _, err := mayDecide(w.Execution, w, user, nil); err != nil {
				exclude(user)
			} else if !slices.Contains(found.Users, user) {
				found.Users = append(found.Users, user)
			}
		}
	}
	// Which groups people are in is only known when they decide.
	if found.Anyone || len(found.Groups) > 0 {
		started, replayed := w.Execution.Starter()
		for _, starter := range []string{started, replayed} {
			// Nobody expects a trigger to approve.
			if starter == "" || strings.HasPrefix(starter, execution.TriggerPrincipal) || slices.Contains(found.Users, starter) {
				continue
			}
			if _, err := mayDecide(w.Execution, w, starter, found.Groups); err != nil {
				exclude(starter)
			}
		}
		for _, v := range w.Approval().Decisions {
			exclude(v.Principal)
		}
	}
	return found
}

// startedBy tells whether a person counts as the starter of an execution.
func startedBy(e *execution.Execution, person string) bool {
	principal, replayedBy := e.Starter()
	return person == principal || person == replayedBy
}

// startedText says why a person counts as the starter of an execution.
func startedText(e *execution.Execution, principal string) string {
	started, number, failed := "started", e.Number, ""
	if _, replayedBy := e.Starter(); principal == replayedBy {
		started = "replayed the delivery that started"
	}
	if r := e.Rollback; r != nil && r.FailedID != "" {
		number, failed = r.FailedNumber, ", whose failure started this rollback"
	}
	return fmt.Sprintf("%s %s execution %d%s", principal, started, number, failed)
}

// aloneText refuses the starter of an execution where no rule matched when the wait
// began, and says what somebody can do who works alone. The wait keeps its requirement, so
// the way on is another wait.
func aloneText(e *execution.Execution, t Wait, principal string) string {
	return fmt.Sprintf(`%s, and no approval rule matches %s, so somebody else has to approve it. `+
		`If you work alone, an admin can apply this rule; then stop the execution and start a new one:

%s`, startedText(e, principal), t, ruleForOnePerson(t))
}

// maxRuleName is how long the name of an approval rule may be.
const maxRuleName = 100

// notInLabel are the characters of a name that the label of a Terraform resource cannot have.
var notInLabel = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// ruleForOnePerson returns a Terraform resource that lets the starter decide on one wait.
// Its name is one for each stage and action, so that the next one needs another rule and
// takes none from this one.
func ruleForOnePerson(w Wait) string {
	rule := w.Execution.Pipeline + "-" + w.Stage.Name
	actions := ""
	if w.Action != nil {
		rule += "-" + w.Action.Name
		actions = fmt.Sprintf("\n  actions       = [%q]", w.Action.Name)
	}
	rule = rule[:min(len(rule), maxRuleName)]
	// A label begins with a letter.
	label := "rule-" + notInLabel.ReplaceAllString(rule, "_")
	return fmt.Sprintf(`resource "headrace_approval_rule" %q {
  name          = %q
  pipelines     = [%q]
  stages        = [%q]%s
  allow_starter = true
}`, label, rule, w.Execution.Pipeline, w.Stage.Name, actions)
}

// Missing says what an approval still needs and who could give it.
func Missing(approval *execution.Approval) string {
	var parts []string
	for _, r := range approval.Requirements {
		missing := r.MinimumCount - Count(approval, r)
		if missing <= 0 {
			continue
		}
		if r.Rule == "" && r.AllowStarter {
			// A wait that an older server began keeps what it asked for.
			return "no rule matches, so it needs one approver"
		}
		if r.Rule == "" {
			return "no rule matches, so it needs one approver who did not start it"
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
		parts = append(parts, fmt.Sprintf("rule %s: %d more of %s", r.Rule, missing, who))
	}
	if len(parts) == 0 {
		return "it has all it needs"
	}
	return "it needs " + strings.Join(parts, " and ")
}

// close ends an open approval and lets the execution go on.
func (d *decision) close(e *execution.Execution, t Wait, result action.Result) {
	if t.Action != nil {
		d.endAction(e, t.Stage, t.Action, result)
		d.advance(e)
		return
	}
	d.turnDone(entryID(e, t.Stage))
	d.stageChanged(e, t.Stage)
	if result.Failure != nil {
		d.fail(e, t.Stage, fmt.Sprintf("the entry of stage %s was not approved: %s", t.Stage.Name, result.Failure.Message), false)
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
		id := entryID(e, t.Stage)
		if t.Action != nil {
			id = t.Action.ID
		}
		switch {
		case id != in.ID:
			continue
		case !t.expired(d.now):
			d.change.Turns = append(d.change.Turns, d.expiry(e, id, t.Approval()))
		default:
			d.close(e, t, action.Failed(action.ApprovalExpired, "nobody decided until %s; %s",
				clock(t.Approval().ExpiresAt), Missing(t.Approval())))
		}
		return
	}
}
