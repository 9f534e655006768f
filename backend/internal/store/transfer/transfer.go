// Package transfer moves everything that one store keeps to the empty store of another
// engine, and compares what arrived with what was sent. Which tables and columns there
// are the schemas of both say: it must never name what it carries, so that nothing new
// is forgotten.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"text/tabwriter"
)

// Source is all that a store holds at one moment.
type Source interface {
	Tables(ctx context.Context) ([]Table, error)
	// Rows are all rows of a table, each with the values of its columns in their order.
	// They end after an error.
	Rows(ctx context.Context, table Table) iter.Seq2[[]any, error]
}

// Target is a store in a transaction, which whoever calls Move commits if that returns
// no error.
type Target interface {
	Source
	// Empty tells whether a table has no rows.
	Empty(ctx context.Context, table Table) (bool, error)
	// Write adds rows to a table and returns how many there were.
	Write(ctx context.Context, table Table, rows iter.Seq2[[]any, error]) (int64, error)
	// Finish does what a commit of these rows would have done beside them: it queues
	// the turns, whose number it returns, and sets counters behind the rows.
	Finish(ctx context.Context) (queued int64, err error)
}

// ErrNotEmpty says that the target holds something.
var ErrNotEmpty = errors.New("the database is not empty")

// Report is what was moved.
type Report struct {
	Tables []Moved
	// Queued is how many turns the work queue has.
	Queued int64
	// Replaced is how many texts had a character that PostgreSQL does not take, which
	// became U+FFFD.
	Replaced int64
}

// Moved is a table.
type Moved struct {
	Table string
	Rows  int64
	// Digest of all rows, the same on both sides.
	Digest string
}

// Move carries everything. A target that holds anything is ErrNotEmpty; then and after
// every other error its transaction is to be rolled back.
func Move(ctx context.Context, source Source, target Target) (*Report, error) {
	from, err := source.Tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the schema of the source: %w", err)
	}
	to, err := target.Tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the schema of the target: %w", err)
	}
	tables, err := plan(from, to)
	if err != nil {
		return nil, err
	}
	if err := empty(ctx, target, tables); err != nil {
		return nil, err
	}
	sent := make([]tally, len(tables))
	for i, table := range tables {
		written, err := target.Write(ctx, table, sent[i].of(table, source.Rows(ctx, table)))
		if err != nil {
			return nil, fmt.Errorf("move table %s: %w", table.Name, err)
		}
		if written != sent[i].rows {
			return nil, fmt.Errorf("move table %s: %d rows were read and %d written", table.Name, sent[i].rows, written)
		}
	}
	report := &Report{}
	if report.Queued, err = target.Finish(ctx); err != nil {
		return nil, err
	}
	for i, table := range tables {
		if err := compare(ctx, target, table, &sent[i]); err != nil {
			return nil, err
		}
		report.Tables = append(report.Tables, Moved{Table: table.Name, Rows: sent[i].rows, Digest: sent[i].digest()})
		report.Replaced += sent[i].replaced
	}
	return report, nil
}

// empty returns ErrNotEmpty, with the tables that have rows.
func empty(ctx context.Context, target Target, tables []Table) error {
	var full []string
	for _, table := range tables {
		none, err := target.Empty(ctx, table)
		if err != nil {
			return fmt.Errorf("look into table %s: %w", table.Name, err)
		}
		if !none {
			full = append(full, table.Name)
		}
	}
	if len(full) > 0 {
		return fmt.Errorf("%w: it has rows in %s; give one on which nothing but headraced migrate was run", ErrNotEmpty, strings.Join(full, ", "))
	}
	return nil
}

// of passes rows on and adds them up.
func (t *tally) of(table Table, rows iter.Seq2[[]any, error]) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for row, err := range rows {
			if err == nil {
				err = t.add(table, row)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// compare reads back what was written.
func compare(ctx context.Context, target Target, table Table, sent *tally) error {
	var arrived tally
	for _, err := range arrived.of(table, target.Rows(ctx, table)) {
		if err != nil {
			return fmt.Errorf("read table %s back: %w", table.Name, err)
		}
	}
	if arrived.rows != sent.rows {
		return fmt.Errorf("table %s: %d rows were sent and %d arrived", table.Name, sent.rows, arrived.rows)
	}
	if arrived.sum != sent.sum {
		return fmt.Errorf("table %s: what arrived is not what was sent", table.Name)
	}
	return nil
}

// String is the report as a table.
func (r *Report) String() string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	// A builder takes everything.
	_, _ = fmt.Fprintln(table, "TABLE\tROWS\tDIGEST")
	for _, t := range r.Tables {
		_, _ = fmt.Fprintf(table, "%s\t%d\t%.16s\n", t.Table, t.Rows, t.Digest)
	}
	_, _ = fmt.Fprintf(table, "turns that the work queue has\t%d\t\n", r.Queued)
	_ = table.Flush()
	if r.Replaced > 0 {
		_, _ = fmt.Fprintf(&text, "%d texts had a character that PostgreSQL does not take; it is U+FFFD now\n", r.Replaced)
	}
	return text.String()
}
