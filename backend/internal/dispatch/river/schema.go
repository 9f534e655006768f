package river

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// ErrSchemaBehind says that headraced migrate was not run since this program is newer.
var ErrSchemaBehind = errors.New("the schema of the work queue is behind")

// Migrate brings River's own tables up to date and returns how many steps that took.
func Migrate(ctx context.Context, url string) (steps int, err error) {
	pool, err := connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	// River has no lock of its own for this.
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('headrace work queue'))`); err != nil {
			return err
		}
		migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
		if err != nil {
			return err
		}
		result, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
		if err != nil {
			return err
		}
		steps = len(result.Versions)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("migrate the schema of the work queue: %w", err)
	}
	return steps, nil
}

// Ready returns nil where River's tables are there and up to date.
func (q *Queue) Ready(ctx context.Context) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(q.pool), nil)
	if err != nil {
		return err
	}
	result, err := migrator.Validate(ctx, nil)
	if err != nil {
		return fmt.Errorf("read the schema of the work queue: %w", err)
	}
	if !result.OK {
		return fmt.Errorf("%w: run headraced migrate (%s)", ErrSchemaBehind, strings.Join(result.Messages, "; "))
	}
	return nil
}
