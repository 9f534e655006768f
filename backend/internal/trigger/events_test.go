package trigger_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/trigger"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// react declares a trigger of the generic webhook.
func (b *bed) react(name string, generic declared.Generic, variables map[string]string) ledger.Trigger {
	b.t.Helper()
	generic.Webhook = "events"
	created := ledger.Trigger{
		ID: newID(), Account: "default", Name: name, Pipeline: "web", Webhook: "events", Baselined: true,
		Declared: ledger.Declared{Event: &generic, Variables: variables}, Revision: 1,
	}
	require.NoError(b.t, b.store.Update(context.Background(), func(ctx context.Context, tx store.Tx) error { return tx.CreateTrigger(ctx, created) }))
	return created
}

func (b *bed) event(id, body string) forge.Delivery {
	return forge.Delivery{
		Content: forge.Content{ID: id, Body: []byte(body)}, Webhook: "accounts/default/webhooks/events", Etag: "events-1", Kind: forge.Generic,
		SecretVersion: 1, ReceiveTime: b.clock(),
	}
}

func TestEventStartsWithItsValues(t *testing.T) {
	t.Parallel()
	b := start(t)
	commit := "0123456789012345678901234567890123456789"
	image := b.react("image", declared.Generic{
		Filters: []declared.GenericFilter{{JSONPath: "$.action", MatchEquals: "published"}}, When: "body.tag != 'latest'",
		SourceRevisions: map[string]string{"Checkout": "body.commit"}, IdempotencyKey: "body.tag",
	}, map[string]string{"Image": "=body.tag"})
	deliver := func(id, body string) { require.NoError(t, b.intake.Deliver(t.Context(), b.event(id, body))) }
	deliver("1", `{"action":"published","tag":"v1","commit":"`+commit+`"}`)
	deliver("1", `{"action":"published","tag":"v1","commit":"`+commit+`"}`)
	deliver("2", `{"action":"published","tag":"v1","commit":"`+commit+`"}`)
	deliver("3", `{"action":"deleted","tag":"v2"}`)
	deliver("4", `{"action":"published","tag":"v3"}`)
	require.Equal(t, []string{"STARTED MATCHED", "DUPLICATE STARTED_BEFORE", "NOT_STARTED FILTER_NOT_MATCHED", "FAILED INVALID_INPUT"}, summary(b.decisions(image.ID)))
	started := b.executions()
	require.Len(t, started, 1)
	require.Equal(t, "v1", started[0].Variables["Image"])
	require.Equal(t, commit, started[0].Overrides[0].Value)
	require.EqualValues(t, "Webhook", started[0].Trigger.Type)
}

func TestEqualBodiesAreOneEventForADay(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.react("any", declared.Generic{}, nil)
	for _, after := range []time.Duration{0, time.Hour, 25 * time.Hour, 26 * time.Hour} {
		event := b.event("sha256:abc", `{}`)
		event.ReceiveTime = event.ReceiveTime.Add(after)
		require.NoError(t, b.intake.Deliver(t.Context(), event))
	}
	require.Len(t, b.executions(), 2)
}

func TestRefusalsAreCounted(t *testing.T) {
	t.Parallel()
	b := start(t)
	at := time.Date(2026, 11, 30, 12, 0, 30, 0, time.UTC)
	for n := range 500 {
		require.NoError(t, b.intake.Refuse(t.Context(), forge.Refusal{
			Webhook: "accounts/default/webhooks/hub", Address: "192.0.2.1", ReceiveTime: at.Add(time.Duration(n) * 10 * time.Millisecond),
			Reason: forge.SignatureInvalid, Message: "the signature does not match a secret of the webhook",
		}))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, b.intake.Run(ctx), "what is left is written at the end")
	var rows []ledger.Delivery
	b.read(func(ctx context.Context, r store.Reader) (err error) {
		rows, err = r.Deliveries(ctx, store.DeliveryFilter{Account: "default"})
		return err
	})
	require.Len(t, rows, 1)
	require.EqualValues(t, 500, rows[0].Attempts)
	require.Equal(t, ledger.Refused, rows[0].Status)
	require.Equal(t, "SIGNATURE_INVALID", rows[0].Reason)
}

func TestReplayStartsWhatDidNotStart(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	two := b.remote.commit(one, "two")
	b.remote.set(main, two)
	require.NoError(t, b.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.SetTriggerPause(ctx, web.ID, &ledger.Pause{Principal: "ann", Reason: "freeze", At: b.clock()})
	}))
	body := []byte(`{"ref":"refs/heads/main","before":"` + one + `","after":"` + two + `","repository":{"id":7,"full_name":"Acme/Web","default_branch":"main"},
		"head_commit":{"id":"` + two + `","message":"two"},"pusher":{"name":"ann"}}`)
	sent := b.delivery(newID(), b.push(main, one, two))
	sent.Event, sent.Body = "push", body
	require.NoError(t, b.intake.Deliver(t.Context(), sent))
	var kept ledger.Delivery
	var hook ledger.Webhook
	b.read(func(ctx context.Context, r store.Reader) (err error) {
		if hook, err = r.Webhook(ctx, "default", "hub"); err != nil {
			return err
		}
		kept, err = r.DeliveryByDedup(ctx, hook.ID, sent.ID)
		return err
	})
	require.NoError(t, b.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.SetTriggerPause(ctx, web.ID, nil) }))
	for range 2 {
		require.NoError(t, b.intake.Replay(t.Context(), &hook, kept, body, "dan"))
	}
	require.Equal(t, []string{"NOT_STARTED PAUSED", "STARTED MATCHED", "DUPLICATE STARTED_BEFORE"}, summary(b.decisions(web.ID)))

	tested, err := b.intake.Test(t.Context(), &web, trigger.TestEvent{Event: "push", Body: body})
	require.NoError(t, err)
	require.Equal(t, []string{"STARTED MATCHED"}, summary(tested))
	require.Len(t, b.executions(), 1, "a test has no effect")
}

// A push changes no file that the trigger wants, or comes while that is paused. After the trigger was changed or
// resumed, a replay compares the files of the push again, not the head with itself.
func TestReplayComparesFilesAgain(t *testing.T) {
	t.Parallel()
	for name, paused := range map[string]bool{"the filter was changed": false, "the trigger was paused": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			one := b.remote.commit("", "one")
			b.remote.set(main, one)
			files := func(pattern string) *declared.Git {
				return &declared.Git{SourceAction: "Checkout", Push: []pipeline.GitPushFilter{{FilePaths: &pipeline.GlobFilter{Includes: []string{pattern}}}}}
			}
			first, reason := "api/**", "NOT_STARTED FILES_NOT_INCLUDED"
			if paused {
				first, reason = "web/**", "NOT_STARTED PAUSED"
			}
			web := b.watch("web", *files(first))
			pause := &ledger.Pause{Principal: "ann", Reason: "freeze", At: b.clock()}
			if !paused {
				pause = nil
			}
			set := func(pattern string, pause *ledger.Pause) {
				t.Helper()
				require.NoError(t, b.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
					current, err := tx.Trigger(ctx, "default", "", "web")
					if err != nil {
						return err
					}
					current.Declared.Git = files(pattern)
					return errors.Join(tx.UpdateTrigger(ctx, current), tx.SetTriggerPause(ctx, web.ID, pause))
				}))
			}
			set(first, pause)
			two := b.remote.commit(one, "two", "web/a")
			b.remote.set(main, two)
			id := newID()
			require.Equal(t, http.StatusAccepted, b.send(id, hookSecret, b.push(main, one, two)))
			b.settled()
			require.Equal(t, []string{reason}, summary(b.decisions(web.ID)))

			set("web/**", nil)
			require.NoError(t, b.replay(id))
			b.settled()
			require.NoError(t, b.replay(id))
			require.Equal(t, []string{reason, "STARTED MATCHED", "DUPLICATE STARTED_BEFORE"}, summary(b.decisions(web.ID)))
		})
	}
}

func TestPullRequests(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{PullRequest: requests("OPEN", "UPDATED", "CLOSED")})
	two := b.remote.commit(one, "two")
	three := b.remote.commit(two, "three")
	four := b.remote.commit(three, "four")
	request := func(action forge.PullRequestAction, before, head string) forge.Signal {
		return forge.Signal{
			Kind: forge.PullRequestChanged, Repository: forge.Repository{FullName: "acme/web", ID: 7}, Ref: "refs/pull/7/head", Before: before, After: head,
			Head: forge.Commit{ID: head, Message: "a commit"}, PullRequest: &forge.PullRequest{
				Number: 7, Action: action, SourceBranch: "topic", DestinationBranch: "main", HeadCommit: head, BaseCommit: one, Title: "Add <b>it</b>",
			},
		}
	}
	b.deliver(request(forge.Opened, "", two))
	b.deliver(request(forge.Opened, "", two))
	// Swapped.
	b.deliver(request(forge.Updated, three, four))
	b.settled()
	b.deliver(request(forge.Updated, two, three))
	b.settled()
	b.deliver(request(forge.Closed, "", four))
	fork := request(forge.Reopened, "", four)
	fork.PullRequest.Fork = true
	b.deliver(fork)
	require.Equal(t, []string{
		"STARTED MATCHED", "DUPLICATE STARTED_BEFORE", "STARTED MATCHED", "NOT_STARTED OVERTAKEN", "STARTED MATCHED", "NOT_STARTED FORK",
	}, summary(b.decisions(web.ID)))
	var events []string
	for _, e := range b.executions() {
		events = append(events, e.Trigger.PullRequest.Event+" "+e.Trigger.To)
	}
	require.Equal(t, []string{"OPEN " + two, "UPDATED " + four, "CLOSED " + four}, events)
}
