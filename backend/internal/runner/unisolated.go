package runner

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// NotIsolated returns why commands are refused, nil if they run.
func (i Isolation) NotIsolated() error {
	if i.unavailable {
		return action.ErrNotIsolated
	}
	return nil
}

// guarded refuses processes that run what users wrote where they cannot be isolated.
func (i Isolation) guarded(run action.ProcessFunc) action.ProcessFunc {
	refused := i.NotIsolated()
	if refused == nil {
		return run
	}
	return func(ctx context.Context, process action.Process) (int, error) {
		if !process.Trusted {
			return 0, refused
		}
		return run(ctx, process)
	}
}
