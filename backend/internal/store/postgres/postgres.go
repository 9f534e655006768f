// Package postgres is the store of several servers on one PostgreSQL. It must never
// hold SQL of its own beyond transactions, its schema, what is loaded by that, and
// notices; statements are sqlstore's.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
)

// Config says where the database is.
type Config struct {
	// URL as libpq takes it, with the database's name.
	URL string
	// Readers is how many views may run at once; 8 when 0.
	Readers int
	// Jobs is told of every change inside its transaction; nil for no work queue.
	Jobs Jobs
	Log  hclog.Logger
}

// Store implements store.Store on PostgreSQL.
type Store struct {
	url string
	log hclog.Logger
	// writing has one connection: decisions that arrive together share its commits.
	writing *pgxpool.Pool
	reading *pgxpool.Pool
	writer  *sqlstore.Writer
	closed  atomic.Bool
}

var _ store.Store = (*Store)(nil)

const (
	// patience bounds what is sent at once, so that a database that stopped answering
	// is an error and not a server that stands still.
	patience = 30 * time.Second
	// lockTimeout is how long a lock is waited for, as PostgreSQL takes it. One that
	// stands still in the middle of a transaction loses its connection as soon.
	lockTimeout = "10s"
	// sharedLockTimeout is that of updates that share a transaction, which holds locks
	// while it waits for another: two of them may wait for each other, which PostgreSQL
	// would find after a second, in which neither server writes anything.
	sharedLockTimeout = "250ms"
	// maxTries bounds how often an update is done again that got in the way of another
	// server's.
	maxTries = 20
)

// writes prepares a session that writes: it takes the lock of the events' positions itself,
// and the database ends it soon if the network loses it in the middle of a message, which
// may hold that lock. Its queries find few rows by an index. A bitmap scan, which PostgreSQL
// may choose without statistics, reads the entries of all removed rows each time, while an
// index scan marks them so that the next one skips them.
const writes = `SELECT set_config('headrace.event_positions', 'at_commit', false), set_config('tcp_keepalives_idle', '5', false),
	set_config('tcp_keepalives_interval', '2', false), set_config('tcp_keepalives_count', '3', false),
	set_config('enable_bitmapscan', 'off', false)`

// errConflict is of transactions that got in each other's way; one of them is done
// again.
var errConflict = errors.New("another transaction came in between")

// errNoneAffected is of a statement that must affect a row.
var errNoneAffected = errors.New("no row was affected")

// Open connects. A database that does not answer is an error; a schema that is not
// this program's is what Ready says.
func Open(ctx context.Context, config Config) (*Store, error) {
	readers := config.Readers
	if readers <= 0 {
		readers = 8
	}
	writing, err := connect(ctx, config.URL, 1, map[string]string{"lock_timeout": sharedLockTimeout}, writes)
	if err != nil {
		return nil, err
	}
	reading, err := connect(ctx, config.URL, readers, nil)
	if err != nil {
		writing.Close()
		return nil, err
	}
	return &Store{url: config.URL, log: config.Log, writing: writing, reading: reading, writer: sqlstore.NewWriter(&transaction{pool: writing, jobs: config.Jobs})}, nil
}

// Shown returns the place of a database without what may be secret, for people.
func Shown(address string) (string, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		// The error of the parser redacts the password.
		return "", fmt.Errorf("database-url: %w", err)
	}
	c := config.ConnConfig
	return fmt.Sprintf("%s at %s", c.Database, net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))), nil
}

// connect opens a pool. A server that stops in the middle of a transaction must not
// keep its locks, and what was committed must be durable whatever the role's default.
//
// What url itself sets stays so; parameters win over the defaults. Each session begins with
// the further statements.
func connect(ctx context.Context, url string, size int, parameters map[string]string, further ...string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The error of the parser redacts the password.
		return nil, fmt.Errorf("database-url: %w", err)
	}
	config.MaxConns = int32(size)
	defaults := map[string]string{
		"application_name": "headraced", "lock_timeout": lockTimeout, "idle_in_transaction_session_timeout": lockTimeout, "statement_timeout": "30s",
	}
	maps.Copy(defaults, parameters)
	for name, value := range defaults {
		if _, set := config.ConnConfig.RuntimeParams[name]; !set {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	further = append(further, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		for _, statement := range further {
			if _, err := c.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the database: %w", classify(err))
	}
	return pool, nil
}

// Update implements store.Store. What got in the way of another server is done
// again here, alone; a scope that another server decided upon is store.ErrStale.
func (s *Store) Update(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	err := s.writer.Update(ctx, fn)
	for try := 1; errors.Is(err, errConflict); try++ {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case try == maxTries:
			return fmt.Errorf("%w (%w)", store.ErrUnavailable, err)
		}
		err = s.writer.UpdateAlone(ctx, fn)
	}
	return err
}

// View implements store.Store. A connection that was cut while it was idle, as by a restart
// of the database, is only noticed when it is used: then nothing was read, and the next
// connection is tried.
func (s *Store) View(ctx context.Context, fn func(context.Context, store.Reader) error) error {
	for cut := int32(0); ; cut++ {
		begun, err := s.view(ctx, fn)
		if begun || !errors.Is(err, store.ErrUnavailable) || cut >= s.reading.Config().MaxConns || ctx.Err() != nil {
			return err
		}
	}
}

// view runs fn on one connection, and tells whether its transaction began.
func (s *Store) view(ctx context.Context, fn func(context.Context, store.Reader) error) (begun bool, err error) {
	held, err := s.reading.Acquire(ctx)
	switch {
	case err == nil:
	case s.closed.Load():
		return false, sqlstore.ErrClosed
	case ctx.Err() != nil:
		return false, ctx.Err()
	default:
		// A new connection was tried already.
		return true, classify(err)
	}
	defer held.Release()
	c := &conn{pg: held.Conn(), begin: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", of: -1}
	defer func() {
		// A connection that is left in a transaction is not used again.
		if end := c.rollback(ctx); err == nil {
			err = end
		}
		begun = c.open
	}()
	return false, fn(ctx, sqlstore.New(c))
}

// Ready implements store.Store.
func (s *Store) Ready(ctx context.Context) error {
	if err := checkSchema(ctx, s.reading); err != nil {
		return err
	}
	return s.writer.Ready(ctx)
}

// Now returns the time of the machine that the database runs on.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	return now, classify(s.reading.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now))
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.writer.Close()
	s.closed.Store(true)
	s.writing.Close()
	s.reading.Close()
	return nil
}

// classify turns the server's codes into the store's sentinels. What is no answer of
// the server is the lack of one.
func classify(err error) error {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		if scan := new(pgx.ScanArgError); err == nil || errors.As(err, scan) {
			return err
		}
		return fmt.Errorf("%w (%w)", store.ErrUnavailable, err)
	}
	switch answer.Code {
	case "23505": // unique_violation
		return fmt.Errorf("%w (%w)", store.ErrAlreadyExists, err)
	case "23503": // foreign_key_violation
		return fmt.Errorf("%w (%w)", store.ErrNotFound, err)
	case "22012": // division_by_zero
		return errNoneAffected
	case "53100": // disk_full
		return fmt.Errorf("%w (%w)", store.ErrFull, err)
	case "XX001", "XX002", "58030", "58P01": // data_corrupted, index_corrupted, io_error, undefined_file
		return fmt.Errorf("%w (%w)", store.ErrDamaged, err)
	case "40001", "40P01", "55P03": // serialization_failure, deadlock_detected, lock_not_available
		return fmt.Errorf("%w (%w)", errConflict, err)
	}
	switch answer.Code[:2] {
	case "08", "53", "57", "25": // connection, resources, intervention, and a read-only or ended transaction
		return fmt.Errorf("%w (%w)", store.ErrUnavailable, err)
	}
	return err
}

// undefined tells whether a table is missing.
func undefined(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == "42P01"
}
