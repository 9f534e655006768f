package cli

import (
	"context"
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
	var stage, action, comment string
	command := &cobra.Command{
		Use:     verb + " EXECUTION",
		Short:   strings.ToUpper(verb[:1]) + verb[1:] + " what an execution is waiting for; " + effect,
		Example: "  headrace " + verb + ` web#3 --stage Deploy --action Agree --comment "looks good"`,
		Args:    cobra.ExactArgs(1),
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
	command.Flags().StringVar(&stage, "stage", "", "stage of the approval, if several approvals are open")
	command.Flags().StringVar(&action, "action", "", "action of the approval, if several approvals are open; omit it for the entry of a stage")
	command.Flags().StringVar(&comment, "comment", "", "comment, stored with the decision")
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
