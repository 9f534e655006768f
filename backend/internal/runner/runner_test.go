package runner_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// executor is an action.AttemptExecutor made of a function.
type executor func(context.Context, action.Attempt, action.Workspace) action.Result

func (e executor) Execute(ctx context.Context, attempt action.Attempt, workspace action.Workspace) action.Result {
	return e(ctx, attempt, workspace)
}

// shell runs a script as the attempt.
func shell(script string) executor {
	return func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
		code, err := workspace.Run(ctx, action.Process{
			Argv: []string{"sh", "-c", workspace.Gate + script}, Dir: workspace.Dir, Env: []string{"PATH=" + os.Getenv("PATH")},
			Stdout: workspace.Log, Stderr: workspace.Log, Gated: true,
		})
		if err != nil {
			return action.FailedByRunner("%v", err)
		}
		return action.Result{Summary: strconv.Itoa(code)}
	}
}

// pids reads process ids from lines "pid N" of the log, when there are n.
func pids(t *testing.T, bench *runnertest.Bench, attempt action.Attempt, n int) []int {
	t.Helper()
	var found []int
	require.Eventually(t, func() bool {
		found = nil
		for line := range strings.Lines(bench.Log(t, attempt)) {
			if pid, ok := strings.CutPrefix(strings.TrimSpace(line), "pid "); ok {
				number, err := strconv.Atoi(pid)
				require.NoError(t, err)
				found = append(found, number)
			}
		}
		return len(found) == n
	}, 10*time.Second, 5*time.Millisecond)
	return found
}

// requireGone waits for processes to end.
func requireGone(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		require.Eventually(t, func() bool {
			raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
			return err != nil || strings.Contains(string(raw), ") Z ")
		}, 10*time.Second, 5*time.Millisecond, "process %d lives on", pid)
	}
}

// within waits for the channel to be closed.
func within(t *testing.T, closed <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		require.FailNow(t, "not within ten seconds: "+what)
	}
}

// family starts a child, a child that left the group, and prints their ids.
const family = `sleep 300 & echo "pid $!"; setsid sh -c 'echo "pid $$"; exec sleep 300' & `

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{"true": "0", "exit 7": "7", "kill -9 $$": "137"} {
		result, _ := runnertest.Start(t, shell(script), nil).Run(t, runnertest.Attempt("a"))
		require.Nil(t, result.Failure)
		require.Equal(t, want, result.Summary)
	}
}

func TestOutputsAreKeptApart(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	run := executor(func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
		_, err := workspace.Run(ctx, action.Process{
			Argv: []string{"/bin/sh", "-c", "seq 100000; echo bad >&2; cat"}, Dir: workspace.Dir, Stdout: &stdout, Stderr: &stderr,
		})
		if err != nil {
			return action.Failed(action.JobFailed, "%v", err)
		}
		_, err = workspace.Run(ctx, action.Process{Argv: []string{"/no/such/program"}, Dir: workspace.Dir})
		return action.Result{Summary: err.Error()}
	})
	result, _ := runnertest.Start(t, run, nil).Run(t, runnertest.Attempt("a"))
	require.Nil(t, result.Failure)
	require.Len(t, stdout.String(), 588895)
	require.Equal(t, "bad\n", stderr.String())
	require.Contains(t, result.Summary, "no such file")
}

func TestTimeoutKillsEveryProcess(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, shell(family+"wait"), nil)
	attempt := runnertest.Attempt("a")
	attempt.Timeout = 300 * time.Millisecond
	result, log := bench.Run(t, attempt)
	require.NotNil(t, result.Failure)
	require.Equal(t, action.TimedOut, result.Failure.Code)
	require.Contains(t, result.Failure.Message, "the action ran longer than its timeout of 300ms")
	require.Contains(t, log, "longer than its timeout")
	requireGone(t, pids(t, bench, attempt, 2)...)
}

func TestChildrenThatStayBehindAreKilled(t *testing.T) {
	t.Parallel()
	// They hold the output open, which must not hang the action.
	bench := runnertest.Start(t, shell(family+"sleep 0.2; echo done"), nil)
	attempt := runnertest.Attempt("a")
	result, log := bench.Run(t, attempt)
	require.Nil(t, result.Failure)
	require.Contains(t, log, "done\n")
	requireGone(t, pids(t, bench, attempt, 2)...)
}

// One that forgot its environment and its output is found by its group alone.
func TestWholeGroupIsKilled(t *testing.T) {
	t.Parallel()
	const child = `env -i sleep 300 >/dev/null 2>&1 & echo "pid $!"; `
	t.Run("at the end", func(t *testing.T) {
		t.Parallel()
		bench := runnertest.Start(t, shell(child), nil)
		attempt := runnertest.Attempt("a")
		result, _ := bench.Run(t, attempt)
		require.Nil(t, result.Failure)
		requireGone(t, pids(t, bench, attempt, 1)...)
	})
	t.Run("after the timeout", func(t *testing.T) {
		t.Parallel()
		bench := runnertest.Start(t, shell(child+"wait"), nil)
		attempt := runnertest.Attempt("a")
		attempt.Timeout = 300 * time.Millisecond
		result, _ := bench.Run(t, attempt)
		require.Equal(t, action.TimedOut, result.Failure.Code)
		requireGone(t, pids(t, bench, attempt, 1)...)
	})
}

func TestRevokedAttemptEndsWithoutReport(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, shell(family+"wait"), nil)
	attempt := runnertest.Attempt("a")
	revoke := bench.Jobs.Give(attempt)
	running := pids(t, bench, attempt, 2)
	revoke()
	requireGone(t, running...)
	// The slot is free again, and the first report is of the next attempt.
	next := runnertest.Attempt("b")
	next.Timeout = 10 * time.Millisecond
	bench.Jobs.Give(next)
	require.Equal(t, "b", bench.Wait(t).Attempt.ActionExecutionID)
}

func TestReportAnswersWithTheNextAttempt(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var order []string
	run := executor(func(_ context.Context, attempt action.Attempt, workspace action.Workspace) action.Result {
		entries, err := os.ReadDir(workspace.Dir)
		if err != nil || len(entries) != 3 {
			return action.Failed(action.JobFailed, "the work directory is not fresh")
		}
		mu.Lock()
		defer mu.Unlock()
		order = append(order, attempt.ActionExecutionID)
		err = os.WriteFile(filepath.Join(workspace.Dir, "f"), nil, 0o600)
		if err != nil {
			return action.Failed(action.JobFailed, "%v", err)
		}
		return action.Result{}
	})
	bench := runnertest.Start(t, run, func(c *runner.Config) {
		jobs, ok := c.Jobs.(*runnertest.Jobs)
		require.True(t, ok)
		jobs.Next = func(report runnertest.Report) *runner.Assignment {
			if report.Attempt.ActionExecutionID == "a" {
				return &runner.Assignment{Attempt: runnertest.Attempt("b")}
			}
			return nil
		}
	})
	bench.Jobs.Give(runnertest.Attempt("a"))
	require.Nil(t, bench.Wait(t).Result.Failure)
	require.Equal(t, []string{"a", "b"}, order)
	bench.Stop()
	entries, err := os.ReadDir(bench.WorkDir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "only the runner's own directory is left")
}

func TestPanicFailsTheActionAndTheRunnerGoesOn(t *testing.T) {
	t.Parallel()
	run := executor(func(_ context.Context, attempt action.Attempt, _ action.Workspace) action.Result {
		if attempt.ActionExecutionID == "a" {
			return action.Result{Artifacts: attempt.Inputs[:attempt.Number]}
		}
		return action.Result{}
	})
	bench := runnertest.Start(t, run, nil)
	result, _ := bench.Run(t, runnertest.Attempt("a"))
	require.Equal(t, action.SystemUnavailable, result.Failure.Code)
	require.NotContains(t, result.Failure.Message, "out of range")
	result, _ = bench.Run(t, runnertest.Attempt("b"))
	require.Nil(t, result.Failure)
}

func TestUnknownType(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, shell("true"), nil)
	attempt := runnertest.Attempt("a")
	attempt.Action.Provider = "Nope"
	result, _ := bench.Run(t, attempt)
	require.Equal(t, action.ConfigurationError, result.Failure.Code)
	require.Contains(t, result.Failure.Message, "Test/Headrace/Nope version 1")
}

func TestStopLetsRunningAttemptsEnd(t *testing.T) {
	t.Parallel()
	started, end := make(chan struct{}), make(chan struct{})
	run := executor(func(ctx context.Context, _ action.Attempt, _ action.Workspace) action.Result {
		close(started)
		select {
		case <-end:
		case <-ctx.Done():
		}
		return action.Result{}
	})
	bench := runnertest.Start(t, run, func(c *runner.Config) { c.Grace = time.Minute })
	bench.Jobs.Give(runnertest.Attempt("a"))
	within(t, started, "the attempt starts")
	stopped := make(chan struct{})
	go func() { bench.Stop(); close(stopped) }()
	close(end)
	within(t, stopped, "the runner stops")
	require.Equal(t, "a", bench.Wait(t).Attempt.ActionExecutionID)
}

func TestStopKillsAfterTheGraceAndReportsNothing(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, shell(family+"wait"), func(c *runner.Config) { c.Grace = 50 * time.Millisecond })
	attempt := runnertest.Attempt("a")
	bench.Jobs.Give(attempt)
	running := pids(t, bench, attempt, 2)
	bench.Stop()
	requireGone(t, running...)
	require.Empty(t, bench.Jobs.Reports)
}

func TestLeaseIsRenewedWhileAnAttemptRuns(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	run := executor(func(ctx context.Context, _ action.Attempt, _ action.Workspace) action.Result {
		select {
		case <-end:
		case <-ctx.Done():
		}
		return action.Result{}
	})
	bench := runnertest.Start(t, run, func(c *runner.Config) { c.Lease = 150 * time.Millisecond })
	bench.Jobs.Give(runnertest.Attempt("a"))
	require.Eventually(t, func() bool { return bench.Jobs.Renewals() >= 5 }, 10*time.Second, 5*time.Millisecond)
	close(end)
	require.Nil(t, bench.Wait(t).Result.Failure)
}

// A runner that cannot renew must assume that another one has its attempts.
func TestLeaseThatCannotBeRenewedEndsTheAttempt(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	run := executor(func(ctx context.Context, _ action.Attempt, _ action.Workspace) action.Result {
		select {
		case <-ctx.Done():
			close(ended)
		case <-t.Context().Done():
		}
		return action.Result{}
	})
	bench := runnertest.Start(t, run, func(c *runner.Config) {
		c.Lease = 100 * time.Millisecond
		jobs, ok := c.Jobs.(*runnertest.Jobs)
		require.True(t, ok)
		jobs.RenewErr = func() error { return errors.New("no connection") }
	})
	bench.Jobs.Give(runnertest.Attempt("a"))
	within(t, ended, "the attempt ends with its lease")
	bench.Stop()
	require.Empty(t, bench.Jobs.Reports)
}

func TestReadOnlyDirectoriesAreRemoved(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may remove what it likes")
	}
	bench := runnertest.Start(t, shell("mkdir -p a/b; touch a/b/c; chmod 500 a/b; chmod 0 a"), nil)
	_, _ = bench.Run(t, runnertest.Attempt("a"))
	bench.Stop()
	entries, err := os.ReadDir(bench.WorkDir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// Links that commands leave instead of directories must not lead the cleanup out.
func TestCleanupFollowsNoSymlink(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	kept := filepath.Join(outside, "src", "kept")
	require.NoError(t, os.MkdirAll(filepath.Dir(kept), 0o700))
	require.NoError(t, os.WriteFile(kept, nil, 0o600))
	require.NoError(t, os.Chmod(outside, 0o500))
	t.Cleanup(func() { require.NoError(t, os.Chmod(outside, 0o700)) })
	for name, script := range map[string]string{
		"a part":         `rm -r home && ln -s "$OUTSIDE" home`,
		"the whole":      `cd .. && mv "$OLDPWD" gone && ln -s "$OUTSIDE" "$OLDPWD"`,
		"below the rest": `ln -s "$OUTSIDE" src/link; mkdir src/locked; touch src/locked/f; chmod 500 src/locked`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bench := runnertest.Start(t, shell("OUTSIDE='"+outside+"'; "+script), nil)
			result, log := bench.Run(t, runnertest.Attempt("a"))
			require.Equal(t, "0", result.Summary, log)
			bench.Stop()
			require.FileExists(t, kept)
			info, err := os.Stat(outside)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o500), info.Mode().Perm())
			// What was moved away goes at the next start.
			_, err = runner.New(runner.Config{ID: "next", Slots: 1, Lease: time.Second, WorkDir: bench.WorkDir})
			require.NoError(t, err)
			entries, err := os.ReadDir(bench.WorkDir)
			require.NoError(t, err)
			require.Len(t, entries, 1)
			require.FileExists(t, kept)
		})
	}
}

func TestWorkDirHasOneRunner(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, shell("true"), nil)
	_, err := runner.New(runner.Config{ID: "other", Slots: 1, Lease: time.Second, WorkDir: bench.WorkDir})
	require.ErrorContains(t, err, "another runner uses the work directory")
}

// TestMain lets the test program be the runner that TestKilledRunner kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RUNNER_TEST_DIR"); dir != "" {
		if err := runUntilKilled(dir); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func TestKilledRunnerLeavesNothing(t *testing.T) {
	t.Parallel()
	// One that forgot its environment stays in the group, one that left the
	// group kept its environment, and one that did both is still marked.
	script := `sleep 300 & echo "pid $!"; env -i sleep 300 & echo "pid $!"; setsid sh -c 'echo "pid $$"; exec sleep 300' & env -i setsid sh -c 'echo "pid $$"; exec sleep 300' & wait`
	workDir := filepath.Join(t.TempDir(), "work")
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = reader.Close() }()
	process, err := os.StartProcess("/proc/self/exe", []string{"runner.test"}, &os.ProcAttr{
		Env:   append(os.Environ(), "RUNNER_TEST_DIR="+workDir, "RUNNER_TEST_SCRIPT="+script),
		Files: []*os.File{nil, writer, os.Stderr},
	})
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	var started []int
	buffer := make([]byte, 4096)
	text := ""
	for strings.Count(text, "\n") < 4 {
		n, err := reader.Read(buffer)
		require.NoError(t, err)
		text += string(buffer[:n])
	}
	for line := range strings.Lines(text) {
		pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "pid ")))
		require.NoError(t, err)
		started = append(started, pid)
	}
	require.NoError(t, process.Signal(syscall.SIGKILL))
	_, err = process.Wait()
	require.NoError(t, err)
	require.DirExists(t, filepath.Join(workDir, "1"))

	var log bytes.Buffer
	_, err = runner.New(runner.Config{ID: "r", Slots: 1, Lease: time.Second, WorkDir: workDir, Log: hclog.New(&hclog.LoggerOptions{Output: &log})})
	require.NoError(t, err)
	requireGone(t, started...)
	// The shell of the attempt ended with its runner.
	require.Contains(t, log.String(), `Killed processes that an earlier run of this runner left: count=4 programs="sleep, sleep, sleep, sleep"`)
	require.NoDirExists(t, filepath.Join(workDir, "1"))
}

func runUntilKilled(dir string) error {
	registry := action.NewRegistry()
	attempt := runnertest.Attempt("a")
	registry.AddAttempt(attempt.Action.TypeID(), shell(os.Getenv("RUNNER_TEST_SCRIPT")))
	jobs := runnertest.NewJobs()
	jobs.Give(attempt)
	r, err := runner.New(runner.Config{
		ID: "r", Slots: 1, Jobs: jobs, Registry: registry, WorkDir: dir, Lease: time.Minute, Logs: stdoutLogs{},
	})
	if err != nil {
		return err
	}
	return r.Run(context.Background())
}

// stdoutLogs writes logs to the standard output.
type stdoutLogs struct{}

func (stdoutLogs) Writer(*action.Attempt) action.Log { return stdoutLog{os.Stdout} }

type stdoutLog struct{ *os.File }

func (stdoutLog) Small() *action.SmallLog { return nil }
func (stdoutLog) Kept()                   {}
