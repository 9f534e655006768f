package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"strings"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/transfer"
)

// Snapshot is everything that a database holds at one moment.
type Snapshot struct{ conn *sql.Conn }

var _ transfer.Source = (*Snapshot)(nil)

// Read calls fn with what a file holds now. It writes nothing to it and keeps nobody
// from writing. A schema that is not this program's is an error.
func Read(ctx context.Context, path string, fn func(context.Context, *Snapshot) error) error {
	return reading(ctx, path, nil, func(ctx context.Context, c *sql.Conn) (err error) {
		if _, err := c.ExecContext(ctx, "BEGIN"); err != nil {
			return classify(err)
		}
		defer func() {
			_, end := c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			err = errors.Join(err, end)
		}()
		if err := current(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return fn(ctx, &Snapshot{conn: c})
	})
}

// reading opens a file that is there for reading alone.
func reading(ctx context.Context, path string, options url.Values, fn func(context.Context, *sql.Conn) error) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", path, errNoFile)
	}
	parameters := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}}
	for name, values := range options {
		parameters[name] = values
	}
	db, err := sql.Open("sqlite", dsn(path, parameters))
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, notOurs(err))
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return fn(ctx, c)
}

// current returns an error where the schema is not of the newest version that this
// program knows.
func current(ctx context.Context, c *sql.Conn) error {
	version, err := schemaVersion(ctx, c)
	if err != nil {
		return err
	}
	newest, err := sqlstore.NewestVersion(migrations)
	if err != nil {
		return err
	}
	switch {
	case version > newest:
		return newer(version, newest)
	case version < newest:
		return fmt.Errorf("its schema is version %d and this headraced needs %d: start this headraced on it once, which brings it up to date", version, newest)
	}
	return nil
}

// schemaVersion returns the version of a database that is headraced's.
func schemaVersion(ctx context.Context, c *sql.Conn) (version int64, err error) {
	// Nothing is asked of a view, which may never answer.
	var table bool
	err = c.QueryRowContext(ctx, `SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = $1`, versions).Scan(&table)
	if err != nil {
		return 0, notOurs(err)
	}
	if !table {
		return 0, errNotOurs
	}
	err = c.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	if err != nil {
		return 0, notOurs(err)
	}
	if version == 0 {
		return 0, errNotOurs
	}
	return version, nil
}

var (
	errNotOurs = errors.New("it is not a headraced database")
	errNoFile  = errors.New("it is not a regular file")
)

// notOurs says of an error that it is none of the disk's.
func notOurs(err error) error {
	var e *driver.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() {
	case codes.SQLITE_ERROR: // No such table.
		return fmt.Errorf("%w (%w)", errNotOurs, err)
	case codes.SQLITE_NOTADB:
		return fmt.Errorf("%w (%w)", errNotOurs, err)
	case codes.SQLITE_CORRUPT:
		return fmt.Errorf("it is damaged or not all there (%w)", err)
	}
	return classify(err)
}

// Tables implements transfer.Source.
func (s *Snapshot) Tables(ctx context.Context) ([]transfer.Table, error) {
	rows, err := s.conn.QueryContext(ctx, `SELECT t.name, c.name, c.type FROM sqlite_schema AS t JOIN pragma_table_xinfo(t.name) AS c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY t.name, c.name`)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var tables []transfer.Table
	for rows.Next() {
		var table, column, declared string
		if err := rows.Scan(&table, &column, &declared); err != nil {
			return nil, err
		}
		if len(tables) == 0 || tables[len(tables)-1].Name != table {
			tables = append(tables, transfer.Table{Name: table})
		}
		last := &tables[len(tables)-1]
		last.Columns = append(last.Columns, transfer.Column{Name: column, Kind: kind(declared)})
	}
	return tables, rows.Err()
}

// kind returns what a column holds; a type that the migrations do not use is none.
func kind(declared string) transfer.Kind {
	switch strings.ToUpper(declared) {
	case "TEXT":
		return transfer.Text
	case "INTEGER", "BIGINT":
		return transfer.Integer
	case "BOOLEAN":
		return transfer.Boolean
	case "BLOB":
		return transfer.Bytes
	}
	return transfer.Kind(declared)
}

// Rows implements transfer.Source.
func (s *Snapshot) Rows(ctx context.Context, table transfer.Table) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		rows, err := s.conn.QueryContext(ctx, table.Select())
		if err != nil {
			yield(nil, classify(err))
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			row, into := make([]any, len(table.Columns)), make([]any, len(table.Columns))
			for i := range row {
				into[i] = &row[i]
			}
			if err := rows.Scan(into...); err != nil {
				yield(nil, classify(err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, classify(err))
		}
	}
}
