package runner

import (
	"context"
	"strings"
	"sync/atomic"
	"time"
)

// attemptMarker names the attempt in the environment of its processes. The work
// directory alone would not: it may be another attempt's by now.
const attemptMarker = "HEADRACE_ATTEMPT_ID"

// sweepEvery is how long a process may outlive its attempt without isolation.
// Looking for such processes reads all of /proc, too slow for the end of every
// attempt.
const sweepEvery = 2 * time.Second

// strays ends processes that left their attempt's process group and went on when
// the attempt succeeded. Under bubblewrap there are none. One that clears its
// environment as well is not found before the next start of the runner.
type strays struct {
	// busy is set when an attempt ran since the last sweep.
	busy atomic.Bool
}

// sweep looks for strays until the context ends, while there is something to look
// for.
func (r *Runner) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if r.Isolation.bwrap != "" || !r.strays.busy.Swap(false) {
			continue
		}
		if err := killAll(r.stray); err != nil {
			r.Log.Warn("Cannot end processes that outlived their attempts", "error", err)
		}
	}
}

// stray tells whether a process is of an attempt of this runner that has ended.
func (r *Runner) stray(pid int, _ stat) bool {
	mine, attempt := false, ""
	ours := marker + "=" + r.WorkDir + "/"
	carries(pid, func(variable string) bool {
		mine = mine || strings.HasPrefix(variable, ours)
		if id, ok := strings.CutPrefix(variable, attemptMarker+"="); ok {
			attempt = id
		}
		return false
	})
	if !mine || attempt == "" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for h := range r.held {
		if h.attempt.ID() == attempt {
			// It may leave something behind yet.
			r.strays.busy.Store(true)
			return false
		}
	}
	r.workDirs.shared.Store(true)
	r.Log.Warn("A process outlived its attempt and is ended", "attempt", attempt, "pid", pid)
	return true
}
