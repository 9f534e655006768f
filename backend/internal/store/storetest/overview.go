package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func (s *suite) overviews(ids ...string) []store.PipelineOverview {
	s.t.Helper()
	return get(s, func(ctx context.Context, r store.Reader) ([]store.PipelineOverview, error) {
		return r.Overviews(ctx, ids)
	})
}

func (s *suite) marks(account string) map[string]store.PipelineMark {
	s.t.Helper()
	marks := make(map[string]store.PipelineMark)
	for _, m := range get(s, func(ctx context.Context, r store.Reader) ([]store.PipelineMark, error) {
		return r.PipelineMarks(ctx, account)
	}) {
		marks[m.Name] = m
	}
	return marks
}

// inStages is an execution of a pipeline with a stage of each status, of which the last has not
// been entered if waits is set.
func inStages(pipelineID, id string, number int64, status pipeline.Status, waits bool, stages ...pipeline.Status) *execution.Change {
	e := &execution.Execution{
		ID: id, Account: "a", PipelineID: pipelineID, Pipeline: "name of " + pipelineID, Number: number, Version: 1,
		Mode: pipeline.Queued, Type: pipeline.TypeStandard, Attempt: 1, Status: status, StartedAt: day(), UpdatedAt: day(),
	}
	change := &execution.Change{Started: []*execution.Execution{e}}
	for i, status := range stages {
		stage := &execution.Stage{Position: i, Name: fmt.Sprintf("S%d", i), Status: status, ArrivedAt: day(), StartedAt: day().Add(time.Duration(i) * time.Minute)}
		if status.Terminal() {
			stage.EndedAt = stage.StartedAt.Add(time.Second)
		}
		if waits && i == len(stages)-1 {
			stage.StartedAt = time.Time{}
		}
		change.NewStages = append(change.NewStages, execution.StageOf{ExecutionID: id, Stage: stage})
	}
	return change
}

// passages returns the stages of an overview as texts.
func passages(o store.PipelineOverview) (all []string) {
	for _, s := range o.Stages {
		all = append(all, fmt.Sprintf("%s %s %s", s.ExecutionID, s.Name, s.Status))
	}
	return all
}

func testOverviews(s *suite) {
	t := s.t
	s.account("a")
	for _, id := range []string{"p", "q", "r"} {
		s.pipeline(id)
	}
	require.Empty(t, s.overviews())
	require.Empty(t, s.overviews("unknown"))
	idle := s.overviews("q", "p")
	require.Len(t, idle, 2)
	require.Equal(t, "name of p", idle[0].Name)
	require.Nil(t, idle[0].Latest)
	require.Equal(t, &execution.PipelineState{}, idle[0].State)

	// p1 has gone through all, p2 is in S1 and waits for an approval, p3 and p4 wait for that.
	key := execution.ScopeKey{PipelineID: "p"}
	s.apply(inStages("p", "p1", 1, pipeline.Succeeded, false, pipeline.Succeeded, pipeline.Succeeded, pipeline.Failed))
	second := inStages("p", "p2", 2, pipeline.InProgress, false, pipeline.Succeeded, pipeline.InProgress)
	second.Turns = []*execution.Turn{{ID: "action", Kind: execution.TurnExpire, ExecutionID: "p2", Scope: key, DueAt: day()}}
	s.apply(second)
	s.apply(inStages("p", "p3", 3, pipeline.Stopping, true, pipeline.Succeeded, pipeline.InProgress))
	last := inStages("p", "p4", 4, pipeline.InProgress, true, pipeline.Succeeded, pipeline.InProgress)
	last.Turns = []*execution.Turn{{ID: "p4/0", Kind: execution.TurnRecheck, ExecutionID: "p4", Scope: key, DueAt: day()}}
	last.Scope = key
	last.State = &execution.PipelineState{Stages: map[string]*execution.StageState{
		"S0":   {Latest: &execution.Passage{ExecutionID: "p4", Number: 4, Version: 1}},
		"S1":   {Latest: &execution.Passage{ExecutionID: "p2", Number: 2, Version: 1}, Transition: &execution.Transition{Disabled: true, Reason: "why"}},
		"S2":   {Latest: &execution.Passage{ExecutionID: "p1", Number: 1, Version: 1}},
		"gone": {},
	}}
	s.apply(last)
	s.apply(inStages("q", "q1", 1, pipeline.InProgress, false, pipeline.InProgress))

	all := s.overviews("q", "p", "r", "unknown")
	require.Len(t, all, 3)
	p, q := all[0], all[1]
	require.Equal(t, "p4", p.Latest.ID)
	require.Equal(t, pipeline.TypeStandard, p.Latest.Type)
	require.Equal(t, last.State, p.State)
	require.ElementsMatch(t, []string{"p1 S2 Failed", "p2 S1 InProgress", "p4 S0 Succeeded", "p4 S1 InProgress"}, passages(p))
	require.Equal(t, 3, p.Live)
	require.Equal(t, map[string]int{"S1": 2}, p.Waiting)
	require.Equal(t, map[string]int{"S1": 1}, p.Approvals)
	for _, stage := range p.Stages {
		if stage.ExecutionID == "p1" {
			require.Equal(t, day().Add(2*time.Minute), stage.StartedAt)
			require.Equal(t, day().Add(2*time.Minute+time.Second), stage.EndedAt)
		}
	}
	require.Equal(t, "q1", q.Latest.ID)
	require.Equal(t, []string{"q1 S0 InProgress"}, passages(q))
	require.Equal(t, 1, q.Live)
	require.Empty(t, q.Waiting)
	require.Empty(t, q.Approvals)
	require.ElementsMatch(t, []string{"p", "q"}, get(s, func(ctx context.Context, r store.Reader) ([]string, error) {
		return r.PipelinesOf(ctx, []string{"p1", "p4", "q1", "unknown"})
	}))
}

// testMarks holds that a mark differs after each kind of change of a pipeline.
func testMarks(s *suite) {
	t := s.t
	s.account("a")
	s.account("b")
	s.pipeline("p")
	s.pipeline("q")
	require.Empty(t, s.marks("b"))
	before := s.marks("a")
	require.Len(t, before, 2)
	require.Equal(t, before["name of p"], s.overviews("p")[0].PipelineMark)
	s.update(func(ctx context.Context, tx store.Tx) error {
		return tx.ClaimScope(ctx, execution.ScopeKey{PipelineID: "p"}, 0, 7)
	})
	claimed := s.marks("a")
	require.NotEqual(t, before["name of p"], claimed["name of p"])
	require.Equal(t, before["name of q"], claimed["name of q"])
	s.update(func(ctx context.Context, tx store.Tx) error {
		p, err := tx.Pipeline(ctx, "a", "name of p")
		if err != nil {
			return err
		}
		return tx.UpdatePipeline(ctx, p)
	})
	require.NotEqual(t, claimed["name of p"], s.marks("a")["name of p"])
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.DeletePipeline(ctx, "p", 2) })
	require.Equal(t, map[string]store.PipelineMark{"name of q": before["name of q"]}, s.marks("a"))
}

func testNewestVersions(s *suite) {
	t := s.t
	s.account("a")
	for _, id := range []string{"p", "q", "r"} {
		s.pipeline(id)
	}
	for _, v := range []definition.Version{{PipelineID: "p", Version: 1}, {PipelineID: "p", Version: 2}, {PipelineID: "q", Version: 1}} {
		v.Definition = pipeline.Definition{Stages: []pipeline.Stage{{Name: fmt.Sprintf("%s%d", v.PipelineID, v.Version)}}}
		s.update(func(ctx context.Context, tx store.Tx) error {
			p, err := tx.Pipeline(ctx, "a", "name of "+v.PipelineID)
			if err != nil {
				return err
			}
			p.Version = v.Version
			return errors.Join(tx.CreatePipelineVersion(ctx, v), tx.UpdatePipeline(ctx, p))
		})
	}
	var names []string
	for _, v := range get(s, func(ctx context.Context, r store.Reader) ([]definition.Version, error) {
		return r.NewestVersions(ctx, []string{"p", "q", "r", "unknown"})
	}) {
		names = append(names, v.Definition.Stages[0].Name)
	}
	require.ElementsMatch(t, []string{"p2", "q1"}, names)
}
