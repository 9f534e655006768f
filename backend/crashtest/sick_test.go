package crashtest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// readyz returns what a server answers to probes.
func (s *server) readyz() (status int, text string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.http+"/readyz", nil)
	require.NoError(s.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	var body strings.Builder
	require.NoError(s.t, response.Write(&body))
	return response.StatusCode, body.String()
}

// A server whose work directory was gone failed 38 of 40 executions, since it failed each at
// once and was free for the next, and was ready all the while.
func TestASickServerFailsNothing(t *testing.T) {
	t.Parallel()
	template := newServer(t)
	servers := replicate(t, template, 2, cluster.Database(t), "--storage-url", blob.DirectoryURL(t.TempDir()))
	well, sick := servers.servers[0], servers.servers[1]
	stages := well.stages()
	build := stages[1].GetActions()[0]
	build.Commands, build.OutputArtifacts = []string{"test -s file"}, nil
	stages[1].Actions = stages[1].GetActions()[:1]
	well.define("web", stages[:2])
	_, err := well.client.Pipelines.UpdatePipeline(t.Context(), &headracev1.UpdatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: client.PipelineName("default", "web"), Definition: &headracev1.PipelineDefinition{Stages: stages[:2], ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL},
	}})
	require.NoError(t, err)

	work := filepath.Join(sick.dir, "work")
	runAll := func(n int) {
		t.Helper()
		names := make([]string, n)
		for i := range names {
			names[i] = []*server{well, sick}[i%2].run("web")
		}
		for _, name := range names {
			e := well.finish(name)
			require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, e.GetStatus(), "%v", e)
		}
	}
	// It can be made again.
	require.NoError(t, os.RemoveAll(work))
	runAll(20)
	require.DirExists(t, work)

	// It cannot.
	require.NoError(t, os.RemoveAll(work))
	require.NoError(t, os.WriteFile(work, nil, 0o600))
	runAll(40)
	require.Eventually(t, func() bool {
		status, text := sick.readyz()
		return status == http.StatusServiceUnavailable && strings.Contains(text, "the runner is unhealthy and takes no actions; the log says why")
	}, patience, 10*time.Millisecond)
	status, _ := well.readyz()
	require.Equal(t, http.StatusOK, status)
	// Probes do not fill the log, however often they come.
	before := strings.Count(sick.output.String(), "The runner is unhealthy:")
	begun := time.Now()
	for range 300 {
		status, _ := sick.readyz()
		require.Equal(t, http.StatusServiceUnavailable, status)
	}
	// Of each message the log takes 50, and then one each second.
	told := strings.Count(sick.output.String(), "The runner is unhealthy:") - before
	require.Positive(t, told)
	require.LessOrEqual(t, told, 50+int(time.Since(begun)/time.Second)+1)

	// Alone, it keeps the queue, and says why.
	well.stop()
	name := sick.run("web")
	require.Eventually(t, func() bool {
		explained, err := sick.client.Executions.ExplainExecution(t.Context(), &headracev1.ExplainExecutionRequest{Name: name})
		require.NoError(t, err)
		return strings.Contains(explained.String(), "the runner of this server is unhealthy and takes no actions: the server's log says why")
	}, patience, 10*time.Millisecond)
	require.NoError(t, os.Remove(work))
	require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, sick.finish(name).GetStatus())
	require.Eventually(t, func() bool {
		status, _ := sick.readyz()
		return status == http.StatusOK
	}, patience, 10*time.Millisecond)
}
