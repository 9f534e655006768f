package storetest

import (
	"bytes"
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// made is an execution of a pipeline with one action that stored artifacts.
func made(pipelineID, id string, number int64, status pipeline.Status, ended time.Time, digests ...string) *execution.Change {
	e := &execution.Execution{
		ID: id, Account: "a", PipelineID: pipelineID, Pipeline: pipelineID, Number: number, Version: 1,
		Mode: pipeline.Superseded, Status: status, StartedAt: day(), UpdatedAt: ended, EndedAt: ended,
	}
	stage := &execution.Stage{Name: "Build", Status: status, StartedAt: day(), EndedAt: ended}
	a := &execution.Action{ID: id + "-a", Name: "Compile", Status: status, StartedAt: day(), EndedAt: ended}
	for _, digest := range digests {
		a.Details.Outputs = append(a.Details.Outputs, action.Artifact{Name: "out", Digest: digest, Size: 10})
	}
	return &execution.Change{
		Started:    []*execution.Execution{e},
		NewStages:  []execution.StageOf{{ExecutionID: id, Stage: stage}},
		NewActions: []execution.ActionOf{{ExecutionID: id, Action: a}},
	}
}

// outputs returns the ids of the executions that retention has left alone.
func (s *suite) outputs(pipelineID string) (ids []string) {
	s.t.Helper()
	for _, e := range get(s, func(ctx context.Context, r store.Reader) ([]*execution.Execution, error) {
		return r.ExecutionsWithOutputs(ctx, pipelineID, 0, 0)
	}) {
		ids = append(ids, e.ID)
	}
	return ids
}

func (s *suite) uses(digests ...string) map[string]int {
	s.t.Helper()
	return get(s, func(ctx context.Context, r store.Reader) (map[string]int, error) { return r.CountUses(ctx, digests) })
}

func (s *suite) removal(digest string) (store.ArtifactRemoval, bool) {
	s.t.Helper()
	removal, ok := get(s, func(ctx context.Context, r store.Reader) (map[string]store.ArtifactRemoval, error) {
		return r.ArtifactRemovals(ctx, []string{digest, "of nobody"})
	})[digest]
	return removal, ok
}

func (s *suite) logRemovals() []string {
	s.t.Helper()
	return get(s, func(ctx context.Context, r store.Reader) ([]string, error) { return r.LogRemovals(ctx, 10) })
}

func (s *suite) removeOutputs(ended, at time.Time, ids ...string) (removed []string) {
	s.t.Helper()
	s.update(func(ctx context.Context, tx store.Tx) (err error) {
		removed, err = tx.RemoveOutputs(ctx, ids, ended, at)
		return err
	})
	return removed
}

func testOutputsAreRemovedOnce(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	ended := day().Add(time.Hour)
	s.apply(made("p", "e1", 1, pipeline.Failed, ended, "d1", "shared"))
	s.apply(made("p", "e2", 2, pipeline.Succeeded, ended, "d2", "shared"))
	s.apply(made("p", "e3", 3, pipeline.InProgress, time.Time{}, "shared"))
	s.apply(made("p", "e4", 4, pipeline.Succeeded, ended.Add(time.Hour), "shared"))
	require.Equal(t, []string{"e1", "e2", "e3", "e4"}, s.outputs("p"))
	require.Equal(t, []store.ArtifactUse{{ExecutionID: "e3", Digest: "shared", Size: 10}},
		get(s, func(ctx context.Context, r store.Reader) ([]store.ArtifactUse, error) {
			return r.ArtifactUses(ctx, []string{"e3"})
		}))

	at := day().Add(30 * 24 * time.Hour)
	require.Empty(t, s.removeOutputs(ended, at))
	require.ElementsMatch(t, []string{"e1", "e2"}, s.removeOutputs(ended, at, "e1", "e2", "e3", "e4", "unknown"),
		"neither what is live nor what ended later")
	require.Equal(t, []string{"e3", "e4"}, s.outputs("p"))
	require.Equal(t, at, get(s, executionByID("e1")).OutputsRemovedAt)
	require.Len(t, get(s, executionByID("e1")).Stages[0].Actions[0].Details.Outputs, 2, "the record stays")
	require.Equal(t, []string{"e1", "e2"}, s.logRemovals())
	require.Equal(t, map[string]int{"shared": 2}, s.uses("d1", "d2", "shared"))

	s.update(func(ctx context.Context, tx store.Tx) error { return tx.FinishLogRemovals(ctx, []string{"e1"}) })
	require.Empty(t, s.removeOutputs(ended, at.Add(time.Hour), "e1", "e2"), "they were before")
	require.Equal(t, at, get(s, executionByID("e1")).OutputsRemovedAt)
	require.Equal(t, []string{"e2"}, s.logRemovals())

	// Who read the execution before that and wants it live again has to look again.
	again := made("p", "e1", 1, pipeline.InProgress, time.Time{}).Started[0]
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error {
		return tx.Apply(ctx, &execution.Change{Updated: []*execution.Execution{again}, Resumed: []*execution.Execution{again}})
	}), store.ErrStale)
	require.Equal(t, pipeline.Failed, get(s, executionByID("e1")).Status)
}

func (s *suite) smallLogs(executionID, actionExecutionID string) (found []action.SmallLog) {
	s.t.Helper()
	for _, l := range get(s, func(ctx context.Context, r store.Reader) ([]execution.Log, error) {
		return r.SmallLogs(ctx, executionID, actionExecutionID)
	}) {
		require.Equal(s.t, [2]string{executionID, actionExecutionID}, [2]string{l.ExecutionID, l.ActionExecutionID})
		found = append(found, l.SmallLog)
	}
	return found
}

func testSmallLogs(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	s.pipeline("q")
	of := func(pipelineID, id string, number int64, l action.SmallLog) *execution.Change {
		change := made(pipelineID, id, number, pipeline.Succeeded, day())
		change.Log = &execution.Log{ExecutionID: id, ActionExecutionID: id + "-a", SmallLog: l}
		return change
	}
	large := action.SmallLog{Attempt: 10, Start: 1 << 33, Data: bytes.Repeat([]byte("\x00\xff'"), 6<<10)}
	first := action.SmallLog{Attempt: 2, Data: []byte("one\n")}
	s.apply(of("p", "e1", 1, large))
	s.apply(&execution.Change{Log: &execution.Log{ExecutionID: "e1", ActionExecutionID: "e1-a", SmallLog: first}})
	s.apply(of("p", "e2", 2, first))
	s.apply(of("q", "e3", 1, first))
	require.Equal(t, []action.SmallLog{first, large}, s.smallLogs("e1", "e1-a"), "by attempt")
	require.Empty(t, s.smallLogs("e1", "e2-a"))
	require.Empty(t, s.smallLogs("e2", "e1-a"))

	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error {
		change := of("p", "e4", 4, first)
		change.Resumed = change.Started
		change.Started = nil
		return tx.Apply(ctx, change)
	}), store.ErrStale)
	require.Empty(t, s.smallLogs("e4", "e4-a"), "what is rolled back leaves none")

	require.Equal(t, []string{"e1"}, s.removeOutputs(day(), day(), "e1"))
	require.Empty(t, s.smallLogs("e1", "e1-a"))
	require.Len(t, s.smallLogs("e2", "e2-a"), 1)
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.DeletePipeline(ctx, "p", 1) })
	require.Empty(t, s.smallLogs("e2", "e2-a"))
	require.Equal(t, []action.SmallLog{first}, s.smallLogs("e3", "e3-a"))
}

func testArtifactGoesWhenNobodyUsesIt(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	s.pipeline("q")
	s.apply(made("p", "e1", 1, pipeline.Succeeded, day(), "only p", "both"))
	s.apply(made("q", "e2", 1, pipeline.Succeeded, day(), "both"))
	mark := func(at time.Time) {
		s.update(func(ctx context.Context, tx store.Tx) error {
			return tx.MarkArtifacts(ctx, []string{"only p", "both"}, at)
		})
	}
	mark(day())
	_, marked := s.removal("only p")
	require.False(t, marked, "it is used")

	s.update(func(ctx context.Context, tx store.Tx) error { return tx.DeletePipeline(ctx, "p", 1) })
	require.Equal(t, []string{"e1"}, s.logRemovals())
	require.Equal(t, map[string]int{"both": 1}, s.uses("only p", "both"))
	mark(day())
	mark(day().Add(time.Hour))
	_, marked = s.removal("both")
	require.False(t, marked)
	seen, marked := s.removal("only p")
	require.True(t, marked)
	require.Equal(t, store.ArtifactRemoval{MarkedAt: day()}, seen, "since when it was noted first")

	// A new use of what is marked is none of a problem, and keeps it from being claimed.
	s.apply(made("q", "e3", 2, pipeline.Succeeded, day(), "only p"))
	claim := func() error {
		return s.try(func(ctx context.Context, tx store.Tx) error {
			return tx.ClaimArtifact(ctx, "only p", seen, day().Add(time.Hour))
		})
	}
	require.ErrorIs(t, claim(), store.ErrStale)
	s.removeOutputs(day(), day(), "e3")
	require.NoError(t, claim())
	require.ErrorIs(t, claim(), store.ErrStale, "one claims it")

	use := func(id string, number int64) error {
		return s.try(func(ctx context.Context, tx store.Tx) error {
			return tx.Apply(ctx, made("q", id, number, pipeline.Succeeded, day(), "only p"))
		})
	}
	require.ErrorIs(t, use("e4", 3), store.ErrRemoving)
	missing(s, executionByID("e4"))
	s.update(func(ctx context.Context, tx store.Tx) error {
		return tx.FinishArtifactRemoval(ctx, "only p", day().Add(time.Hour), day().Add(2*time.Hour))
	})
	require.ErrorIs(t, use("e4", 3), store.ErrRemoving, "it went lately: the tree of who comes late may have gone with it")

	keep := func(claimed time.Time) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.RestoreArtifact(ctx, "only p", claimed) })
	}
	require.ErrorIs(t, keep(day()), store.ErrStale)
	require.NoError(t, keep(day().Add(time.Hour)))
	require.NoError(t, use("e4", 3))
}

func testRemovalThatIsCutOff(s *suite) {
	t := s.t
	at := func(hours int) time.Time { return day().Add(time.Duration(hours) * time.Hour) }
	s.update(func(ctx context.Context, tx store.Tx) error {
		if err := tx.MarkArtifacts(ctx, []string{"marked", "claimed", "removed"}, at(0)); err != nil {
			return err
		}
		for _, digest := range []string{"claimed", "removed"} {
			if err := tx.ClaimArtifact(ctx, digest, store.ArtifactRemoval{MarkedAt: at(0)}, at(1)); err != nil {
				return err
			}
		}
		return tx.FinishArtifactRemoval(ctx, "removed", at(1), at(2))
	})
	forget := func(before time.Time) {
		s.update(func(ctx context.Context, tx store.Tx) error { return tx.PruneRemovals(ctx, before) })
	}
	forget(at(0))
	_, marked := s.removal("marked")
	require.True(t, marked)
	forget(at(3))
	_, marked = s.removal("marked")
	require.False(t, marked)
	_, removed := s.removal("removed")
	require.False(t, removed)
	cutOff, claimed := s.removal("claimed")
	require.True(t, claimed, "nobody knows whether it is gone")

	// Another goes on with it, and the first is not believed any more.
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.ClaimArtifact(ctx, "claimed", cutOff, at(4)) })
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error {
		return tx.FinishArtifactRemoval(ctx, "claimed", at(1), at(5))
	}), store.ErrStale)
	s.update(func(ctx context.Context, tx store.Tx) error {
		return tx.FinishArtifactRemoval(ctx, "claimed", at(4), at(5))
	})
}

func testRollbackUsesWhatItGot(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	s.apply(made("p", "e1", 1, pipeline.Succeeded, day(), "d1"))
	rollback := made("p", "e2", 2, pipeline.Succeeded, day(), "d2")
	rollback.Started[0].Type = pipeline.TypeRollback
	rollback.Started[0].Rollback = &execution.Rollback{TargetID: "e1", TargetNumber: 1, Artifacts: []action.Artifact{{Name: "out", Digest: "d1", Size: 10}}}
	s.apply(rollback)
	s.removeOutputs(day(), day(), "e1")
	require.Equal(t, map[string]int{"d1": 1, "d2": 1}, s.uses("d1", "d2"))
}
