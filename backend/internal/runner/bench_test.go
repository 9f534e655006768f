package runner_test

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/command"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// The limits: a bare fork and exec, of the program and of the shell that runs it.
func BenchmarkBare(b *testing.B) {
	for name, argv := range map[string][]string{"true": {"/bin/true"}, "sh": {"/bin/sh", "-c", "true"}} {
		for _, width := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/%d", name, width), func(b *testing.B) {
				var group sync.WaitGroup
				for w := range width {
					group.Go(func() {
						for i := w; i < b.N; i += width {
							if err := exec.Command(argv[0], argv[1:]...).Run(); err != nil {
								b.Error(err)
							}
						}
					})
				}
				group.Wait()
			})
		}
	}
}

// One hop: the report of an action of `true` answers with the next one.
func BenchmarkCommands(b *testing.B) {
	for _, width := range []int{1, 2} {
		b.Run(fmt.Sprint(width), func(b *testing.B) {
			var mu sync.Mutex
			left := b.N
			next := func(runnertest.Report) *runner.Assignment {
				mu.Lock()
				defer mu.Unlock()
				if left == 0 {
					return nil
				}
				left--
				attempt := runnertest.Attempt(fmt.Sprintf("action-%d", left))
				attempt.ExecutionID = fmt.Sprintf("execution-%d", left/10)
				attempt.Action.Commands = []string{"true"}
				return &runner.Assignment{Attempt: attempt}
			}
			bench := runnertest.Start(b, command.New(), func(c *runner.Config) {
				c.Slots = width
				c.Log = hclog.NewNullLogger()
				jobs, ok := c.Jobs.(*runnertest.Jobs)
				require.True(b, ok)
				jobs.Next = func(report runnertest.Report) *runner.Assignment {
					if report.Result.Failure != nil {
						b.Error(report.Result.Failure.Message)
					}
					return next(report)
				}
			})
			b.ResetTimer()
			for range width {
				if a := next(runnertest.Report{Result: action.Result{}}); a != nil {
					bench.Jobs.Give(a.Attempt)
				}
			}
			for range min(width, b.N) {
				bench.Wait(b)
			}
			b.StopTimer()
			bench.Stop()
		})
	}
}

// The part of it that is the process.
func BenchmarkProcess(b *testing.B) {
	run := executor(func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
		for b.Loop() {
			_, err := workspace.Run(ctx, action.Process{
				Argv: []string{"/bin/sh", "-c", "true"}, Dir: workspace.Dir, Stdout: workspace.Log, Stderr: workspace.Log,
			})
			if err != nil {
				return action.Failed(action.JobFailed, "%v", err)
			}
		}
		return action.Result{}
	})
	result, _ := runnertest.Start(b, run, nil).Run(b, runnertest.Attempt("a"))
	require.Nil(b, result.Failure)
}

// The ratio that counts, on a machine that does other things too: each action is
// followed by a bare process, and the medians are compared.
func BenchmarkHopToBare(b *testing.B) {
	var bare, hops []float64
	var started time.Time
	n := 0
	next := func() *runner.Assignment {
		attempt := runnertest.Attempt(fmt.Sprintf("action-%d", n))
		attempt.ExecutionID = fmt.Sprintf("execution-%d", n/10)
		attempt.Action.Commands = []string{"true"}
		n++
		started = time.Now()
		return &runner.Assignment{Attempt: attempt}
	}
	bench := runnertest.Start(b, command.New(), func(c *runner.Config) {
		jobs, ok := c.Jobs.(*runnertest.Jobs)
		require.True(b, ok)
		jobs.Next = func(runnertest.Report) *runner.Assignment {
			hops = append(hops, float64(time.Since(started)))
			start := time.Now()
			if err := exec.Command("/bin/true").Run(); err != nil {
				b.Error(err)
			}
			bare = append(bare, float64(time.Since(start)))
			if n >= b.N {
				return nil
			}
			return next()
		}
	})
	bench.Jobs.Give(next().Attempt)
	bench.Wait(b)
	slices.Sort(bare)
	slices.Sort(hops)
	b.ReportMetric(hops[len(hops)/2]/1e3, "hop-p50-µs")
	b.ReportMetric(bare[len(bare)/2]/1e3, "bare-p50-µs")
	b.ReportMetric(hops[len(hops)/2]/bare[len(bare)/2], "ratio")
}
