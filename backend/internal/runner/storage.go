package runner

import (
	"context"
	"errors"
	"os"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// Storage tells whether artifacts and logs can be kept at present.
type Storage interface {
	// Err returns nil while they can. The answer may be some seconds old.
	Err(ctx context.Context) error
	// Ask is Err of this moment.
	Ask(ctx context.Context) error
}

// there is a storage that is never away.
type there struct{}

// Err implements Storage.
func (there) Err(context.Context) error { return nil }

// Ask implements Storage.
func (there) Ask(context.Context) error { return nil }

// awaitStorage returns once artifacts and logs can be kept, or the context ended:
// what is begun without them fails, and one failure lets the next execution of a
// queue begin and fail.
func (r *Runner) awaitStorage(ctx context.Context, err error, what string) {
	if err == nil {
		return
	}
	r.Log.Warn("Waits for the storage of artifacts and logs", "with", what, "error", err)
	for backoff := minBackoff; err != nil && ctx.Err() == nil; backoff = min(2*backoff, maxBackoff) {
		pause(ctx, backoff)
		err = r.Storage.Ask(ctx)
	}
}

// patient is the store of artifacts for one attempt. While the storage is away it waits,
// as long as the attempt may run: what was done is kept.
type patient struct {
	action.Artifacts
	runner  *Runner
	attempt string
}

// Fetch implements action.Artifacts.
func (p patient) Fetch(ctx context.Context, artifact action.Artifact, root *os.Root, dir string) error {
	for {
		err := p.Artifacts.Fetch(ctx, artifact, root, dir)
		if !p.again(ctx, err) {
			return err
		}
	}
}

// Store implements action.Artifacts.
func (p patient) Store(ctx context.Context, name string, root *os.Root, dir string, globs []string) (action.Artifact, error) {
	for {
		artifact, err := p.Artifacts.Store(ctx, name, root, dir, globs)
		if !p.again(ctx, err) {
			return artifact, err
		}
	}
}

// again tells whether to try again: where the storage was away and is back.
func (p patient) again(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || errors.Is(err, action.ErrUnstorable) {
		return false
	}
	away := p.runner.Storage.Ask(ctx)
	if away == nil {
		return false
	}
	p.runner.awaitStorage(ctx, away, p.attempt)
	return ctx.Err() == nil
}
