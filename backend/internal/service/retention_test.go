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
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
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

const twoDays = 48 * time.Hour

// keeper is retention on real stores, with a clock that the test sets.
type keeper struct {
	*service.Retention

	config service.RetentionConfig
	t      *testing.T
	dir    string
	now    time.Time
	store  store.Store
	trees  *artifact.Store
	logs   *logs.Store
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
			opened, err := open(t)
			require.NoError(t, err)
			test(newKeeper(t, opened, policy))
		})
	}
}

// newKeeper takes the store over.
func newKeeper(t *testing.T, opened store.Store, policy retention.Policy) *keeper {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	k := &keeper{t: t, dir: t.TempDir(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), store: opened}
	trees, err := blob.Open(t.Context(), blob.DirectoryURL(k.dir), "artifacts")
	require.NoError(t, err)
	k.trees = artifact.New(trees, k.dir)
	outputs, err := blob.Open(t.Context(), blob.DirectoryURL(k.dir), "logs")
	require.NoError(t, err)
	k.logs = logs.New(outputs, logs.Config{Small: service.SmallLogs{Store: k.store}})
	k.config = service.RetentionConfig{
		Store: k.store, Artifacts: k.trees, Logs: k.logs, Policy: policy, Every: time.Hour,
		Clock: func() time.Time { return k.now }, Log: hclog.NewNullLogger(),
	}
	k.Retention = service.NewRetention(k.config)
	k.update(func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: "default"})
	})
	return k
}

// on lets retention work on other artifacts and logs.
func (k *keeper) on(trees service.Trees, kept service.LogRemover) {
	k.config.Artifacts, k.config.Logs = trees, kept
	k.Retention = service.NewRetention(k.config)
}

func (k *keeper) update(fn func(context.Context, store.Tx) error) {
	k.t.Helper()
	require.NoError(k.t, k.store.Update(k.t.Context(), fn))
}

func (k *keeper) pipeline(id string) {
	k.t.Helper()
	k.update(func(ctx context.Context, tx store.Tx) error {
		return tx.CreatePipeline(ctx, definition.Pipeline{ID: id, Account: "default", Name: id, Version: 1, Revision: 1})
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
	stored, err := trees.Store(t.Context(), content, root, action.Files{Dir: ".", Time: time.Unix(1, 0)})
	require.NoError(t, err)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "artifacts", stored.Digest[:2], stored.Digest[2:]), at, at))
	return stored.Artifact
}

func (k *keeper) put(content string, age time.Duration) action.Artifact {
	k.t.Helper()
	return putTree(k.t, k.trees, k.dir, content, k.now.Add(-age))
}

// ran is an execution that stored artifacts and wrote a log.
func (k *keeper) ran(pipelineID, id string, status pipeline.Status, artifacts ...action.Artifact) {
	k.t.Helper()
	k.add(&execution.Execution{PipelineID: pipelineID, ID: id, Type: pipeline.TypeStandard, Status: status}, artifacts...)
}

// rolledBack is a rollback that succeeded.
func (k *keeper) rolledBack(pipelineID, id, target string) {
	k.t.Helper()
	k.add(&execution.Execution{
		PipelineID: pipelineID, ID: id, Type: pipeline.TypeRollback, Status: pipeline.Succeeded,
		Rollback: &execution.Rollback{TargetID: target},
	})
}

func (k *keeper) add(e *execution.Execution, artifacts ...action.Artifact) {
	k.t.Helper()
	e.Account, e.Pipeline, e.Version, e.Mode, e.StartedAt = "default", e.PipelineID, 1, pipeline.Superseded, k.now
	if e.Status.Terminal() {
		e.EndedAt = k.now
	}
	stage := &execution.Stage{Name: "Build", Status: e.Status, StartedAt: k.now, EndedAt: e.EndedAt}
	a := &execution.Action{ID: e.ID + "-a", Name: "Compile", Status: e.Status, StartedAt: k.now, EndedAt: e.EndedAt, Details: execution.ActionDetails{Outputs: artifacts}}
	k.update(func(ctx context.Context, tx store.Tx) (err error) {
		if e.Number, err = tx.NextNumber(ctx, e.PipelineID); err != nil {
			return err
		}
		return tx.Apply(ctx, &execution.Change{
			Started: []*execution.Execution{e}, NewStages: []execution.StageOf{{ExecutionID: e.ID, Stage: stage}},
			NewActions: []execution.ActionOf{{ExecutionID: e.ID, Action: a}},
		})
	})
	writer := k.logs.Writer(&action.Attempt{Scope: action.Scope{ExecutionID: e.ID, ActionExecutionID: a.ID}, Number: 1})
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

// Of rollbacks that succeeded the newest is kept, and what those since the last standard
// success went back to; not the others, nor what rollbacks before it went back to.
func TestRetentionKeepsNoOtherRollbacks(t *testing.T) {
	t.Parallel()
	onEveryStore(t, retention.Policy{Count: 1, KeepLastSuccessful: true}, func(k *keeper) {
		k.pipeline("p")
		k.ran("p", "e1", pipeline.Succeeded)
		k.ran("p", "e2", pipeline.Succeeded)
		k.rolledBack("p", "e3", "e1")
		k.ran("p", "e4", pipeline.Succeeded)
		k.rolledBack("p", "e5", "e2")
		k.rolledBack("p", "e6", "e2")
		k.ran("p", "e7", pipeline.Failed)
		require.Equal(k.t, []string{"e1", "e3", "e5"}, removed(k.apply(false)))
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

func TestRetentionIsForAdminsOfAll(t *testing.T) {
	t.Parallel()
	onEveryStore(t, retention.Policy{Count: 1}, func(k *keeper) {
		_, err := k.Apply(k.t.Context(), identity(auth.Admin, "default"), true)
		requireRefused(k.t, err, service.KindDenied, pipeline.ReasonPermissionDenied)
	})
}
