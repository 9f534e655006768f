package trigger_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// commits are those that executions were started with, in the order of their moves.
func (b *bed) commits(triggerID string) (all []string) {
	b.t.Helper()
	decisions := b.decisions(triggerID)
	slices.SortStableFunc(decisions, func(a, b ledger.Decision) int { return int(a.Move - b.Move) })
	for _, d := range decisions {
		if d.Outcome == ledger.Started {
			all = append(all, d.ToCommit)
		}
	}
	return all
}

// Three pushes are told last first.
func TestSwappedDeliveries(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) (b *bed, id string, c []string) {
		t.Helper()
		b = start(t)
		c = []string{b.remote.commit("", "zero")}
		for range 3 {
			c = append(c, b.remote.commit(c[len(c)-1], "next"))
		}
		b.remote.set(main, c[0])
		return b, b.watch("web", declared.Git{Coalesce: declared.CoalesceEach}).ID, c
	}
	t.Run("the remote answers in between", func(t *testing.T) {
		t.Parallel()
		b, id, c := setup(t)
		b.remote.set(main, c[3])
		for _, n := range []int{3, 1, 2} {
			b.deliver(b.push(main, c[n-1], c[n]))
			b.settled()
		}
		require.Equal(t, []string{c[3]}, b.commits(id), "the ledger was there before the others were told")
		require.Equal(t, []string{"STARTED MATCHED", "NOT_STARTED OVERTAKEN", "NOT_STARTED OVERTAKEN"}, summary(b.decisions(id)))
	})
	t.Run("the remote answers afterwards", func(t *testing.T) {
		t.Parallel()
		b, id, c := setup(t)
		b.down(true)
		b.remote.set(main, c[3])
		for _, n := range []int{3, 1, 2} {
			b.deliver(b.push(main, c[n-1], c[n]))
		}
		b.down(false)
		b.kill()
		b.settled()
		require.Equal(t, c[1:], b.commits(id), "each of them continues the one before")
	})
}

// The newest of two pushes is told first. It stands for both, though its decision is the older one.
func TestSwappedDeliveriesAreCoalescedByMove(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	two := b.remote.commit(one, "two", "api/a")
	three := b.remote.commit(two, "three", "web/a")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{Push: []pipeline.GitPushFilter{{FilePaths: &pipeline.GlobFilter{Includes: []string{"web/**"}}}}})
	b.down(true)
	b.remote.set(main, three)
	b.deliver(b.push(main, two, three))
	b.deliver(b.push(main, one, two))
	require.Equal(t, []string{"PENDING ASKING_REMOTE", "PENDING NEEDS_FILES"}, summary(b.decisions(web.ID)))
	b.hold(make(chan struct{}, 100))
	b.down(false)
	b.kill()
	require.Eventually(t, func() bool {
		return slices.Equal([]string{"PENDING NEEDS_FILES", "PENDING NEEDS_FILES"}, summary(b.decisions(web.ID)))
	}, waitLong, tick)
	b.hold(nil)
	b.kill()
	b.settled()
	require.Equal(t, []string{"STARTED MATCHED", "NOT_STARTED COALESCED"}, summary(b.decisions(web.ID)))
	require.Equal(t, []string{three}, b.commits(web.ID))
}

// A branch is deleted and created again at the same commit. Both orders of the deliveries make
// both moves.
func TestRefIsCreatedAgain(t *testing.T) {
	t.Parallel()
	for order, swapped := range map[string]bool{"in order": false, "swapped": true} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			one := b.remote.commit("", "one")
			b.remote.set("refs/heads/dev", one)
			web := b.watch("web", declared.Git{})
			told := []forge.Signal{b.push("refs/heads/dev", one, ""), b.push("refs/heads/dev", "", one)}
			if swapped {
				slices.Reverse(told)
			}
			for range 2 {
				for _, s := range told {
					b.deliver(s)
					b.settled()
				}
				require.Equal(t, []string{one}, b.commits(web.ID))
				// The second time they are redelivered.
			}
			require.Zero(t, b.poll(web.RepositoryID))
		})
	}
}

func TestDefaultBranchIsRenamed(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	b.remote.set("refs/heads/trunk", one)
	web := b.watch("web", declared.Git{DefaultBranchOnly: true})
	at := one
	push := func(ref, defaultBranch string) string {
		next := b.remote.commit(at, "next")
		s := b.push(ref, b.remote.set(ref, next), next)
		s.Repository.DefaultBranch = defaultBranch
		b.deliver(s)
		b.settled()
		at = next
		return next
	}
	first := push(main, "main")
	push("refs/heads/trunk", "main")
	second := push("refs/heads/trunk", "trunk")
	push(main, "trunk")
	require.Equal(t, []string{"STARTED MATCHED", "NOT_STARTED NOT_DEFAULT_BRANCH", "STARTED MATCHED", "NOT_STARTED NOT_DEFAULT_BRANCH"}, summary(b.decisions(web.ID)))
	require.ElementsMatch(t, []string{first, second}, b.commits(web.ID))
}

// A rename keeps the forge's number of the repository, and so its ledger.
func TestRepositoryIsRenamed(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	two, three := b.remote.commit(one, "two"), b.remote.commit("", "another repository")
	b.remote.set(main, two)
	b.deliver(b.push(main, one, two))
	named := func(name string, id int64, from, to string) {
		s := b.push(main, from, to)
		s.Repository.FullName, s.Repository.ID = name, id
		b.deliver(s)
		b.settled()
	}
	four := b.remote.commit(two, "four")
	b.remote.set(main, four)
	named("Acme/Site", 7, two, four)
	named("Acme/Web", 8, "", three)
	require.Equal(t, []string{two, four}, b.commits(web.ID), "the repository that has the old name now is another one")
	b.read(func(ctx context.Context, r store.Reader) error {
		repo, err := r.Repository(ctx, web.RepositoryID)
		require.Equal(t, []string{"acme/site", "Acme/Site"}, []string{repo.Name, repo.FullName})
		return err
	})
}

func TestBranchAndTagOfOneName(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{Push: []pipeline.GitPushFilter{{Tags: &pipeline.GlobFilter{Includes: []string{"v1"}}}}})
	two := b.remote.commit(one, "two")
	b.remote.set("refs/heads/v1", two)
	b.remote.set("refs/tags/v1", one)
	b.deliver(b.push("refs/heads/v1", "", two), b.push("refs/tags/v1", "", one))
	require.Equal(t, []string{"NOT_STARTED BRANCH_PUSH", "STARTED MATCHED"}, summary(b.decisions(web.ID)))
	require.Equal(t, []string{"refs/tags/v1", one}, []string{b.executions()[0].Trigger.Ref, b.executions()[0].Trigger.To})
	require.Zero(t, b.poll(web.RepositoryID))
}

// A group's hook and a project's tell of the same push, each to a webhook of its own.
func TestTwoHooksTellOfOnePush(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	require.NoError(t, b.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateWebhook(ctx, ledger.Webhook{
			ID: "group", Account: "default", Name: "group", Path: "of-the-group", Connection: "hub", WebhookDetails: ledger.WebhookDetails{Kind: forge.GitHub},
			Secrets: []ledger.WebhookSecret{{Version: 1, Sealed: []byte("secret")}}, Revision: 1,
		})
	}))
	two := b.remote.commit(one, "two")
	b.remote.set(main, two)
	told := b.push(main, one, two)
	id := newID()
	for _, hook := range []string{"hub", "group"} {
		d := b.delivery(id, told)
		if hook == "group" {
			d.Webhook, d.Etag = "accounts/default/webhooks/group", "group-1"
		}
		require.NoError(t, b.intake.Deliver(t.Context(), d))
	}
	require.Equal(t, []string{"STARTED MATCHED", "DUPLICATE STARTED_BEFORE"}, summary(b.decisions(web.ID)))
	require.Equal(t, []string{"hub", "group"}, []string{b.decisions(web.ID)[0].Webhook, b.decisions(web.ID)[1].Webhook})
}
