package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// version1 makes a database as schema version 1 left it, see testdata.
func version1(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "headrace.db")
	onFile(t, path, func(db *sql.DB) {
		require.NoError(t, sqlite.MigrateTo(t.Context(), db, 1))
		rows, err := os.ReadFile(filepath.Join("testdata", "version1.sql"))
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), string(rows))
		require.NoError(t, err)
	})
	return path
}

// onFile works on a database that no store has open.
func onFile(t *testing.T, path string, fn func(db *sql.DB)) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=foreign_keys(1)")
	require.NoError(t, err)
	fn(db)
	require.NoError(t, db.Close())
}

func view(t *testing.T, s store.Store, fn func(ctx context.Context, r store.Reader) error) {
	t.Helper()
	require.NoError(t, s.View(t.Context(), fn))
}

func scope(t *testing.T, s store.Store, key execution.ScopeKey) (found store.LiveScope) {
	t.Helper()
	view(t, s, func(ctx context.Context, r store.Reader) (err error) {
		found, err = r.LiveScope(ctx, key)
		return err
	})
	return found
}

func TestVersion1IsUpgraded(t *testing.T) {
	t.Parallel()
	s := open(t, version1(t))
	t.Cleanup(func() { require.NoError(t, s.Close()) })

	phases := make(map[string][]execution.Phase)
	view(t, s, func(ctx context.Context, r store.Reader) error {
		for _, id := range []string{"e1", "e2", "e3", "e4", "e5", "e6", "e7"} {
			e, err := r.Execution(ctx, id)
			if err != nil {
				return err
			}
			require.Equal(t, pipeline.TypeStandard, e.Type)
			require.Equal(t, 1, e.Attempt)
			for _, stage := range e.Stages {
				phases[id] = append(phases[id], stage.Phase)
				require.Nil(t, stage.Retries)
				require.Empty(t, stage.Conditions)
				for _, a := range stage.Actions {
					require.False(t, a.Retried)
				}
			}
		}
		return nil
	})
	require.Equal(t, map[string][]execution.Phase{
		"e1": {execution.PhaseActions, execution.PhaseActions},  // Its entry was approved.
		"e2": {execution.PhaseActions, execution.PhaseApproval}, // Its entry was rejected.
		"e3": {execution.PhaseActions},
		"e4": {execution.PhaseActions, execution.PhaseApproval}, // Waits for the approval of its entry.
		"e5": {execution.PhaseActions, ""},                      // Waits in front of the stage.
		"e6": {execution.PhaseActions},                          // Runs behind an approved entry.
		"e7": {execution.PhaseActions},
	}, phases)

	p := scope(t, s, execution.ScopeKey{PipelineID: "p"})
	require.Len(t, p.Live, 3)
	passage := func(id string, number, version int64) *execution.Passage {
		return &execution.Passage{ExecutionID: id, Number: number, Version: version}
	}
	require.Equal(t, &execution.PipelineState{Stages: map[string]*execution.StageState{
		"Source":  {Latest: passage("e6", 6, 2), Succeeded: passage("e5", 5, 2)},
		"Release": {Latest: passage("e4", 4, 2), Succeeded: passage("e1", 1, 1)},
	}}, p.State)
	require.Empty(t, scope(t, s, execution.ScopeKey{PipelineID: "q"}).State.Stages, "only PARALLEL executions")
	parallel := scope(t, s, execution.ScopeKey{PipelineID: "q", ExecutionID: "e7"})
	require.Len(t, parallel.Live, 1)
	require.Equal(t, &execution.PipelineState{}, parallel.State)
	require.Equal(t, &execution.PipelineState{}, scope(t, s, execution.ScopeKey{PipelineID: "r"}).State)

	view(t, s, func(ctx context.Context, r store.Reader) error {
		events, err := r.Events(ctx, "e1", 0, 0)
		require.Len(t, events, 2)
		for _, ev := range events {
			require.Equal(t, 1, ev.ExecutionAttempt)
			require.Empty(t, ev.Condition)
		}
		return err
	})
	view(t, s, func(ctx context.Context, r store.Reader) error {
		page, err := r.Feed(ctx, store.FeedQuery{})
		require.NotEmpty(t, page.Events)
		for i, ev := range page.Events {
			require.Equal(t, int64(i+1), ev.Position, "the feed has what was before it")
		}
		return err
	})
	view(t, s, func(ctx context.Context, r store.Reader) error {
		uses, err := r.ArtifactUses(ctx, []string{"e1", "e2", "e3", "e4", "e5", "e6", "e7"})
		require.Equal(t, []store.ArtifactUse{{ExecutionID: "e1", Digest: "d1", Size: 10}, {ExecutionID: "e1", Digest: "d2", Size: 20}}, uses,
			"retention must not take them for what nobody uses")
		return err
	})
	view(t, s, func(ctx context.Context, r store.Reader) error {
		ready, held, err := r.CountAttempts(ctx)
		require.Equal(t, 2, ready+held)
		return err
	})
}

// What version 1 does not know is gone after the way down, and the way up again
// ends where the first did.
func TestVersion2GoesDownAndUp(t *testing.T) {
	t.Parallel()
	path := version1(t)
	s := open(t, path)
	before := scope(t, s, execution.ScopeKey{PipelineID: "p"})
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rollback := &execution.Execution{ID: "e9", Account: "a", PipelineID: "p", Number: 9, Mode: pipeline.Superseded, Type: pipeline.TypeRollback, Status: pipeline.InProgress}
	stage := &execution.Stage{Position: 1, Name: "Release", Status: pipeline.InProgress, StartedAt: day}
	lease := &execution.Lease{Scope: rollback.Scope(), QueuedAt: day}
	lease.Attempt.ExecutionID, lease.Attempt.ActionExecutionID = "e9", "x90"
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.Apply(ctx, &execution.Change{
			Started: []*execution.Execution{rollback}, NewStages: []execution.StageOf{{ExecutionID: "e9", Stage: stage}},
			NewActions: []execution.ActionOf{
				{ExecutionID: "e9", Action: &execution.Action{ID: "x90", Stage: 1}},
				{ExecutionID: "e6", Action: &execution.Action{ID: "x91", Retried: true}},
			},
			Leases: []*execution.Lease{lease}, Turns: []*execution.Turn{{ID: "e9/1", ExecutionID: "e9", Scope: rollback.Scope()}},
		})
	}))
	require.Len(t, scope(t, s, execution.ScopeKey{PipelineID: "p"}).Live, 4)
	require.NoError(t, s.Close())

	onFile(t, path, func(db *sql.DB) { require.NoError(t, sqlite.MigrateTo(t.Context(), db, 1)) })
	s = open(t, path)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.Equal(t, before, scope(t, s, execution.ScopeKey{PipelineID: "p"}))
	view(t, s, func(ctx context.Context, r store.Reader) error {
		ready, held, err := r.CountAttempts(ctx)
		require.Equal(t, 2, ready+held)
		return err
	})
	view(t, s, func(ctx context.Context, r store.Reader) error {
		turns, err := r.Turns(ctx)
		require.Len(t, turns, 1)
		return err
	})
}
