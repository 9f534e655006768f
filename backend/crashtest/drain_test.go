package crashtest

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// A server that is told to stop ends what runs on it and hands on the rest: nothing is
// lost, where a lost attempt would fail its execution.
func TestStopHandsOn(t *testing.T) {
	t.Parallel()
	const executions = 8
	r := newReplicas(t, 2)
	first, second := r.servers[0], r.servers[1]
	first.flags = append(first.flags, "--shutdown-grace", "5m")
	first.stop()
	first.start()
	build := &headracev1.Stage{Name: "Build"}
	for i, name := range []string{"One", "Two", "Three", "Four"} {
		build.Actions = append(build.Actions, &headracev1.Action{
			Name: name, Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", RunOrder: int32(i + 1),
			InputArtifacts: []string{"source"}, Commands: []string{"sleep 0.3", `echo "$HEADRACE_ACTION_EXECUTION_ID $HEADRACE_ATTEMPT" >> ` + first.record},
		})
	}
	_, err := first.client.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: client.PipelineName("default", "drained"),
		Definition: &headracev1.PipelineDefinition{
			ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL, Stages: []*headracev1.Stage{first.source(), build},
		},
	}})
	require.NoError(t, err)
	var names []string
	for range executions {
		names = append(names, first.run("drained"))
	}
	// It has begun, and there is more to do than what runs.
	require.Eventually(t, func() bool {
		done, err := os.ReadFile(first.record)
		return err == nil && len(done) > 0
	}, patience, 10*time.Millisecond)
	first.stop()
	for _, name := range names {
		e := second.finish(name)
		require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, e.GetStatus(), "%v\n%s\n%s", e, first.output, second.output)
	}
	first.ranOnceAnAttempt()
	second.stop()
}
