package webtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// A log of 64 MB is read as fast as a short one.
func TestLargeLog(t *testing.T) {
	t.Parallel()
	b := findBrowser(t)
	s := newSite(t)
	const lines = 2_520_000
	s.define("large", headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, s.source(), &headracev1.Stage{Name: "Build", Actions: []*headracev1.Action{
		commands("Build", "Print", 1, fmt.Sprintf("seq -f 'line %%.0f of the build' %d", lines)),
	}})
	execution := s.awaitStatus(s.start("large"), headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED)
	action := execution.GetStages()[1].GetActions()[0]
	log, err := s.admin.Executions.StatLog(t.Context(), &headracev1.StatLogRequest{Name: execution.GetName(), ActionExecutionId: action.GetId()})
	require.NoError(t, err)
	size := log.GetSizeBytes()
	require.Greater(t, size, int64(64_000_000))
	b.run(t, "log.mjs", map[string]any{
		"url": "http://" + s.HTTPAddr, "token": s.viewer(), "lines": lines, "bytes": size,
		// How it is isolated, and the command.
		"before": 2,
		"path":   "/" + strings.Join([]string{execution.GetName(), "log", "Build", "Print", "1"}, "/"),
	})
}
