package service

import (
	"context"
	"errors"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// maxTries bounds how often a write is done again because another came first.
const maxTries = 10

// errDry rolls back a write that was only to be checked.
var errDry = errors.New("validate only")

// update runs fn in a transaction of begin, and again where another write came
// between. A dry one checks all and keeps nothing.
func update[T any](ctx context.Context, begin func(context.Context, func(context.Context, T) error) error, dry bool, fn func(context.Context, T) error) error {
	return retry(func() error {
		err := begin(ctx, func(ctx context.Context, tx T) error {
			if err := fn(ctx, tx); err != nil || !dry {
				return err
			}
			return errDry
		})
		if errors.Is(err, errDry) {
			return nil
		}
		return err
	})
}

// retry does a write again as often as another one comes between. That is not the fault
// of the caller, whose etag may match, so the refusal has no reason of its own.
func retry(write func() error) error {
	for range maxTries {
		if err := write(); !errors.Is(err, store.ErrStale) {
			return err
		}
	}
	return refuse(KindConflict, "", "too many concurrent changes to this object; try again")
}

// Check decides whether a use case may replace an object. It is called in the transaction
// of the write, with the object as it is and as it would be stored; its error refuses the
// write. A nil Check allows every replacement.
type Check[T any] func(before, after T) error

func (c Check[T]) allows(before, after T) error {
	if c == nil {
		return nil
	}
	return c(before, after)
}

// request is a write that a caller may repeat under one id.
type request struct {
	account  string
	method   string
	id       string
	resource string
	// principal is who makes the write.
	principal string
}

// done tells whether the write was done before.
func (q request) done(ctx context.Context, tx store.RequestReader) (bool, error) {
	if q.id == "" {
		return false, nil
	}
	resource, err := tx.Request(ctx, q.account, q.method, q.id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if resource != q.resource {
		return false, refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
			"the request id was used before, for %s; use a fresh one for each object", resource)
	}
	return true, nil
}

// save remembers that the write is done.
func (q request) save(ctx context.Context, tx store.RequestWriter, at time.Time) error {
	if q.id == "" {
		return nil
	}
	return saveRequest(ctx, tx, q.account, q.method, q.id, q.resource, at)
}

// saveRequest remembers what a write with a request id made. Where its twin came
// first, at another server, the write is stale: the next try finds what the twin made.
func saveRequest(ctx context.Context, tx store.RequestWriter, account, method, id, resource string, at time.Time) error {
	err := tx.SaveRequest(ctx, account, method, id, resource, at)
	if errors.Is(err, store.ErrAlreadyExists) {
		return store.ErrStale
	}
	return err
}
