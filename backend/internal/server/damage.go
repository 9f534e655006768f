package server

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// damageWatch is a store that notes when it turned out to be damaged. It is not ready from
// then on: what is not damaged goes on, but nobody knows how much that is.
type damageWatch struct {
	store.Store
	damaged atomic.Bool
}

// Update implements store.Store.
func (w *damageWatch) Update(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	return w.note(w.Store.Update(ctx, fn))
}

// View implements store.Store.
func (w *damageWatch) View(ctx context.Context, fn func(context.Context, store.Reader) error) error {
	return w.note(w.Store.View(ctx, fn))
}

// Ready implements store.Store.
func (w *damageWatch) Ready(ctx context.Context) error {
	err := w.note(w.Store.Ready(ctx))
	if err == nil && w.damaged.Load() {
		return store.ErrDamaged
	}
	return err
}

func (w *damageWatch) note(err error) error {
	if errors.Is(err, store.ErrDamaged) {
		w.damaged.Store(true)
	}
	return err
}

// withRepair adds to an error of a damaged database where that is and what to do.
func withRepair(err error, d *data) error {
	if !errors.Is(err, store.ErrDamaged) || d == nil {
		return err
	}
	if d.shared {
		return fmt.Errorf("%w: stop all servers and restore the PostgreSQL %s from a backup", err, d.place)
	}
	return fmt.Errorf("%w: %s cannot be used as it is; stop the server, keep a copy of the file and of those that begin with its name, "+
		`and restore a backup with "headraced restore"; "When the database is damaged" in the operations guide has the steps`, err, d.place)
}
