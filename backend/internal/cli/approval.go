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

// approvalMargin is the most by which the lines about an approval are indented.
const approvalMargin = 12

// approvalLines say what people are asked to approve, who may, and who did. They fit a
// terminal of the width, if it is not 0: others wrote most of what they say.
func (a *app) approvalLines(e *headracev1.Execution, approval *headracev1.Approval, width int) []string {
	if width > 0 {
		width = max(width-approvalMargin, 1)
	}
	lines := messageLines(approval.GetCustomData(), width)
	if link := oneLine(approval.GetExternalEntityLink()); link != "" {
		// It stays whole to be followed. Without a space it cannot look like another line.
		if strings.Contains(link, " ") {
			lines = append(lines, fold("link: "+link, width)...)
		} else {
			lines = append(lines, "link: "+link)
		}
	}
	for _, line := range a.approvalFacts(e, approval) {
		lines = append(lines, fold(line, width)...)
	}
	return lines
}

// approvalFacts are approvalLines without message and link.
func (a *app) approvalFacts(e *headracev1.Execution, approval *headracev1.Approval) []string {
	var lines []string
	lines = append(lines, releaseLines(e)...)
	for _, r := range approval.GetRequirements() {
		lines = append(lines, requirementText(r))
	}
	if text := unboundText(e, approval.GetRequirements()); text != "" {
		lines = append(lines, text)
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

// releaseLines say what an execution releases, and what started it.
func releaseLines(e *headracev1.Execution) []string {
	var lines []string
	for _, r := range e.GetSourceRevisions() {
		line := "source " + r.GetAction() + ": " + revisionText(r)
		if r.GetAuthor() != "" {
			line += ", by " + authorText(r.GetAuthor())
		}
		lines = append(lines, oneLine(line))
	}
	started := fmt.Sprintf("version %d", e.GetPipelineVersion())
	if triggered := triggeredText(e); triggered != "" {
		started += ", started by trigger " + triggered
	} else if by := startedBy(e); by != "" {
		started += ", started by " + by
	}
	return append(lines, oneLine(started))
}

// deadlineText says until when people can decide.
func deadlineText(until *timestamppb.Timestamp, now time.Time) string {
	left := until.AsTime().Sub(now)
	switch {
	case left <= 0:
		return timeText(until) + ", which has passed"
	case left >= 48*time.Hour:
		return fmt.Sprintf("%s (in %d days)", timeText(until), int(left.Round(24*time.Hour).Hours()/24))
	}
	return fmt.Sprintf("%s (in %s)", timeText(until), left.Round(time.Second))
}

// authorText returns the author of a commit. One that is more than a name and an address
// is quoted and cut, since it could name somebody else.
func authorText(author string) string {
	author = oneLine(author)
	name, rest, addressed := strings.Cut(author, "<")
	address, more, closed := strings.Cut(rest, ">")
	plain := !strings.ContainsAny(name, ",;:|>") && !strings.ContainsAny(address, "< ")
	switch {
	case !addressed && plain, addressed && closed && more == "" && plain:
		return author
	case !addressed:
		return fmt.Sprintf("%q", author)
	}
	return fmt.Sprintf("%q", strings.TrimSpace(name)+" <"+strings.TrimSpace(address)+">")
}

// messageLines show a message to approvers. One of several lines has a mark before each,
// so that none can pass for a line of this program.
func messageLines(message string, width int) []string {
	var texts []string
	for line := range strings.Lines(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(message)) {
		texts = append(texts, oneLineIndented(line))
	}
	texts = slices.CompactFunc(texts, func(a, b string) bool { return a == "" && b == "" })
	switch {
	case len(texts) == 0 || len(texts) == 1 && texts[0] == "":
		return nil
	case len(texts) == 1:
		if line := "message: " + strings.TrimSpace(texts[0]); len(fold(line, width)) == 1 {
			return []string{line}
		}
	}
	lines := []string{"message:"}
	for i, text := range texts {
		if i == maxMessageLines {
			return append(lines, fmt.Sprintf("  | … %d more lines; -o json shows all", len(texts)-i))
		}
		for j, row := range fold(foldMark+text, max(width-len(foldMark), 0)) {
			if j == maxMessageLines {
				lines = append(lines, "  | … the line continues; -o json shows all")
				break
			}
			lines = append(lines, strings.TrimRight("  "+row, " "))
		}
	}
	return lines
}

// oneLineIndented is oneLine that keeps the indentation, as of a list.
func oneLineIndented(text string) string {
	const deepest = 20
	rest := strings.TrimLeft(text, " \t")
	indent := strings.ReplaceAll(text[:len(text)-len(rest)], "\t", "  ")
	return indent[:min(len(indent), deepest)] + oneLine(rest)
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
