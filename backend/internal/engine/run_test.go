package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestRun(t *testing.T) {
	t.Parallel()
	run(t, []script{
		{
			name:     "stages one after the other",
			pipeline: "Source: fetch | Build: ~compile | Ship: put",
			steps: []string{
				"start ann => 1 InProgress Source(fetch…)",
				"ok 1 fetch => 1 InProgress Source(fetch+)+ Build(compile…)",
				"again 1 compile => 1 InProgress Source(fetch+)+ Build(compile…)",
				"ok 1 compile => 1 InProgress Source(fetch+)+ Build(compile+)+ Ship(put…)",
				"ok 1 put => 1 Succeeded Source(fetch+)+ Build(compile+)+ Ship(put+)+",
				"ok 1 put => 1 Succeeded Source(fetch+)+ Build(compile+)+ Ship(put+)+",
			},
		},
		{
			name:     "a group starts together, the next when all of it succeeded",
			pipeline: "Build: a b; c; d e",
			steps: []string{
				"start ann => 1 InProgress Build(a… b…)",
				"ok 1 b => 1 InProgress Build(a… b+)",
				"ok 1 a => 1 InProgress Build(a+ b+ c…)",
				"ok 1 c => 1 InProgress Build(a+ b+ c+ d… e…)",
				"ok 1 e => ",
				"ok 1 d => 1 Succeeded Build(a+ b+ c+ d+ e+)+",
			},
		},
		{
			name:     "siblings of a failed action run to their end, then the stage fails",
			pipeline: "Build: a b c; d | Ship: put",
			steps: []string{
				"start ann => ",
				"fail 1 b => 1 InProgress Build(a… b! c…)",
				"ok 1 b => 1 InProgress Build(a… b! c…)",
				"ok 1 a => 1 InProgress Build(a+ b! c…)",
				"fail 1 c => 1 Failed Build(a+ b! c!)!",
			},
		},
		{
			name:     "lost and not to be retried",
			pipeline: "Build: a b",
			onLost:   pipeline.OnLostFail,
			steps: []string{
				"start ann => ",
				"lost 1 a => 1 InProgress Build(a! b…)",
				"ok 1 b => 1 Failed Build(a! b+)!",
			},
		},
		{
			name:     "the policy of the type where the action has none",
			pipeline: "Build: a",
			steps:    []string{"start ann => ", "lost 1 a => 1 Failed Build(a!)!"},
		},
		{
			name:     "retried as often as allowed; what a dead attempt says has no effect",
			pipeline: "Build: a; b",
			onLost:   pipeline.OnLostRetry,
			steps: []string{
				"start ann => ",
				"lost 1 a => 1 InProgress Build(a…)",
				"late 1 a 1 => 1 InProgress Build(a…)",
				"lost 1 a => 1 InProgress Build(a…)",
				"late 1 a 2 => 1 InProgress Build(a…)",
				"lost 1 a => 1 Failed Build(a!)!",
				"late 1 a 3 => 1 Failed Build(a!)!",
			},
		},
		{
			name:     "a retried attempt counts",
			pipeline: "Build: a",
			onLost:   pipeline.OnLostRetry,
			steps:    []string{"start ann => ", "lost 1 a => ", "ok 1 a => 1 Succeeded Build(a+)+"},
		},
	})
}

// A result must end only the kind of work that it is the result of.
func TestResultOfOtherWorkHasNoEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Build: a ~b ?c"))
	e := w.start("ann", nil)
	for _, name := range []string{"a", "c"} {
		w.must(e.Scope(), engine.Finish{ExecutionID: e.ID, ActionExecutionID: w.action(e, name).ID})
	}
	for _, name := range []string{"b", "c"} {
		id := w.action(e, name).ID
		w.must(e.Scope(), engine.Finish{ExecutionID: e.ID, ActionExecutionID: id, Attempt: 1})
		w.must(e.Scope(), engine.Lost{ExecutionID: e.ID, ActionExecutionID: id, Attempt: 1})
	}
	for _, name := range []string{"a", "c"} {
		w.must(e.Scope(), engine.Again{ExecutionID: e.ID, ActionExecutionID: w.action(e, name).ID})
	}
	require.Equal(t, "1 InProgress Build(a… b… c…)", w.state())
}

func TestVariablesAreResolvedAtTheStartOfTheAction(t *testing.T) {
	t.Parallel()
	def := define("Source: fetch | Build: ~compile | Ship: put")
	def.Stages[0].Actions[0].Namespace = "src"
	compile := &def.Stages[1].Actions[0]
	compile.Configuration = map[string]string{
		"what": "#{src.CommitId} for #{variables.env} in #{codepipeline.PipelineExecutionId}",
	}
	compile.EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "SHA", Value: "#{src.CommitId}"}}
	def.Stages[2].Actions[0].Configuration = map[string]string{"message": "#{src.Message}"}
	w := newWorld(t, def)
	e := w.start("ann", map[string]string{"env": "prod"})
	w.must(e.Scope(), w.finish(e, "fetch", action.Result{
		Variables: map[string]string{"CommitId": "#{variables.env}"},
		Revision:  &action.Revision{ID: "c0ffee", Summary: "a commit"},
	}))
	a := w.action(e, "compile")
	resolved := map[string]string{"what": "#{variables.env} for prod in e1"}
	require.Equal(t, resolved, a.Details.Configuration)
	require.Equal(t, []execution.SourceRevision{{Action: "fetch", Revision: action.Revision{ID: "c0ffee", Summary: "a commit"}}}, e.Revisions)
	for range 2 {
		turn := w.model.turns[a.ID].Work.Action
		require.Equal(t, resolved, turn.Configuration)
		require.Equal(t, "#{variables.env}", turn.EnvironmentVariables[0].Value, "also in the turns after the first")
		require.NoError(t, w.step("again 1 compile"))
	}
	require.Equal(t, "#{src.CommitId}", def.Stages[1].Actions[0].EnvironmentVariables[0].Value, "the definition is nobody's to change")

	require.NoError(t, w.step("ok 1 compile"))
	require.Equal(t, "1 Failed Source(fetch+)+ Build(compile+)+ Ship(put!)!", w.state())
	failure := w.action(e, "put").Details.Failure
	require.Equal(t, action.ConfigurationError, failure.Code)
	require.Contains(t, failure.Message, "#{src.Message}")
}

func TestArtifactsFlowToInputs(t *testing.T) {
	t.Parallel()
	def := define("Source: fetch | Build: compile | Ship: put")
	def.Stages[1].Actions[0].InputArtifacts = []string{"src"}
	def.Stages[2].Actions[0].InputArtifacts = []string{"bin", "src"}
	src, bin := action.Artifact{Name: "src", Digest: "d1", Size: 1}, action.Artifact{Name: "bin", Digest: "d2", Size: 2}

	w := newWorld(t, def)
	e := w.start("ann", nil)
	w.must(e.Scope(), w.finish(e, "fetch", action.Result{Artifacts: []action.Artifact{src}}))
	compile := w.action(e, "compile")
	require.Equal(t, []action.Artifact{src}, w.model.leases[compile.ID].Attempt.Inputs)
	w.must(e.Scope(), w.finish(e, "compile", action.Result{Artifacts: []action.Artifact{bin}}))
	require.Equal(t, []action.Artifact{bin, src}, w.model.leases[w.action(e, "put").ID].Attempt.Inputs)

	w = newWorld(t, def)
	e = w.start("ann", nil)
	w.must(e.Scope(), w.finish(e, "fetch", action.Result{}))
	require.Equal(t, "1 Failed Source(fetch+)+ Build(compile!)!", w.state())
	require.Contains(t, w.action(e, "compile").Details.Failure.Message, `"src"`)
}

func TestUnknownActionTypeFailsTheAction(t *testing.T) {
	t.Parallel()
	def := define("Build: a b | Ship: put")
	def.Stages[0].Actions[0].Provider = "Nobody"
	w := newWorld(t, def)
	e := w.start("ann", nil)
	require.Equal(t, "1 InProgress Build(a! b…)", w.state())
	require.Contains(t, w.action(e, "a").Details.Failure.Message, "Nobody")
	require.NoError(t, w.step("ok 1 b"))
	require.Equal(t, "1 Failed Build(a! b+)!", w.state())
}

func TestTooLargeOutputFailsTheAction(t *testing.T) {
	t.Parallel()
	for size, status := range map[int]pipeline.Status{action.MaxOutputBytes - 1: pipeline.Succeeded, action.MaxOutputBytes: pipeline.Failed} {
		w := newWorld(t, define("Build: a"))
		e := w.start("ann", nil)
		w.must(e.Scope(), w.finish(e, "a", action.Result{Variables: map[string]string{"k": strings.Repeat("x", size)}}))
		require.Equal(t, status, w.execution(1).Status)
	}
}

func TestFailureIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Build: a"))
	e := w.start("ann", nil)
	w.must(e.Scope(), w.finish(e, "a", action.Result{
		Failure: &action.Failure{Code: action.TimedOut, Message: "after 1h"}, ExternalID: "x1", ExternalURL: "https://x/1",
		Variables: map[string]string{"k": "v"}, Artifacts: []action.Artifact{{Name: "bin"}},
	}))
	details := w.action(e, "a").Details
	require.Equal(t, "x1", details.ExternalID)
	require.Equal(t, "https://x/1", details.ExternalURL)
	require.Empty(t, details.Variables, "a failed action publishes nothing")
	require.Empty(t, details.Outputs)
	require.Contains(t, e.Summary, "action a of stage Build failed")
	var told []string
	for _, ev := range w.model.events {
		told = append(told, string(ev.Subject)+" "+string(ev.State)+" "+ev.Message)
	}
	require.Equal(t, []string{
		"execution STARTED ", "stage STARTED ", "action STARTED ", "action FAILED TimedOut: after 1h", "stage FAILED ",
		"execution FAILED action a of stage Build failed: TimedOut: after 1h",
	}, told)
}

func TestTimeoutGoesWithTheAttempt(t *testing.T) {
	t.Parallel()
	def := define("Build: a b")
	def.Stages[0].Actions[1].TimeoutInMinutes = 7
	w := newWorld(t, def)
	e := w.start("ann", nil)
	require.Equal(t, time.Hour, w.model.leases[w.action(e, "a").ID].Attempt.Timeout)
	require.Equal(t, 7*time.Minute, w.model.leases[w.action(e, "b").ID].Attempt.Timeout)
}

func TestAgainCarriesStateToALaterTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Build: ~a"))
	e := w.start("ann", nil)
	id := w.action(e, "a").ID
	require.Nil(t, w.model.turns[id].Work.State)
	w.must(e.Scope(), engine.Again{ExecutionID: e.ID, ActionExecutionID: id, Again: action.Again{State: []byte("page 2"), Delay: time.Minute}})
	require.Equal(t, "page 2", string(w.model.turns[id].Work.State))
	require.WithinDuration(t, w.now.Add(time.Minute), w.model.turns[id].DueAt, time.Microsecond)
}

func TestExecutionIsPinnedToItsVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Source: fetch | Build: old"))
	w.start("ann", nil)
	w.versions = append(w.versions, define("Source: fetch | Build: new; newer"))
	w.start("bob", nil)
	require.NoError(t, w.step("ok 1 fetch"))
	require.NoError(t, w.step("ok 1 old"))
	require.NoError(t, w.step("ok 2 fetch"))
	require.Equal(t, "1 Succeeded Source(fetch+)+ Build(old+)+ | 2 InProgress Source(fetch+)+ Build(new…)", w.state())
	require.Equal(t, int64(2), w.model.leases[w.action(w.execution(2), "new").ID].Attempt.PipelineVersion)
}

func TestStartTwiceIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Source: fetch"))
	e := w.start("ann", nil)
	_, err := w.decide(e.Scope(), engine.Start{Execution: clone(e)})
	require.ErrorContains(t, err, "started before")
}
