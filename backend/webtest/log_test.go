package webtest

import (
	"fmt"
	"os"
	"path/filepath"
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

// A log is read by keyboard alone: its sections, what was rewritten, links to its lines, and what
// comes while somebody follows it.
func TestLogByKeyboard(t *testing.T) {
	t.Parallel()
	b := findBrowser(t)
	s := newSite(t)
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	require.NoError(t, os.WriteFile(first, []byte(strings.Join([]string{
		"::group::Prepare", "prepared", "::endgroup::",
		"\x1b[32;1mgreen\x1b[0m " + hostile,
		"10 %\r50 %\r100 %",
		"\x1b]8;;https://example.com/report\x1b\\report\x1b]8;;\x1b\\ \x1b]8;;javascript:window.pwned=1\x1b\\trap\x1b]8;;\x1b\\",
		"NUL \x00 and \xff", strings.Repeat("x", 1_000_000) + "end", strings.Repeat("one of many\n", 3000),
	}, "\n")), 0o600))
	require.NoError(t, os.WriteFile(second, []byte("it goes on\n"), 0o600))
	s.define("followed", headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, s.source(), &headracev1.Stage{Name: "Build", Actions: []*headracev1.Action{
		commands("Build", "Print", 1, fmt.Sprintf("cat %s; until [ -e %s ]; do sleep 0.1; done; cat %s; exit 3", first, s.gate, second)),
	}})
	execution := s.start("followed")
	s.awaitAction(execution, "Print")
	script := b.start(t, "logkeys.mjs", map[string]any{
		"url": "http://" + s.HTTPAddr, "token": s.viewer(), "execution": "/" + execution, "log": "/" + execution + "/log/Build/Print/1",
		// How it is isolated, and the command.
		"before": 2,
	})
	script.hear("following")
	require.NoError(t, os.WriteFile(s.gate, nil, 0o600))
	s.awaitStatus(execution, headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED)
	script.wait()
}
