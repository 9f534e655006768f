package runner

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

const (
	// probeEvery is how often a runner that is well looks at its work directory, and
	// probeSick how often one that is sick looks whether it can run processes again.
	probeEvery = 5 * time.Second
	probeSick  = time.Second
	// probePatience is how long a process of a probe may take.
	probePatience = 10 * time.Second
	// probeSize is more than what is left of a full disk may hold.
	probeSize = 64 << 10
	// maxReturns bounds how often an attempt is returned: its inputs may be too large for
	// the disk of every runner.
	maxReturns = 8
	// maxReturnDelay is the longest time that a runner which is well keeps an attempt
	// before it returns it.
	maxReturnDelay = 30 * time.Second
)

// Health says whether a runner can run attempts. Several may read it while the runner runs.
type Health struct {
	mu  sync.Mutex
	err error
	// well ends when the runner becomes sick.
	well context.Context
	fall context.CancelFunc
}

// NewHealth returns the health of a runner that is well.
func NewHealth() *Health {
	h := &Health{}
	h.well, h.fall = context.WithCancel(context.Background())
	return h
}

// Err returns why the runner takes nothing, nil if it does.
func (h *Health) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// set notes what a probe found, and tells whether the runner fell sick or recovered by it.
func (h *Health) set(err error) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed = (err == nil) != (h.err == nil)
	h.err = err
	switch {
	case !changed:
	case err != nil:
		h.fall()
	default:
		h.well, h.fall = context.WithCancel(context.Background())
	}
	return changed
}

// whileWell returns a context that also ends when the runner becomes sick.
func (h *Health) whileWell(ctx context.Context) (context.Context, func()) {
	h.mu.Lock()
	well := h.well
	h.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(well, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// watchHealth looks at the machine until the context ends.
func (r *Runner) watchHealth(ctx context.Context) {
	for ctx.Err() == nil {
		if r.config.Health.Err() != nil {
			pause(ctx, probeSick)
			r.probe(ctx, true)
			continue
		}
		pause(ctx, probeEvery)
		r.probe(ctx, false)
	}
}

// probe tries what every attempt needs, and recreates the work directory if it is gone. A
// process is started only where there is a reason.
func (r *Runner) probe(ctx context.Context, process bool) {
	r.probing.Lock()
	defer r.probing.Unlock()
	err := r.tryWorkDir()
	if err == nil && process {
		err = r.tryProcess(ctx)
	}
	if ctx.Err() != nil || !r.config.Health.set(err) {
		return
	}
	if err != nil {
		r.config.Log.Error("The runner is unhealthy and takes no actions", "error", err)
		return
	}
	r.config.Log.Info("The runner is healthy again")
}

func (r *Runner) tryWorkDir() error {
	made, err := r.workDirs.ensure(r.config.WorkDir)
	if made {
		r.config.Log.Warn("The work directory was missing and was recreated", "dir", r.config.WorkDir)
	}
	if err != nil {
		return &workDirError{dir: r.config.WorkDir, err: err}
	}
	dir, err := r.workDirs.make()
	if err != nil {
		return fmt.Errorf("make a directory in %s: %w", r.config.WorkDir, err)
	}
	defer r.workDirs.remove(dir)
	if err := dir.root.WriteFile("probe", make([]byte, probeSize), 0o600); err != nil {
		return fmt.Errorf("write a file in %s: %w", r.config.WorkDir, err)
	}
	return nil
}

// workDirError says that the work directory is not usable as a whole.
type workDirError struct {
	dir string
	err error
}

func (e *workDirError) Error() string { return fmt.Sprintf("work directory %s: %v", e.dir, e.err) }

func (e *workDirError) Unwrap() error { return e.err }

func (r *Runner) tryProcess(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	if r.config.Isolation.bwrap != "" {
		if err := r.config.Isolation.try(ctx); err != nil {
			return fmt.Errorf("start a process under bubblewrap: %w", err)
		}
		return nil
	}
	if output, err := exec.CommandContext(ctx, "/bin/sh", "-c", ":").CombinedOutput(); err != nil {
		return fmt.Errorf("start a process: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}

// awaitHealth returns once the runner is well or the context ended.
func (r *Runner) awaitHealth(ctx context.Context) {
	for r.config.Health.Err() != nil && ctx.Err() == nil {
		pause(ctx, minBackoff)
	}
}

// giveBack returns an attempt that failed for a reason of this machine, and tells whether it
// did. An attempt that was returned as often as may be fails.
func (r *Runner) giveBack(lease context.Context, attempt *action.Attempt, result *action.Result) bool {
	failure := result.Failure
	if failure == nil || failure.Code != action.RunnerFault {
		return false
	}
	failure.Code = action.SystemUnavailable
	if lease.Err() != nil {
		return false
	}
	r.probe(lease, true)
	var unusable *workDirError
	var reason syscall.Errno
	if errors.As(r.config.Health.Err(), &unusable) && errors.As(unusable, &reason) {
		// The action met only what followed from it. The path is in the server's log alone.
		failure.Message = fmt.Sprintf("the runner cannot use its work directory: %v", reason)
	}
	count := 1
	if attempt.Returned != nil {
		count += attempt.Returned.Count
	}
	if count > maxReturns {
		failure.Message = fmt.Sprintf("%s (runners returned it %d times before; this one is %s)", failure.Message, count-1, r.config.ID)
		return false
	}
	if r.config.Health.Err() == nil {
		// It is well, so that the attempt may fail here again.
		pause(lease, min(time.Second<<(count-1), maxReturnDelay))
	}
	returned := *attempt
	returned.Returned = &action.Returned{Count: count, Runner: r.config.ID, Reason: failure.Message}
	for backoff := minBackoff; lease.Err() == nil; backoff = min(2*backoff, maxBackoff) {
		err := r.config.Jobs.Return(lease, r.config.ID, returned)
		if err == nil {
			r.config.Log.Warn("Returned an attempt that could not begin here", "attempt", attempt.ID(), "times", count, "reason", failure.Message)
			if r.config.Returned != nil {
				r.config.Returned()
			}
			break
		}
		if lease.Err() == nil {
			r.config.Log.Warn("Cannot return an attempt, will try again", "attempt", attempt.ID(), "in", backoff, "error", err)
			pause(lease, backoff)
		}
	}
	return true
}
