package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"runtime/debug"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
)

// conn is one connection with its prepared statements. It serves one
// transaction at a time.
type conn struct {
	sql      *sql.Conn
	prepared map[string]*sql.Stmt
}

var _ sqlstore.Conn = (*conn)(nil)

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
func (c *conn) Exec(ctx context.Context, query string, args ...any) (int64, error) {
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

// transact runs a batch in one transaction, and what next gives until it gives nil,
// and commits it. It returns the whole batch and the place of the update that
// failed with its error, after a rollback; or -1, with the error of the transaction
// itself where it could not begin or commit.
func (c *conn) transact(ctx context.Context, batch []*update, next func() *update) ([]*update, int, error) {
	if _, err := c.Exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return batch, -1, err
	}
	tx := sqlstore.New(c)
	for i := 0; i < len(batch); i++ {
		if err := guard(ctx, batch[i].fn, tx); err != nil {
			return batch, i, c.rollback(ctx, err)
		}
		if i == len(batch)-1 && len(batch) < maxBatch {
			if u := next(); u != nil {
				batch = append(batch, u)
			}
		}
	}
	if _, err := c.Exec(ctx, "COMMIT"); err != nil {
		return batch, -1, c.rollback(ctx, err)
	}
	return batch, -1, nil
}

// guard makes a panic of one caller that caller's error: the writer is everybody's.
func guard(ctx context.Context, fn func(context.Context, store.Tx) error, tx store.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(ctx, tx)
}

// rollback returns the cause. Where SQLite has rolled back by itself already, as
// it does when the disk is full, ROLLBACK fails and nothing is lost by it; were
// the transaction still open, the next BEGIN would say so.
func (c *conn) rollback(ctx context.Context, cause error) error {
	_, _ = c.Exec(ctx, "ROLLBACK")
	return cause
}
