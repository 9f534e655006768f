//go:build unix && !linux

package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
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
	dir   string
	grace time.Duration
	hard  context.Context
	ended []string
}

func newProcesses(r *Runner, _ int) (*processes, error) {
	return &processes{grace: r.config.StopGrace}, nil
}

func (p *processes) close() {}

func (p *processes) begin(hard context.Context, _, dir string, _ io.Writer) {
	p.hard, p.dir = hard, dir
}

// gate is empty: there is nothing to wait for here.
func (p *processes) gate() string { return "" }

func endedBackground([]string) string { return "" }

func (p *processes) run(ctx context.Context, process action.Process) (int, error) {
	if len(process.Argv) == 0 {
		return 0, errors.New("start process: no program given")
	}
	cmd := exec.CommandContext(ctx, process.Argv[0], process.Argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = process.Dir, process.Stdout, process.Stderr
	cmd.Env = append(process.Env[:len(process.Env):len(process.Env)], marker+"="+p.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	kill := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var late *time.Timer
	cmd.Cancel = func() error {
		if p.grace <= 0 || p.hard.Err() != nil {
			kill()
			return nil
		}
		late = time.AfterFunc(p.grace, kill)
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	cmd.WaitDelay = p.grace + drainTime
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return 0, fmt.Errorf("start process: %w", err)
	}
	stop := context.AfterFunc(p.hard, kill)
	err := cmd.Wait()
	stop()
	if late != nil {
		late.Stop()
	}
	kill()
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

// processLimits are not set here.
type processLimits struct{}

func readProcessLimits(Config) processLimits { return processLimits{} }

// killLeftovers finds nothing here: these systems have no way to tell whose a
// process is after its runner was killed.
func killLeftovers(string) ([]string, error) { return nil, nil }
