package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
)

// conn is one connection with its prepared statements. It serves one
// transaction at a time.
type conn struct {
	sql *sql.Conn
	// queries and writes are what was prepared. Writes are the driver's own statements:
	// database/sql copies every argument, which was a sixth of the memory of a hop.
	queries map[string]prepared[*sql.Stmt]
	writes  map[string]prepared[driver.StmtExecContext]
	// args are the arguments of one write.
	args []driver.NamedValue
	// check refuses transactions that would be lost; nil for a reader.
	check func() error
	// newest is the newest position of an event that the connection assigned or read, 0 for
	// none yet. Those of a transaction that is rolled back are not assigned again.
	newest int64
}

// prepared is a statement, and the places of its arguments.
type prepared[S any] struct {
	statement S
	places    places
}

var _ sqlstore.Transaction = (*conn)(nil)

func newConn(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{
		sql: c, queries: make(map[string]prepared[*sql.Stmt]), writes: make(map[string]prepared[driver.StmtExecContext]),
	}, nil
}

// close errors are those of a connection that is thrown away: nothing can be
// done about them.
func (c *conn) close() {
	for _, s := range c.queries {
		_ = s.statement.Close()
	}
	_ = c.sql.Raw(func(any) error {
		for _, s := range c.writes {
			if s, ok := s.statement.(driver.Stmt); ok {
				_ = s.Close()
			}
		}
		return nil
	})
	_ = c.sql.Close()
}

// query keeps what it prepares: all texts come from this program, so there
// is a bounded number of them.
func (c *conn) query(ctx context.Context, query string) (prepared[*sql.Stmt], error) {
	if s, ok := c.queries[query]; ok {
		return s, nil
	}
	text, places := positional(query)
	s, err := c.sql.PrepareContext(ctx, text)
	if err != nil {
		return prepared[*sql.Stmt]{}, classify(err)
	}
	c.queries[query] = prepared[*sql.Stmt]{s, places}
	return c.queries[query], nil
}

// write is query for the connection of the driver.
func (c *conn) write(ctx context.Context, raw any, query string) (prepared[driver.StmtExecContext], error) {
	if s, ok := c.writes[query]; ok {
		return s, nil
	}
	none := prepared[driver.StmtExecContext]{}
	connection, ok := raw.(driver.ConnPrepareContext)
	if !ok {
		return none, fmt.Errorf("the driver's %T prepares no statements", raw)
	}
	text, places := positional(query)
	made, err := connection.PrepareContext(ctx, text)
	if err != nil {
		return none, err
	}
	s, ok := made.(driver.StmtExecContext)
	if !ok {
		return none, errors.Join(fmt.Errorf("the driver's %T runs no statements", made), made.Close())
	}
	c.writes[query] = prepared[driver.StmtExecContext]{s, places}
	return c.writes[query], nil
}

// Exec implements sqlstore.Conn.
func (c *conn) Exec(ctx context.Context, statement sqlstore.Statement) error {
	found, err := c.effect(ctx, statement)
	if err == nil && !found {
		err = statement.Missing
	}
	if err != nil {
		return fmt.Errorf("%s: %w", statement.What, err)
	}
	return nil
}

// effect tells whether a statement affected a row, or found the one that it confirms.
func (c *conn) effect(ctx context.Context, statement sqlstore.Statement) (bool, error) {
	if !statement.Confirms {
		affected, err := c.exec(ctx, statement.Query, statement.Args...)
		return affected > 0, err
	}
	rows, err := c.Query(ctx, statement.Query, statement.Args...)
	if err != nil {
		return false, err
	}
	found := rows.Next()
	return found, errors.Join(rows.Err(), rows.Close())
}

// Later implements sqlstore.Conn: nothing is gained by waiting.
func (c *conn) Later(ctx context.Context, statement sqlstore.Statement) error {
	return c.Exec(ctx, statement)
}

// AtCommit implements sqlstore.Conn: there is one writer.
func (c *conn) AtCommit(ctx context.Context, statement sqlstore.Statement) error {
	return c.Exec(ctx, statement)
}

// Positions implements sqlstore.Conn: the one writer counts them, since SQLite would assign
// those of removed events again.
func (c *conn) Positions(events int, newest func() (int64, error)) (first int64, err error) {
	if c.newest == 0 {
		if c.newest, err = newest(); err != nil {
			return 0, err
		}
	}
	first = c.newest + 1
	c.newest += int64(events)
	return first, nil
}

// Advance implements sqlstore.Conn: nothing waits.
func (c *conn) Advance(context.Context) error { return nil }

func (c *conn) exec(ctx context.Context, query string, args ...any) (affected int64, err error) {
	err = c.sql.Raw(func(raw any) error {
		s, err := c.write(ctx, raw, query)
		if err != nil {
			return err
		}
		if err := s.places.check(args); err != nil {
			return err
		}
		c.args = c.args[:0]
		for i := range args {
			place := i
			if s.places != nil {
				place = s.places[i]
			}
			value, err := driver.DefaultParameterConverter.ConvertValue(args[place])
			if err != nil {
				return fmt.Errorf("argument %d: %w", place+1, err)
			}
			c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: value})
		}
		result, err := s.statement.ExecContext(ctx, c.args)
		if err != nil {
			return err
		}
		affected, err = result.RowsAffected()
		return err
	})
	return affected, classify(err)
}

// Query implements sqlstore.Conn.
func (c *conn) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	s, err := c.query(ctx, query)
	if err != nil {
		return nil, err
	}
	args, err = s.places.arrange(args)
	if err != nil {
		return nil, err
	}
	rows, err := s.statement.QueryContext(ctx, args...) //nolint:rowserrcheck // Closed and checked by who asked.
	if err != nil {
		return nil, classify(err)
	}
	return rows, nil
}

// Begin implements sqlstore.Transaction.
func (c *conn) Begin(ctx context.Context, _ bool) error {
	if err := c.check(); err != nil {
		return err
	}
	_, err := c.exec(ctx, "BEGIN IMMEDIATE")
	return err
}

// Attribute implements sqlstore.Transaction.
func (c *conn) Attribute(int) {}

// Failed implements sqlstore.Transaction: whose statement fails learns it.
func (c *conn) Failed() (int, error) { return -1, nil }

// Commit implements sqlstore.Transaction.
func (c *conn) Commit(ctx context.Context) error {
	_, err := c.exec(ctx, "COMMIT")
	return err
}

// Rollback implements sqlstore.Transaction. Where SQLite has rolled back by itself
// already, as it does when the disk is full, ROLLBACK fails and nothing is lost by it;
// were the transaction still open, the next BEGIN would say so.
func (c *conn) Rollback(ctx context.Context) { _, _ = c.exec(ctx, "ROLLBACK") }

// Lock implements sqlstore.Conn: there is one writer.
func (c *conn) Lock(context.Context, string, bool) error { return nil }

// NoteChange implements sqlstore.Conn: the rows are all.
func (c *conn) NoteChange(*execution.Change) {}

// SkipLocked implements sqlstore.Conn: there is one writer.
func (c *conn) SkipLocked() string { return "" }
