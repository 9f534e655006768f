package cli

import (
	"fmt"
	"strings"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// triggeredText says what triggered an execution: what changed where, who pushed, and how the
// server learned of it. It is empty if no trigger started it.
func triggeredText(e *headracev1.Execution) string {
	t := e.GetTrigger()
	if t.GetTrigger() == "" {
		return ""
	}
	return oneLine(triggerLabel(t.GetTrigger()) + ": " + changeText(e) + pusherText(t) + ", " + reportedText(t) + replayText(t))
}

// changeText says what changed in the repository, and for an event of a generic webhook which
// revisions it chose.
func changeText(e *headracev1.Execution) string {
	t := e.GetTrigger()
	repository := ""
	if t.GetRepository() != "" {
		repository = " of " + t.GetRepository()
	}
	switch from, to := shortCommit(t.GetFromCommit()), shortCommit(t.GetToCommit()); {
	case t.GetPullRequest() != nil:
		return pullRequestChange(t)
	case t.GetRef() == "":
		return eventText(e)
	case from == "":
		return fmt.Sprintf("%s%s was created at %s", refText(t.GetRef()), repository, to)
	case t.GetForced():
		return fmt.Sprintf("%s%s was rewritten: a force push replaced %s by %s", refText(t.GetRef()), repository, from, to)
	default:
		return fmt.Sprintf("%s%s moved from %s to %s", refText(t.GetRef()), repository, from, to)
	}
}

// pullRequestChange says what happened to a pull request, and whether it is merged.
func pullRequestChange(t *headracev1.ExecutionTrigger) string {
	pr := t.GetPullRequest()
	text := fmt.Sprintf("pull request %d", pr.GetNumber())
	if t.GetRepository() != "" {
		text += " of " + t.GetRepository()
	}
	if pr.GetAuthor() != "" {
		text += ", opened by " + pipeline.ForgeUser(pr.GetAuthor()) + ","
	}
	state := ", not merged"
	if pr.GetMerged() {
		state = ""
	}
	return fmt.Sprintf("%s was %s at %s, from %s into %s%s (%q)", text, pullRequestVerb(pr), shortCommit(t.GetToCommit()),
		pr.GetSourceBranch(), pr.GetDestinationBranch(), state, pr.GetTitle())
}

// pullRequestVerb says what was done with a pull request.
func pullRequestVerb(pr *headracev1.TriggeringPullRequest) string {
	switch event := strings.ToLower(pr.GetEvent()); {
	case pr.GetMerged():
		return "merged"
	case event == "open":
		return "opened"
	default:
		return event
	}
}

// eventText says which revisions an event of a generic webhook chose: any sender that has the
// secret can name any commit.
func eventText(e *headracev1.Execution) string {
	var chosen []string
	for _, o := range e.GetSourceRevisionOverrides() {
		revision := fmt.Sprintf("%s %s", o.GetRevisionType(), o.GetRevisionValue())
		if o.GetRevisionType() == "COMMIT_ID" {
			revision = "commit " + shortCommit(o.GetRevisionValue())
		}
		chosen = append(chosen, fmt.Sprintf("%s for %s", revision, o.GetAction()))
	}
	if len(chosen) == 0 {
		return "an event of a generic webhook"
	}
	return "an event of a generic webhook, which chose " + strings.Join(chosen, " and ") + "; its branch was not checked"
}

// pusherText says which user of the forge caused a change, empty if nobody told.
func pusherText(t *headracev1.ExecutionTrigger) string {
	if t.GetPusher() == "" {
		return ""
	}
	verb := "pushed"
	if pr := t.GetPullRequest(); pr != nil && pr.GetEvent() != "UPDATED" {
		verb = pullRequestVerb(pr)
	}
	return ", " + verb + " by " + claimText(t.GetPusher(), t.GetForge())
}

// claimText returns the name of a user of a forge. It is a claim of the forge, not a user of
// Headrace.
func claimText(pusher, forge string) string {
	if pusher == "" {
		return ""
	}
	if forge == "" {
		forge = "the forge"
	}
	return fmt.Sprintf("%s (as %s says)", pipeline.ForgeUser(pusher), forge)
}

// reportedText says how the server learned of what triggered an execution.
func reportedText(t *headracev1.ExecutionTrigger) string {
	if t.GetDelivery() == "" {
		return "found by a comparison with the remote"
	}
	return "reported by delivery " + deliveryLabel(t.GetDelivery())
}

// replayText says who replayed the delivery, empty if nobody did.
func replayText(t *headracev1.ExecutionTrigger) string {
	if t.GetReplayedBy() == "" {
		return ""
	}
	return ", replayed by " + t.GetReplayedBy()
}

// unboundText warns whoever approves an execution that a trigger started: users of a forge are
// not users of Headrace, so that approvals cannot exclude the one who pushed. It is empty where
// the starter may approve anyway.
func unboundText(e *headracev1.Execution, requirements []*headracev1.ApprovalRequirement) string {
	t := e.GetTrigger()
	if t.GetTrigger() == "" {
		return ""
	}
	for _, r := range requirements {
		switch {
		case r.GetAllowStarter():
		case t.GetRef() == "" && t.GetPullRequest() == nil:
			return "started by a trigger: the person who sent the event may approve"
		default:
			return "started by a trigger: the person who pushed may approve"
		}
	}
	return ""
}

// refText names a ref as people do.
func refText(ref string) string {
	if name, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
		return "branch " + name
	}
	if name, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
		return "tag " + name
	}
	return ref
}
