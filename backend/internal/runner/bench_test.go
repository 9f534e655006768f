package runner_test

import (
	"fmt"
	"os/exec"
	"sync"
	"testing"

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
