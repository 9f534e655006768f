package trigger_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// sentPush delivers a push with its body, and returns how to replay it.
func (b *bed) sentPush(from, to string) (replay func(by string)) {
	b.t.Helper()
	body := []byte(`{"ref":"refs/heads/main","before":"` + from + `","after":"` + to + `","forced":true,
		"repository":{"id":7,"full_name":"Acme/Web","default_branch":"main"},
		"head_commit":{"id":"` + to + `","message":"a commit"},"pusher":{"name":"mallory"}}`)
	said := b.push(main, from, to)
	said.Pusher, said.Forced = "mallory", true
	sent := b.delivery(newID(), said)
	sent.Event, sent.Body = "push", body
	require.NoError(b.t, b.intake.Deliver(context.Background(), sent))
	b.settled()
	return func(by string) {
		b.t.Helper()
		var kept ledger.Delivery
		var hook ledger.Webhook
		b.read(func(ctx context.Context, r store.Reader) (err error) {
			if hook, err = r.Webhook(ctx, "default", "hub"); err != nil {
				return err
			}
			kept, err = r.DeliveryByDedup(ctx, hook.ID, sent.ID)
			return err
		})
		require.Equal(b.t, "mallory", kept.Pusher)
		require.NoError(b.t, b.intake.Replay(context.Background(), &hook, kept, body, by))
	}
}

// files is a filter of one pattern.
func files(pattern string) declared.Git {
	return declared.Git{SourceAction: "Checkout", Push: []pipeline.GitPushFilter{{FilePaths: &pipeline.GlobFilter{Includes: []string{pattern}}}}}
}

// filter changes the pattern of a trigger.
func (b *bed) filter(triggerID, pattern string) {
	b.t.Helper()
	require.NoError(b.t, b.store.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		changed, err := tx.TriggerByID(ctx, triggerID)
		if err != nil {
			return err
		}
		git := files(pattern)
		changed.Declared.Git = &git
		return tx.UpdateTrigger(ctx, changed)
	}))
}

// A replay after a change of the filter compares what the delivery told, although the trigger
// has compared the files up to there before. Who asked for it is kept while it waits for files.
func TestReplayComparesWhatTheDeliveryTold(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", files("docs/**"))
	two := b.remote.commit(one, "two", "web/page")
	b.remote.set(main, two)
	replay := b.sentPush(one, two)
	require.Equal(t, []string{"NOT_STARTED FILES_NOT_INCLUDED"}, summary(b.decisions(web.ID)))

	b.filter(web.ID, "web/**")
	replay("dan")
	b.settled()
	replay("eve")
	all := b.decisions(web.ID)
	require.Equal(t, []string{"NOT_STARTED FILES_NOT_INCLUDED", "STARTED MATCHED", "DUPLICATE STARTED_BEFORE"}, summary(all))
	require.Equal(t, []string{"", "dan", "eve"}, []string{all[0].ReplayedBy, all[1].ReplayedBy, all[2].ReplayedBy})
	require.Len(t, b.executions(), 1)
	of := b.executions()[0].Trigger
	require.Equal(t, []string{"dan", one, two, "mallory", "GitHub", "Acme/Web"}, []string{of.ReplayedBy, of.From, of.To, of.Pusher, of.Forge, of.Repository})
	require.True(t, of.Forced)
}

// A push that comes while a replay waits for files stands for both, and so does who replayed.
func TestPushAfterAReplayStandsForIt(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", files("docs/**"))
	two := b.remote.commit(one, "two", "web/page")
	b.remote.set(main, two)
	replay := b.sentPush(one, two)
	b.filter(web.ID, "web/**")
	held := make(chan struct{}, 100)
	b.hold(held)
	replay("dan")
	<-held
	three := b.remote.commit(two, "three", "other/page")
	b.remote.set(main, three)
	b.deliver(b.push(main, two, three))
	b.hold(nil)
	b.kill()
	b.settled()
	all := b.decisions(web.ID)
	require.Equal(t, []string{"NOT_STARTED FILES_NOT_INCLUDED", "NOT_STARTED COALESCED", "STARTED MATCHED"}, summary(all))
	require.Equal(t, []string{"", "dan", "dan"}, []string{all[0].ReplayedBy, all[1].ReplayedBy, all[2].ReplayedBy})
	require.Equal(t, "dan", b.executions()[0].Trigger.ReplayedBy)
}

// Only a delivery says who pushed. A comparison with the remote does not tell.
func TestPushersAreKept(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	b.sentPush(one, b.remote.commit(one, "two"))
	two := b.decisions(web.ID)[0].ToCommit
	three := b.remote.commit(two, "three")
	b.remote.set(main, three)
	require.Equal(t, 1, b.poll(web.RepositoryID))
	// The delivery is late.
	b.sentPush(two, three)
	all := b.decisions(web.ID)
	require.Equal(t, []string{"STARTED MATCHED", "STARTED MATCHED", "DUPLICATE STARTED_BEFORE"}, summary(all))
	require.Equal(t, []string{"mallory", "", "mallory"}, []string{all[0].Pusher, all[1].Pusher, all[2].Pusher})
	require.Equal(t, []forge.Kind{forge.GitHub, "", forge.GitHub}, []forge.Kind{all[0].Forge, all[1].Forge, all[2].Forge})
	runs := b.executions()
	require.Equal(t, []string{"mallory", ""}, []string{runs[0].Trigger.Pusher, runs[1].Trigger.Pusher})
}
