// Package dispatch is the contract of the work queue: turns that a commit made
// ready are run, now or when they are due, and run again when they died. It must
// never know what a turn does or watch anything long.
package dispatch

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// Handler runs one turn to the commit of its outcome. It returns the turn to
// carry on with at once, where its commit made one ready; the others were added
// to the queue. After an error the turn is run again later.
type Handler func(ctx context.Context, turn *execution.Turn) (next *execution.Turn, err error)

// Queue runs turns. Its methods may be called concurrently, also before Run.
type Queue interface {
	// Add queues turns that are committed. A turn replaces one of the same id.
	Add(turns ...*execution.Turn)
	// Remove forgets turns that need not run any more. One that runs already
	// goes on; its outcome has no effect.
	Remove(ids ...string)
	// Run hands turns to the handler until the context ends, then waits for the
	// handlers that run and returns nil.
	Run(ctx context.Context, handler Handler) error
}
