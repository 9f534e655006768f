package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// Logs is where the output of attempts goes.
type Logs interface {
	// Writer returns what appends to the log of the attempt's action execution.
	// An error of a write never fails the attempt.
	Writer(attempt *action.Attempt) action.Log
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
	// Credentials hands out credentials to attempts. Nil hands out none.
	Credentials action.CredentialsOf
	// Secrets hands out secrets to attempts. Nil hands out none.
	Secrets action.SecretsOf
	Logs    Logs
	// Storage holds both. While it is unavailable no attempt starts, and running attempts
	// wait for it at their end. Nil means that it is always available.
	Storage Storage
	// Lease is how long a lease lasts without being renewed.
	Lease time.Duration
	// Grace is how long running attempts may go on after Run's context ended; 0
	// kills them at once.
	Grace time.Duration
	// StopGrace is how long processes may take to end after SIGTERM, before they are killed.
	// After Run's context ended it is the last part of Grace. 0 kills them at once.
	StopGrace time.Duration
	// Isolation comes from Detect. The zero value is none.
	Isolation Isolation
	// Hidden are existing files and directories that processes must not see, such
	// as the server's data directory and keys; of a symlink it is what it leads to
	// when a process starts. Only an isolation other than none can hide them. The
	// work directories of other attempts are always among them.
	Hidden []string
	// Writable are existing directories that processes may write to under an isolation that
	// makes the rest of the machine read-only. None of them may have a hidden path in it.
	Writable []string
	Log      hclog.Logger
	// Health is where the runner says whether it is well; nil if it is not read.
	Health *Health
	// Returned is called for each attempt that is returned; may be nil.
	Returned func()
	// Now is the clock of leases; nil means time.Now.
	Now func() time.Time
}

// Causes for which an attempt's context ends. A result is reported after the
// first one only. Processes are warned before they are killed, except where another
// runner may have the attempt by now.
var (
	errTimeout   = errors.New("the action ran longer than its timeout")
	errAbandoned = errors.New("the action was abandoned")
	errLeaseLost = errors.New("the lease was lost")
	errStopped   = errors.New("headraced is stopping")
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// Runner runs attempts in slots.
type Runner struct {
	config   Config
	lock     *os.File
	workDirs *workDirs
	// probing is held by the one that probes.
	probing sync.Mutex
	// starts counts the programs that were started.
	starts atomic.Uint64
	limits processLimits

	mu sync.Mutex
	// held are the leases of the slots that have an attempt.
	held    map[*held]struct{}
	renewed time.Time
}

// held is an attempt that the runner has the lease of.
type held struct {
	attempt *action.Attempt
	since   time.Time
	kill    context.CancelCauseFunc
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
	if config.Log == nil {
		config.Log = hclog.NewNullLogger()
	}
	if config.Health == nil {
		config.Health = NewHealth()
	}
	if config.Storage == nil {
		config.Storage = alwaysAvailable{}
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
	config.Writable = slices.Clone(config.Writable)
	for i, writable := range config.Writable {
		if config.Writable[i], err = writableDir(writable); err != nil {
			return nil, err
		}
		if err := keepsHidden(config.Writable[i], append([]string{dir}, config.Hidden...)); err != nil {
			return nil, fmt.Errorf("cannot make %s writable for commands: %w; use another directory", writable, err)
		}
	}
	lock, err := lockWorkDir(dir)
	if err != nil {
		return nil, err
	}
	if err := cleanUp(dir, config.Log); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &Runner{config: config, lock: lock, limits: readProcessLimits(config), held: make(map[*held]struct{})}, nil
}

// keepsHidden returns an error if a directory that commands may write to is in a hidden path or
// has one in it: commands could move a directory on the way to the path, and read there what the
// next attempt no longer hides.
func keepsHidden(writable string, hidden []string) error {
	for _, path := range hidden {
		target, err := filepath.EvalSymlinks(path)
		switch {
		case err != nil:
			return err
		case target == writable || isBelow(writable, []string{target}):
			return fmt.Errorf("it is in %s, which commands must not see", path)
		case isBelow(target, []string{writable}) || isBelow(path, []string{writable}) || writable == "/":
			return fmt.Errorf("%s is in it, which commands must not see", path)
		}
	}
	return nil
}

// CheckWritable returns an error if one of the paths cannot be a writable directory of a
// runner. Whether it is apart from what the runner hides is left to New.
func CheckWritable(paths []string) error {
	for _, path := range paths {
		if _, err := writableDir(path); err != nil {
			return err
		}
	}
	return nil
}

// writableDir returns the real path of a directory that processes may write to, since
// isolation mounts it.
func writableDir(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if err == nil {
		target, err = filepath.Abs(target)
	}
	if err != nil {
		return "", fmt.Errorf("cannot make %s writable for commands: %w; create the directory or remove the setting", path, cause(err))
	}
	info, err := os.Stat(target)
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	if err != nil {
		return "", fmt.Errorf("cannot make %s writable for commands: %w", path, cause(err))
	}
	return target, nil
}

// ID returns the name of the runner.
func (r *Runner) ID() string { return r.config.ID }

// Run takes attempts and runs them until the context ends. It then takes no more
// work, lets what runs go on for the grace (an assignment that comes back from a
// report included, since its lease is held already), warns what is left in the last part
// of the grace and kills it at its end, without reporting it: those leases get lost. It
// returns when every process and goroutine of the runner has ended. A runner runs once.
func (r *Runner) Run(ctx context.Context) error {
	hard, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	defer kill(nil)
	work, stop := context.WithCancelCause(hard)
	defer stop(nil)

	root, err := os.OpenRoot(r.config.WorkDir)
	if err != nil {
		unlockWorkDir(r.lock)
		return fmt.Errorf("runner: work directory: %w", err)
	}
	r.workDirs = newWorkDirs(root, r.lock, r.config.Slots, r.config.Log)
	defer r.workDirs.close()
	var renewal, slots sync.WaitGroup
	renewal.Go(func() { r.renew(hard) })
	renewal.Go(func() { r.watchHealth(hard) })
	for n := range r.config.Slots {
		slots.Go(func() { r.slot(ctx, work, hard, n) })
	}
	ended := make(chan struct{})
	go func() {
		slots.Wait()
		close(ended)
	}()

	<-ctx.Done()
	for _, end := range []struct {
		after  time.Duration
		cancel context.CancelCauseFunc
	}{
		{max(0, r.config.Grace-r.config.StopGrace), stop},
		{min(r.config.Grace, r.config.StopGrace), kill},
	} {
		limit := time.NewTimer(end.after)
		select {
		case <-ended:
		case <-limit.C:
			end.cancel(errStopped)
		}
		limit.Stop()
	}
	<-ended
	kill(nil)
	renewal.Wait()
	return nil
}

// slot runs one attempt after the other.
func (r *Runner) slot(ctx, work, hard context.Context, number int) {
	generation := r.workDirs.generation()
	processes, err := newProcesses(r, number)
	for err != nil {
		r.config.Log.Error("Slot cannot run anything yet, will try again", "slot", number, "in", probeSick, "error", err)
		pause(ctx, probeSick)
		if ctx.Err() != nil {
			return
		}
		r.probe(ctx, true)
		generation = r.workDirs.generation()
		processes, err = newProcesses(r, number)
	}
	defer func() { processes.close() }()
	var next *Assignment
	for work.Err() == nil {
		if next == nil {
			next = r.acquire(ctx)
			if next == nil {
				return
			}
		}
		if now := r.workDirs.generation(); now != generation {
			// What tells the next start of its processes was in the directory that is gone.
			renewed, err := newProcesses(r, number)
			if err == nil {
				processes.close()
				processes, generation = renewed, now
			}
		}
		next = r.runAttempt(work, hard, processes, next)
	}
}

// acquire returns nil when the context ended.
func (r *Runner) acquire(ctx context.Context) *Assignment {
	for backoff := minBackoff; ctx.Err() == nil; backoff = min(2*backoff, maxBackoff) {
		r.awaitStorage(ctx, r.config.Storage.Err(ctx), "taking work")
		r.awaitHealth(ctx)
		well, done := r.config.Health.whileWell(ctx)
		assignment, err := r.config.Jobs.Acquire(well, r.config.ID)
		sick := well.Err() != nil
		done()
		if err == nil {
			return &assignment
		}
		if ctx.Err() != nil {
			return nil
		}
		if sick {
			backoff = minBackoff / 2
			continue
		}
		r.config.Log.Warn("Cannot take work, will try again", "in", backoff, "error", err)
		pause(ctx, backoff)
	}
	return nil
}

// runAttempt runs the attempt, reports it and returns what Jobs gave in return. When work
// ends the processes of the attempt are warned, when hard ends they are killed.
func (r *Runner) runAttempt(work, hard context.Context, processes *processes, assignment *Assignment) *Assignment {
	attempt := &assignment.Attempt
	owned, disown := context.WithCancelCause(hard)
	defer disown(nil)
	lease, abandon := context.WithCancelCause(work)
	defer abandon(nil)
	kill := func(cause error) {
		// In this order, so that nothing is warned that must not go on.
		disown(cause)
		abandon(cause)
	}
	h := &held{attempt: attempt, since: r.config.Now(), kill: kill}
	r.hold(h)
	defer r.release(h)
	go func() {
		select {
		case <-assignment.Revoked:
			if assignment.Lost != nil && assignment.Lost() {
				kill(errLeaseLost)
				return
			}
			abandon(errAbandoned)
		case <-lease.Done():
		}
	}()

	r.awaitStorage(lease, r.config.Storage.Err(lease), attempt.ID())
	log := &attemptLog{to: r.config.Logs.Writer(attempt), server: r.config.Log, attempt: attempt}
	result := r.execute(lease, owned, processes, attempt, log)
	defer log.end()
	if r.giveBack(lease, attempt, &result) {
		return nil
	}
	for backoff := minBackoff; lease.Err() == nil; backoff = min(2*backoff, maxBackoff) {
		answer, err := r.config.Jobs.Report(lease, r.config.ID, *attempt, result)
		if err == nil {
			log.kept = answer.Counted
			return answer.Next
		}
		if lease.Err() == nil {
			r.config.Log.Warn("Cannot report a result, will try again", "attempt", attempt.ID(), "in", backoff, "error", err)
			pause(lease, backoff)
		}
	}
	r.config.Log.Info("Attempt ended without a report", "attempt", attempt.ID(), "reason", context.Cause(lease))
	return nil
}

// renew keeps the leases alive while there are some. Where that fails for as
// long as a lease lasts, another runner may have the attempts by now, so it ends
// them here.
func (r *Runner) renew(ctx context.Context) {
	ticker := time.NewTicker(max(r.config.Lease/3, time.Millisecond))
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
		asked := r.config.Now()
		limited, cancel := context.WithTimeout(ctx, r.config.Lease)
		err := r.config.Jobs.Renew(limited, r.config.ID)
		cancel()
		r.mu.Lock()
		if err == nil {
			r.renewed = asked
		} else if ctx.Err() == nil {
			r.config.Log.Warn("Cannot renew leases, will try again", "error", err)
		}
		now := r.config.Now()
		for h := range r.held {
			if now.Sub(latest(h.since, r.renewed)) >= r.config.Lease {
				h.kill(errLeaseLost)
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

func (r *Runner) release(h *held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, h)
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
