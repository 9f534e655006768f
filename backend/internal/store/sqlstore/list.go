package sqlstore

import (
	"context"
	"fmt"
	"math"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// list collects the rows of a query.
func list[T any](ctx context.Context, t *Tx, scan func(*row) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := t.each(ctx, query, args, func(rows *row) error {
		v, err := scan(rows)
		all = append(all, v)
		return err
	})
	return all, err
}

// first returns the only record of a look-up by key, or store.ErrNotFound.
func first[T any](found []T, what string, err error) (T, error) {
	var none T
	if err != nil {
		return none, err
	}
	if len(found) == 0 {
		return none, fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	return found[0], nil
}

// limit is the SQL limit of a page; 0 asks for all.
func limit(size int) int64 {
	if size <= 0 {
		return math.MaxInt32
	}
	return int64(size)
}
