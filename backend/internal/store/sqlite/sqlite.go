// Package sqlite is the embedded store: one file, one process, one writer that
// commits concurrent transactions together. It must never hold SQL of its own
// beyond opening, checking and copying the file and its schema; statements are
// sqlstore's.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"sync"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
)

// migrations is the schema in goose's format. All engines number alike.
//
//go:embed migrations/*.sql
var migrations embed.FS

// Config says where the file is.
type Config struct {
	// Path of the database file; made where it is missing.
	Path string
	// Readers is how many views may run at once; 4 when 0.
	Readers int
}

// Store implements store.Store on a SQLite file.
type Store struct {
	db      *sql.DB
	writer  *sqlstore.Writer
	writing *conn
	readers chan *conn
	// closing ends the wait for a reader.
	closing     chan struct{}
	closingOnce sync.Once
	path        string
	// opened is the file as it was at the start.
	opened os.FileInfo
}

var _ store.Store = (*Store)(nil)

// Open opens the file, brings its schema up to date and starts the writer,
// which Close stops. A schema newer than this program is refused.
func Open(ctx context.Context, config Config) (*Store, error) {
	return openWith(ctx, config)
}

// openWith is Open with further pragmas on every connection.
func openWith(ctx context.Context, config Config, further ...string) (*Store, error) {
	pragmas := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "busy_timeout(10000)", "cache_size(-16000)", "temp_store(MEMORY)",
	}, further...)}
	db, err := sql.Open("sqlite", dsn(config.Path, pragmas))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", config.Path, err)
	}
	readers := config.Readers
	if readers <= 0 {
		readers = 4
	}
	s := &Store{db: db, readers: make(chan *conn, readers), closing: make(chan struct{}), path: config.Path}
	if err := s.open(ctx, readers); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", config.Path, damage(err)), db.Close())
	}
	return s, nil
}

// OpenReadOnly opens a file that a server may be using, to read it. Updates fail. A schema that
// is not this program's is refused.
func OpenReadOnly(ctx context.Context, path string) (*Store, error) {
	if err := reading(ctx, path, nil, current); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, damage(err))
	}
	db, err := sql.Open("sqlite", dsn(path, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}}))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	s := &Store{db: db, readers: make(chan *conn, 1), closing: make(chan struct{}), path: path}
	reader, err := newConn(ctx, db)
	if err == nil {
		s.readers <- reader
		s.opened, err = os.Stat(path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, damage(err)), db.Close())
	}
	return s, nil
}

var errReadOnly = errors.New("the database was opened to be read")

// dsn names a file for the driver, whatever its name means in a URI.
func dsn(path string, parameters url.Values) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + parameters.Encode()
}

func (s *Store) open(ctx context.Context, readers int) error {
	if err := migrate(ctx, s.db); err != nil {
		return err
	}
	var err error
	if s.writing, err = newConn(ctx, s.db); err != nil {
		return err
	}
	for range readers {
		reader, err := newConn(ctx, s.db)
		if err != nil {
			return err
		}
		s.readers <- reader
	}
	if s.opened, err = os.Stat(s.path); err != nil {
		return err
	}
	s.writing.check = s.checkFile
	s.writer = sqlstore.NewWriter(s.writing)
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithLogger(goose.NopLogger()))
}

// migrate is automatic, since the file belongs to this program alone.
func migrate(ctx context.Context, db *sql.DB) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", errors.Join(err, readable(ctx, db)))
	}
	if current > target {
		return newer(current, target)
	}
	if current == target {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate schema from version %d to %d: %w", current, target, err)
	}
	return nil
}

// readable returns why the table of versions cannot be read: goose takes one that is damaged
// for one that is missing.
func readable(ctx context.Context, db *sql.DB) error {
	var version int64
	return db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version").Scan(&version)
}

func newer(version, known int64) error {
	return fmt.Errorf("its schema is version %d and this headraced knows %d: start a newer headraced", version, known)
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	if s.writer == nil {
		return errReadOnly
	}
	return damage(s.writer.Update(ctx, fn))
}

// View implements store.Store.
func (s *Store) View(ctx context.Context, fn func(context.Context, store.Reader) error) (err error) {
	var c *conn
	select {
	case c = <-s.readers:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return sqlstore.ErrClosed
	}
	defer func() { s.readers <- c }()
	background := context.WithoutCancel(ctx)
	if _, err := c.exec(background, "BEGIN"); err != nil {
		return err
	}
	defer func() {
		_, end := c.exec(background, "COMMIT")
		err = damage(errors.Join(err, end))
	}()
	return fn(ctx, sqlstore.New(c))
}

// checkFile tells whether the database is where a next start will look for it: one
// that was moved away or deleted goes on in its open file, and what it keeps is lost.
func (s *Store) checkFile() error {
	now, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("%w: its file is gone: %w", store.ErrUnavailable, err)
	}
	if !os.SameFile(now, s.opened) {
		return fmt.Errorf("%w: %s is not the file that was opened", store.ErrUnavailable, s.path)
	}
	return nil
}

// Ready implements store.Store.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.checkFile(); err != nil {
		return err
	}
	if s.writer == nil {
		return errReadOnly
	}
	if err := s.writer.Ready(ctx); err != nil {
		return err
	}
	return s.View(ctx, func(ctx context.Context, r store.Reader) error {
		_, err := r.Accounts(ctx, store.Page{})
		return err
	})
}

// Listen implements store.Store: there are no other processes.
func (s *Store) Listen(ctx context.Context, _ func(store.Notice)) error {
	<-ctx.Done()
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	if s.writer != nil {
		s.writer.Close()
	}
	closed := false
	s.closingOnce.Do(func() { close(s.closing); closed = true })
	if !closed {
		return nil
	}
	for range cap(s.readers) {
		(<-s.readers).close()
	}
	if s.writing != nil {
		s.writing.close()
	}
	return s.db.Close()
}

// classify turns the driver's codes into the store's sentinels.
func classify(err error) error {
	var e *driver.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() {
	case codes.SQLITE_CONSTRAINT_UNIQUE, codes.SQLITE_CONSTRAINT_PRIMARYKEY:
		return fmt.Errorf("%w (%w)", store.ErrAlreadyExists, err)
	case codes.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fmt.Errorf("%w (%w)", store.ErrNotFound, err)
	case codes.SQLITE_FULL:
		return fmt.Errorf("%w (%w)", store.ErrFull, err)
	}
	return err
}

// damage is classify for an error that says that pages are not as they were written: rows
// that are read return it as it is.
func damage(err error) error {
	if errors.Is(err, store.ErrDamaged) || !isDamage(err) {
		return err
	}
	return fmt.Errorf("%w (%w)", store.ErrDamaged, err)
}

// isDamage tells whether an error, or one of those that it joins, is the driver's of damage.
func isDamage(err error) bool {
	switch e := err.(type) { //nolint:errorlint // It unwraps by itself, to see all that are joined.
	case *driver.Error:
		// The lowest byte is what the rest is more precise about.
		code := e.Code() & 0xff
		return code == codes.SQLITE_CORRUPT || code == codes.SQLITE_NOTADB
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), isDamage)
	case interface{ Unwrap() error }:
		return isDamage(e.Unwrap())
	}
	return false
}
