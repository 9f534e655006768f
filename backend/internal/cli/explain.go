package cli

import (
	"context"
	"fmt"
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
			response, err := c.Executions.ExplainExecution(ctx, &headracev1.ExplainExecutionRequest{Name: e.GetName()})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			if terminal(response.GetStatus()) {
				if e, err = get(ctx, c, e.GetName()); err != nil {
					return err
				}
				a.out.lines(a.endLines(c, e))
				a.out.lines(noteLines(response.GetNotes()))
				return nil
			}
			a.out.linef("%s  %s", label(e), statusText(response.GetStatus()))
			if target := rollbackText(e); target != "" {
				a.out.linef("  rollback of stage %s to %s, started by %s", lastStage(e).GetStage(), target, oneLine(startedBy(e)))
			}
			if err := nameBlocking(ctx, c, response.GetReasons()); err != nil {
				return err
			}
			for _, reason := range response.GetReasons() {
				a.out.lines(a.reasonLines(c, label(e), reason))
			}
			a.out.lines(noteLines(response.GetNotes()))
			return nil
		}),
	}
}

// noteLines returns what else the server has to say about an execution.
func noteLines(notes []string) []string {
	lines := make([]string, len(notes))
	for i, note := range notes {
		lines[i] = "  note: " + oneLine(note)
	}
	return lines
}

// nameBlocking puts the short form of the executions that block in place of their
// resource names, also in the causes of reasons. One that is gone meanwhile keeps
// its name.
func nameBlocking(ctx context.Context, c *client.Client, reasons []*headracev1.WaitReason) error {
	names := labels{}
	var walk func([]*headracev1.WaitReason) error
	walk = func(reasons []*headracev1.WaitReason) error {
		for _, reason := range reasons {
			if reason.GetBlockingExecution() != "" {
				short, err := names.of(ctx, c, reason.GetBlockingExecution())
				if err != nil {
					return err
				}
				reason.BlockingExecution = short
			}
			if err := walk(reason.GetCauses()); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(reasons)
}

// labels are the short forms of executions by their resource names.
type labels map[string]string

// of returns the short form of an execution, or its name where it is gone.
func (l labels) of(ctx context.Context, c *client.Client, name string) (string, error) {
	if l[name] == "" {
		e, err := get(ctx, c, name)
		switch {
		case err == nil:
			l[name] = label(e)
		case client.IsNotFound(err):
			l[name] = name
		default:
			return "", err
		}
	}
	return l[name], nil
}

// reasonLines returns a reason of an execution to wait, with what to do about it
// and its causes below. The message tells the place in line and who closed a door.
func (a *app) reasonLines(c *client.Client, of string, reason *headracev1.WaitReason) []string {
	lines := []string{reasonPlace(reason) + ": " + oneLine(reason.GetMessage()) + a.reasonTime(reason)}
	causesOf, indent := of, ""
	if blocking := reason.GetBlockingExecution(); blocking != "" {
		lines = append(lines, "  behind "+blocking)
		causesOf, indent = blocking, "  "
	}
	switch reason.GetKind() {
	case headracev1.WaitKind_WAIT_KIND_APPROVAL:
		lines = append(lines, a.approvalLines(c, of, reason)...)
	case headracev1.WaitKind_WAIT_KIND_TRANSITION:
		pipelineWord, _, _ := strings.Cut(of, "#")
		lines = append(lines, "  enable it with: "+a.hint(c, "transition enable "+pipelineWord+" "+reason.GetStage()))
	case headracev1.WaitKind_WAIT_KIND_WINDOW:
		if reason.GetCondition() != headracev1.ConditionKind_CONDITION_KIND_ON_FAILURE {
			lines = append(lines, "  go on without it: "+a.overrideHint(c, of, reason.GetStage(), reason.GetCondition()))
		}
	default:
	}
	for _, cause := range reason.GetCauses() {
		for _, line := range a.reasonLines(c, causesOf, cause) {
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
	if until := reason.GetUntil(); until != nil {
		word := "until "
		if reason.GetKind() == headracev1.WaitKind_WAIT_KIND_WINDOW {
			word = "opens "
		}
		parts = append(parts, word+timeText(until))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// approvalLines say who agreed, who else could and how.
func (a *app) approvalLines(c *client.Client, of string, reason *headracev1.WaitReason) []string {
	var lines, agreed []string
	for _, r := range reason.GetApproval().GetRequirements() {
		lines = append(lines, "  "+requirementText(r))
	}
	for _, decision := range reason.GetApproval().GetDecisions() {
		if decision.GetApproved() {
			agreed = append(agreed, decision.GetPrincipal())
		}
	}
	if len(agreed) > 0 {
		lines = append(lines, "  approved so far by "+oneLine(strings.Join(agreed, ", ")))
	}
	return append(lines, "  approve with: "+a.approveHint(c, of, reason))
}

// approveHint returns the exact command that approves what a reason waits for.
func (a *app) approveHint(c *client.Client, of string, reason *headracev1.WaitReason) string {
	command := "approve " + of + " --stage " + reason.GetStage()
	if reason.GetAction() != "" {
		command += " --action " + reason.GetAction()
	}
	for _, r := range reason.GetApproval().GetRequirements() {
		if r.GetRequireComment() {
			command += ` --comment "..."`
			break
		}
	}
	return a.hint(c, command)
}

// overrideHint returns the command that overrides a condition.
func (a *app) overrideHint(c *client.Client, of, stage string, kind headracev1.ConditionKind) string {
	return a.hint(c, "execution override "+of+" --stage "+stage+" --condition "+kindText(kind)+` --reason "..."`)
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
		text += ", not by who started it"
	}
	if r.GetSupersede() {
		text += ", unless a newer execution takes its place"
	}
	return oneLine(text)
}
