//go:build unix && !linux

package runner

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

const (
	marker    = "HEADRACE_WORKSPACE"
	drainTime = time.Second
)

// processes starts the processes of one slot, with what every Unix has. What
// leaves its process group is not found here.
type processes struct {
	dir string
}

func newProcesses(*Runner, int) (*processes, error) { return &processes{}, nil }

func (p *processes) close() {}

// strays are not looked for here.
type strays struct{ busy atomic.Bool }

func (r *Runner) sweep(context.Context) {}

func (p *processes) begin(_, dir string) { p.dir = dir }

func (p *processes) run(ctx context.Context, process action.Process) (int, error) {
	if len(process.Argv) == 0 {
		return 0, errors.New("start process: no program given")
	}
	cmd := exec.CommandContext(ctx, process.Argv[0], process.Argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = process.Dir, process.Stdout, process.Stderr
	cmd.Env = append(process.Env[:len(process.Env):len(process.Env)], marker+"="+p.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = drainTime
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return 0, fmt.Errorf("start process: %w", err)
	}
	pid := cmd.Process.Pid
	err := cmd.Wait()
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if cmd.ProcessState == nil {
		return 0, fmt.Errorf("wait for process: %w", err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// killLeftovers finds nothing here: these systems have no way to tell whose a
// process is after its runner was killed.
func killLeftovers(string) error { return nil }
