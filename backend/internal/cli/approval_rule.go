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

func (a *app) approvalRuleCommand() *cobra.Command {
	return group("approval-rule", "List and show approval rules", &cobra.Command{
		Use:     "list",
		Short:   "List the approval rules of the account",
		Example: `  headrace approval-rule list`,
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			all := &headracev1.ListApprovalRulesResponse{}
			request := &headracev1.ListApprovalRulesRequest{Parent: client.AccountName(c.Account)}
			for {
				page, err := c.ApprovalRules.ListApprovalRules(ctx, request)
				if err != nil {
					return err
				}
				all.ApprovalRules = append(all.ApprovalRules, page.GetApprovalRules()...)
				if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
					break
				}
			}
			if a.json() {
				return a.out.document(all)
			}
			known, err := reportsGuards(ctx, c, all.GetApprovalRules())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, rule := range all.GetApprovalRules() {
				rows = append(rows, []string{
					client.Segment(rule.GetName(), "approvalRules"), fmt.Sprint(rule.GetMinimumCount()),
					approversText(rule.GetUsers(), rule.GetGroups()), selectorText(rule.GetSelector()), guardsText(rule, known),
				})
			}
			a.out.table([]string{"RULE", "COUNT", "APPROVERS", "GUARDS", "GUARDS NOW"}, rows)
			for _, rule := range all.GetApprovalRules() {
				a.warnings(rule.GetWarnings())
			}
			return nil
		}),
	}, &cobra.Command{
		Use:     "show RULE",
		Short:   "Show an approval rule",
		Example: `  headrace approval-rule show production`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			name := args[0]
			if client.Segment(name, "approvalRules") == "" {
				name = client.ApprovalRuleName(c.Account, name)
			}
			response, err := c.ApprovalRules.GetApprovalRule(ctx, &headracev1.GetApprovalRuleRequest{Name: name})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			rule := response.GetApprovalRule()
			known, err := reportsGuards(ctx, c, []*headracev1.ApprovalRule{rule})
			if err != nil {
				return err
			}
			expiry := "as set on the action"
			if minutes := rule.GetExpireAfterMinutes(); minutes > 0 {
				expiry = fmt.Sprintf("after %d minutes", minutes)
			}
			a.out.fields(
				"Rule", client.Segment(rule.GetName(), "approvalRules"), "Description", rule.GetDescription(),
				"Guards", selectorText(rule.GetSelector()), "Approvers", approversText(rule.GetUsers(), rule.GetGroups()),
				"Count", fmt.Sprint(rule.GetMinimumCount()), "Comment required", yesNo(rule.GetRequireComment()),
				"Starter counts", yesNo(rule.GetAllowStarter()), "Expires", expiry,
				"Newer execution", newerText(rule.GetNewerExecution()), "Updated", timeText(rule.GetUpdateTime()),
				"Guards now", guardsText(rule, known),
			)
			a.showGuards(rule)
			a.warnings(rule.GetWarnings())
			return nil
		}),
	})
}

// newerText says what a newer execution does to one that waits for approval.
func newerText(newer headracev1.NewerExecution) string {
	if newer == headracev1.NewerExecution_NEWER_EXECUTION_SUPERSEDE {
		return "supersedes the waiting one"
	}
	return "waits"
}

// guardsRevision is the revision of the contract that tells what a rule guards now.
const guardsRevision = 3

// reportsGuards tells whether the server says what rules guard. An older one says nothing,
// which must not be shown as "guards nothing".
func reportsGuards(ctx context.Context, c *client.Client, rules []*headracev1.ApprovalRule) (bool, error) {
	silent := func(rule *headracev1.ApprovalRule) bool {
		return rule.GetGuardCount() == 0 && len(rule.GetWarnings()) == 0
	}
	if !slices.ContainsFunc(rules, silent) {
		return true, nil
	}
	info, err := c.Server.GetServerInfo(ctx, &headracev1.GetServerInfoRequest{})
	return info.GetContractRevision() >= guardsRevision, err
}

// guardsText says what a rule guards now: the parts if they are few, else how many.
func guardsText(rule *headracev1.ApprovalRule, known bool) string {
	const few = 3
	switch {
	case !known:
		return "unknown; the server is older than this program"
	case rule.GetGuardCount() == 0:
		return "nothing"
	case rule.GetGuardCount() > few:
		return fmt.Sprintf("%d stages and actions%s", rule.GetGuardCount(), skippedText(rule))
	}
	var parts []string
	for _, part := range rule.GetGuards() {
		text := part.GetPipeline() + " " + place(part.GetStage(), part.GetAction())
		if part.GetSkippedOnRollback() {
			text += " (" + exceptRollbacks + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// skippedText says of how many of the listed parts automatic rollbacks skip the approval.
func skippedText(rule *headracev1.ApprovalRule) string {
	skipped := 0
	for _, part := range rule.GetGuards() {
		if part.GetSkippedOnRollback() {
			skipped++
		}
	}
	if skipped == 0 {
		return ""
	}
	return fmt.Sprintf(", %d of them %s", skipped, exceptRollbacks)
}

// exceptRollbacks says what a rule does not guard.
const exceptRollbacks = "except automatic rollbacks: on_rollback.skip_approvals"

// showGuards lists what a rule guards now where guardsText only counts it.
func (a *app) showGuards(rule *headracev1.ApprovalRule) {
	if len(rule.GetGuards()) < 2 {
		return
	}
	var rows [][]string
	for _, part := range rule.GetGuards() {
		action := part.GetAction()
		if action == "" {
			action = "(entry of the stage)"
		}
		rollbacks := "guarded"
		if part.GetSkippedOnRollback() {
			rollbacks = "skipped"
		}
		rows = append(rows, []string{part.GetPipeline(), part.GetStage(), action, rollbacks})
	}
	a.out.linef("")
	a.out.table([]string{"PIPELINE", "STAGE", "ACTION", "AUTOMATIC ROLLBACKS"}, rows)
	if more := int(rule.GetGuardCount()) - len(rows); more > 0 {
		a.out.linef("and %d more", more)
	}
}

// warnings prints warnings of the server, each on its line.
func (a *app) warnings(warnings []*headracev1.Warning) {
	for _, w := range warnings {
		a.out.linef("warning: %s", oneLine(w.GetMessage()))
	}
}

func approversText(users, groups []string) string {
	var parts []string
	if len(users) > 0 {
		parts = append(parts, strings.Join(users, ", "))
	}
	for _, g := range groups {
		parts = append(parts, "group "+g)
	}
	if len(parts) == 0 {
		return "anyone with the approver role"
	}
	return strings.Join(parts, ", ")
}

func selectorText(s *headracev1.ApprovalSelector) string {
	text := "pipelines " + strings.Join(s.GetPipelines(), ", ")
	if len(s.GetStages()) > 0 {
		text += "; stages " + strings.Join(s.GetStages(), ", ")
	}
	if len(s.GetActions()) > 0 {
		text += "; actions " + strings.Join(s.GetActions(), ", ")
	}
	return text
}
