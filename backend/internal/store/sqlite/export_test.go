package sqlite

import (
	"context"
	"database/sql"
)

// OpenLimited opens a store whose file may grow to a number of pages: what a full
// disk does to it, at a place of the test's choice.
func OpenLimited(ctx context.Context, config Config, pages string) (*Store, error) {
	return openWith(ctx, config, "max_page_count("+pages+")")
}

// MigrateTo brings the schema of a database to a version, up or down.
func MigrateTo(ctx context.Context, db *sql.DB, version int64) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	current, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if current > version {
		_, err = p.DownTo(ctx, version)
	} else {
		_, err = p.UpTo(ctx, version)
	}
	return err
}

// Path returns the file.
func (s *Store) Path() string { return s.path }
