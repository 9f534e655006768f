package crashtest

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/s3test"
)

// Two servers on one PostgreSQL and one encrypted bucket, of which one is down while
// the other works: what an action on the one made, an action on the other reads.
func TestArtifactsOfAnotherServer(t *testing.T) {
	t.Parallel()
	bucket, template := s3test.Start(t).Bucket(), newServer(t)
	key := template.newKey("storage.key")
	servers := replicate(t, template, 2, cluster.Database(t), "--storage-url", bucket, "--storage-key", key)
	first, second := servers.servers[0], servers.servers[1]
	made := filepath.Join(t.TempDir(), "made")
	stages := first.stages()
	stages[1].Actions = stages[1].Actions[:1]
	stages[3].Actions[0].InputArtifacts = []string{"made-Retry"}
	stages[3].Actions[0].OutputArtifacts = nil
	stages[3].Actions[0].Commands = []string{"cp made " + made}

	second.stop()
	first.define("shared", stages)
	name := first.run("shared")
	require.Eventually(t, func() bool {
		got, err := first.client.Executions.GetExecution(t.Context(), &headracev1.GetExecutionRequest{Name: name})
		require.NoError(t, err)
		stages := got.GetExecution().GetStages()
		return stages[len(stages)-1].GetStage() == "Approve"
	}, patience, 10*time.Millisecond, "%s", first.output)
	first.stop()
	second.start()
	e := second.finish(name)
	require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, e.GetStatus(), "%v\n%s", e, second.output)
	got, err := os.ReadFile(made)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(got), " 1\n"), "the end of what the first made")
	second.stop()

	// Without its key nobody starts on the bucket, nor without any.
	other := template.newKey("other.key")
	for says, flags := range map[string][]string{
		"another key than they were wrapped with": {"--storage-key", other},
		"set storage-key to the key":              nil,
		"is of another database than":             {"--storage-key", key, "--database-url", ""},
	} {
		out, err := exec.CommandContext(t.Context(), template.binary, append([]string{
			"--data-dir", t.TempDir(), "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--isolation", "none", "--storage-url", bucket, "--database-url", servers.url,
		}, flags...)...).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), says)
	}
}

// While the bucket is away nothing is begun and nothing fails: what was done waits for it,
// with its log, and so does the rest of the queue.
func TestNothingFailsWhileTheBucketIsAway(t *testing.T) {
	t.Parallel()
	bucket := s3test.Start(t)
	s := newServer(t)
	s.flags = []string{"--storage-url", bucket.Bucket()}
	told := logFile(t, 0)
	s.log = told
	s.start()
	file, wait := s.gate()
	build := shell("Build", "echo begun", wait, "echo made > made", "echo ended")
	build.Actions[0].OutputArtifacts = []*headracev1.OutputArtifact{{Name: "made"}}
	deploy := shell("Deploy", "cat made")
	deploy.Actions[0].InputArtifacts = []string{"made"}
	s.defineMode("web", headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, s.source(), build, deploy)
	names := []string{s.run("web"), s.run("web"), s.run("web")}
	s.reaches(names[0], "Build")
	began := func() bool { return strings.Contains(s.tail(names[0], "Build"), "begun\n") }
	require.Eventually(t, began, patience, 50*time.Millisecond)

	bucket.Stop()
	explained := func() string {
		answer, err := s.client.Executions.ExplainExecution(t.Context(), &headracev1.ExplainExecutionRequest{Name: names[0]})
		require.NoError(t, err)
		return answer.String()
	}
	require.Eventually(t, func() bool { return strings.Contains(explained(), "the storage of artifacts and logs does not answer") },
		patience, 100*time.Millisecond, "explain does not say what it waits for")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(told.Name())
		require.NoError(t, err)
		return strings.Contains(string(text), "Waits for the storage")
	}, patience, 100*time.Millisecond)
	bucket.Resume()

	for _, name := range names {
		require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, s.ends(name), "%v\n%s", s.get(name), s.output)
	}
	require.True(t, strings.HasSuffix(s.tail(names[0], "Build"), "ended\n"), "the end of the log")
	require.Equal(t, "ran 4 commands", s.get(names[0]).GetStages()[1].GetActions()[0].GetSummary())
	s.stop()
}

// tail is the log of the first action of a stage so far.
func (s *server) tail(execution, stage string) string {
	s.t.Helper()
	for _, reached := range s.get(execution).GetStages() {
		if reached.GetStage() == stage {
			return s.logOf(execution, reached.GetActions()[0].GetId())
		}
	}
	return ""
}

// logOf is the log of an action so far.
func (s *server) logOf(execution, action string) string {
	s.t.Helper()
	stream, err := s.client.Executions.TailLog(s.t.Context(), &headracev1.TailLogRequest{Name: execution, ActionExecutionId: action})
	require.NoError(s.t, err)
	var text strings.Builder
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		require.NoError(s.t, err)
		text.Write(chunk.GetData())
	}
}
