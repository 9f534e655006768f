package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain EXECUTION",
		Short: "Explain what an execution is waiting for or why it ended",
		Long: `Explain what an execution is waiting for: since when and until when, its place in the
queue, and the command that continues it. If another execution is in the stage, the
output also shows what that execution is waiting for. For an execution that ended, it
shows why.`,
		Example: `  headrace explain web
  headrace explain web#3 -o json`,
		Args: cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			e, err := a.execution(ctx, c, args[0])
			if err != nil {
				return err
			}
			why, err := explainChanges(ctx, c, e)
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(why.ExplainExecutionResponse)
			}
			if terminal(why.GetStatus()) {
				if e, err = get(ctx, c, e.GetName()); err != nil {
					return err
				}
				why.execution = e
				lines := a.endLines(c, why)
				lines = slices.Insert(lines, 1, startedLines(e, a.width())...)
				a.out.lines(lines)
				return nil
			}
			a.out.linef("%s  %s", label(e), statusText(why.GetStatus()))
			if target := rollbackText(e); target != "" {
				a.out.linef("  rollback of stage %s to %s, started by %s", lastStage(e).GetStage(), target, oneLine(startedBy(e)))
			}
			if !asksForApproval(why) {
				a.out.lines(startedLines(e, a.width()))
			}
			for _, line := range changeLines(e, why.GetChanges()) {
				for _, row := range fold(line, a.width()-approvalMargin) {
					a.out.linef("  %s", row)
				}
			}
			for _, reason := range why.GetReasons() {
				a.out.lines(a.reasonLines(c, why, e.GetName(), reason))
			}
			a.out.lines(a.liveLines(c, why))
			if stop := why.own(headracev1.NextStepKind_NEXT_STEP_KIND_STOP_EXECUTION); stop != nil {
				a.out.linef("  stop it with: %s", why.command(a, c, stop))
			}
			a.out.lines(noteLines(why.GetNotes()))
			return nil
		}),
	}
}

// startedLines say what triggered an execution, none if no trigger did. They fit a width that
// is not 0: others chose the names in them.
func startedLines(e *headracev1.Execution, width int) []string {
	triggered := triggeredText(e)
	if triggered == "" {
		return nil
	}
	const indent = "  "
	if width > 0 {
		width = max(width-len(indent), 1)
	}
	lines := fold("started by trigger "+triggered, width)
	for i := range lines {
		lines[i] = indent + lines[i]
	}
	return lines
}

// asksForApproval tells whether an execution waits for people, who see with each approval what
// started it.
func asksForApproval(why *explained) bool {
	return slices.ContainsFunc(why.GetReasons(), func(r *headracev1.WaitReason) bool { return r.GetApproval() != nil })
}

// noteLines returns what else the server has to say about an execution.
func noteLines(notes []string) []string {
	lines := make([]string, len(notes))
	for i, note := range notes {
		lines[i] = "  note: " + oneLine(note)
	}
	return lines
}

// labels are executions by their resource names, nil for those that are gone.
type labels map[string]*headracev1.Execution

// load reads an execution that is not known yet.
func (l labels) load(ctx context.Context, c *client.Client, name string) error {
	if _, known := l[name]; known || name == "" {
		return nil
	}
	e, err := get(ctx, c, name)
	if err != nil && !client.IsNotFound(err) {
		return err
	}
	l[name] = e
	return nil
}

// short returns the short form of an execution, or its name if it is gone.
func (l labels) short(name string) string {
	if l[name] == nil {
		return name
	}
	return label(l[name])
}

// of returns the short form of an execution, which it reads if it is not known yet.
func (l labels) of(ctx context.Context, c *client.Client, name string) (string, error) {
	err := l.load(ctx, c, name)
	return l.short(name), err
}

// reasonLines returns a reason of an execution to wait, with what to do about it
// and its causes below. The message tells the place in line and who closed a door.
func (a *app) reasonLines(c *client.Client, why *explained, of string, reason *headracev1.WaitReason) []string {
	lines := []string{reasonPlace(reason) + ": " + oneLine(reason.GetMessage()) + a.reasonTime(reason)}
	causesOf, indent := of, ""
	if blocking := reason.GetBlockingExecution(); blocking != "" {
		lines = append(lines, "  behind "+why.named.short(blocking))
		causesOf, indent = blocking, "  "
	}
	if reason.GetApproval() != nil {
		for _, line := range a.approvalLines(why.named[of], reason.GetApproval(), a.width()) {
			lines = append(lines, "  "+line)
		}
	}
	text, step := why.reasonStep(of, reason)
	if refusal := why.mayNotDecide(step.GetApprovalId()); refusal != "" {
		// The first sentence says why, the others what to do about it.
		refusal, _, _ = strings.Cut(refusal, ". ")
		lines = append(lines, "  you may not decide: "+oneLine(refusal))
		text = "others " + text
	}
	if step != nil {
		lines = append(lines, "  "+text+why.command(a, c, step))
	}
	if roles := reason.GetEnder().GetRoles(); step == nil && len(roles) > 0 && reason.GetApproval() == nil {
		words := make([]string, len(roles))
		for i, role := range roles {
			words[i] = enumText(role, "ROLE_")
		}
		lines = append(lines, "  people with the role "+strings.Join(words, " or ")+" can end it")
	}
	for _, cause := range reason.GetCauses() {
		for _, line := range a.reasonLines(c, why, causesOf, cause) {
			lines = append(lines, indent+line)
		}
	}
	for i := range lines {
		lines[i] = "  " + lines[i]
	}
	return lines
}

// reasonPlace says what of the execution waits.
func reasonPlace(reason *headracev1.WaitReason) string {
	where := place(reason.GetStage(), reason.GetAction())
	if reason.GetCondition() != headracev1.ConditionKind_CONDITION_KIND_UNSPECIFIED {
		where += "/" + kindText(reason.GetCondition())
	}
	if reason.GetRule() != "" {
		where += "/" + reason.GetRule()
	}
	return where
}

// reasonTime says for how long it waits, and until when.
func (a *app) reasonTime(reason *headracev1.WaitReason) string {
	var parts []string
	if since := reason.GetSince(); since != nil {
		parts = append(parts, "for "+elapsed(since, nil, a.Now()))
	}
	// An approval has its deadline among its lines.
	if until := reason.GetUntil(); until != nil && reason.GetApproval() == nil {
		// Of a window that may be when it opens, or when its rule gives up before: the
		// message says which.
		parts = append(parts, "until "+timeText(until))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// requirementText returns what a rule asks for and how far it is.
func requirementText(r *headracev1.ApprovalRequirement) string {
	name := "no rule matches"
	if r.GetRule() != "" {
		name = "rule " + lastSegment(r.GetRule())
	}
	text := fmt.Sprintf("%s: %d of %d from %s", name, r.GetApprovedCount(), r.GetMinimumCount(), approversText(r.GetUsers(), r.GetGroups()))
	if r.GetRequireComment() {
		text += ", with a comment"
	}
	if !r.GetAllowStarter() {
		text += ", not by the starter"
	}
	if r.GetSupersede() {
		text += ", unless a newer execution takes its place"
	}
	return oneLine(text)
}
