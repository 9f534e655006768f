package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
)

// conn is one connection with its prepared statements. It serves one
// transaction at a time.
type conn struct {
	sql      *sql.Conn
	prepared map[string]*sql.Stmt
	// check refuses transactions that would be lost; nil for a reader.
	check func() error
}

var _ sqlstore.Transaction = (*conn)(nil)

func newConn(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{sql: c, prepared: make(map[string]*sql.Stmt)}, nil
}

// close errors are those of a connection that is thrown away: nothing can be
// done about them.
func (c *conn) close() {
	for _, s := range c.prepared {
		_ = s.Close()
	}
	_ = c.sql.Close()
}

// statement keeps what it prepares: all texts come from this program, so there
// is a bounded number of them.
func (c *conn) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := c.prepared[query]; ok {
		return s, nil
	}
	s, err := c.sql.PrepareContext(ctx, query)
	if err != nil {
		return nil, classify(err)
	}
	c.prepared[query] = s
	return s, nil
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

func (c *conn) exec(ctx context.Context, query string, args ...any) (affected int64, err error) {
	s, err := c.statement(ctx, query) //nolint:sqlclosecheck // Kept, and closed with the connection.
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, classify(err)
	}
	return result.RowsAffected()
}

// Query implements sqlstore.Conn.
func (c *conn) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	s, err := c.statement(ctx, query) //nolint:sqlclosecheck // Kept, and closed with the connection.
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args...) //nolint:rowserrcheck // Closed and checked by who asked.
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

// Of implements sqlstore.Transaction.
func (c *conn) Of(int) {}

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

// Hold implements sqlstore.Conn: there is one writer.
func (c *conn) Hold(context.Context, string, bool) error { return nil }

// Applied implements sqlstore.Conn: the rows are all.
func (c *conn) Applied(*execution.Change) {}

// SkipLocked implements sqlstore.Conn: there is one writer.
func (c *conn) SkipLocked() string { return "" }
