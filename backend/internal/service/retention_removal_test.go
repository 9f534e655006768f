package service_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/retention"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestRetentionRemovesWhatNobodyUses(t *testing.T) {
	t.Parallel()
	onEveryStore(t, retention.Policy{Count: 1}, func(k *keeper) {
		t := k.t
		k.pipeline("p")
		k.pipeline("q")
		k.pipeline("deleted")
		only, shared, live := k.put("only of e1", twoDays), k.put("shared", twoDays), k.put("of the live one", twoDays)
		deleted, died, young := k.put("of a deleted pipeline", twoDays), k.put("of an attempt that died", twoDays), k.put("stored lately", time.Hour)
		all := []action.Artifact{only, shared, live, deleted, died, young}
		k.ran("p", "e1", pipeline.Failed, only, shared)
		k.ran("p", "e2", pipeline.InProgress, live)
		k.ran("p", "e3", pipeline.Failed)
		k.ran("q", "e4", pipeline.Succeeded, shared)
		k.ran("deleted", "e5", pipeline.Succeeded, deleted)
		k.update(func(ctx context.Context, tx store.Tx) error { return tx.DeletePipeline(ctx, "deleted", 1) })

		want := service.TreeCount{Trees: 3, Bytes: only.Size + deleted.Size + died.Size}
		planned := k.apply(true)
		require.Equal(t, []string{"e1"}, removed(planned))
		require.Equal(t, want, planned.Unused)
		require.True(t, k.hasLog("e1"))
		require.Len(t, k.has(all...), 6)

		result := k.apply(false)
		require.Equal(t, planned, result, "as it was said")
		require.False(t, k.hasLog("e1"))
		require.False(t, k.hasLog("e5"), "what a crash may have left of a deleted pipeline")
		for _, id := range []string{"e2", "e3", "e4"} {
			require.True(t, k.hasLog(id), id)
		}
		require.Len(t, k.has(all...), 6, "trees rest first")

		k.now = k.now.Add(2 * time.Hour)
		result = k.apply(false)
		require.Empty(t, result.Executions)
		require.Equal(t, want, result.Removed)
		require.Equal(t, []string{"shared", "of the live one", "stored lately"}, k.has(all...))
		require.Zero(t, k.apply(false).Unused)

		// What was removed may be stored and used again.
		again := k.put("only of e1", 0)
		k.now = k.now.Add(twoDays)
		k.apply(false)
		k.ran("q", "e6", pipeline.Succeeded, again)
		k.now = k.now.Add(twoDays)
		k.apply(false)
		require.Contains(t, k.has(all...), "only of e1")
	})
}

// A mark rests for an hour: whoever began to use the tree before it has committed by then.
func TestRetentionLetsTreesRest(t *testing.T) {
	t.Parallel()
	onEveryStore(t, retention.Policy{Count: 1}, func(k *keeper) {
		tree := k.put("tree", twoDays)
		for _, since := range []time.Duration{0, time.Minute, 58 * time.Minute} {
			k.now = k.now.Add(since)
			require.Zero(k.t, k.apply(false).Removed)
			require.Equal(k.t, []string{"tree"}, k.has(tree))
		}
		k.now = k.now.Add(time.Minute)
		require.Equal(k.t, 1, k.apply(false).Removed.Trees)
		require.Empty(k.t, k.has(tree))
	})
}

// A removal is forgotten after a day, so that the same tree may be stored, and go, again.
func TestRetentionRemovesWhatWasStoredAgain(t *testing.T) {
	t.Parallel()
	onEveryStore(t, retention.Policy{Count: 1}, func(k *keeper) {
		tree := k.put("tree", twoDays)
		for range 2 {
			k.apply(false)
			k.now = k.now.Add(time.Hour)
			require.Equal(k.t, 1, k.apply(false).Removed.Trees)
			require.Empty(k.t, k.has(tree))
			k.put("tree", 0)
			k.now = k.now.Add(24*time.Hour + time.Second)
			require.Zero(k.t, k.apply(false).Removed, "it is remembered until this pass")
		}
		require.Equal(k.t, []string{"tree"}, k.has(tree))
	})
}

// Nobody uses a tree: that may be a mistake in how servers are set up, so without a
// policy it goes only when somebody asks. Logs of deleted pipelines go.
func TestRetentionByItselfWithoutAPolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opened, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "headrace.db")})
		require.NoError(t, err)
		k := newKeeper(t, opened, retention.Policy{KeepLastSuccessful: true})
		k.pipeline("p")
		k.pipeline("deleted")
		of, unused := k.put("of a deleted pipeline", twoDays), k.put("nobody uses it", twoDays)
		k.ran("p", "e1", pipeline.Failed)
		k.ran("deleted", "e2", pipeline.Failed, of)
		k.update(func(ctx context.Context, tx store.Tx) error { return tx.DeletePipeline(ctx, "deleted", 1) })

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		for range 4 {
			synctest.Wait() // Until it waits for its next turn.
			k.now = k.now.Add(twoDays)
			<-time.After(k.config.Every)
		}
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, []string{"of a deleted pipeline", "nobody uses it"}, k.has(of, unused))
		require.True(t, k.hasLog("e1"))
		require.False(t, k.hasLog("e2"))
	})
}

// cutOff is a store of trees whose Remove does its work or not, and does not come back.
type cutOff struct {
	*artifact.Store
	before func(digest string)
	work   bool
}

func (c *cutOff) Tree(ctx context.Context, digest string) (artifact.Tree, error) {
	if c.before != nil {
		c.before(digest)
	}
	return c.Store.Tree(ctx, digest)
}

var errCutOff = errors.New("the process was killed")

func (c *cutOff) Remove(ctx context.Context, digest string) error {
	if c.work {
		if err := c.Store.Remove(ctx, digest); err != nil {
			return err
		}
	}
	return errCutOff
}

func TestRetentionIsCutOff(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]bool{"before the tree is gone": false, "after the tree is gone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEveryStore(t, retention.Policy{Count: 1}, func(k *keeper) {
				k.pipeline("p")
				tree := k.put("tree", twoDays)
				k.ran("p", "e1", pipeline.Failed, tree)
				k.ran("p", "e2", pipeline.Failed)
				k.apply(false)
				k.now = k.now.Add(2 * time.Hour)
				k.on(&cutOff{Store: k.trees, work: work}, k.logs)
				_, err := k.Apply(k.t.Context(), admin, false)
				require.ErrorIs(k.t, err, errCutOff)

				k.on(k.trees, k.logs)
				k.apply(false)
				require.Equal(k.t, work, len(k.has(tree)) == 0, "who claimed it may be at work")
				k.now = k.now.Add(time.Hour)
				k.apply(false)
				require.Empty(k.t, k.has(tree))
			})
		})
	}
}

// stubborn does not remove the log of one execution.
type stubborn struct {
	*logs.Store
	keeps string
}

func (s *stubborn) Remove(ctx context.Context, id string) error {
	if id == s.keeps {
		return errCutOff
	}
	return s.Store.Remove(ctx, id)
}

// A log that cannot be removed is tried again by the next pass, and keeps nothing else.
func TestRetentionGoesOnBehindALog(t *testing.T) {
	t.Parallel()
	onEveryStore(t, retention.Policy{Count: 1}, func(k *keeper) {
		k.pipeline("p")
		tree := k.put("tree", twoDays)
		k.ran("p", "e1", pipeline.Failed)
		k.ran("p", "e2", pipeline.Failed, tree)
		k.ran("p", "e3", pipeline.Failed)
		k.on(k.trees, &stubborn{Store: k.logs, keeps: "e1"})
		for range 2 {
			_, err := k.Apply(k.t.Context(), admin, false)
			require.ErrorIs(k.t, err, errCutOff)
			k.now = k.now.Add(2 * time.Hour)
		}
		require.True(k.t, k.hasLog("e1"))
		require.False(k.t, k.hasLog("e2"))
		require.Empty(k.t, k.has(tree))
		k.on(k.trees, k.logs)
		require.Empty(k.t, k.apply(false).Executions, "it is decided already")
		require.False(k.t, k.hasLog("e1"))
	})
}

// An attempt stores what retention is about to remove.
func TestRetentionMeetsAnAttempt(t *testing.T) {
	t.Parallel()
	onEveryStore(t, retention.Policy{Count: 1}, func(k *keeper) {
		k.pipeline("p")
		tree := k.put("tree", twoDays)
		k.apply(false)
		k.now = k.now.Add(2 * time.Hour)
		k.on(&cutOff{Store: k.trees, before: func(string) { k.put("tree", 0) }}, k.logs)
		require.Zero(k.t, k.apply(false).Removed)
		require.Equal(k.t, []string{"tree"}, k.has(tree))
		k.ran("p", "e1", pipeline.Succeeded, tree)
		k.on(k.trees, k.logs)
		k.now = k.now.Add(twoDays)
		k.apply(false)
		k.now = k.now.Add(twoDays)
		k.apply(false)
		require.Equal(k.t, []string{"tree"}, k.has(tree))
	})
}

// claim lets somebody begin to remove an artifact that nobody uses.
func (l *lab) claim(digest string) {
	l.t.Helper()
	require.NoError(l.t, l.store.Update(l.t.Context(), func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.MarkArtifacts(ctx, []string{digest}, l.now()),
			tx.ClaimArtifact(ctx, digest, store.ArtifactRemoval{MarkedAt: l.now()}, l.now()))
	}))
}

func TestReportOfWhatIsBeingRemoved(t *testing.T) {
	t.Parallel()
	for name, there := range map[string]bool{"it is there": true, "it went": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.lease = time.Hour
			l.restart()
			def := stages("", []string{"a"}, []string{"b"})
			def.Stages[0].Actions[0].OutputArtifacts = []pipeline.OutputArtifact{{Name: "out"}}
			l.pipeline("web", def)
			e := l.start("web")
			a := l.acquire("r1")
			out := putTree(t, l.artifacts, l.dir, "tree", l.now())
			out.Name = "out"
			l.claim(out.Digest)
			_, err := l.Report(t.Context(), "r1", a.Attempt, action.Result{Artifacts: []action.Artifact{out}})
			require.ErrorIs(t, err, store.ErrRemoving, "the runner reports again")
			require.Equal(t, pipeline.InProgress, l.get(e.ID).Status)

			if !there {
				require.NoError(t, l.artifacts.Remove(t.Context(), out.Digest))
			}
			claimed := l.now()
			l.later(time.Minute)
			require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
				return tx.FinishArtifactRemoval(ctx, out.Digest, claimed, l.now())
			}))
			l.report("r1", a, action.Result{Artifacts: []action.Artifact{out}, Log: l.prints(a, "made out\n").Small()})
			require.Len(t, l.smallLogs(a), 1)
			first := l.get(e.ID).Stages[0].Actions[0]
			if there {
				require.Equal(t, pipeline.Succeeded, first.Status)
				require.Equal(t, []action.Artifact{out}, first.Details.Outputs)
				return
			}
			require.Equal(t, pipeline.Failed, first.Status)
			require.Equal(t, action.SystemUnavailable, first.Details.Failure.Code)
			require.Contains(t, first.Details.Failure.Message, "run the action again")
		})
	}
}

// Whoever stored a tree before it went, and reports within a day, learns that it did.
func TestReportOfWhatWentLately(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.lease = 4 * twoDays
	l.restart()
	def := stages("", []string{"a"}, []string{"b"})
	def.Stages[0].Actions[0].OutputArtifacts = []pipeline.OutputArtifact{{Name: "out"}}
	l.pipeline("web", def)
	e := l.start("web")
	a := l.acquire("r1")
	out := putTree(t, l.artifacts, l.dir, "tree", l.now().Add(-twoDays))
	out.Name = "out"
	keep := service.NewRetention(service.RetentionConfig{
		Store: l.store, Artifacts: l.artifacts, Logs: l.logs, Policy: retention.Policy{Count: 1},
		Every: time.Hour, Clock: l.now, Log: hclog.NewNullLogger(),
	})
	for _, since := range []time.Duration{0, time.Hour, time.Minute, 22 * time.Hour} {
		l.later(since)
		_, err := keep.Apply(t.Context(), admin, false)
		require.NoError(t, err)
	}
	_, err := l.artifacts.Tree(t.Context(), out.Digest)
	require.ErrorIs(t, err, artifact.ErrNotStored)
	l.report("r1", a, action.Result{Artifacts: []action.Artifact{out}})
	first := l.get(e.ID).Stages[0].Actions[0]
	require.Equal(t, pipeline.Failed, first.Status)
	require.Equal(t, action.SystemUnavailable, first.Details.Failure.Code)
	require.Contains(t, first.Details.Failure.Message, "run the action again")
}

// What is being removed is nothing that the result names, so nothing lets it be used.
func TestReportThatKeepsMeetingARemovalEnds(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.lease = time.Hour
	l.restart()
	l.pipeline("web", stages("", []string{"a"}))
	e := l.start("web")
	a := l.acquire("r1")
	l.store.before = func(context.Context, store.Tx) error { return store.ErrRemoving }
	l.store.failing.Store(1000)
	_, err := l.Report(t.Context(), "r1", a.Attempt, action.Result{})
	require.ErrorIs(t, err, store.ErrRemoving, "the runner reports again")
	l.store.failing.Store(0)
	l.report("r1", a, action.Result{})
	require.Equal(t, pipeline.Succeeded, l.get(e.ID).Status)
}

func TestRemovedExecutionsAreNotUsed(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}, []string{"b"}))
	good := l.succeed("web")
	failing := l.start("web")
	a := l.acquire("r1")
	l.report("r1", a, action.Failed(action.JobFailed, "no"))
	require.Equal(t, pipeline.Failed, l.get(failing.ID).Status)
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.RemoveOutputs(ctx, []string{good.ID, failing.ID}, l.now(), l.now())
		return err
	}))
	_, err := l.Rollback(t.Context(), admin, "default", "web", service.RollbackInput{Stage: "S1", TargetID: good.ID})
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonOutputsRemoved)
	require.ErrorContains(t, err, "removed by retention on 2026-03-01")
	_, err = l.Retry(t.Context(), admin, "default", failing.ID, service.RetryInput{})
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonOutputsRemoved)
	err = l.TailLog(t.Context(), admin, "default", failing.ID, a.Attempt.ActionExecutionID, service.LogTail{}, func(int64, []byte) error { return nil })
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonOutputsRemoved)
	require.ErrorContains(t, err, "removed by retention on 2026-03-01")

	_, _, err = l.StatLog(t.Context(), admin, "default", failing.ID, a.Attempt.ActionExecutionID)
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonOutputsRemoved)
	_, err = l.ReadLog(t.Context(), admin, "default", failing.ID, a.Attempt.ActionExecutionID, service.LogRead{Lines: 1, Bytes: 100})
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonOutputsRemoved)

	// Who searches does not take what is gone for what never was.
	pattern, err := logs.NewPattern("needle", logs.Options{})
	require.NoError(t, err)
	nothing := func(service.LogPlace, logs.Match) error { return nil }
	_, err = l.SearchLogs(t.Context(), admin, "default", service.LogSearch{ExecutionID: failing.ID, Pattern: pattern, Matches: 1}, nothing)
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonOutputsRemoved)
	done, err := l.SearchLogs(t.Context(), admin, "default", service.LogSearch{Pipeline: "web", Executions: 10, Pattern: pattern, Matches: 1}, nothing)
	require.NoError(t, err)
	require.Equal(t, "retention removed the logs of 2 executions", done.Incomplete)
}
