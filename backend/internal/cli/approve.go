package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// decideCommand is approve or reject.
func (a *app) decideCommand(approve bool) *cobra.Command {
	verb, past, effect := "reject", "rejected", "one rejection fails it"
	if approve {
		verb, past, effect = "approve", "approved", "it goes on once every rule is met"
	}
	var stage, action, comment string
	command := &cobra.Command{
		Use:   verb + " EXECUTION",
		Short: strings.ToUpper(verb[:1]) + verb[1:] + " what an execution waits for; " + effect,
		Args:  cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			e, err := a.execution(ctx, c, args[0])
			if err != nil {
				return err
			}
			response, err := c.Executions.DecideApproval(ctx, &headracev1.DecideApprovalRequest{
				Name: e.GetName(), Stage: stage, Action: action, Approve: approve, Comment: comment,
			})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.out.linef("%s %s of %s", past, place(response.GetStage(), response.GetAction()), label(e))
			for _, r := range response.GetApproval().GetRequirements() {
				a.out.linef("  %s", requirementText(r))
			}
			return nil
		}),
	}
	command.Flags().StringVar(&stage, "stage", "", "stage, where several approvals are open")
	command.Flags().StringVar(&action, "action", "", "action, where several approvals are open; none for a stage's entry")
	command.Flags().StringVar(&comment, "comment", "", "comment, kept with the decision")
	return command
}

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain EXECUTION",
		Short: "Say why an execution is where it is",
		Args:  cobra.ExactArgs(1),
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
				return nil
			}
			a.out.linef("%s  %s", label(e), statusText(response.GetStatus()))
			if err := nameBlocking(ctx, c, response.GetReasons()); err != nil {
				return err
			}
			for _, reason := range response.GetReasons() {
				a.out.lines(a.reasonLines(c, e, reason))
			}
			return nil
		}),
	}
}

// nameBlocking puts the short form of the executions that block in place of their
// resource names. One that is gone meanwhile keeps its name.
func nameBlocking(ctx context.Context, c *client.Client, reasons []*headracev1.WaitReason) error {
	for _, reason := range reasons {
		if reason.GetBlockingExecution() == "" {
			continue
		}
		blocking, err := get(ctx, c, reason.GetBlockingExecution())
		switch {
		case err == nil:
			reason.BlockingExecution = label(blocking)
		case !client.IsNotFound(err):
			return err
		}
	}
	return nil
}

// reasonLines returns a reason to wait with what to do about it.
func (a *app) reasonLines(c *client.Client, e *headracev1.Execution, reason *headracev1.WaitReason) []string {
	head := fmt.Sprintf("  %s: %s", place(reason.GetStage(), reason.GetAction()), oneLine(reason.GetMessage()))
	if since := reason.GetSince(); since != nil {
		head += fmt.Sprintf(" (for %s", elapsed(since, nil, a.Now()))
		if until := reason.GetUntil(); until != nil {
			head += ", until " + timeText(until)
		}
		head += ")"
	}
	lines := []string{head}
	if blocking := reason.GetBlockingExecution(); blocking != "" {
		lines = append(lines, "    behind "+blocking)
	}
	if reason.GetKind() != headracev1.WaitKind_WAIT_KIND_APPROVAL {
		return lines
	}
	for _, r := range reason.GetApproval().GetRequirements() {
		lines = append(lines, "    "+requirementText(r))
	}
	return append(lines, "    approve with: "+a.approveHint(c, e, reason))
}

// approveHint returns the exact command that approves what a reason waits for.
func (a *app) approveHint(c *client.Client, e *headracev1.Execution, reason *headracev1.WaitReason) string {
	command := "approve " + label(e) + " --stage " + reason.GetStage()
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

// requirementText returns what a rule asks for and how far it is.
func requirementText(r *headracev1.ApprovalRequirement) string {
	name := "approval"
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
	return oneLine(text)
}

func lastSegment(name string) string {
	return name[strings.LastIndexByte(name, '/')+1:]
}

// place returns Stage/Action, or what of it there is.
func place(stage, action string) string {
	switch {
	case stage == "":
		return "execution"
	case action == "":
		return stage
	}
	return stage + "/" + action
}
