package seal

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

const (
	// sampleSize is how many objects of a part are looked at.
	sampleSize = 100
	// sampledAtOnce keeps the look short where every object costs a round trip.
	sampledAtOnce = 10
)

// sealedIn returns the name of a sealed object that is among the first of a part, which
// is given as it is stored; empty where none is.
func sealedIn(ctx context.Context, part *blob.Store) (string, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sampledAtOnce)
	var found atomic.Pointer[string]
	n := 0
	for object, err := range part.List(ctx, "") {
		if err != nil {
			return "", errors.Join(err, group.Wait())
		}
		if n == sampleSize || found.Load() != nil {
			break
		}
		n++
		group.Go(func() error {
			is, err := isSealed(ctx, part, object.Name)
			if is {
				found.Store(&object.Name)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	if name := found.Load(); name != nil {
		return *name, nil
	}
	return "", nil
}

func isSealed(ctx context.Context, part *blob.Store, name string) (bool, error) {
	opened, err := part.Open(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		// Removed meanwhile.
		return false, nil
	}
	if err != nil {
		return false, err
	}
	begin := make([]byte, len(magic))
	_, err = io.ReadFull(opened, begin)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return IsSealed(begin), errors.Join(err, opened.Close())
}
