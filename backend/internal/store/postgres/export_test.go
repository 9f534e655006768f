package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/stdlib"
)

// Settings returns what a setting is in the sessions that read, and in the one that
// writes.
func (s *Store) Settings(ctx context.Context, name string) (reading, writing string, err error) {
	if err := s.reading.QueryRow(ctx, "SHOW "+name).Scan(&reading); err != nil {
		return "", "", fmt.Errorf("%s of readers: %w", name, err)
	}
	if err := s.writing.QueryRow(ctx, "SHOW "+name).Scan(&writing); err != nil {
		return "", "", fmt.Errorf("%s of the writer: %w", name, err)
	}
	return reading, writing, nil
}

// MigrateTo brings the schema of an empty database up to a version.
func MigrateTo(ctx context.Context, config Config, version int64) (err error) {
	pool, err := connect(ctx, config.URL, 2, nil)
	if err != nil {
		return err
	}
	defer pool.Close()
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := provider(db)
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, version)
	return err
}
