package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
)

// conn is a connection inside one transaction. Statements that may wait are sent
// with the next one that may not, and begin and commit with what is sent anyway: a
// decision on a scope that is in memory is one message, and no lock outlives a
// process that stops in the middle of it.
type conn struct {
	pg *pgx.Conn
	// begin is what begins the transaction, which is open once it was sent.
	begin   string
	open    bool
	pending []pending
	// atCommit are those of AtCommit.
	atCommit []pending
	// of is whose statements come; -1 for nobody's, or for all that share the transaction.
	of int
	// shared is set while several updates may share the transaction.
	shared bool
	// failed is the statement that ended the transaction.
	failed *failure
	// cancel ends the patience with what was sent last.
	cancel context.CancelFunc
}

// pending is a statement that waits.
type pending struct {
	sqlstore.Statement
	of int
}

// failure is the first error of a transaction, and whose statement it was of.
type failure struct {
	of  int
	err error
}

// affected fails where a statement affects no row, in the database, since the
// statements behind it are on their way already: it divides by zero.
const affected = `WITH affected AS (%s RETURNING 1) SELECT 1 / count(*) FROM affected`

// found is affected for a query that must find a row.
const found = `SELECT 1 / count(*) FROM (%s) AS found`

// Exec implements sqlstore.Conn.
func (c *conn) Exec(ctx context.Context, statement sqlstore.Statement) error {
	if err := c.Later(ctx, statement); err != nil {
		return err
	}
	results := c.send(ctx, nil)
	return c.end(results, c.settle(results))
}

// Later implements sqlstore.Conn.
func (c *conn) Later(_ context.Context, statement sqlstore.Statement) error {
	if c.failed != nil {
		return c.failed.err
	}
	c.pending = append(c.pending, pending{Statement: statement, of: c.of})
	return nil
}

// positions names the lock that is held from the first statement of AtCommit to the commit,
// which the trigger of the events takes for others.
const positions = "positions of events"

// AtCommit implements sqlstore.Conn. The statements are sent with the commit, in one message,
// so that others wait for what the database does and for no network.
func (c *conn) AtCommit(_ context.Context, statement sqlstore.Statement) error {
	if c.failed != nil {
		return c.failed.err
	}
	c.atCommit = append(c.atCommit, pending{Statement: statement, of: c.of})
	return nil
}

// Positions implements sqlstore.Conn: the database assigns them, since servers share it.
func (c *conn) Positions(int, func() (int64, error)) (int64, error) { return 0, nil }

const (
	lockPositions = `SELECT pg_advisory_xact_lock(hashtextextended('` + positions + `', 0))`
	// lockAndNotify also sends the notice of the commit, which saves a statement.
	lockAndNotify = lockPositions + `, pg_notify($1, $2)`
)

// Advance implements sqlstore.Conn.
func (c *conn) Advance(context.Context) error { return c.advance(lockPositions) }

// advance runs the statements of AtCommit after the one that takes the lock.
func (c *conn) advance(lock string, args ...any) error {
	if c.failed != nil {
		return c.failed.err
	}
	if len(c.atCommit) == 0 {
		return nil
	}
	c.pending = append(c.pending, pending{Statement: sqlstore.Statement{What: positions, Query: lock, Args: args}, of: c.atCommit[0].of})
	c.pending = append(c.pending, c.atCommit...)
	c.atCommit = c.atCommit[:0]
	return nil
}

// Query implements sqlstore.Conn.
func (c *conn) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	if c.failed != nil {
		return nil, c.failed.err
	}
	results := c.send(ctx, func(batch *pgx.Batch) { batch.Queue(query, args...) })
	if err := c.settle(results); err != nil {
		return nil, c.end(results, err)
	}
	answer, err := results.Query()
	if err != nil {
		return nil, c.end(results, c.fail(c.of, classify(err)))
	}
	return &rows{Rows: answer, conn: c, results: results}, nil
}

const (
	holdOne   = `SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))`
	holdAlone = `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`
)

// Lock implements sqlstore.Conn. Statements that follow see what was committed before.
func (c *conn) Lock(ctx context.Context, name string, change bool) error {
	query := holdOne
	if change {
		query = holdAlone
	}
	return c.Later(ctx, sqlstore.Statement{What: name, Query: query, Args: []any{name}})
}

// send sends what waits, and what follows it; end must follow. The context of one
// caller stays out of it: a statement that is cut off costs the connection.
func (c *conn) send(ctx context.Context, further func(*pgx.Batch)) pgx.BatchResults {
	batch := &pgx.Batch{}
	if c.begins() {
		batch.Queue(c.begin)
	}
	for _, p := range c.pending {
		query := p.Query
		switch {
		case p.Confirms:
			query = fmt.Sprintf(found, query)
		case p.Missing != nil:
			query = fmt.Sprintf(affected, query)
		}
		batch.Queue(query, p.Args...)
	}
	if further != nil {
		further(batch)
	}
	ctx, c.cancel = context.WithTimeout(context.WithoutCancel(ctx), patience)
	return c.pg.SendBatch(ctx, batch)
}

// begins tells whether the next message begins the transaction.
func (c *conn) begins() bool { return !c.open && c.begin != "" }

// settle reads the results of what waited.
func (c *conn) settle(results pgx.BatchResults) error {
	if c.begins() {
		if _, err := results.Exec(); err != nil {
			return c.fail(-1, classify(err))
		}
		c.open = true
	}
	waited := c.pending
	c.pending = c.pending[:0]
	for _, p := range waited {
		if _, err := results.Exec(); err != nil {
			err = classify(err)
			if errors.Is(err, errNoneAffected) && p.Missing != nil {
				err = p.Missing
			}
			if c.shared && p.of < 0 && !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrUnavailable) {
				// One of the updates may be the reason: each is done again alone.
				err = fmt.Errorf("%w (%w)", errConflict, err)
			}
			return c.fail(p.of, fmt.Errorf("%s: %w", p.What, err))
		}
	}
	return nil
}

// end ends the reading of results; an error that was found before comes first.
func (c *conn) end(results pgx.BatchResults, found error) error {
	err := results.Close()
	c.cancel()
	if found != nil || err == nil {
		return found
	}
	return c.fail(-1, classify(err))
}

// rollback ends the transaction where it began. A connection that is left in one is
// not used again.
func (c *conn) rollback(ctx context.Context) error {
	if !c.open {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_, err := c.pg.Exec(ctx, "ROLLBACK")
	if err != nil {
		return classify(err)
	}
	return nil
}

func (c *conn) fail(of int, err error) error {
	if c.failed == nil {
		c.failed = &failure{of: of, err: err}
	}
	return err
}

// NoteChange implements sqlstore.Conn. Only the writer's transaction does more with it.
func (c *conn) NoteChange(*execution.Change) {}

// SkipLocked implements sqlstore.Conn.
func (c *conn) SkipLocked() string { return " FOR UPDATE SKIP LOCKED" }

// rows are those of a query, which others can follow once they are closed.
type rows struct {
	pgx.Rows
	conn    *conn
	results pgx.BatchResults
}

// Err implements sqlstore.Rows.
func (r *rows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return r.conn.fail(r.conn.of, classify(err))
	}
	return nil
}

// Close implements sqlstore.Rows.
func (r *rows) Close() error {
	r.Rows.Close()
	return r.conn.end(r.results, nil)
}
