package runner_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

func bubblewrap(t *testing.T) runner.Isolation {
	t.Helper()
	isolation, err := runner.Detect(t.Context(), runner.IsolationAuto)
	require.NoError(t, err)
	if isolation.Name() != runner.IsolationBubblewrap {
		t.Skip(isolation.Detail)
	}
	return isolation
}

func TestDetect(t *testing.T) {
	t.Parallel()
	isolation, err := runner.Detect(t.Context(), runner.IsolationNone)
	require.NoError(t, err)
	require.Equal(t, runner.IsolationNone, isolation.Name())
	_, err = runner.Detect(t.Context(), "chroot")
	require.ErrorContains(t, err, `isolation "chroot" is not known; use auto, bubblewrap or none`)
}

func TestBubblewrapHidesTheServer(t *testing.T) {
	t.Parallel()
	isolation := bubblewrap(t)
	data := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(data, "admin.token"), []byte("s3cret"), 0o600))
	visible := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(visible, "shown"), nil, 0o600))
	run := executor(func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
		script := `
set -e
test ! -e "$DATA/admin.token"
test "$(ls "$WORK")" = "${PWD##*/}"
ls /proc | grep -c '^[0-9]*$' | { read n; test "$n" -lt 10; }
! touch /etc/headrace-was-here
test -e "$VISIBLE/shown"
! touch "$VISIBLE/new"
touch here /tmp/there
echo passed`
		code, err := workspace.Run(ctx, action.Process{
			Argv: []string{"sh", "-c", script}, Dir: workspace.Dir,
			Env:     []string{"PATH=" + os.Getenv("PATH"), "DATA=" + data, "WORK=" + filepath.Dir(workspace.Dir), "VISIBLE=" + visible},
			Visible: []string{visible, data},
			Stdout:  workspace.Log, Stderr: workspace.Log,
		})
		if err != nil || code != 0 {
			return action.Failed(action.JobFailed, "%d %v", code, err)
		}
		if _, err := os.Stat(filepath.Join(workspace.Dir, "here")); err != nil {
			return action.Failed(action.JobFailed, "%v", err)
		}
		return action.Result{}
	})
	bench := runnertest.Start(t, run, func(c *runner.Config) {
		c.Isolation = isolation
		c.Hidden = []string{data}
	})
	result, log := bench.Run(t, runnertest.Attempt("a"))
	require.Nil(t, result.Failure, log)
	require.Contains(t, log, "passed\n")
}

func TestBubblewrapKillsEveryProcess(t *testing.T) {
	t.Parallel()
	isolation := bubblewrap(t)
	mark := filepath.Join(t.TempDir(), "headrace-test-sleeper")
	bench := runnertest.Start(t, shell("env -i setsid sh -c 'sleep 300 # "+mark+"' & wait"), func(c *runner.Config) { c.Isolation = isolation })
	attempt := runnertest.Attempt("a")
	attempt.Timeout = 300 * time.Millisecond
	result, _ := bench.Run(t, attempt)
	require.Equal(t, action.TimedOut, result.Failure.Code)
	require.Eventually(t, func() bool {
		names, err := filepath.Glob("/proc/[0-9]*/cmdline")
		require.NoError(t, err)
		for _, name := range names {
			if raw, err := os.ReadFile(name); err == nil && bytes.Contains(raw, []byte(mark)) {
				return false
			}
		}
		return true
	}, 10*time.Second, 10*time.Millisecond)
}
