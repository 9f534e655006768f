package runner_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// One attempt in a work directory that is gone was one failure of an action that had nothing to
// do with it.
func TestWorkDirectoryIsMadeAgain(t *testing.T) {
	t.Parallel()
	// The attempts that are returned come again.
	returned := make(chan action.Attempt, 10)
	health := runner.NewHealth()
	bench := runnertest.Start(t, shell("echo fine"), func(c *runner.Config) { c.Health = health })
	bench.Jobs.Returned = func(a action.Attempt) {
		returned <- a
		bench.Jobs.Give(a)
	}
	result, _ := bench.Run(t, runnertest.Attempt("a"))
	require.Nil(t, result.Failure)
	require.NoError(t, os.RemoveAll(bench.WorkDir))
	// More than were made ahead.
	for _, id := range []string{"b", "c", "d", "e", "f"} {
		result, log := bench.Run(t, runnertest.Attempt(id))
		require.Nil(t, result.Failure)
		require.Contains(t, log, "fine")
	}
	require.LessOrEqual(t, len(returned), 2, "it is made again by the first that needs it")
	require.NoError(t, health.Err())
	require.DirExists(t, bench.WorkDir)
}

// A runner that failed everything at once emptied the queue of all others.
func TestSickRunnerTakesNothing(t *testing.T) {
	t.Parallel()
	health := runner.NewHealth()
	bench := runnertest.Start(t, shell("echo fine"), func(c *runner.Config) { c.Health = health })
	returned := make(chan action.Attempt, 10)
	bench.Jobs.Returned = func(a action.Attempt) { returned <- a }
	// The slot works before its directory is gone.
	result, _ := bench.Run(t, runnertest.Attempt("0"))
	require.Nil(t, result.Failure)
	require.NoError(t, os.RemoveAll(bench.WorkDir))
	require.NoError(t, os.WriteFile(bench.WorkDir, nil, 0o600))
	bench.Jobs.Give(runnertest.Attempt("a"))
	back := <-returned
	require.Equal(t, 1, back.Returned.Count)
	require.Equal(t, "test", back.Returned.Runner)
	require.Equal(t, "the runner cannot use its work directory: not a directory", back.Returned.Reason)
	require.ErrorContains(t, health.Err(), "not a directory")
	bench.Jobs.Give(runnertest.Attempt("b"))
	require.Empty(t, returned)

	require.NoError(t, os.Remove(bench.WorkDir))
	report := bench.Wait(t)
	require.Equal(t, "b/1", report.Attempt.ID())
	require.Nil(t, report.Result.Failure)
	require.NoError(t, health.Err())
}

// A slot that could not be made, for example since there were no files left to open, was
// missing until the next start.
func TestSlotThatCannotBeMadeIsTriedAgain(t *testing.T) {
	t.Parallel()
	failed := make(chan string, 100)
	bench, run := runnertest.Prepare(t, shell("echo fine"), func(c *runner.Config) {
		c.Log = hclog.New(&hclog.LoggerOptions{Output: lines(failed)})
	})
	// It is where the slot notes what it started.
	record := filepath.Join(bench.WorkDir, ".runner", "slot-0")
	require.NoError(t, os.Mkdir(record, 0o700))
	run()
	line := <-failed
	require.Contains(t, line, "Slot cannot run anything yet, will try again")
	require.Contains(t, line, "slot=0")
	bench.Jobs.Give(runnertest.Attempt("a"))
	require.Empty(t, bench.Jobs.Reports)
	require.NoError(t, os.Remove(record))
	require.Nil(t, bench.Wait(t).Result.Failure)
}

// lines takes what is logged, as far as somebody reads it.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

// An artifact that is larger than every disk must not circle forever.
func TestAttemptsAreReturnedABoundedNumberOfTimes(t *testing.T) {
	t.Parallel()
	run := executor(func(context.Context, action.Attempt, action.Workspace) action.Result {
		return action.FailedByRunner("no room for it")
	})
	bench := runnertest.Start(t, run, nil)
	returned := make(chan action.Attempt, 1)
	bench.Jobs.Returned = func(a action.Attempt) { returned <- a }
	attempt := runnertest.Attempt("a")
	bench.Jobs.Give(attempt)
	attempt = <-returned
	require.Equal(t, &action.Returned{Count: 1, Runner: "test", Reason: "no room for it"}, attempt.Returned)
	attempt.Returned.Count = 8
	result, _ := bench.Run(t, attempt)
	require.Equal(t, action.SystemUnavailable, result.Failure.Code)
	require.Equal(t, "no room for it (runners returned it 8 times before; this one is test)", result.Failure.Message)
}

// Bubblewrap that could not make a namespace looked like a command that failed.
func TestCommandsThatBubblewrapDidNotStartAreReturned(t *testing.T) {
	installed, err := exec.LookPath("bwrap")
	if err != nil {
		bubblewrap(t)
	}
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bwrap"),
		[]byte("#!/bin/sh\n[ -e "+broken+" ] || exec "+installed+" \"$@\"\n"+
			// Its end of the gate closes before it ends. The runner sees that first, because it
			// has to read more than the pipe holds before this can end.
			"exec 4>&-\nprintf %200000s no\\ namespace >&2\nexit 1\n"), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	isolation := bubblewrap(t)
	health := runner.NewHealth()
	bench := runnertest.Start(t, shell("echo fine"), func(c *runner.Config) { c.Isolation, c.Health = isolation, health })
	returned := make(chan action.Attempt, 1)
	bench.Jobs.Returned = func(a action.Attempt) { returned <- a }
	require.NoError(t, os.WriteFile(broken, nil, 0o600))
	bench.Jobs.Give(runnertest.Attempt("a"))
	require.Contains(t, (<-returned).Returned.Reason, "bubblewrap ended with 1 before it started sh")
	require.ErrorContains(t, health.Err(), "no namespace")
	require.NoError(t, os.Remove(broken))
	require.Eventually(t, func() bool { return health.Err() == nil }, time.Minute, 10*time.Millisecond)
	result, _ := bench.Run(t, runnertest.Attempt("b"))
	require.Nil(t, result.Failure)
}
