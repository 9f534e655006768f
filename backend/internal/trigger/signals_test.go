package trigger_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/trigger"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// kept is a delivery as it is stored.
func (b *bed) kept(id string) (found ledger.Delivery) {
	b.t.Helper()
	b.read(func(ctx context.Context, r store.Reader) (err error) {
		found, err = r.DeliveryByDedup(ctx, "hook", id)
		return err
	})
	return found
}

// TestEventsThatNoTriggerUses holds that a delivery of an event on which no trigger decides says
// so, and that a test of the event says the same.
func TestEventsThatNoTriggerUses(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{PullRequest: requests("OPEN", "UPDATED", "CLOSED")})
	repository := forge.Repository{FullName: "acme/web", ID: 7}
	request := func(action forge.PullRequestAction) forge.Signal {
		return forge.Signal{
			Kind: forge.PullRequestChanged, Repository: repository, Ref: "refs/pull/7/head", After: one, PullRequest: &forge.PullRequest{
				Number: 7, Action: action, SourceBranch: "topic", DestinationBranch: "main", HeadCommit: one, BaseCommit: one,
			},
		}
	}
	for why, said := range map[string]forge.Signal{
		"pull requests start no executions when they become ready for review":                                           request(forge.ReadyForReview),
		"pull requests start no executions when they become drafts":                                                     request(forge.ConvertedToDraft),
		"pull requests start no executions when their destination branch changes":                                       request(forge.Retargeted),
		"the repository was deleted at the forge":                                                                       {Kind: forge.RepositoryDeleted, Repository: repository},
		"the event is about the repository and not about a change in it, so the repository is compared with the remote": {Kind: forge.RepositoryRenamed, Repository: repository},
		"the event does not have the commits of the ref, so the repository is compared with the remote":                 {Kind: forge.RefHint, Repository: repository, Ref: main},
	} {
		kept := b.kept(b.deliver(said))
		require.Equal(t, []any{ledger.Ignored, string(forge.EventUnused), why}, []any{kept.Status, kept.Reason, kept.Message})
	}
	b.settled()
	require.Empty(t, b.decisions(web.ID))

	// One that is ignored may say that a ref moved all the same.
	two := b.remote.commit(one, "two")
	b.remote.set("refs/heads/topic", two)
	b.deliver(forge.Signal{Kind: forge.RefHint, Repository: repository, Ref: "refs/heads/topic"})
	require.Eventually(t, func() bool { return len(b.decisions(web.ID)) == 1 }, waitLong, tick)

	for action, want := range map[string]string{"ready_for_review": "NOT_STARTED EVENT_UNUSED", "converted_to_draft": "NOT_STARTED EVENT_UNUSED", "opened": "STARTED MATCHED"} {
		tested, err := b.intake.Test(t.Context(), &web, trigger.TestEvent{Event: "pull_request", Body: []byte(`{"action":"` + action + `","number":7,
			"repository":{"id":7,"full_name":"Acme/Web"},"pull_request":{"head":{"ref":"topic","sha":"` + one + `","repo":{"id":7,"full_name":"Acme/Web"}},
			"base":{"ref":"main","sha":"` + one + `"}}}`)})
		require.NoError(t, err)
		require.Equal(t, []string{want}, summary(tested), action)
	}
}

// TestPushThatAsksForNothing holds that a push with the option ci.skip starts nothing unless the
// trigger ignores that, and that a test of it, also one of a paused trigger, says what a delivery comes to.
func TestPushThatAsksForNothing(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	always := b.watch("always", declared.Git{SkipMarkers: new(false)})
	two := b.remote.commit(one, "two")
	b.remote.set(main, two)
	push := b.push(main, one, two)
	push.SkipRequested = true
	b.deliver(push)
	b.settled()
	require.Equal(t, []string{"NOT_STARTED SKIP_REQUESTED"}, summary(b.decisions(web.ID)))
	require.Equal(t, []string{"STARTED MATCHED"}, summary(b.decisions(always.ID)))

	b.forge = forge.GitLab
	tested := func(options string) []string {
		got, err := b.intake.Test(t.Context(), &web, trigger.TestEvent{Event: "Push Hook", Body: []byte(`{"object_kind":"push","ref":"` + main +
			`","before":"` + one + `","after":"` + two + `","checkout_sha":"` + two + `","project":{"id":7,"path_with_namespace":"Acme/Web"},"push_options":` + options + `}`)})
		require.NoError(t, err)
		return summary(got)
	}
	require.Equal(t, []string{"NOT_STARTED SKIP_REQUESTED"}, tested(`{"ci":{"skip":true}}`))
	require.Equal(t, []string{"STARTED MATCHED"}, tested(`{}`))
	web.Pause = &ledger.Pause{Principal: "ann", Reason: "freeze", At: b.clock()}
	require.Equal(t, []string{"NOT_STARTED PAUSED"}, tested(`{}`))
}

// TestRepositoryIsRenamedBeforeItsFirstDelivery holds that a repository whose number at the forge is
// not known yet is found by its name before.
func TestRepositoryIsRenamedBeforeItsFirstDelivery(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	site := forge.Repository{FullName: "Acme/Site", ID: 7, DefaultBranch: "main"}
	b.deliver(forge.Signal{Kind: forge.RepositoryRenamed, Repository: site, PreviousName: "acme/web"})
	b.settled()
	two := b.remote.commit(one, "two")
	b.remote.set(main, two)
	push := b.push(main, one, two)
	push.Repository = forge.Repository{FullName: "acme/site", ID: 8}
	b.deliver(push)
	b.settled()
	require.Equal(t, []string{"STARTED MATCHED"}, summary(b.decisions(web.ID)))
	require.Equal(t, "Acme/Site", b.decisions(web.ID)[0].Repository)
}
