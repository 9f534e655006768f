package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// maxMessageLines bounds what is shown of a message to approvers.
const maxMessageLines = 30

// approvalLines say what people are asked to approve, who may, and who did.
func (a *app) approvalLines(e *headracev1.Execution, approval *headracev1.Approval) []string {
	lines := messageLines(approval.GetCustomData())
	if link := oneLine(approval.GetExternalEntityLink()); link != "" {
		lines = append(lines, "link: "+link)
	}
	for _, r := range e.GetSourceRevisions() {
		line := "source " + r.GetAction() + ": " + revisionText(r)
		if r.GetAuthor() != "" {
			line += ", by " + r.GetAuthor()
		}
		lines = append(lines, oneLine(line))
	}
	started := fmt.Sprintf("version %d", e.GetPipelineVersion())
	if by := startedBy(e); by != "" {
		started += ", started by " + by
	}
	lines = append(lines, oneLine(started))
	for _, r := range approval.GetRequirements() {
		lines = append(lines, requirementText(r))
	}
	if who := mayApproveText(approval); who != "" {
		lines = append(lines, oneLine("may still approve: "+who))
	}
	for _, decision := range approval.GetDecisions() {
		lines = append(lines, decisionText(decision))
	}
	if until := approval.GetExpireTime(); until != nil {
		lines = append(lines, "deadline: "+deadlineText(until, a.Now()))
	}
	return lines
}

// deadlineText says until when people can decide.
func deadlineText(until *timestamppb.Timestamp, now time.Time) string {
	left := until.AsTime().Sub(now)
	switch {
	case left <= 0:
		return timeText(until) + ", which has passed"
	case left >= 48*time.Hour:
		return fmt.Sprintf("%s (in %d days)", timeText(until), int(left.Hours()/24))
	}
	return fmt.Sprintf("%s (in %s)", timeText(until), left.Round(time.Second))
}

// messageLines show a message to approvers. One of several lines has a mark before each,
// so that none can pass for a line of this program.
func messageLines(message string) []string {
	var texts []string
	for line := range strings.Lines(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(message)) {
		texts = append(texts, oneLineIndented(line))
	}
	texts = slices.CompactFunc(texts, func(a, b string) bool { return a == "" && b == "" })
	switch {
	case len(texts) == 0 || len(texts) == 1 && texts[0] == "":
		return nil
	case len(texts) == 1:
		return []string{"message: " + strings.TrimSpace(texts[0])}
	}
	lines := []string{"message:"}
	for i, text := range texts {
		if i == maxMessageLines {
			return append(lines, fmt.Sprintf("  | … %d more lines; -o json shows all", len(texts)-i))
		}
		lines = append(lines, strings.TrimRight("  | "+text, " "))
	}
	return lines
}

// oneLineIndented is oneLine that keeps the indentation, as of a list.
func oneLineIndented(text string) string {
	rest := strings.TrimLeft(text, " \t")
	return strings.ReplaceAll(text[:len(text)-len(rest)], "\t", "  ") + oneLine(rest)
}

// mayApproveText returns who may still approve, empty if that is not known or nobody is
// waited for.
func mayApproveText(approval *headracev1.Approval) string {
	who := slices.Clone(approval.GetEligibleUsers())
	for _, group := range approval.GetEligibleGroups() {
		who = append(who, "group "+group)
	}
	if approval.GetAnyApprover() {
		who = append(who, "anyone with the approver role")
	}
	text := strings.Join(who, ", ")
	excluded := approval.GetExcludedUsers()
	switch {
	case text == "" && len(excluded) == 0:
		return ""
	case text == "":
		text = "nobody"
	}
	if len(excluded) > 0 {
		text += "; not " + strings.Join(excluded, ", ")
	}
	return text
}

// decisionText returns who decided how, when and with which comment.
func decisionText(decision *headracev1.ApprovalDecision) string {
	verb := "rejected"
	if decision.GetApproved() {
		verb = "approved"
	}
	text := decision.GetPrincipal() + " " + verb + " at " + timeText(decision.GetDecideTime())
	if decision.GetComment() != "" {
		text += ": " + decision.GetComment()
	}
	return oneLine(text)
}

// decidedLines are the decisions on an approval that is not open any more.
func decidedLines(approval *headracev1.Approval, indent int, what string) []shownLine {
	if mayApproveText(approval) != "" {
		return nil
	}
	var lines []shownLine
	if skipped := oneLine(approval.GetSkipped()); skipped != "" {
		lines = append(lines, shownLine{indent: indent, text: what + skipped})
	}
	for _, decision := range approval.GetDecisions() {
		lines = append(lines, shownLine{indent: indent, text: what + decisionText(decision)})
	}
	return lines
}
