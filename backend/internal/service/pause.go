package service

import (
	"context"
	"errors"
)

// ErrStopping ends a stream because the server stops; the client may resume.
var ErrStopping = errors.New("the server is stopping")

// pause waits for a token, unless the server stops or the stream ends first.
func pause[T any](ctx context.Context, stopping <-chan struct{}, token <-chan T) error {
	select {
	case <-token:
		return nil
	case <-stopping:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}
