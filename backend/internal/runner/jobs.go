// Package runner takes attempts of compute actions under a lease and runs them
// on this machine. It must never decide what a result means for an execution:
// it reports, and learns from the answer what to run next.
package runner

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// Assignment is an attempt that this runner holds the lease of.
type Assignment struct {
	Attempt action.Attempt
	// Revoked is closed when the attempt is not the runner's any more, because
	// the execution was abandoned or the lease was lost. Its processes must end
	// and its result has no effect.
	Revoked <-chan struct{}
	// Lost tells, once Revoked is closed, whether the lease was lost. Another runner may
	// have the attempt then, so its processes must not go on for a moment. Nil is never.
	Lost func() bool
}

// Answer is what follows from the report of a result.
type Answer struct {
	// Next is an attempt that the commit of the result made ready and leased to the runner,
	// else nil.
	Next *Assignment
	// Counted is set if the result ended the attempt, so that its log was kept too.
	Counted bool
}

// Jobs is where a runner gets its work, after CodePipeline's job worker
// protocol: take, keep the lease alive, report. All methods may be called
// concurrently.
type Jobs interface {
	// Acquire waits for an attempt and takes it under a lease. It returns the
	// context's error when the context ends first.
	Acquire(ctx context.Context, runnerID string) (Assignment, error)
	// Renew extends the leases that the runner holds. It is called every third
	// of the lease's length.
	Renew(ctx context.Context, runnerID string) error
	// Report ends an attempt. If the runner no longer holds the attempt, it has no effect and
	// returns no error.
	Report(ctx context.Context, runnerID string, attempt action.Attempt, result action.Result) (Answer, error)
	// Return makes an attempt wait for a runner again that this one could not begin. Its
	// Returned says why. It is not an error if the runner no longer holds the attempt.
	Return(ctx context.Context, runnerID string, attempt action.Attempt) error
}
