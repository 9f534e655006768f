package trigger

import (
	"context"
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

const (
	// bodyAge is for how long the body of a delivery is kept.
	bodyAge = 14 * 24 * time.Hour
	// refusalAge is for how long it is kept that deliveries were refused.
	refusalAge = 30 * 24 * time.Hour
	// recordAge is for how long deliveries, moves and decisions are kept.
	recordAge = 90 * 24 * time.Hour
	// removedAtOnce bounds the rows of one transaction.
	removedAtOnce = 500
	// removeEvery is how often old records are removed.
	removeEvery = time.Hour
)

// RemoveOld removes what is older than it is kept: bodies of deliveries, refused deliveries,
// and then deliveries, moves and decisions.
func (i *Intake) RemoveOld(ctx context.Context) error {
	now := i.config.Clock()
	for _, remove := range []func(context.Context, store.Tx) (int, error){
		func(ctx context.Context, tx store.Tx) (int, error) {
			return tx.RemoveBodies(ctx, idBefore(now.Add(-bodyAge)), removedAtOnce)
		},
		func(ctx context.Context, tx store.Tx) (int, error) {
			return tx.RemoveDeliveries(ctx, idBefore(now.Add(-refusalAge)), true, removedAtOnce)
		},
		func(ctx context.Context, tx store.Tx) (int, error) {
			return tx.RemoveDeliveries(ctx, idBefore(now.Add(-recordAge)), false, removedAtOnce)
		},
		func(ctx context.Context, tx store.Tx) (int, error) {
			return tx.RemoveMoves(ctx, now.Add(-recordAge), removedAtOnce)
		},
		func(ctx context.Context, tx store.Tx) (int, error) {
			return tx.RemoveDecisions(ctx, idBefore(now.Add(-recordAge)), removedAtOnce)
		},
	} {
		for {
			removed := 0
			if err := i.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) (err error) {
				removed, err = remove(ctx, tx)
				return err
			}); err != nil {
				return err
			}
			if removed < removedAtOnce {
				break
			}
		}
	}
	return nil
}

// idBefore returns an id that comes before those of a time and after all earlier ones: ids are
// UUIDs of version 7, which begin with the milliseconds.
func idBefore(at time.Time) string {
	ms := at.UnixMilli()
	return fmt.Sprintf("%08x-%04x-7000-8000-000000000000", uint32(ms>>16), uint16(ms))
}

// keepTidy removes old records until the context ends.
func (i *Intake) keepTidy(ctx context.Context) error {
	ticker := time.NewTicker(removeEvery)
	defer ticker.Stop()
	for {
		// Also at the start: not every server runs for an hour.
		if err := i.RemoveOld(ctx); err != nil && ctx.Err() == nil {
			i.config.Log.Warn("cannot remove old deliveries and decisions, will try again", "in", removeEvery, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
