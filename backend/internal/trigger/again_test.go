package trigger_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// pause pauses a trigger, or ends that.
func (b *bed) pause(triggerID string, paused bool) {
	b.t.Helper()
	var pause *ledger.Pause
	if paused {
		pause = &ledger.Pause{Principal: "ann", Reason: "freeze", At: b.clock()}
	}
	require.NoError(b.t, b.store.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		return tx.SetTriggerPause(ctx, triggerID, pause)
	}))
}

// arrive delivers and waits for the decisions.
func (b *bed) arrive(d forge.Delivery) {
	b.t.Helper()
	require.NoError(b.t, b.intake.Deliver(context.Background(), d))
	b.settled()
}

// TestDeliveryThatIsSentAgain holds that a delivery which is sent again, as with the button of
// GitHub, starts what it has not started, and nothing twice.
func TestDeliveryThatIsSentAgain(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one", "web/a")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	paused := b.watch("paused", declared.Git{Push: []pipeline.GitPushFilter{{
		Branches: &pipeline.GlobFilter{Includes: []string{"main"}}, FilePaths: &pipeline.GlobFilter{Includes: []string{"web/**"}},
	}}})
	b.pause(paused.ID, true)
	two := b.remote.commit(one, "two", "web/b")
	b.remote.set(main, two)
	first := b.delivery(newID(), b.push(main, one, two))
	b.arrive(first)
	b.pause(paused.ID, false)
	// Several at the same time.
	var together errgroup.Group
	for range 4 {
		together.Go(func() error { return b.intake.Deliver(context.Background(), first) })
	}
	require.NoError(t, together.Wait())
	b.settled()
	b.arrive(first)
	require.Equal(t, []string{"STARTED MATCHED"}, summary(b.decisions(web.ID)), "it had started this one")
	require.Equal(t, []string{"NOT_STARTED PAUSED", "STARTED MATCHED"}, summary(b.decisions(paused.ID)))
	require.Len(t, b.executions(), 2)

	// The branch has moved on since.
	b.pause(paused.ID, true)
	three := b.remote.commit(two, "three", "web/c")
	b.remote.set(main, three)
	second := b.delivery(newID(), b.push(main, two, three))
	b.arrive(second)
	b.pause(paused.ID, false)
	four := b.remote.commit(three, "four", "web/d")
	b.remote.set(main, four)
	b.deliver(b.push(main, three, four))
	b.settled()
	for range 2 {
		b.arrive(second)
		b.arrive(first)
	}
	require.Equal(t, []string{"STARTED MATCHED", "STARTED MATCHED", "STARTED MATCHED"}, summary(b.decisions(web.ID)))
	require.Equal(t, []string{"NOT_STARTED PAUSED", "STARTED MATCHED", "NOT_STARTED PAUSED", "STARTED MATCHED", "NOT_STARTED OVERTAKEN"}, summary(b.decisions(paused.ID)))
	require.Len(t, b.executions(), 5)
}

// TestCoalescedWhilePaused holds that of two moves which a paused trigger decides on together
// neither starts, and that a replay starts the newer one once.
func TestCoalescedWhilePaused(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	b.pause(web.ID, true)
	// Nothing reads the messages of the commits while no process runs.
	b.end()
	two := b.remote.commit(one, "two")
	b.remote.set(main, two)
	require.Equal(t, 1, b.poll(web.RepositoryID))
	three := b.remote.commit(two, "three")
	b.remote.set(main, three)
	require.Equal(t, 1, b.poll(web.RepositoryID))
	require.Equal(t, []string{"PENDING NEEDS_MESSAGE", "PENDING NEEDS_MESSAGE"}, summary(b.decisions(web.ID)))
	b.process = b.boot()
	b.settled()
	require.Equal(t, []string{"NOT_STARTED COALESCED", "NOT_STARTED PAUSED"}, summary(b.decisions(web.ID)))

	b.pause(web.ID, false)
	older, newer := newID(), newID()
	require.Equal(t, http.StatusAccepted, b.send(older, hookSecret, b.push(main, one, two)))
	require.Equal(t, http.StatusAccepted, b.send(newer, hookSecret, b.push(main, two, three)))
	b.settled()
	require.Zero(t, b.poll(web.RepositoryID))
	require.Empty(t, b.executions(), "the end of a pause starts nothing")
	for _, id := range []string{older, newer, newer} {
		require.NoError(t, b.replay(id))
		b.settled()
	}
	require.Len(t, b.executions(), 1)
	require.Equal(t, three, b.executions()[0].Trigger.To)
}

// TestDeliveryThatLedToAMove holds that a delivery which does not tell the move that it led to, since it
// came late or is of an annotated tag, starts that move after a pause if it is sent again or replayed.
func TestDeliveryThatLedToAMove(t *testing.T) {
	t.Parallel()
	for _, replay := range []bool{false, true} {
		for _, ref := range []string{main, "refs/tags/v1"} {
			b := start(t)
			one := b.remote.commit("", "one")
			two := b.remote.commit(one, "two")
			three := b.remote.commit(two, "three")
			four := b.remote.commit(three, "four")
			b.remote.set(ref, one)
			web := b.watch("web", declared.Git{Push: []pipeline.GitPushFilter{
				{Branches: &pipeline.GlobFilter{Includes: []string{"main"}}}, {Tags: &pipeline.GlobFilter{Includes: []string{"v*"}}},
			}, MovedTag: declared.MovedTagAllow, SkipMarkers: new(false)})
			b.pause(web.ID, true)
			b.remote.set(ref, four)
			told := b.push(ref, two, three)
			if ref != main {
				told = b.push(ref, one, four)
				told.Head = forge.Commit{}
			}
			id := newID()
			send := func() {
				t.Helper()
				require.Equal(t, http.StatusAccepted, b.send(id, hookSecret, told))
				b.settled()
			}
			send()
			require.Equal(t, []string{"NOT_STARTED PAUSED"}, summary(b.decisions(web.ID)))
			b.pause(web.ID, false)
			wanted := []string{"NOT_STARTED PAUSED", "STARTED MATCHED"}
			for range 2 {
				if !replay {
					send()
					continue
				}
				require.NoError(t, b.replay(id))
				b.settled()
			}
			if replay {
				wanted = append(wanted, "DUPLICATE STARTED_BEFORE")
			}
			require.Equal(t, wanted, summary(b.decisions(web.ID)))
			require.Len(t, b.executions(), 1)
			of := b.executions()[0].Trigger
			require.Equal(t, []string{one, four}, []string{of.From, of.To})
			if ref == main {
				require.Empty(t, of.Pusher, "the delivery says who pushed another move")
			}
		}
	}
}

// TestDeliveryBeforeItsTrigger holds that a delivery which no trigger looked at starts one that
// was created since, if it is sent again or replayed.
func TestDeliveryBeforeItsTrigger(t *testing.T) {
	t.Parallel()
	for _, replay := range []bool{false, true} {
		b := start(t)
		one := b.remote.commit("", "one")
		two := b.remote.commit(one, "two")
		b.remote.set(main, two)
		sent := b.delivery(newID(), b.push(main, one, two))
		sent.Body = []byte(`{"ref":"refs/heads/main","before":"` + one + `","after":"` + two + `","repository":{"id":7,"full_name":"Acme/Web","default_branch":"main"},
			"head_commit":{"id":"` + two + `","message":"two"},"pusher":{"name":"ann"}}`)
		b.arrive(sent)
		web := b.watch("web", declared.Git{})
		require.Empty(t, b.decisions(web.ID))
		// Another hook tells of the same push for the first time: it is older than the trigger.
		b.deliver(b.push(main, one, two))
		for range 2 {
			if !replay {
				b.arrive(sent)
				continue
			}
			var kept ledger.Delivery
			var hook ledger.Webhook
			b.read(func(ctx context.Context, r store.Reader) (err error) {
				if hook, err = r.Webhook(ctx, "default", "hub"); err != nil {
					return err
				}
				kept, err = r.DeliveryByDedup(ctx, hook.ID, sent.ID)
				return err
			})
			require.NoError(t, b.intake.Replay(t.Context(), &hook, kept, sent.Body, "dan"))
		}
		wanted := []string{"NOT_STARTED BASELINE", "STARTED MATCHED"}
		if replay {
			wanted = append(wanted, "DUPLICATE STARTED_BEFORE")
		}
		require.Equal(t, wanted, summary(b.decisions(web.ID)))
		require.Len(t, b.executions(), 1)
		require.Equal(t, []string{one, two}, []string{b.executions()[0].Trigger.From, b.executions()[0].Trigger.To})
		require.Zero(t, b.poll(web.RepositoryID))
		three := b.remote.commit(two, "three")
		b.remote.set(main, three)
		b.deliver(b.push(main, two, three))
		require.Len(t, b.executions(), 2)
	}
}

// TestEventThatIsSentAgain is the same of a generic webhook.
func TestEventThatIsSentAgain(t *testing.T) {
	t.Parallel()
	b := start(t)
	on := b.react("deploy", declared.Generic{}, nil)
	b.pause(on.ID, true)
	sent := b.event(newID(), `{"action":"deploy"}`)
	b.arrive(sent)
	b.pause(on.ID, false)
	for range 3 {
		b.arrive(sent)
	}
	require.Equal(t, []string{"NOT_STARTED PAUSED", "STARTED MATCHED"}, summary(b.decisions(on.ID)))
	require.Len(t, b.executions(), 1)
}

// TestStartThatWasRefusedIsSentAgain holds that a push which came before the pipeline had a version
// starts an execution when it is sent again after one was published, once.
func TestStartThatWasRefusedIsSentAgain(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	version := func(number int64) {
		require.NoError(t, b.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			p, err := tx.Pipeline(ctx, "default", "web")
			if err != nil {
				return err
			}
			p.Version = number
			return tx.UpdatePipeline(ctx, p)
		}))
	}
	version(0)
	two := b.remote.commit(one, "two")
	b.remote.set(main, two)
	push := b.delivery(newID(), b.push(main, one, two))
	b.arrive(push)
	require.Equal(t, []string{"FAILED NOTHING_TO_PUBLISH"}, summary(b.decisions(web.ID)))
	version(1)
	b.arrive(push)
	b.arrive(push)
	require.Equal(t, []string{"FAILED NOTHING_TO_PUBLISH", "STARTED MATCHED"}, summary(b.decisions(web.ID)))
	require.Len(t, b.executions(), 1)
}
