// Package service holds the use cases: authorise, validate, decide, commit. It
// must never know of gRPC or SQL; what a caller did wrong comes back as *Error.
package service

import (
	"fmt"
	"time"

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
