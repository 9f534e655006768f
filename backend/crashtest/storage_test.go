package crashtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/s3test"
)

// Two servers on one PostgreSQL and one encrypted bucket, of which one is down while
// the other works: what an action on the one made, an action on the other reads.
func TestArtifactsOfAnotherServer(t *testing.T) {
	t.Parallel()
	bucket, key := s3test.Start(t).Bucket(), filepath.Join(t.TempDir(), "storage.key")
	template := newServer(t)
	out, err := exec.CommandContext(t.Context(), template.binary, "storage-key", "new", key).CombinedOutput()
	require.NoError(t, err, "%s", out)
	servers := replicate(t, template, 2, "--storage-url", bucket, "--storage-key", blob.DirectoryURL(key)).servers
	first, second := servers[0], servers[1]
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
	other := filepath.Join(t.TempDir(), "other.key")
	out, err = exec.CommandContext(t.Context(), template.binary, "storage-key", "new", other).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for says, flags := range map[string][]string{
		"another key than they were wrapped with": {"--storage-key", blob.DirectoryURL(other)},
		"set storage-key to the key":              nil,
	} {
		out, err := exec.CommandContext(t.Context(), template.binary, append([]string{
			"--data-dir", t.TempDir(), "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--isolation", "none", "--storage-url", bucket,
		}, flags...)...).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), says)
	}
}
