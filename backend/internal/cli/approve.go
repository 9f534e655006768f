package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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

If standard input is a terminal, the command shows on standard error what is waiting, and
asks before it sends the decision, whatever standard output is. It does not ask with
--yes, or if standard input is not a terminal, as in a script or a pipe. The decision counts only for the approval that was open when the command started. If that
one closes in between, the server refuses the decision, even if another approval is
open. Without a question, the command prints what it decided on afterwards. In a script, name
the execution, as in web#11: the name of a pipeline means whatever waits when the script runs.

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
			asks := a.interactive() && !yes && !wait.closed
			if asks {
				if err := a.confirmDecision(ctx, c, wait, approve, comment); err != nil {
					return err
				}
			}
			response, err := c.Executions.DecideApproval(ctx, &headracev1.DecideApprovalRequest{
				Name: e.GetName(), Stage: wait.reason.GetStage(), Action: wait.reason.GetAction(), ApprovalId: approval.GetId(),
				Approve: approve, Comment: comment,
			})
			if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
				return fmt.Errorf("%w; the decision may have been stored: look with %s", err, a.hint(c, "explain "+label(e)))
			}
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.out.linef("%s %s of %s", past, where, label(e))
			if !asks {
				// Nobody has seen what the decision was on.
				for _, line := range releaseLines(e) {
					a.out.linef("  %s", line)
				}
			}
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
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask, even if standard input is a terminal")
	return command
}

// confirmDecision shows what a decision is on, and asks whether to send it.
func (a *app) confirmDecision(ctx context.Context, c *client.Client, wait openWait, approve bool, comment string) error {
	e := wait.execution
	where := place(wait.reason.GetStage(), wait.reason.GetAction())
	approval := wait.reason.GetApproval().GetId()
	if refusal := wait.why.mayNotDecide(approval); refusal != "" {
		return errors.New(refusal)
	}
	if strings.TrimSpace(comment) == "" && wait.why.needsComment(approval) {
		return usagef("a rule requires a comment on %s of %s: add --comment", where, label(e))
	}
	a.err.linef("%s  %s: %s", label(e), where, oneLine(wait.reason.GetMessage()))
	// Standard output may be no terminal, and standard error is not measured.
	width := a.width()
	if width == 0 {
		width = defaultWidth
	}
	more, err := a.decisionContext(ctx, c, wait)
	if err != nil {
		return err
	}
	lines := a.approvalLines(e, wait.reason.GetApproval(), width)
	for _, line := range more {
		lines = append(lines, fold(line, width-approvalMargin)...)
	}
	for _, line := range lines {
		a.err.linef("  %s", line)
	}
	with := "without a comment"
	if comment != "" {
		with = fmt.Sprintf("with the comment %q", oneLine(comment))
	}
	verb, effect := "Approve", ""
	if !approve {
		verb, effect = "Reject", " It fails the stage."
	}
	return a.confirm(ctx, fmt.Sprintf("%s %s of %s %s?%s", verb, where, label(e), with, effect))
}

// decisionContext says what else somebody who decides has to know about the execution.
func (a *app) decisionContext(ctx context.Context, c *client.Client, wait openWait) ([]string, error) {
	e := wait.execution
	compared, err := explainChanges(ctx, c, e)
	if err != nil {
		return nil, err
	}
	lines := changeLines(e, compared.GetChanges())
	if target := rollbackText(e); target != "" {
		lines = append(lines, "rollback of stage "+wait.reason.GetStage()+" to "+target)
	}
	if variables := oneLine(pairsText(e.GetVariables())); variables != "" {
		lines = append(lines, "variables: "+variables)
	}
	current, err := c.Pipelines.GetPipeline(ctx, &headracev1.GetPipelineRequest{Name: pipelineName(c, client.Segment(e.GetName(), "pipelines"))})
	if err != nil && !client.IsNotFound(err) {
		return nil, err
	}
	if newest := current.GetPipeline().GetVersion(); newest > e.GetPipelineVersion() {
		lines = append(lines, fmt.Sprintf("version %d is not the newest: version %d is published", e.GetPipelineVersion(), newest))
	}
	for _, stage := range e.GetStages() {
		for _, condition := range stage.GetConditions() {
			if override := condition.GetOverride(); override != nil {
				lines = append(lines, oneLine(fmt.Sprintf("condition %s of stage %s was overridden by %s: %s",
					kindText(condition.GetKind()), stage.GetStage(), override.GetPrincipal(), override.GetReason())))
			}
		}
		if stage.GetStage() != wait.reason.GetStage() {
			continue
		}
		for _, approval := range earlierApprovals(stage, wait.reason.GetAction()) {
			for _, decision := range approval.GetDecisions() {
				if !decision.GetApproved() {
					lines = append(lines, "earlier in this execution: "+decisionText(decision))
				}
			}
		}
	}
	for _, line := range noteLines(wait.why.GetNotes()) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines, nil
}

// earlierApprovals are the approvals of an action, or of the entry of its stage, that a
// retry of the stage replaced.
func earlierApprovals(stage *headracev1.StageExecution, action string) []*headracev1.Approval {
	if action == "" {
		return stage.GetEarlierEntryApprovals()
	}
	var found []*headracev1.Approval
	for _, a := range stage.GetActions() {
		if a.GetAction() == action && a.GetRetried() {
			found = append(found, a.GetApproval())
		}
	}
	return found
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
