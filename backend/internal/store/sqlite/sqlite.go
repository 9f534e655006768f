// Package sqlite is the embedded store: one file, one process, one writer that
// commits concurrent transactions together. It must never hold SQL of its own
// beyond opening the file and its schema; statements are sqlstore's.
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
	"sync"
	"sync/atomic"

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

// maxBatch bounds how many transactions share a commit, so that the first of
// them does not wait for ever.
const maxBatch = 256

// Store implements store.Store on a SQLite file.
type Store struct {
	db      *sql.DB
	readers chan *conn
	updates chan *update
	done    chan struct{}
	path    string
	// opened is the file as it was at the start.
	opened os.FileInfo
	// failing is set while the last transaction could not be committed.
	failing atomic.Bool

	mu     sync.RWMutex // guards closed against a send on updates
	closed bool
}

var _ store.Store = (*Store)(nil)

// update is one waiting call of Update.
type update struct {
	fn     func(context.Context, store.Tx) error
	result chan error
}

// errClosed is what a closed store answers.
var errClosed = errors.New("sqlite: the store is closed")

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
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: config.Path}).EscapedPath()+"?"+pragmas.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", config.Path, err)
	}
	readers := config.Readers
	if readers <= 0 {
		readers = 4
	}
	s := &Store{db: db, readers: make(chan *conn, readers), updates: make(chan *update, maxBatch), done: make(chan struct{}), path: config.Path}
	if err := s.open(ctx, readers); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", config.Path, err), db.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, readers int) error {
	if err := migrate(ctx, s.db); err != nil {
		return err
	}
	writer, err := newConn(ctx, s.db)
	if err != nil {
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
	go s.write(writer)
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
		return fmt.Errorf("read schema version: %w", err)
	}
	if current > target {
		return fmt.Errorf("its schema is version %d and this headraced knows %d: start a newer headraced", current, target)
	}
	if current == target {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate schema from version %d to %d: %w", current, target, err)
	}
	return nil
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	u := &update{fn: fn, result: make(chan error, 1)}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return errClosed
	}
	select {
	case s.updates <- u:
		s.mu.RUnlock()
	case <-ctx.Done():
		s.mu.RUnlock()
		return ctx.Err()
	}
	// Once queued it is waited for: the caller must know whether it was committed.
	return <-u.result
}

// write is the one writer. It ends when updates is closed and drained.
func (s *Store) write(c *conn) {
	defer close(s.done)
	defer c.close()
	for first := range s.updates {
		s.commit(c, []*update{first})
	}
}

// next returns a transaction that waits, or nil.
func (s *Store) next() *update {
	select {
	case u := <-s.updates:
		// Of a closed channel it is nil too.
		return u
	default:
		return nil
	}
}

// commit runs a batch in one transaction, with all that arrive until it commits.
// Where a function fails, its error is answered and the others run again without it.
func (s *Store) commit(c *conn, batch []*update) {
	// Statements must not be interrupted by one caller's context: they are the
	// batch's. A context that cannot end also spares the driver a watcher.
	ctx := context.Background()
	for len(batch) > 0 {
		var failed int
		var err error
		batch, failed, err = c.transact(ctx, batch, s.next)
		if failed < 0 {
			s.failing.Store(err != nil)
			for _, u := range batch {
				u.result <- err
			}
			return
		}
		if errors.Is(err, store.ErrFull) {
			s.failing.Store(true)
		}
		batch[failed].result <- err
		batch = append(batch[:failed:failed], batch[failed+1:]...)
	}
}

// View implements store.Store.
func (s *Store) View(ctx context.Context, fn func(context.Context, store.Reader) error) (err error) {
	var c *conn
	select {
	case c = <-s.readers:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return errClosed
	}
	defer func() { s.readers <- c }()
	background := context.WithoutCancel(ctx)
	if _, err := c.Exec(background, "BEGIN"); err != nil {
		return err
	}
	defer func() {
		_, end := c.Exec(background, "COMMIT")
		err = errors.Join(err, end)
	}()
	return fn(ctx, sqlstore.New(c))
}

// Ready implements store.Store.
func (s *Store) Ready(ctx context.Context) error {
	// A database that was moved away or deleted goes on in its open file.
	now, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("the database file is gone: %w", err)
	}
	if !os.SameFile(now, s.opened) {
		return fmt.Errorf("%s is not the file that was opened", s.path)
	}
	if s.failing.Load() {
		if err := s.Update(ctx, probe); err != nil {
			return fmt.Errorf("the database takes no writes: %w", err)
		}
	}
	return s.View(ctx, func(ctx context.Context, r store.Reader) error {
		_, err := r.Accounts(ctx, store.Page{})
		return err
	})
}

// probe writes a row, to learn whether writes succeed again.
func probe(ctx context.Context, tx store.Tx) error {
	own, ok := tx.(*sqlstore.Tx)
	if !ok {
		return fmt.Errorf("sqlite: probe got a %T", tx)
	}
	return own.Probe(ctx)
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.updates)
	s.mu.Unlock()
	<-s.done
	for range cap(s.readers) {
		(<-s.readers).close()
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
