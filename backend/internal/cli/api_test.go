package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

// What has no command of its own is reached by its method.
func TestAnyMethodCanBeCalled(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b)
	got := headrace(t, b, b.AdminToken, "api", "GetPipeline", `{"name": "accounts/default/pipelines/web"}`)
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	var answer struct {
		Pipeline map[string]any `json:"pipeline"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &answer))
	require.Equal(t, "accounts/default/pipelines/web", answer.Pipeline["name"])

	// What was read can be written back under another name.
	answer.Pipeline["name"] = "accounts/default/pipelines/copy"
	delete(answer.Pipeline, "etag")
	body, err := json.Marshal(answer)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "pipeline.json")
	require.NoError(t, os.WriteFile(file, body, 0o600))
	got = headrace(t, b, b.AdminToken, "api", "CreatePipeline", "--file", file)
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, headrace(t, b, b.AdminToken, "pipeline", "list").stdout, "copy")

	// A stream is printed one answer a line.
	started := headrace(t, b, b.AdminToken, "-o", "json", "run", "web", "--var", "Word=hi")
	require.Equal(t, cli.ExitOK, started.code, started.stderr)
	var run struct {
		Execution struct{ Name string }
	}
	require.NoError(t, json.Unmarshal([]byte(started.stdout), &run))
	require.Equal(t, cli.ExitOK, headrace(t, b, b.AdminToken, "execution", "stop", "web", "--abandon").code)
	got = headrace(t, b, b.AdminToken, "api", "WatchExecution", `{"name": "`+run.Execution.Name+`"}`)
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	require.Contains(t, lines[0], "STARTED")
	require.Contains(t, lines[len(lines)-1], "STOPPED")
}

func TestBadCallsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no such method": {[]string{"api", "Nothing"}, cli.ExitUsage, `no method "Nothing"`},
		"no JSON":        {[]string{"api", "GetPipeline", "web"}, cli.ExitUsage, "the request is not a valid GetPipelineRequest"},
		"no such field":  {[]string{"api", "GetPipeline", `{"nam": "x"}`}, cli.ExitUsage, `"nam"`},
		"twice":          {[]string{"api", "GetPipeline", "{}", "--file", "x"}, cli.ExitUsage, "given twice"},
		"no such file":   {[]string{"api", "GetPipeline", "--file", "/nowhere"}, cli.ExitUsage, "/nowhere"},
		"refused":        {[]string{"api", "GetPipeline", `{"name": "accounts/default/pipelines/x"}`}, cli.ExitFailed, "does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := headrace(t, b, b.AdminToken, test.args...)
			require.Equal(t, test.code, got.code)
			require.Contains(t, got.stderr, test.want)
		})
	}
	require.Contains(t, client.Methods(), "RetryStage")
}
