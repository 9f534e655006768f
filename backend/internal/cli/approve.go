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
		verb, past, effect = "approve", "approved", "it continues once every rule is met"
	}
	var (
		want    wanted
		comment string
		yes     bool
	)
	command := &cobra.Command{
		Use:   verb + " EXECUTION",
		Short: strings.ToUpper(verb[:1]) + verb[1:] + " what an execution is waiting for; " + effect,
		Long: strings.ToUpper(verb[:1]) + verb[1:] + ` what an execution is waiting for; ` + effect + `.

On a terminal, the command shows what is waiting and asks before it sends the decision.
The decision counts only for the approval that was open when the command started. If that
one closes in between, the server refuses the decision, even if another approval is
open.

With the name of a pipeline, exactly one approval of its executions must be open. If
there are several, the command lists them. --stage without --action names the approval of
the stage's entry, never one of its actions.`,
		Example: "  headrace " + verb + ` web#3 --stage Deploy --action Agree --comment "looks good"`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			wait, err := a.openWait(ctx, c, verb, args[0], want)
			if err != nil {
				return err
			}
			e, approval := wait.execution, wait.reason.GetApproval()
			where := place(wait.reason.GetStage(), wait.reason.GetAction())
			if a.interactive() && !yes && !wait.closed {
				a.out.linef("%s  %s: %s", label(e), where, oneLine(wait.reason.GetMessage()))
				for _, line := range a.approvalLines(e, approval) {
					a.out.linef("  %s", line)
				}
				with := "without a comment"
				if comment != "" {
					with = fmt.Sprintf("with the comment %q", oneLine(comment))
				}
				question := fmt.Sprintf("%s %s of %s %s?", strings.ToUpper(verb[:1])+verb[1:], where, label(e), with)
				if err := a.confirm(ctx, question); err != nil {
					return err
				}
			}
			response, err := c.Executions.DecideApproval(ctx, &headracev1.DecideApprovalRequest{
				Name: e.GetName(), Stage: wait.reason.GetStage(), Action: wait.reason.GetAction(), ApprovalId: approval.GetId(),
				Approve: approve, Comment: comment,
			})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.out.linef("%s %s of %s", past, where, label(e))
			for _, r := range response.GetApproval().GetRequirements() {
				a.out.linef("  %s", requirementText(r))
			}
			return nil
		}),
	}
	command.Flags().StringVar(&want.stage, "stage", "", "stage of the approval, if several approvals are open")
	command.Flags().StringVar(&want.action, "action", "", "action of the approval, if several approvals are open; omit it for the entry of the stage")
	command.Flags().StringVar(&want.approval, "approval", "", "id of the approval that was shown; the decision is refused if another one waits now")
	command.Flags().StringVar(&comment, "comment", "", "comment, stored with the decision")
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask on a terminal")
	return command
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
