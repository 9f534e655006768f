package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// job is work in a service that goes on until it is abandoned. It uses every tool that a
// server gives a turn.
type job struct{ abandoned *atomic.Int64 }

// Take implements action.TurnExecutor.
func (job) Take(_ context.Context, _ action.Turn, tools action.Tools) action.Outcome {
	if tools.Artifacts == nil || tools.Budget <= 0 {
		return action.Outcome{Result: action.Failed(action.SystemUnavailable, "no artifacts or no budget")}
	}
	if _, err := fmt.Fprintln(tools.Log, "job 7 runs"); err != nil {
		return action.Outcome{Result: action.Failed(action.SystemUnavailable, "%s", err)}
	}
	return action.Outcome{Again: &action.Again{State: []byte("7"), Delay: time.Hour, ExternalID: "job-7"}}
}

// Abandon implements action.TurnExecutor.
func (j job) Abandon(_ context.Context, turn action.Turn, tools action.Tools) error {
	j.abandoned.Add(1)
	if tools.Artifacts == nil || tools.Budget <= 0 || string(turn.State) != "7" {
		return errors.New("no artifacts, no budget or another state")
	}
	_, err := fmt.Fprintln(tools.Log, "job 7 is ended")
	return err
}

// TestTurnHasItsToolsFromTheServer holds that a server gives the loop all that turns need: a
// log that users read, artifacts, a budget, and the count of abandons.
func TestTurnHasItsToolsFromTheServer(t *testing.T) {
	t.Parallel()
	j := job{abandoned: &atomic.Int64{}}
	b := backendtest.Start(t, backendtest.WithKinds(server.Kind{
		Type: pipeline.Type{
			ID:   pipeline.TypeID{Category: pipeline.CategorySource, Owner: "Test", Provider: "Job", Version: "1"},
			Work: pipeline.WorkTurn, DefaultTimeout: time.Hour,
		},
		Turn: j,
	}))
	c := b.Admin()
	web := client.PipelineName("default", "web")
	_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{
		Name: web, Definition: &v1.PipelineDefinition{Stages: []*v1.Stage{
			{Name: "Run", Actions: []*v1.Action{{Name: "Job", Category: "Source", Owner: "Test", Provider: "Job", Version: "1"}}},
			{Name: "Agree", Actions: []*v1.Action{{Name: "Agree", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}}},
		}},
	}})
	require.NoError(t, err)
	started, err := c.Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: web})
	require.NoError(t, err)
	name := started.GetExecution().GetName()
	var id string
	require.Eventually(t, func() bool {
		actions := read(t, b, name).GetStages()[0].GetActions()
		if len(actions) == 0 {
			return false
		}
		require.Equal(t, v1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS, actions[0].GetStatus(), actions[0].GetSummary())
		id = actions[0].GetId()
		return actions[0].GetExternalExecutionId() == "job-7"
	}, 20*time.Second, time.Millisecond)
	_, err = c.Executions.StopExecution(t.Context(), &v1.StopExecutionRequest{Name: name, Abandon: true})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, body := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/metrics")
		require.NotContains(t, body, `headrace_abandons_total{result="failed"}`)
		return strings.Contains(body, `headrace_abandons_total{result="confirmed"} 1`)
	}, 20*time.Second, time.Millisecond)
	require.EqualValues(t, 1, j.abandoned.Load())
	tail, err := c.Executions.TailLog(t.Context(), &v1.TailLogRequest{Name: name, ActionExecutionId: id})
	require.NoError(t, err)
	var log strings.Builder
	for part, err := tail.Recv(); err == nil; part, err = tail.Recv() {
		log.Write(part.GetData())
	}
	require.Equal(t, "job 7 runs\njob 7 is ended\n", log.String())
}
