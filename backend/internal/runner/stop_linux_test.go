package runner_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// eachIsolation runs a test without isolation and under bubblewrap.
func eachIsolation(t *testing.T, test func(*testing.T, runner.Isolation)) {
	t.Helper()
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		test(t, runner.Isolation{})
	})
	t.Run("bubblewrap", func(t *testing.T) {
		t.Parallel()
		test(t, bubblewrap(t))
	})
}

// unique returns a program that stays and that nobody else on this machine runs, and what
// tells whether it runs. Once it does it makes the file ready.
func unique(t *testing.T) (command string, runs func() bool) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sleeper")
	shell, err := os.ReadFile("/bin/sh")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, shell, 0o700))
	return program + ` -c 'echo >ready; read -r x <>pipe'`, func() bool {
		names, err := filepath.Glob("/proc/[0-9]*/exe")
		require.NoError(t, err)
		for _, name := range names {
			if target, err := os.Readlink(name); err == nil && target == program {
				return true
			}
		}
		return false
	}
}

// visibly runs a script as shell does, from which paths can be seen also below /tmp.
func visibly(script string) executor {
	var visible []string
	if program, _, found := strings.Cut(script[strings.IndexByte(script, '/')+1:], "/sleeper "); found {
		visible = append(visible, "/"+program)
	}
	script = "mkfifo pipe; " + script
	return func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
		_, err := workspace.Run(ctx, action.Process{
			Argv: []string{"sh", "-c", workspace.Gate + script}, Dir: workspace.Dir, Env: []string{"PATH=" + os.Getenv("PATH")},
			Visible: visible, Stdout: workspace.Log, Stderr: workspace.Log, Gated: true,
		})
		if err != nil {
			return action.Failed(action.SystemUnavailable, "%v", err)
		}
		return action.Result{Summary: "ran"}
	}
}

// logged waits until the log of an attempt has a text.
func logged(t *testing.T, bench *runnertest.Bench, attempt action.Attempt, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(bench.Log(t, attempt), text) }, 20*time.Second, 5*time.Millisecond, text)
}

// ending ends a running attempt in one of the ways that warn.
type ending func(bench *runnertest.Bench, revoke func())

func endings() map[string]ending {
	return map[string]ending{
		"abandoned": func(_ *runnertest.Bench, revoke func()) { revoke() },
		"stopped":   func(bench *runnertest.Bench, _ func()) { go bench.Stop() },
	}
}

// The shell dies of the signal at once; the program that it runs and one that left the
// session get it too, and the time to end by themselves.
func TestProcessesAreWarned(t *testing.T) {
	t.Parallel()
	const tool = `sh -c 'trap "sleep 0.5; echo \$0 has ended; exit" TERM; echo \$0 runs; while :; do sleep 0.05; done'`
	script := strings.ReplaceAll("env -i setsid "+tool+" daemon & "+tool+" tool; echo never", "\\$", "$")
	eachIsolation(t, func(t *testing.T, isolation runner.Isolation) {
		t.Helper()
		for name, end := range endings() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				bench := runnertest.Start(t, shell(script), func(c *runner.Config) {
					c.Isolation, c.StopGrace, c.Grace = isolation, time.Minute, time.Minute
				})
				attempt := runnertest.Attempt("a")
				revoke := bench.Jobs.Give(attempt)
				logged(t, bench, attempt, "daemon runs")
				logged(t, bench, attempt, "tool runs")
				began := time.Now()
				end(bench, revoke)
				logged(t, bench, attempt, "daemon has ended")
				logged(t, bench, attempt, "tool has ended")
				bench.Stop()
				log := bench.Log(t, attempt)
				require.Contains(t, log, "sent SIGTERM to its processes, SIGKILL follows in 1m0s")
				require.NotContains(t, log, "never")
				require.NotContains(t, log, "were killed")
				require.Less(t, time.Since(began), 30*time.Second)
				require.Empty(t, bench.Jobs.Reports)
			})
		}
	})
}

// The grace ends with the last process, also one that hides, and names who missed it. Until
// then no other attempt has the slot.
func TestGraceIsBounded(t *testing.T) {
	t.Parallel()
	eachIsolation(t, func(t *testing.T, isolation runner.Isolation) {
		t.Helper()
		program, runs := unique(t)
		script := `trap '' TERM; (exec env -i setsid ` + program + ` >/dev/null 2>&1) & until test -e ready; do sleep 0.01; done; echo up; wait; sleep 300`
		bench := runnertest.Start(t, visibly(script), func(c *runner.Config) { c.Isolation, c.StopGrace = isolation, time.Second })
		attempt := runnertest.Attempt("a")
		revoke := bench.Jobs.Give(attempt)
		logged(t, bench, attempt, "up\n")
		require.Eventually(t, runs, 10*time.Second, 5*time.Millisecond)
		next := runnertest.Attempt("b")
		bench.Jobs.Give(next)
		began := time.Now()
		revoke()
		logged(t, bench, next, "up\n")
		require.GreaterOrEqual(t, time.Since(began), time.Second)
		log := bench.Log(t, attempt)
		require.Contains(t, log, "the action was abandoned: sent SIGTERM to its processes, SIGKILL follows in 1s")
		require.Contains(t, log, "its processes did not end within 1s and were killed: sh, sleeper")
	})
}

// A stop of the runner kills at the end of its own grace, which is the same moment as the end
// of the grace of the processes. The log names what was killed, the shell of the commands too.
func TestStopNamesWhatWasKilled(t *testing.T) {
	t.Parallel()
	eachIsolation(t, func(t *testing.T, isolation runner.Isolation) {
		t.Helper()
		program, _ := unique(t)
		script := `trap '' TERM; ` + program + ` & until test -e ready; do sleep 0.01; done; echo up; wait`
		bench := runnertest.Start(t, visibly(script), func(c *runner.Config) {
			c.Isolation, c.StopGrace, c.Grace = isolation, time.Second, 1500*time.Millisecond
		})
		attempt := runnertest.Attempt("a")
		bench.Jobs.Give(attempt)
		logged(t, bench, attempt, "up\n")
		bench.Stop()
		log := bench.Log(t, attempt)
		require.Contains(t, log, "headraced is stopping: sent SIGTERM to its processes, SIGKILL follows in 1s")
		require.Contains(t, log, "its processes did not end within 1s and were killed: sh, sleeper")
	})
}

func TestTimeoutWarns(t *testing.T) {
	t.Parallel()
	eachIsolation(t, func(t *testing.T, isolation runner.Isolation) {
		t.Helper()
		bench := runnertest.Start(t, shell(`trap 'echo cleaned; exit 3' TERM; while :; do sleep 0.05; done`), func(c *runner.Config) {
			c.Isolation, c.StopGrace = isolation, time.Minute
		})
		attempt := runnertest.Attempt("a")
		attempt.Timeout = 300 * time.Millisecond
		result, log := bench.Run(t, attempt)
		require.Equal(t, action.TimedOut, result.Failure.Code)
		require.Contains(t, log, "cleaned\n")
	})
}

// Another runner may have the attempt.
func TestLostAttemptIsKilledAtOnce(t *testing.T) {
	t.Parallel()
	eachIsolation(t, func(t *testing.T, isolation runner.Isolation) {
		t.Helper()
		for name, warnFirst := range map[string]bool{"running": false, "warned": true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				program, runs := unique(t)
				script := `trap 'echo warned' TERM; (trap '' TERM; exec env -i setsid ` + program + `) & until test -e ready; do sleep 0.01; done; echo up; while :; do sleep 0.05; done`
				bench := runnertest.Start(t, visibly(script), func(c *runner.Config) {
					c.Isolation, c.StopGrace, c.Grace, c.Lease = isolation, time.Minute, time.Hour, 300*time.Millisecond
					jobs, ok := c.Jobs.(*runnertest.Jobs)
					require.True(t, ok)
					jobs.RenewErr = func() error {
						if runs() {
							return os.ErrDeadlineExceeded
						}
						return nil
					}
				})
				attempt := runnertest.Attempt("a")
				revoke := bench.Jobs.Give(attempt)
				logged(t, bench, attempt, "up\n")
				if warnFirst {
					revoke()
				}
				bench.Jobs.Give(runnertest.Attempt("b"))
				bench.Stop()
				require.False(t, runs())
				if !warnFirst {
					require.NotContains(t, bench.Log(t, attempt), "warned")
				}
				require.NotContains(t, bench.Log(t, attempt), "did not end within")
			})
		}
	})
}

// Whatever is left when the commands are done is ended and named, however it hides, and the
// result says so. Nothing runs any more when the result is reported.
func TestBackgroundProcessesAreNamed(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]string{
		"in the group":         "%s >/dev/null 2>&1 &",
		"holding the output":   "%s &",
		"ignoring a hangup":    "nohup %s &",
		"in its own session":   "env -i setsid %s >/dev/null 2>&1 &",
		"orphaned and renamed": "(env -i setsid -f %s >/dev/null 2>&1 </dev/null)",
		"of a shell that left": "%s & until test -e ready; do sleep 0.01; done; exec true",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachIsolation(t, func(t *testing.T, isolation runner.Isolation) {
				t.Helper()
				program, runs := unique(t)
				bench := runnertest.Start(t, visibly(strings.ReplaceAll(start, "%s", program)+" \n until test -e ready; do sleep 0.01; done"), func(c *runner.Config) { c.Isolation = isolation })
				attempt := runnertest.Attempt("a")
				bench.Jobs.Give(attempt)
				result := bench.Wait(t).Result
				require.False(t, runs())
				require.Nil(t, result.Failure)
				require.Equal(t, "ran; ended 1 background process: sleeper", result.Summary)
				require.Contains(t, bench.Log(t, attempt), "--- ended 1 background process: sleeper ---")
			})
		})
	}
}

func TestNothingIsNamedIfNothingIsLeft(t *testing.T) {
	t.Parallel()
	eachIsolation(t, func(t *testing.T, isolation runner.Isolation) {
		t.Helper()
		bench := runnertest.Start(t, visibly("true & wait; (sleep 0.01 &) ; sleep 0.2; exit 0"), func(c *runner.Config) { c.Isolation = isolation })
		result, log := bench.Run(t, runnertest.Attempt("a"))
		require.Equal(t, "ran", result.Summary)
		require.Empty(t, log)
	})
}

// The kernel chooses what has the highest score when memory is short.
func TestProcessesAreKilledFirstWhenMemoryIsShort(t *testing.T) {
	t.Parallel()
	own, err := os.ReadFile("/proc/self/oom_score_adj")
	require.NoError(t, err)
	eachIsolation(t, func(t *testing.T, isolation runner.Isolation) {
		t.Helper()
		_, log := runnertest.Start(t, visibly("cat /proc/self/oom_score_adj"), func(c *runner.Config) { c.Isolation = isolation }).Run(t, runnertest.Attempt("a"))
		require.Equal(t, "500\n", log)
	})
	now, err := os.ReadFile("/proc/self/oom_score_adj")
	require.NoError(t, err)
	require.Equal(t, own, now)
}
