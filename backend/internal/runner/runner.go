package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// Logs is where the output of attempts goes.
type Logs interface {
	// Writer returns what appends to the log of the attempt's action execution.
	// An error of a write never fails the attempt.
	Writer(attempt *action.Attempt) io.WriteCloser
}

// Config is what a runner is made of. Every field without a default is required.
type Config struct {
	// ID names the runner to Jobs. It stays the same after a restart.
	ID string
	// Slots is how many attempts run at once.
	Slots    int
	Jobs     Jobs
	Registry *action.Registry
	// WorkDir is the runner's own directory, made where there is none. What is
	// in it from an earlier run is removed.
	WorkDir   string
	Artifacts action.Artifacts
	Logs      Logs
	// Storage is where both are. While it is away nothing is begun, and what runs waits
	// for it at its end; nil means that it is always there.
	Storage Storage
	// Lease is how long a lease lasts without being renewed.
	Lease time.Duration
	// Grace is how long running attempts may go on after Run's context ended; 0
	// kills them at once.
	Grace time.Duration
	// Isolation comes from Detect. The zero value is none.
	Isolation Isolation
	// Hidden are existing files and directories that processes must not see, such
	// as the server's data directory and keys; of a symlink it is what it leads to
	// when a process starts. Only an isolation other than none can hide them. The
	// work directories of other attempts are always among them.
	Hidden []string
	Log    hclog.Logger
	// Now is the clock of leases; nil means time.Now.
	Now func() time.Time
}

// Causes for which an attempt's context ends. A result is reported after the
// first one only.
var (
	errTimeout   = errors.New("the action ran longer than its timeout")
	errRevoked   = errors.New("the attempt is not this runner's any more")
	errLeaseLost = errors.New("the lease could not be renewed in time")
	errStopped   = errors.New("the runner stopped before the attempt ended")
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// Runner runs attempts in slots.
type Runner struct {
	Config
	lock     *os.File
	workDirs *workDirs
	strays   strays

	mu sync.Mutex
	// held are the leases of the slots that have an attempt.
	held    map[*held]struct{}
	renewed time.Time
}

// held is an attempt that the runner has the lease of.
type held struct {
	attempt *action.Attempt
	since   time.Time
	cancel  context.CancelCauseFunc
}

// New prepares the work directory: it takes a lock on it, so that no other
// runner uses it, kills the processes that an earlier runner left behind there,
// and removes their work directories.
func New(config Config) (*Runner, error) {
	switch {
	case config.ID == "" || config.WorkDir == "":
		return nil, errors.New("runner: an id and a work directory are required")
	case config.Slots < 1:
		return nil, fmt.Errorf("runner: %d slots; at least 1 is required", config.Slots)
	case config.Lease <= 0:
		return nil, errors.New("runner: the length of a lease is required")
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Storage == nil {
		config.Storage = there{}
	}
	dir, err := filepath.Abs(config.WorkDir)
	if err == nil {
		// Isolation mounts over it, which needs the real path.
		if err = os.MkdirAll(dir, 0o700); err == nil {
			dir, err = filepath.EvalSymlinks(dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("runner: work directory: %w", err)
	}
	config.WorkDir = dir
	config.Hidden = slices.Clone(config.Hidden)
	for i, hidden := range config.Hidden {
		if config.Hidden[i], err = filepath.Abs(hidden); err == nil {
			_, err = os.Stat(hidden)
		}
		if err != nil {
			return nil, fmt.Errorf("runner: path to hide: %w", err)
		}
	}
	lock, err := lockWorkDir(dir)
	if err != nil {
		return nil, err
	}
	if err := cleanUp(dir); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &Runner{Config: config, lock: lock, held: make(map[*held]struct{})}, nil
}

// Run takes attempts and runs them until the context ends. It then takes no more
// work, lets what runs go on for the grace (an assignment that comes back from a
// report included, since its lease is held already), and kills what is left
// without reporting it: those leases get lost. It returns when every process and
// goroutine of the runner has ended. A runner runs once.
func (r *Runner) Run(ctx context.Context) error {
	defer unlockWorkDir(r.lock)
	work, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	defer kill(nil)

	root, err := os.OpenRoot(r.WorkDir)
	if err != nil {
		return fmt.Errorf("runner: work directory: %w", err)
	}
	defer func() { _ = root.Close() }()
	r.workDirs = newWorkDirs(root, r.Slots, r.Log)
	defer r.workDirs.close()
	var renewal, slots sync.WaitGroup
	renewal.Go(func() { r.renew(work) })
	renewal.Go(func() { r.sweep(work) })
	for n := range r.Slots {
		slots.Go(func() { r.slot(ctx, work, n) })
	}
	ended := make(chan struct{})
	go func() {
		slots.Wait()
		close(ended)
	}()

	<-ctx.Done()
	grace := time.NewTimer(r.Grace)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
		kill(errStopped)
		<-ended
	}
	kill(nil)
	renewal.Wait()
	return nil
}

// slot runs one attempt after the other.
func (r *Runner) slot(ctx, work context.Context, number int) {
	processes, err := newProcesses(r, number)
	if err != nil {
		r.Log.Error("Slot cannot run anything", "slot", number, "error", err)
		return
	}
	defer processes.close()
	var next *Assignment
	for work.Err() == nil {
		if next == nil {
			next = r.acquire(ctx)
			if next == nil {
				return
			}
		}
		next = r.carryOut(work, processes, next)
	}
}

// acquire returns nil when the context ended.
func (r *Runner) acquire(ctx context.Context) *Assignment {
	for backoff := minBackoff; ctx.Err() == nil; backoff = min(2*backoff, maxBackoff) {
		r.awaitStorage(ctx, r.Storage.Err(ctx), "taking work")
		assignment, err := r.Jobs.Acquire(ctx, r.ID)
		if err == nil {
			return &assignment
		}
		if ctx.Err() != nil {
			return nil
		}
		r.Log.Warn("Cannot take work, will try again", "in", backoff, "error", err)
		pause(ctx, backoff)
	}
	return nil
}

// carryOut runs the attempt, reports it and returns what Jobs gave in return.
func (r *Runner) carryOut(work context.Context, processes *processes, assignment *Assignment) *Assignment {
	attempt := &assignment.Attempt
	lease, cancel := context.WithCancelCause(work)
	defer cancel(nil)
	h := &held{attempt: attempt, since: r.Now(), cancel: cancel}
	r.hold(h)
	defer r.letGo(h)
	go func() {
		select {
		case <-assignment.Revoked:
			cancel(errRevoked)
		case <-lease.Done():
		}
	}()

	r.awaitStorage(lease, r.Storage.Err(lease), attempt.ID())
	result := r.execute(lease, processes, attempt)
	for backoff := minBackoff; lease.Err() == nil; backoff = min(2*backoff, maxBackoff) {
		next, err := r.Jobs.Report(lease, r.ID, *attempt, result)
		if err == nil {
			return next
		}
		if lease.Err() == nil {
			r.Log.Warn("Cannot report a result, will try again", "attempt", attempt.ID(), "in", backoff, "error", err)
			pause(lease, backoff)
		}
	}
	r.Log.Info("Attempt ended without a report", "attempt", attempt.ID(), "reason", context.Cause(lease))
	return nil
}

// renew keeps the leases alive while there are some. Where that fails for as
// long as a lease lasts, another runner may have the attempts by now, so it ends
// them here.
func (r *Runner) renew(ctx context.Context) {
	ticker := time.NewTicker(max(r.Lease/3, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		r.mu.Lock()
		idle := len(r.held) == 0
		r.mu.Unlock()
		if idle {
			continue
		}
		// The lease counts from before the call: it cannot have begun earlier.
		asked := r.Now()
		limited, cancel := context.WithTimeout(ctx, r.Lease)
		err := r.Jobs.Renew(limited, r.ID)
		cancel()
		r.mu.Lock()
		if err == nil {
			r.renewed = asked
		} else if ctx.Err() == nil {
			r.Log.Warn("Cannot renew leases, will try again", "error", err)
		}
		now := r.Now()
		for h := range r.held {
			if now.Sub(latest(h.since, r.renewed)) >= r.Lease {
				h.cancel(errLeaseLost)
			}
		}
		r.mu.Unlock()
	}
}

func (r *Runner) hold(h *held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[h] = struct{}{}
}

func (r *Runner) letGo(h *held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, h)
	r.strays.busy.Store(true)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
