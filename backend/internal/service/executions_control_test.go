package service_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// A start may fail a stage at once, before an action ran, so that nothing is rolled back:
// the caller gets the execution that it started, and the same again.
func TestStartThatFailsAtOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	def := stages("", []string{"a"}, []string{"b"})
	yes := "yes"
	def.Variables = []pipeline.Variable{{Name: "fetch", DefaultValue: &yes}}
	def.Stages[0].BeforeEntry = &pipeline.Condition{Result: pipeline.ResultSkip, Rules: []pipeline.Rule{{
		Name: "fetch", Provider: "VariableCheck",
		Configuration: map[string]string{"Variable": "#{variables.fetch}", "Operator": "EQ", "Value": "yes"},
	}}}
	def.Stages[0].Actions[0].Namespace = "source"
	def.Stages[0].Actions[0].OutputVariables = []string{"COMMIT"}
	// Nobody leaves it where the stage before is skipped.
	def.Stages[1].Actions[0].EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "COMMIT", Value: "#{source.COMMIT}"}}
	def.Stages[1].OnFailure = &pipeline.OnFailure{Result: pipeline.ResultRollback}
	l.pipeline("web", def)
	good := l.start("web")
	b := l.report("r1", l.acquire("r1"), action.Result{Variables: map[string]string{"COMMIT": "abc"}})
	l.report("r1", *b, action.Result{})
	require.Equal(t, pipeline.Succeeded, l.get(good.ID).Status)

	in := service.StartInput{RequestID: "r1", Variables: map[string]string{"fetch": "no"}}
	bad, err := l.Start(t.Context(), admin, "default", "web", in)
	require.NoError(t, err)
	require.Equal(t, pipeline.TypeStandard, bad.Type)
	require.Equal(t, pipeline.Failed, bad.Status)
	again, err := l.Start(t.Context(), admin, "default", "web", in)
	require.NoError(t, err)
	require.Equal(t, bad.ID, again.ID)
	all, err := l.List(t.Context(), admin, "default", service.ExecutionQuery{Pipeline: "web"})
	require.NoError(t, err)
	require.Len(t, all, 2, "no action ran, so nothing is rolled back")
	require.Contains(t, bad.Summary, "; it is not rolled back, because no action of the stage ran")
}

// Executions of a PARALLEL pipeline share no stages, so there is no state of one.
func TestState(t *testing.T) {
	t.Parallel()
	for mode, want := range map[pipeline.ExecutionMode]int{pipeline.Superseded: 2, pipeline.Queued: 2, pipeline.Parallel: 0} {
		l := newLab(t)
		l.pipeline("web", stages(mode, []string{"a"}, []string{"b"}))
		e := l.start("web")
		state, err := l.State(t.Context(), admin, "default", "web")
		require.NoError(t, err)
		require.Equal(t, int64(1), state.Version)
		require.Equal(t, mode, state.Mode)
		require.Len(t, state.Stages, want, "%s", mode)
		if want > 0 {
			require.Equal(t, service.StageView{Name: "S0", Holder: &service.Occupant{
				ID: e.ID, Number: 1, Since: e.Current().StartedAt, Trigger: execution.TriggerStart, Principal: admin.Principal,
			}, Latest: e.ID}, state.Stages[0])
			require.Equal(t, service.StageView{Name: "S1"}, state.Stages[1])
		}
	}
}
