// Package sqlstore is the one SQL core of the store: every statement is written
// here once, with $1 placeholders, for all engines. It must never know a driver:
// an engine gives it a Conn, translates its own errors and keeps its own schema,
// since what makes a table fast differs.
package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Conn runs statements inside one transaction. Errors are the store's sentinels
// where they have one.
type Conn interface {
	// Exec runs a statement now.
	Exec(ctx context.Context, statement Statement) error
	// Later runs a statement before the next one that is to run now, or with the
	// commit, where an engine over a network sends many at once. An error may be
	// that of a statement before it, and may come as late as from the commit.
	Later(ctx context.Context, statement Statement) error
	// AtCommit runs a statement at the end of the transaction, in an order: if two
	// transactions have such statements, all of one run and its commit follows before the
	// first of the other. An error may come as late as from the commit.
	AtCommit(ctx context.Context, statement Statement) error
	// Positions returns the first of the positions of the next events, of which there are
	// so many, or 0 if the database assigns them. Newest reads the newest one.
	Positions(events int, newest func() (int64, error)) (first int64, err error)
	// Advance runs the statements of AtCommit before the next one, which must see what
	// they write. Other transactions wait for this one from then on.
	Advance(ctx context.Context) error
	Query(ctx context.Context, query string, args ...any) (Rows, error)
	// Lock locks a name until the transaction ends: shared by those that read what it
	// names, or exclusively for one that changes it.
	Lock(ctx context.Context, name string, change bool) error
	// NoteChange tells the engine of a change in its transaction, for what it does with
	// the commit beside the rows.
	NoteChange(change *execution.Change)
	// SkipLocked is the clause that leaves rows out which others work on; empty where
	// there are no others.
	SkipLocked() string
}

// Statement is one without an answer: it writes, or confirms.
type Statement struct {
	// What it is about, for errors.
	What  string
	Query string
	Args  []any
	// Missing is its error where it affects no row; nil where that is none.
	Missing error
	// Confirms is set for a query, which changes nothing: Missing is its error where it
	// finds no row.
	Confirms bool
}

// Rows are the rows of a query.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

// Tx implements store.Tx on a Conn.
type Tx struct {
	conn Conn
	// columns is where a decision lists the columns of each row that it writes.
	columns []column
	// row is the current row of a query. Queries follow each other, so they share its lists.
	row row
	// events are those of decisions, until they are written.
	events []*execution.Event
}

// New returns a transaction on the connection; for a store.Reader use it so too.
func New(conn Conn) *Tx { return &Tx{conn: conn} }

var _ store.Tx = (*Tx)(nil)

// micros is the stored form of a time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}

// document returns the stored form of a value; the values are our own records,
// which always encode.
func document(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return string(data), nil
}

func decode(text string, into any) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("decode %T: %w", into, err)
	}
	return nil
}

// one runs a query that gives at most one row; none is store.ErrNotFound, named
// by what.
func (t *Tx) one(ctx context.Context, what, query string, args []any, dest ...any) error {
	found := false
	err := t.each(ctx, query, args, func(rows *row) error {
		found = true
		return rows.Scan(dest...)
	})
	if err == nil && !found {
		return fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	return err
}

// each calls scan for every row of a query.
func (t *Tx) each(ctx context.Context, query string, args []any, scan func(*row) error) (err error) {
	rows, err := t.conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	t.row.Rows = rows
	for rows.Next() {
		if err := scan(&t.row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// changed runs a statement that must affect a row; otherwise it returns missing,
// named by what.
func (t *Tx) changed(ctx context.Context, missing error, what, query string, args ...any) error {
	return t.conn.Exec(ctx, Statement{What: what, Query: query, Args: args, Missing: missing})
}

func (t *Tx) exec(ctx context.Context, what, query string, args ...any) error {
	return t.conn.Exec(ctx, Statement{What: what, Query: query, Args: args})
}

// later is exec for what a decision writes: nothing depends on it before the commit.
func (t *Tx) later(ctx context.Context, what, query string, args ...any) error {
	return t.conn.Later(ctx, Statement{What: what, Query: query, Args: args})
}

// changedLater is changed for what a decision writes.
func (t *Tx) changedLater(ctx context.Context, missing error, what, query string, args ...any) error {
	return t.conn.Later(ctx, Statement{What: what, Query: query, Args: args, Missing: missing})
}
