package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
)

// migrations is the schema in goose's format. All engines number alike.
//
//go:embed migrations/*.sql
var migrations embed.FS

// ErrSchemaBehind says that headraced migrate was not run since this program is newer.
var ErrSchemaBehind = errors.New("the schema of the database is behind")

// Migrate brings the schema up to date and returns the versions before and after. Two
// at once wait for each other. A schema newer than this program is refused.
func Migrate(ctx context.Context, config Config) (from, to int64, err error) {
	pool, err := connect(ctx, config.URL, 2, nil)
	if err != nil {
		return 0, 0, err
	}
	defer pool.Close()
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return 0, 0, err
	}
	p, err := provider(db, goose.WithSessionLocker(locker))
	if err != nil {
		return 0, 0, err
	}
	from, to, err = p.GetVersions(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("read schema version: %w", err)
	}
	if from > to {
		return 0, 0, newer(from, to)
	}
	if _, err := p.Up(ctx); err != nil {
		return 0, 0, fmt.Errorf("migrate schema from version %d to %d: %w", from, to, err)
	}
	return from, to, nil
}

func provider(db *sql.DB, options ...goose.ProviderOption) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, append(options, goose.WithLogger(goose.NopLogger()))...)
}

func newer(current, known int64) error {
	return fmt.Errorf("the schema of the database is version %d and this headraced knows %d: start a newer headraced", current, known)
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// checkSchema returns nil where the schema is this program's.
func checkSchema(ctx context.Context, db querier) error {
	known, err := sqlstore.NewestVersion(migrations)
	if err != nil {
		return err
	}
	var current int64
	err = db.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&current)
	if undefined(err) {
		current, err = 0, nil
	}
	switch {
	case err != nil:
		return classify(err)
	case current > known:
		return newer(current, known)
	case current < known:
		return fmt.Errorf("%w: it is version %d and this headraced needs %d: run headraced migrate", ErrSchemaBehind, current, known)
	}
	return nil
}
