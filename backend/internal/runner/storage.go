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

// storageTries is how often in a row a storage may fail that says it is available.
const storageTries = 5

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
	return a.retry(ctx, func() error { return a.Artifacts.Fetch(ctx, artifact, root, dir) })
}

// Store implements action.Artifacts.
func (a retryingArtifacts) Store(ctx context.Context, name string, root *os.Root, files action.Files) (stored action.Stored, err error) {
	err = a.retry(ctx, func() error {
		stored, err = a.Artifacts.Store(ctx, name, root, files)
		return err
	})
	return stored, err
}

// retry does something until it succeeds, or fails for another reason than the storage. A
// storage that was away for a moment may be back before anybody can ask it, so one that says
// it is available gets some more tries.
func (a retryingArtifacts) retry(ctx context.Context, do func() error) error {
	tries, backoff := 0, minBackoff
	for {
		err := do()
		if err == nil || ctx.Err() != nil || errors.Is(err, action.ErrUnstorable) {
			return err
		}
		if unavailable := a.runner.config.Storage.Check(ctx); unavailable != nil {
			a.runner.awaitStorage(ctx, unavailable, a.attempt)
			tries, backoff = 0, minBackoff
		} else {
			tries++
			if tries == storageTries || !errors.Is(err, action.ErrStorageFailed) {
				return err
			}
			pause(ctx, backoff)
			backoff *= 2
		}
		if ctx.Err() != nil {
			return err
		}
	}
}
