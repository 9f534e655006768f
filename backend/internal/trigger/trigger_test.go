package trigger_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

const main = "refs/heads/main"

func start(t *testing.T) *bed {
	t.Helper()
	b, end := newBed(t, t.TempDir())
	t.Cleanup(end)
	return b
}

// summary is the outcomes and reasons of decisions.
func summary(decisions []ledger.Decision) (all []string) {
	for _, d := range decisions {
		all = append(all, string(d.Outcome)+" "+d.Reason)
	}
	return all
}

func TestPushStartsAnExecutionOnce(t *testing.T) {
	t.Parallel()
	b := start(t)
	first := b.remote.commit("", "one")
	b.remote.set(main, first)
	web := b.watch("web", declared.Git{})
	require.Empty(t, b.executions(), "what is there when the trigger is new starts nothing")

	second := b.remote.commit(first, "two")
	b.remote.set(main, second)
	told := b.push(main, first, second)
	id := b.deliver(told)
	started := b.executions()
	require.Len(t, started, 1)
	require.Equal(t, []pipeline.Override{{Action: "Checkout", Type: "COMMIT_ID", Value: second}}, started[0].Overrides)
	of := started[0].Trigger
	require.Equal(t, execution.TriggerWebhookV2, of.Type)
	require.Equal(t, []string{"accounts/default/triggers/web", "trigger:web", main, first, second}, []string{of.Name, of.Principal, of.Ref, of.From, of.To})
	require.Contains(t, of.Delivery, "accounts/default/webhooks/hub/deliveries/")

	// The same delivery, the hook of a group, a poll and a replay of it tell of the same move.
	require.NoError(t, b.intake.Deliver(context.Background(), b.delivery(id, told)))
	b.deliver(told)
	require.Zero(t, b.poll(web.RepositoryID))
	require.Equal(t, []string{"STARTED MATCHED", "DUPLICATE STARTED_BEFORE"}, summary(b.decisions(web.ID)))
	require.Len(t, b.executions(), 1)
	require.Equal(t, of.Decision, b.decisions(web.ID)[0].ID)
	require.Equal(t, started[0].ID, b.decisions(web.ID)[1].Execution)

	// Back and forth are four moves.
	for range 2 {
		b.remote.set(main, first)
		b.deliver(b.push(main, second, first))
		b.settled()
		b.remote.set(main, second)
		b.deliver(b.push(main, first, second))
		b.settled()
	}
	require.Len(t, b.executions(), 5)
}

func TestLateDeliveryIsOvertaken(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	two := b.remote.commit(one, "two")
	three := b.remote.commit(two, "three")
	b.remote.set(main, three)
	b.deliver(b.push(main, two, three))
	b.settled()
	b.deliver(b.push(main, one, two))
	b.settled()
	require.Equal(t, []string{"STARTED MATCHED", "NOT_STARTED OVERTAKEN"}, summary(b.decisions(web.ID)))
	require.Len(t, b.executions(), 1)
	require.Equal(t, three, b.executions()[0].Trigger.To)
	require.Equal(t, one, b.executions()[0].Trigger.From, "it has the changes of both")
}

func TestFilesAreComparedWithWhatWasEvaluatedLast(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one", "web/a")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{Push: []pipeline.GitPushFilter{{
		Branches: &pipeline.GlobFilter{Includes: []string{"main"}}, FilePaths: &pipeline.GlobFilter{Includes: []string{"web/**"}},
	}}})
	b.down(true)
	two := b.remote.commit(one, "two", "web/b")
	b.remote.set(main, two)
	b.deliver(b.push(main, one, two))
	require.Equal(t, []string{"PENDING NEEDS_FILES"}, summary(b.decisions(web.ID)))
	three := b.remote.commit(two, "three", "README.md")
	b.remote.set(main, three)
	b.deliver(b.push(main, two, three))
	b.kill()
	b.down(false)
	b.kill()
	require.Eventually(t, func() bool { b.settled(); return true }, waitLong, tick)
	require.Equal(t, []string{"NOT_STARTED COALESCED", "STARTED MATCHED"}, summary(b.decisions(web.ID)), "the newest has the files of both")
	require.Len(t, b.executions(), 1)
	four := b.remote.commit(three, "four", "README.md")
	b.remote.set(main, four)
	b.deliver(b.push(main, three, four))
	b.settled()
	require.Equal(t, "NOT_STARTED FILES_NOT_INCLUDED", summary(b.decisions(web.ID))[2])
}

func TestPollFindsWhatNobodyTold(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	two := b.remote.commit(one, "two")
	skipped := b.remote.commit(two, "three [skip ci]")
	b.remote.set(main, two)
	require.Equal(t, 1, b.poll(web.RepositoryID))
	b.settled()
	b.remote.set(main, skipped)
	require.Equal(t, 1, b.poll(web.RepositoryID))
	b.settled()
	require.Equal(t, []string{"STARTED MATCHED", "NOT_STARTED SKIP_MARKER"}, summary(b.decisions(web.ID)))
	require.Equal(t, execution.TriggerPoll, b.executions()[0].Trigger.Type)
	b.deliver(b.push(main, one, two))
	b.settled()
	require.Equal(t, "NOT_STARTED OVERTAKEN", summary(b.decisions(web.ID))[2])
}

func TestPausedTriggerRecordsWhatItWouldStart(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	require.NoError(t, b.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.SetTriggerPause(ctx, web.ID, &ledger.Pause{Principal: "ann", Reason: "freeze", At: b.clock()})
	}))
	two := b.remote.commit(one, "two")
	b.remote.set(main, two)
	b.deliver(b.push(main, one, two))
	require.Equal(t, []string{"NOT_STARTED PAUSED"}, summary(b.decisions(web.ID)))
	require.Contains(t, b.decisions(web.ID)[0].Message, "ann paused the trigger")
	require.NoError(t, b.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.SetTriggerPause(ctx, web.ID, nil) }))
	b.deliver(b.push(main, one, two))
	require.Empty(t, b.executions(), "what came during the pause starts nothing")
}

func TestStartThatIsRefused(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{})
	require.NoError(t, b.loop.Submit(t.Context(), func(ctx context.Context, tx *loop.Tx) error { return tx.DeletePipeline(ctx, "web", 1) }))
	two := b.remote.commit(one, "two")
	b.remote.set(main, two)
	b.deliver(b.push(main, one, two))
	require.Equal(t, []string{"FAILED PIPELINE_GONE"}, summary(b.decisions(web.ID)))
}

// What waits for the remote when its trigger is deleted or watches another repository ends.
func TestPendingDecisionsEndWithTheirTrigger(t *testing.T) {
	t.Parallel()
	for what, asked := range map[string]string{"the last of the repository": "TRIGGER_GONE", "another one stays": "OVERTAKEN"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			one := b.remote.commit("", "one", "web/a")
			b.remote.set(main, one)
			files := declared.Git{Push: []pipeline.GitPushFilter{{FilePaths: &pipeline.GlobFilter{Includes: []string{"web/**"}}}}}
			web := b.watch("web", files)
			if asked == "OVERTAKEN" {
				b.watch("other", files)
			}
			b.down(true)
			two := b.remote.commit(one, "two", "web/b")
			b.remote.set(main, two)
			b.deliver(b.push(main, one, two))
			// This one continues nothing that is known, so the remote is asked.
			b.deliver(b.push(main, b.remote.commit("", "elsewhere"), b.remote.commit("", "anywhere")))
			require.Equal(t, []string{"PENDING NEEDS_FILES", "PENDING ASKING_REMOTE"}, summary(b.decisions(web.ID)))
			require.NoError(t, b.loop.Submit(t.Context(), func(ctx context.Context, tx *loop.Tx) error {
				if err := tx.DeleteTrigger(ctx, web.ID); err != nil {
					return err
				}
				return b.intake.Unwatch(ctx, tx, web.RepositoryID)
			}))
			b.down(false)
			b.kill()
			b.settled()
			require.Equal(t, []string{"NOT_STARTED TRIGGER_GONE", "NOT_STARTED " + asked}, summary(b.decisions(web.ID)))
			for _, e := range b.executions() {
				require.Equal(t, "accounts/default/triggers/other", e.Trigger.Name)
			}
		})
	}
}

// A change that still waits for its files is decided by the filters that the trigger has when
// they are known, and by its pause.
func TestPendingDecisionsFollowTheTrigger(t *testing.T) {
	t.Parallel()
	filter := func(glob string) *declared.Git {
		return &declared.Git{SourceAction: "Checkout", Push: []pipeline.GitPushFilter{{FilePaths: &pipeline.GlobFilter{Includes: []string{glob}}}}}
	}
	for want, change := range map[string]func(*ledger.Trigger){
		"NOT_STARTED FILES_NOT_INCLUDED": func(t *ledger.Trigger) { t.Declared.Git = filter("api/**") },
		"STARTED MATCHED":                func(t *ledger.Trigger) { t.Declared.Git = filter("web/b") },
		"NOT_STARTED PAUSED":             func(t *ledger.Trigger) { t.Pause = &ledger.Pause{Principal: "ann", Reason: "freeze"} },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			one := b.remote.commit("", "one", "web/a")
			b.remote.set(main, one)
			web := b.watch("web", *filter("web/**"))
			b.down(true)
			two := b.remote.commit(one, "two", "web/b")
			b.remote.set(main, two)
			b.deliver(b.push(main, one, two))
			require.Equal(t, []string{"PENDING NEEDS_FILES"}, summary(b.decisions(web.ID)))
			require.NoError(t, b.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
				now, err := tx.TriggerByID(ctx, web.ID)
				if err != nil {
					return err
				}
				change(&now)
				if now.Pause != nil {
					return tx.SetTriggerPause(ctx, web.ID, now.Pause)
				}
				return tx.UpdateTrigger(ctx, now)
			}))
			b.down(false)
			b.kill()
			b.settled()
			require.Equal(t, []string{want}, summary(b.decisions(web.ID)))
		})
	}
}

// A server that is killed while a turn waits for the mirror runs the turn again.
func TestKillInTheMiddleOfATurn(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := b.remote.commit("", "one", "web/a")
	b.remote.set(main, one)
	web := b.watch("web", declared.Git{Push: []pipeline.GitPushFilter{{FilePaths: &pipeline.GlobFilter{Includes: []string{"web/**"}}}}})
	held := make(chan struct{}, 10)
	b.hold(held)
	two := b.remote.commit(one, "two", "web/b")
	b.remote.set(main, two)
	b.deliver(b.push(main, one, two))
	for range 2 {
		<-held
		require.Equal(t, []string{"PENDING NEEDS_FILES"}, summary(b.decisions(web.ID)))
		b.kill()
	}
	<-held
	b.hold(nil)
	b.kill()
	b.settled()
	require.Equal(t, []string{"STARTED MATCHED"}, summary(b.decisions(web.ID)))
	require.Len(t, b.executions(), 1)
}
