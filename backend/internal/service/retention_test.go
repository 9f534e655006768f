package service_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/retention"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

var cluster postgrestest.Cluster

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m, &cluster)) }

// keeper is retention on real stores, with a clock that the test sets.
type keeper struct {
	*service.Retention
	t      *testing.T
	dir    string
	now    time.Time
	store  store.Store
	trees  *artifact.Store
	logs   *logs.Store
	number map[string]int64
}

// onEveryStore runs a test on all engines.
func onEveryStore(t *testing.T, policy retention.Policy, test func(*keeper)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) (store.Store, error){
		"sqlite": func(t *testing.T) (store.Store, error) {
			t.Helper()
			return sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "headrace.db")})
		},
		"postgres": func(t *testing.T) (store.Store, error) {
			t.Helper()
			config := postgres.Config{URL: cluster.Database(t), Log: hclog.NewNullLogger()}
			if _, _, err := postgres.Migrate(t.Context(), config); err != nil {
				return nil, err
			}
			return postgres.Open(t.Context(), config)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &keeper{t: t, dir: t.TempDir(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), number: make(map[string]int64)}
			var err error
			k.store, err = open(t)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, k.store.Close()) })
			trees, err := blob.Open(t.Context(), blob.DirectoryURL(k.dir), "artifacts")
			require.NoError(t, err)
			k.trees = artifact.New(trees, k.dir)
			outputs, err := blob.Open(t.Context(), blob.DirectoryURL(k.dir), "logs")
			require.NoError(t, err)
			k.logs = logs.New(outputs, logs.Config{})
			k.Retention = service.NewRetention(service.RetentionConfig{
				Store: k.store, Artifacts: k.trees, Logs: k.logs, Policy: policy, Every: time.Hour,
				Clock: func() time.Time { return k.now }, Log: hclog.NewNullLogger(),
			})
			k.update(func(ctx context.Context, tx store.Tx) error {
				return tx.CreateAccount(ctx, store.Account{Name: "default"})
			})
			test(k)
		})
	}
}

func (k *keeper) update(fn func(context.Context, store.Tx) error) {
	k.t.Helper()
	require.NoError(k.t, k.store.Update(k.t.Context(), fn))
}

func (k *keeper) pipeline(id string) {
	k.t.Helper()
	k.update(func(ctx context.Context, tx store.Tx) error {
		return tx.CreatePipeline(ctx, store.Pipeline{ID: id, Account: "default", Name: id, Version: 1, Revision: 1})
	})
}

// putTree stores a tree of one file, as if that had happened at a time.
func putTree(t *testing.T, trees *artifact.Store, dir, content string, at time.Time) action.Artifact {
	t.Helper()
	files := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(files, "file"), []byte(content), 0o600))
	root, err := os.OpenRoot(files)
	require.NoError(t, err)
	defer func() { require.NoError(t, root.Close()) }()
	stored, err := trees.Store(t.Context(), content, root, ".", nil)
	require.NoError(t, err)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "artifacts", stored.Digest[:2], stored.Digest[2:]), at, at))
	return stored
}

func (k *keeper) put(content string, age time.Duration) action.Artifact {
	k.t.Helper()
	return putTree(k.t, k.trees, k.dir, content, k.now.Add(-age))
}

// ran is an execution that stored artifacts and wrote a log.
func (k *keeper) ran(pipelineID, id string, status pipeline.Status, artifacts ...action.Artifact) {
	k.t.Helper()
	var ended time.Time
	if status.Terminal() {
		ended = k.now
	}
	e := &execution.Execution{
		ID: id, Account: "default", PipelineID: pipelineID, Pipeline: pipelineID, Version: 1, Mode: pipeline.Superseded,
		Type: pipeline.TypeStandard, Status: status, StartedAt: k.now, EndedAt: ended,
	}
	stage := &execution.Stage{Name: "Build", Status: status, StartedAt: k.now, EndedAt: ended}
	a := &execution.Action{ID: id + "-a", Name: "Compile", Status: status, StartedAt: k.now, EndedAt: ended, Details: execution.ActionDetails{Outputs: artifacts}}
	k.update(func(ctx context.Context, tx store.Tx) (err error) {
		if e.Number, err = tx.NextNumber(ctx, pipelineID); err != nil {
			return err
		}
		return tx.Apply(ctx, &execution.Change{
			Started: []*execution.Execution{e}, NewStages: []execution.StageOf{{ExecutionID: id, Stage: stage}},
			NewActions: []execution.ActionOf{{ExecutionID: id, Action: a}},
		})
	})
	writer := k.logs.Writer(&action.Attempt{Scope: action.Scope{ExecutionID: id, ActionExecutionID: a.ID}, Number: 1})
	_, err := io.WriteString(writer, "output\n")
	require.NoError(k.t, errors.Join(err, writer.Close()))
}

func (k *keeper) apply(dryRun bool) service.RetentionResult {
	k.t.Helper()
	result, err := k.Apply(k.t.Context(), admin, dryRun)
	require.NoError(k.t, err)
	return result
}

func (k *keeper) hasLog(id string) bool {
	k.t.Helper()
	reader, err := k.logs.Open(k.t.Context(), id, id+"-a")
	require.NoError(k.t, err)
	defer reader.Close()
	return reader.Size() > 0
}

// has returns the names of those of the trees that are there.
func (k *keeper) has(all ...action.Artifact) (names []string) {
	k.t.Helper()
	for _, a := range all {
		_, err := k.trees.Tree(k.t.Context(), a.Digest)
		if err == nil {
			names = append(names, a.Name)
			continue
		}
		require.ErrorIs(k.t, err, artifact.ErrNotStored)
	}
	return names
}

func removed(result service.RetentionResult) (ids []string) {
	for _, removal := range result.Executions {
		ids = append(ids, removal.Execution.ID)
	}
	return ids
}

const twoDays = 48 * time.Hour

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
		k.update(func(ctx context.Context, tx store.Tx) error { return tx.DeletePipeline(ctx, "deleted") })

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

func TestRetentionKeepsTheLastSuccesses(t *testing.T) {
	t.Parallel()
	onEveryStore(t, retention.Policy{Age: twoDays, KeepLastSuccessful: true}, func(k *keeper) {
		k.pipeline("p")
		k.ran("p", "e1", pipeline.Failed)
		k.ran("p", "e2", pipeline.Succeeded)
		k.ran("p", "e3", pipeline.Succeeded)
		k.ran("p", "e4", pipeline.Failed)
		k.update(func(ctx context.Context, tx store.Tx) error {
			return tx.Apply(ctx, &execution.Change{Scope: execution.ScopeKey{PipelineID: "p"}, State: &execution.PipelineState{
				Stages: map[string]*execution.StageState{"Build": {Succeeded: &execution.Passage{ExecutionID: "e1", Number: 1}}},
			}})
		})
		require.Empty(k.t, k.apply(false).Executions)
		k.now = k.now.Add(twoDays)
		require.Equal(k.t, []string{"e2", "e4"}, removed(k.apply(false)), "a stage succeeded in e1, all did in e3")
		require.True(k.t, k.hasLog("e1"))
	})
}

// What a stage was rolled back to is what it has, so it can be rolled back to again.
func TestRetentionKeepsWhatWasRolledBackTo(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	def := stages("", []string{"a"}, []string{"b"})
	def.Stages[0].Actions[0].OutputArtifacts = []pipeline.OutputArtifact{{Name: "out"}}
	l.pipeline("web", def)
	var ids, digests []string
	for _, content := range []string{"one", "two"} {
		out := putTree(t, l.artifacts, l.dir, content, l.now())
		out.Name = "out"
		e := l.start("web")
		b := l.report("r1", l.acquire("r1"), action.Result{Artifacts: []action.Artifact{out}})
		l.report("r1", *b, action.Result{})
		require.Equal(t, pipeline.Succeeded, l.get(e.ID).Status)
		ids, digests = append(ids, e.ID), append(digests, out.Digest)
	}
	back := func() {
		e, err := l.Rollback(t.Context(), admin, "default", "web", service.RollbackInput{Stage: "S1", TargetID: ids[0]})
		require.NoError(t, err)
		l.report("r1", l.acquire("r1"), action.Result{})
		require.Equal(t, pipeline.Succeeded, l.get(e.ID).Status)
	}
	back()
	failing := l.start("web")
	l.report("r1", l.acquire("r1"), action.Failed(action.JobFailed, "no"))
	require.Equal(t, pipeline.Failed, l.get(failing.ID).Status)

	keep := service.NewRetention(service.RetentionConfig{
		Store: l.store, Artifacts: l.artifacts, Logs: l.logs, Policy: retention.Policy{Count: 1, KeepLastSuccessful: true},
		Every: time.Hour, Clock: l.now, Log: hclog.NewNullLogger(),
	})
	for range 3 {
		l.later(twoDays)
		_, err := keep.Apply(t.Context(), admin, false)
		require.NoError(t, err)
	}
	for i, digest := range digests {
		require.Zero(t, l.get(ids[i]).OutputsRemovedAt)
		_, err := l.artifacts.Tree(t.Context(), digest)
		require.NoError(t, err)
	}
	back()
}

func TestRetentionOfManyExecutions(t *testing.T) {
	t.Parallel()
	onEveryStore(t, retention.Policy{Count: 3}, func(k *keeper) {
		k.pipeline("p")
		const n = 450
		k.update(func(ctx context.Context, tx store.Tx) error {
			change := &execution.Change{}
			for i := range int64(n) {
				number, err := tx.NextNumber(ctx, "p")
				if err != nil {
					return err
				}
				id := "e" + string(rune('a'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10))
				change.Started = append(change.Started, &execution.Execution{
					ID: id, Account: "default", PipelineID: "p", Pipeline: "p", Number: number, Mode: pipeline.Superseded,
					Status: pipeline.Failed, StartedAt: k.now, EndedAt: k.now,
				})
			}
			return tx.Apply(ctx, change)
		})
		require.Equal(k.t, n-3, k.apply(true).ExecutionCount)
		require.Equal(k.t, n-3, k.apply(false).ExecutionCount)
		require.Zero(k.t, k.apply(false).ExecutionCount)
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
				k.Artifacts = &cutOff{Store: k.trees, work: work}
				_, err := k.Apply(k.t.Context(), admin, false)
				require.ErrorIs(k.t, err, errCutOff)

				k.Artifacts = k.trees
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
		k.Logs = &stubborn{Store: k.logs, keeps: "e1"}
		for range 2 {
			_, err := k.Apply(k.t.Context(), admin, false)
			require.ErrorIs(k.t, err, errCutOff)
			k.now = k.now.Add(2 * time.Hour)
		}
		require.True(k.t, k.hasLog("e1"))
		require.False(k.t, k.hasLog("e2"))
		require.Empty(k.t, k.has(tree))
		k.Logs = k.logs
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
		k.Artifacts = &cutOff{Store: k.trees, before: func(string) { k.put("tree", 0) }}
		require.Zero(k.t, k.apply(false).Removed)
		require.Equal(k.t, []string{"tree"}, k.has(tree))
		k.ran("p", "e1", pipeline.Succeeded, tree)
		k.Artifacts = k.trees
		k.now = k.now.Add(twoDays)
		k.apply(false)
		k.now = k.now.Add(twoDays)
		k.apply(false)
		require.Equal(k.t, []string{"tree"}, k.has(tree))
	})
}

func TestRetentionIsForAdminsOfAll(t *testing.T) {
	t.Parallel()
	onEveryStore(t, retention.Policy{Count: 1}, func(k *keeper) {
		_, err := k.Apply(k.t.Context(), identity(auth.Admin, "default"), true)
		requireRefused(k.t, err, service.KindDenied, pipeline.ReasonPermissionDenied)
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
				return tx.ArtifactRemoved(ctx, out.Digest, claimed, l.now())
			}))
			l.report("r1", a, action.Result{Artifacts: []action.Artifact{out}})
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
}
