// Package service holds the use cases: authorise, validate, decide, commit. It
// must never know of gRPC or SQL; what a caller did wrong comes back as *Error.
package service

import (
	"errors"
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Kind is the class of a refusal; the rim maps it to a status code.
type Kind int

// The kinds of refusals.
const (
	KindInvalid Kind = iota + 1
	KindNotFound
	KindAlreadyExists
	// KindConflict: the object changed since the caller read it.
	KindConflict
	// KindPrecondition: the state of the object does not allow it.
	KindPrecondition
	KindDenied
	KindUnauthenticated
	// KindExhausted: a limit is reached.
	KindExhausted
	// KindDataLoss: what is stored is not what was stored once.
	KindDataLoss
)

// Error is a refusal in words for the caller. It never holds secrets or
// internals.
type Error struct {
	Kind    Kind
	Reason  pipeline.Reason
	Message string
	// Violations name the fields that are wrong, for KindInvalid.
	Violations []pipeline.Violation
	// RetryAfter is when another try may succeed, for KindExhausted; 0 where there is
	// nothing to say about that.
	RetryAfter time.Duration
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func refuse(kind Kind, reason pipeline.Reason, format string, args ...any) *Error {
	return &Error{Kind: kind, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Outage is why the store could not serve a use case.
type Outage int

// The outages of the store.
const (
	// OutageFull means that the disk is full and nothing was stored.
	OutageFull Outage = iota + 1
	// OutageUnanswered means that the database does not answer. A write may have been
	// made or not.
	OutageUnanswered
	// OutageDamaged means that what the database keeps on disk is damaged.
	OutageDamaged
)

// OutageOf returns the outage of the store that an error comes from, or 0 if it does not
// come from one.
func OutageOf(err error) Outage {
	switch {
	case errors.Is(err, store.ErrFull):
		return OutageFull
	case errors.Is(err, store.ErrUnavailable):
		return OutageUnanswered
	case errors.Is(err, store.ErrDamaged):
		return OutageDamaged
	default:
		return 0
	}
}
