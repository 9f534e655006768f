package store

import (
	"context"
	"time"
)

// RequestReader reads what writes with request ids made.
type RequestReader interface {
	// Request returns the resource that a write with that request id made.
	Request(ctx context.Context, account, method, requestID string) (string, error)
	// Creation returns the remembered creation of an object, by its resource name.
	Creation(ctx context.Context, resource string) (Creation, error)
}

// RequestWriter reads and writes what writes with request ids made.
type RequestWriter interface {
	RequestReader

	// SaveRequest remembers what a write with a request id made; ErrAlreadyExists if
	// another write with it was first. It is remembered for 24 hours, by the times that
	// callers pass, and may be forgotten after that.
	SaveRequest(ctx context.Context, account, method, requestID, resource string, at time.Time) error
	// SaveCreation remembers the creation of an object, instead of an earlier one of the
	// same name. It is remembered for an hour, by the times that callers pass, and may be
	// forgotten after that.
	SaveCreation(ctx context.Context, c Creation) error
	// UpdateCreation replaces a creation that still has the request id seen and is not
	// confirmed; else ErrStale. It cannot change until the transaction ends.
	UpdateCreation(ctx context.Context, seen string, c Creation) error
	// DeleteCreation forgets the creation of an object, if one is remembered.
	DeleteCreation(ctx context.Context, resource string) error
}

// Creation is a create whose caller confirms that the answer arrived.
type Creation struct {
	// Resource is the resource name of the object.
	Resource string
	// RequestID and Principal are those of the create that the object belongs to.
	RequestID string
	Principal string
	// Object distinguishes the created object from a later or a changed one.
	Object    string
	Confirmed bool
	CreatedAt time.Time
}
