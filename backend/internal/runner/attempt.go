package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
)

// execute runs one attempt in a work directory of its own. The result counts
// only if the lease is still held afterwards. When the lease ends its processes are
// warned, when owned ends they are killed.
func (r *Runner) execute(lease, owned context.Context, processes *processes, attempt *action.Attempt, log *attemptLog) (result action.Result) {
	executor, ok := r.config.Registry.Attempt(attempt.Action.TypeID())
	if !ok {
		a := &attempt.Action
		return action.Failed(action.ConfigurationError,
			"this runner cannot run actions of the type %s/%s/%s version %s; use one that the server lists", a.Category, a.Owner, a.Provider, a.Version)
	}
	dir, err := r.workDirs.get()
	if err != nil {
		r.config.Log.Error("Cannot make a work directory", "attempt", attempt.ID(), "error", err)
		return action.FailedByRunner("the runner cannot make a work directory for the action: %v", cause(err))
	}
	defer r.workDirs.put(dir)

	ctx := lease
	if attempt.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(lease, attempt.Timeout, errTimeout)
		defer cancel()
	}
	defer func() {
		if result.Log = log.to.Small(); result.Log != nil {
			log.small = true
			return
		}
		// The rest of the log waits for the storage too, though not beside its timeout.
		r.awaitStorage(lease, r.config.Storage.Err(lease), attempt.ID())
		if err := log.close(); err != nil {
			result = withoutLog(result)
		}
	}()
	shown := secret.NewWriter(log)
	defer func() {
		// An error of the log below is the log's own.
		_ = shown.Close()
		result = result.Redacted(shown.Redact)
	}()
	path := filepath.Join(r.config.WorkDir, dir.name)
	processes.begin(owned, attempt.ID(), path, shown)
	begun := false
	result = r.callExecutor(ctx, executor, attempt, action.Workspace{
		Dir:         path,
		Root:        dir.root,
		Log:         shown,
		Artifacts:   retryingArtifacts{Artifacts: r.config.Artifacts, runner: r, attempt: attempt.ID()},
		Credentials: r.config.Credentials.Hide(attempt.Scope, shown.Add),
		Secrets:     r.config.Secrets.Hide(attempt.Scope, shown.Add),
		Run:         noting(&begun, r.config.Isolation.guarded(processes.run)),
		Gate:        processes.gate(),
		Isolation:   r.config.Isolation.Name(),
		Writable:    r.config.Writable,
	}, shown.Redact)
	if f := result.Failure; f != nil && f.Code == action.SystemUnavailable && !begun {
		// The directory was removed from outside, which may be why the action failed.
		if _, err := os.Lstat(path); err != nil {
			f.Code = action.RunnerFault
		}
	}
	if len(processes.ended) > 0 && result.Failure == nil {
		result.Summary = joined(result.Summary, endedBackground(processes.ended))
	}
	if errors.Is(context.Cause(ctx), errTimeout) {
		result = action.Failed(action.TimedOut,
			"the action ran longer than its timeout of %s; its processes were ended. Make it faster or raise timeout_in_minutes", attempt.Timeout)
		_, _ = io.WriteString(shown, "\n--- "+result.Failure.Message+" ---\n")
	}
	return result
}

// noting sets begun once a process ran that must not run twice.
func noting(begun *bool, run action.ProcessFunc) action.ProcessFunc {
	return func(ctx context.Context, process action.Process) (int, error) {
		code, err := run(ctx, process)
		if !process.Trusted && (err == nil || ctx.Err() != nil) {
			*begun = true
		}
		return code, err
	}
}

// callExecutor turns a panic of the executor into a failure of its action.
func (r *Runner) callExecutor(ctx context.Context, executor action.AttemptExecutor, attempt *action.Attempt, workspace action.Workspace, redact func(string) string) (result action.Result) {
	defer func() {
		if reason := recover(); reason != nil {
			r.config.Log.Error("Executor panicked", "attempt", attempt.ID(), "type", attempt.Action.TypeID(), "panic", redact(fmt.Sprint(reason)), "stack", string(debug.Stack()))
			result = action.Failed(action.SystemUnavailable,
				"the runner hit an internal error in this action; its log at attempt %s has the details", attempt.ID())
		}
	}()
	return executor.Execute(ctx, *attempt, workspace)
}

// cause returns the reason of a file system error without its path, which is
// nobody's business outside the server.
func cause(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// attemptLog keeps errors of the log away from the attempt: they are told to the
// operator once.
type attemptLog struct {
	to      action.Log
	server  hclog.Logger
	attempt *action.Attempt
	failed  bool
	// small is set if the result has the log, and kept once the result was committed.
	small, kept bool
}

func (l *attemptLog) Write(p []byte) (int, error) {
	if _, err := l.to.Write(p); err != nil {
		l.fail(err)
	}
	return len(p), nil
}

// close returns an error where the end of the log is not stored.
func (l *attemptLog) close() error {
	err := l.to.Close()
	if err != nil {
		l.fail(err)
	}
	return err
}

// end ends a log that the result has. It is stored if the result did not count.
func (l *attemptLog) end() {
	switch {
	case !l.small:
	case l.kept:
		l.to.Kept()
	default:
		_ = l.close()
	}
}

// withoutLog says in a result that the end of the log is missing, since the log cannot.
func withoutLog(result action.Result) action.Result {
	const missing = "the end of its log could not be stored"
	if result.Failure == nil {
		result.Summary = joined(result.Summary, missing)
		return result
	}
	failure := *result.Failure
	failure.Message += "; " + missing
	result.Failure = &failure
	return result
}

// joined adds a remark to a summary.
func joined(summary, remark string) string {
	if summary == "" {
		return remark
	}
	return summary + "; " + remark
}

func (l *attemptLog) fail(err error) {
	if !l.failed {
		l.failed = true
		l.server.Error("Cannot write an action's log", "attempt", l.attempt.ID(), "error", err)
	}
}
