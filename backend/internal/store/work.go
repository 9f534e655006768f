package store

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// WorkReader reads the work that decisions made: attempts, as leases, and turns.
type WorkReader interface {
	// CountAttempts returns how many attempts wait for a runner and how many are held by
	// one.
	CountAttempts(ctx context.Context) (ready, held int, err error)
	Lease(ctx context.Context, actionExecutionID string) (*execution.Lease, error)
	// LeasesOf returns the attempts of those of the action executions that have one.
	LeasesOf(ctx context.Context, actionExecutionIDs []string) ([]*execution.Lease, error)
	// HeldLeases returns the attempts that runners hold, by their place in the queue. There
	// are no more of them than slots of runners, however many attempts wait.
	HeldLeases(ctx context.Context) ([]*execution.Lease, error)
	// Turns returns all pending turns by due time.
	Turns(ctx context.Context) ([]*execution.Turn, error)
	Turn(ctx context.Context, id string) (*execution.Turn, error)
	// TurnsOf returns those of the turns that are pending.
	TurnsOf(ctx context.Context, ids []string) ([]*execution.Turn, error)
	// TurnByCarrier returns the pending turn that has the carrier.
	TurnByCarrier(ctx context.Context, carrier int64) (*execution.Turn, error)
}

// WorkWriter reads work and leases attempts to runners. Work is made and ended by
// ExecutionWriter.Apply.
type WorkWriter interface {
	WorkReader

	// ClaimTurn keeps others from replacing a turn until the transaction ends, and tells
	// whether the turn is there still: not if it ended, or was replaced by one that is due at
	// another time.
	ClaimTurn(ctx context.Context, turn *execution.Turn) (bool, error)
	// AcquireLease assigns a waiting attempt to a runner. It takes the account that holds the
	// fewest attempts, and by turns among those that hold as few; then a pipeline of that
	// account by the same rule; then the oldest attempt of that pipeline. Concurrent calls
	// do not wait for each other. More reports whether other attempts are waiting. If none
	// waits, it returns ErrNotFound.
	AcquireLease(ctx context.Context, request LeaseRequest) (lease *execution.Lease, more bool, err error)
	// RenewLeases extends all leases of a runner and returns them.
	RenewLeases(ctx context.Context, runner string, until time.Time) ([]*execution.Lease, error)
	// ReleaseLease makes an attempt that the runner holds wait for a runner again; else
	// ErrStale.
	ReleaseLease(ctx context.Context, actionExecutionID string, number int, runner string) error
	// ReturnLease is ReleaseLease for an attempt that the runner could not begin. It stores the
	// Returned of the lease's attempt.
	ReturnLease(ctx context.Context, lease *execution.Lease, runner string) error
}

// LeaseRequest is a runner's request for an attempt.
type LeaseRequest struct {
	// Runner holds the attempt until Until, unless it renews the lease.
	Runner string
	Until  time.Time
	// Prefer is the action execution whose attempt is taken before older ones of its
	// pipeline, if it is that pipeline's turn; empty for none.
	Prefer string
}
