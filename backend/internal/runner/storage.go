package runner

import (
	"context"
	"errors"
	"os"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// Storage tells whether artifacts and logs can be stored at present.
type Storage interface {
	// Err returns nil while they can. The answer may be a few seconds old.
	Err(ctx context.Context) error
	// Check is Err without the memory: it tries the storage now.
	Check(ctx context.Context) error
}

// alwaysAvailable is the storage of a runner that was given none.
type alwaysAvailable struct{}

// Err implements Storage.
func (alwaysAvailable) Err(context.Context) error { return nil }

// Check implements Storage.
func (alwaysAvailable) Check(context.Context) error { return nil }

// awaitStorage returns once artifacts and logs can be stored, or the context ended. An
// attempt that starts without them fails, and its failure lets the next execution of the
// queue start and fail too.
func (r *Runner) awaitStorage(ctx context.Context, err error, what string) {
	if err == nil {
		return
	}
	r.config.Log.Warn("Waits for the storage of artifacts and logs", "with", what, "error", err)
	for backoff := minBackoff; err != nil && ctx.Err() == nil; backoff = min(2*backoff, maxBackoff) {
		pause(ctx, backoff)
		err = r.config.Storage.Check(ctx)
	}
}

// retryingArtifacts is the artifact store of one attempt. While the storage is unavailable
// it waits and tries again, as long as the attempt may run, so that the work of the attempt
// is not lost.
type retryingArtifacts struct {
	action.Artifacts
	runner  *Runner
	attempt string
}

// Fetch implements action.Artifacts.
func (a retryingArtifacts) Fetch(ctx context.Context, artifact action.Artifact, root *os.Root, dir string) error {
	for {
		err := a.Artifacts.Fetch(ctx, artifact, root, dir)
		if !a.retry(ctx, err) {
			return err
		}
	}
}

// Store implements action.Artifacts.
func (a retryingArtifacts) Store(ctx context.Context, name string, root *os.Root, files action.Files) (action.Stored, error) {
	for {
		stored, err := a.Artifacts.Store(ctx, name, root, files)
		if !a.retry(ctx, err) {
			return stored, err
		}
	}
}

// retry reports whether to try again after an error: the storage was unavailable and now
// works.
func (a retryingArtifacts) retry(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || errors.Is(err, action.ErrUnstorable) {
		return false
	}
	unavailable := a.runner.config.Storage.Check(ctx)
	if unavailable == nil {
		return false
	}
	a.runner.awaitStorage(ctx, unavailable, a.attempt)
	return ctx.Err() == nil
}
