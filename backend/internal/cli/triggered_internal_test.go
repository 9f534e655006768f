package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func TestTriggeredText(t *testing.T) {
	t.Parallel()
	const from, to = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"
	const web, delivery = "accounts/default/triggers/web", "accounts/default/webhooks/forge/deliveries/7"
	for want, trigger := range map[string]*headracev1.ExecutionTrigger{
		"": {Type: "StartPipelineExecution", Principal: "ann"},
		"web/Checkout: branch main moved from 111111111111 to 222222222222, found by a comparison with the remote": {
			Trigger: "accounts/default/pipelines/web/triggers/Checkout", Ref: "refs/heads/main", FromCommit: from, ToCommit: to,
		},
		"web: branch main of acme/web moved from 111111111111 to 222222222222, pushed by bob (as GitLab says), reported by delivery forge/7, replayed by dan": {
			Trigger: web, Ref: "refs/heads/main", FromCommit: from, ToCommit: to, Delivery: delivery, Repository: "acme/web",
			Pusher: "bob", Forge: "GitLab", ReplayedBy: "dan",
		},
		"web: branch main of acme/web was rewritten: a force push replaced 111111111111 by 222222222222, reported by delivery forge/7": {
			Trigger: web, Ref: "refs/heads/main", FromCommit: from, ToCommit: to, Delivery: delivery, Repository: "acme/web", Forced: true,
		},
		"web: tag v1 was created at 222222222222, reported by delivery forge/7": {Trigger: web, Ref: "refs/tags/v1", ToCommit: to, Delivery: delivery},
		`web: pull request 7 of acme/web, opened by ann, was merged at 222222222222, from fix into main ("Fix it"), merged by cy (as Gitea says), reported by delivery forge/7`: {
			Trigger: web, Ref: "refs/pull/7/head", ToCommit: to, Delivery: delivery, Repository: "acme/web", Pusher: "cy", Forge: "Gitea",
			PullRequest: &headracev1.TriggeringPullRequest{
				Number: 7, Event: "CLOSED", Merged: true, Author: "ann", Title: "Fix it", SourceBranch: "fix", DestinationBranch: "main",
			},
		},
		`web: pull request 7, opened by ann, was updated at 222222222222, from fix into main, not merged ("Fix \"it\""), pushed by bob (as GitHub says), reported by delivery forge/7`: {
			Trigger: web, Ref: "refs/pull/7/head", ToCommit: to, Delivery: delivery, Pusher: "bob", Forge: "GitHub",
			PullRequest: &headracev1.TriggeringPullRequest{
				Number: 7, Event: "UPDATED", Author: "ann", Title: `Fix "it"`, SourceBranch: "fix", DestinationBranch: "main",
			},
		},
		"web: an event of a generic webhook, reported by delivery forge/7": {Trigger: web, Delivery: delivery},
	} {
		require.Equal(t, want, triggeredText(&headracev1.Execution{Trigger: trigger}))
	}
	require.Equal(t, "web: an event of a generic webhook, which chose commit 222222222222 for Checkout; its branch was not checked, reported by delivery forge/7",
		triggeredText(&headracev1.Execution{
			Trigger:                 &headracev1.ExecutionTrigger{Trigger: web, Delivery: delivery},
			SourceRevisionOverrides: []*headracev1.SourceRevisionOverride{{Action: "Checkout", RevisionType: "COMMIT_ID", RevisionValue: to}},
		}))
}

// TestPushersCannotFakeText writes what looks like text of this program into the name of a
// pusher, which a forge may take from anybody.
func TestPushersCannotFakeText(t *testing.T) {
	t.Parallel()
	of := func(pusher string) string {
		return triggeredText(&headracev1.Execution{Trigger: &headracev1.ExecutionTrigger{
			Trigger: "accounts/default/triggers/web", Ref: "refs/heads/main", ToCommit: "2", Pusher: pusher, Forge: "GitHub",
		}})
	}
	require.Contains(t, of("dependabot[bot]"), ", pushed by dependabot[bot] (as GitHub says)")
	require.Contains(t, of("bob (as GitHub says), reported by delivery forge/1"), `, pushed by "bob (as GitHub says), reported by delivery forge/1" (as GitHub says)`)
	require.NotContains(t, of("a\nb\x1b[2J\u202e"), "\n")
	require.Less(t, len(of(strings.Repeat("界", 1000))), 400)
}

func TestWhoPushedMayApprove(t *testing.T) {
	t.Parallel()
	push := &headracev1.Execution{Trigger: &headracev1.ExecutionTrigger{Trigger: "accounts/default/triggers/web", Ref: "refs/heads/main"}}
	event := &headracev1.Execution{Trigger: &headracev1.ExecutionTrigger{Trigger: "accounts/default/triggers/web"}}
	strict := []*headracev1.ApprovalRequirement{{AllowStarter: true}, {}}
	require.Equal(t, "started by a trigger: the person who pushed may approve", unboundText(push, strict))
	require.Equal(t, "started by a trigger: the person who sent the event may approve", unboundText(event, strict))
	require.Empty(t, unboundText(push, strict[:1]), "every starter may")
	require.Empty(t, unboundText(&headracev1.Execution{Trigger: &headracev1.ExecutionTrigger{Principal: "ann"}}, strict))
}

func TestSourceText(t *testing.T) {
	t.Parallel()
	git := func(inline bool, git *headracev1.GitTrigger) *headracev1.DeclaredTrigger {
		git.SourceAction = "Checkout"
		return &headracev1.DeclaredTrigger{Inline: inline, Source: &headracev1.DeclaredTrigger_Git{Git: git}}
	}
	for want, trigger := range map[string]*headracev1.DeclaredTrigger{
		"forge acme/web":                      git(true, &headracev1.GitTrigger{Connection: "accounts/default/connections/forge", Repository: "acme/web"}),
		"acme/web with the token of Checkout": git(true, &headracev1.GitTrigger{Repository: "acme/web"}),
		"acme/web":                            git(false, &headracev1.GitTrigger{Repository: "acme/web"}),
		"source action Checkout":              git(false, &headracev1.GitTrigger{}),
	} {
		require.Equal(t, want, sourceText(trigger))
	}
}
