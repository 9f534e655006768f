package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The columns of a table are listed once, by a function that binds them to the fields of a
// record. The texts of the statements are made from that list when the program starts, and
// the same list says what a statement writes and where a query reads to. So a new column is
// one line here, beside its migration.

// column is one column, bound to a field of a record.
type column struct {
	name string
	role role
	field
}

// field is a field of a record. It makes the stored form when a statement takes it: most
// updates take few of the columns.
type field interface {
	// stored returns the stored form.
	stored() (any, error)
	// into returns what Scan takes: the field, or stored for one that is converted.
	into(stored *int64) any
}

// converted is a field whose stored form is an integer, which it is made of after Scan: drivers
// scan an integer with less effort than a type of ours.
type converted interface{ convert(stored int64) }

// role says which statements write a column.
type role int

const (
	// constant columns are written by the insert only.
	constant role = iota
	// identity columns are written by the insert and select the row of an update.
	identity
	// variable columns are written by the insert and by updates.
	variable
	// counter columns are written by the insert, select the row of an update and are
	// increased by it.
	counter
	// generated columns are written by the database only.
	generated
)

// text binds a column to a string.
func text[T ~string](r role, name string, at *T) column {
	return column{name, r, storedText[T]{at}}
}

// number binds a column to an integer.
func number[T ~int | ~int64](r role, name string, at *T) column {
	return column{name, r, storedNumber[T]{at}}
}

// flag binds a column to a bool.
func flag(r role, name string, at *bool) column {
	return column{name, r, storedFlag{at}}
}

// instant binds a column to a time, which is stored in microseconds.
func instant(r role, name string, at *time.Time) column {
	return column{name, r, (*storedTime)(at)}
}

// blob binds a column to bytes.
func blob(r role, name string, at *[]byte) column {
	return column{name, r, storedBytes{at}}
}

// record binds a column to a record, which is stored as a document.
func record[T any](r role, name string, at *T) column {
	return column{name, r, storedRecord[T]{at}}
}

// recordIf is record for one that is stored as an empty text unless it is present.
func recordIf[T any](present bool, r role, name string, at *T) column {
	if !present {
		return column{name, r, absentRecord[T]{storedRecord[T]{at}}}
	}
	return record(r, name, at)
}

type storedText[T ~string] struct{ at *T }

func (t storedText[T]) stored() (any, error) { return string(*t.at), nil }
func (t storedText[T]) into(*int64) any      { return t.at }

type storedNumber[T ~int | ~int64] struct{ at *T }

func (n storedNumber[T]) stored() (any, error) { return int64(*n.at), nil }
func (n storedNumber[T]) into(*int64) any      { return n.at }

type storedFlag struct{ at *bool }

func (f storedFlag) stored() (any, error) { return *f.at, nil }
func (f storedFlag) into(*int64) any      { return f.at }

type storedBytes struct{ at *[]byte }

func (b storedBytes) stored() (any, error) { return *b.at, nil }
func (b storedBytes) into(*int64) any      { return b.at }

type storedTime time.Time

func (t *storedTime) stored() (any, error)   { return micros(time.Time(*t)), nil }
func (t *storedTime) into(stored *int64) any { return stored }
func (t *storedTime) convert(stored int64)   { *t = storedTime(fromMicros(stored)) }

type storedRecord[T any] struct{ at *T }

func (d storedRecord[T]) stored() (any, error) { return document(d.at) }
func (d storedRecord[T]) into(*int64) any      { return d }

// Scan implements sql.Scanner. An empty text leaves the record as it is.
func (d storedRecord[T]) Scan(src any) error {
	stored, ok := src.(string)
	if !ok {
		return fmt.Errorf("scan %T from %T", d.at, src)
	}
	if stored == "" {
		return nil
	}
	return decode(stored, d.at)
}

type absentRecord[T any] struct{ storedRecord[T] }

func (absentRecord[T]) stored() (any, error) { return "", nil }

// table has the texts of statements that name all columns of a table.
type table struct {
	name string
	// columns are the names, for queries.
	columns string
	// insert writes a row, update the variable columns of the row with the identity.
	insert, update string
	// upsert is insert, or update if a row has the identity.
	upsert string
	// inserted and updated are how many arguments these have.
	inserted, updated int
}

// newTable returns the statements of a table. The columns may be those of an empty record.
func newTable(name string, columns []column) table {
	t := table{name: name}
	var all, inserted, sets, replaced, keys, identities []string
	for i := range columns {
		c := &columns[i]
		all = append(all, c.name)
		if c.role != generated {
			inserted = append(inserted, c.name)
		}
		if !c.role.updates() {
			continue
		}
		t.updated++
		equal := c.name + " = $" + strconv.Itoa(t.updated)
		switch c.role {
		case variable:
			sets = append(sets, equal)
			replaced = append(replaced, c.name+" = excluded."+c.name)
		case counter:
			sets = append(sets, c.name+" = "+c.name+" + 1")
			keys = append(keys, equal)
		default:
			keys = append(keys, equal)
			identities = append(identities, c.name)
		}
	}
	t.columns, t.inserted = strings.Join(all, ", "), len(inserted)
	t.insert = "INSERT INTO " + name + " (" + strings.Join(inserted, ", ") + ") VALUES (" + places(1, t.inserted) + ")"
	t.update = "UPDATE " + name + " SET " + strings.Join(sets, ", ") + " WHERE " + strings.Join(keys, " AND ")
	t.upsert = t.insert + " ON CONFLICT (" + strings.Join(identities, ", ") + ") DO UPDATE SET " + strings.Join(replaced, ", ")
	return t
}

// updates tells whether an update has the column among its arguments.
func (r role) updates() bool { return r == identity || r == variable || r == counter }

// query returns the text of a query of all columns. It is made once, not in each call.
func (t *table) query(rest string) string {
	return "SELECT " + t.columns + " FROM " + t.name + " " + rest
}

// insertArgs appends the arguments of an insert.
func insertArgs(args []any, columns []column) ([]any, error) {
	return appendArgs(args, columns, func(r role) bool { return r != generated })
}

// updateArgs appends the arguments of an update.
func updateArgs(args []any, columns []column) ([]any, error) {
	return appendArgs(args, columns, role.updates)
}

func appendArgs(args []any, columns []column, wanted func(role) bool) ([]any, error) {
	for i := range columns {
		c := &columns[i]
		if !wanted(c.role) {
			continue
		}
		value, err := c.stored()
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.name, err)
		}
		args = append(args, value)
	}
	return args, nil
}

// row is a row of a query. The lists of the next row take the place of those of this one.
type row struct {
	Rows

	columns []column
	into    []any
	stored  []int64
}

// scan reads a row of table.query, and what the query selects after its columns.
func scan(r *row, columns []column, further ...any) error {
	r.columns, r.into = columns, slices.Grow(r.into[:0], len(columns)+len(further))
	r.stored = slices.Grow(r.stored[:0], len(columns))[:len(columns)]
	for i := range columns {
		r.into = append(r.into, columns[i].into(&r.stored[i]))
	}
	if err := r.Scan(append(r.into, further...)...); err != nil {
		return err
	}
	for i := range columns {
		if c, ok := columns[i].field.(converted); ok {
			c.convert(r.stored[i])
		}
	}
	return nil
}

// insertNow inserts a row.
func (t *Tx) insertNow(ctx context.Context, what string, in *table, columns []column) error {
	args, err := insertArgs(make([]any, 0, in.inserted), columns)
	if err != nil {
		return err
	}
	return t.exec(ctx, what, in.insert, args...)
}

// updateNow updates a row. If there is none, it returns missing.
func (t *Tx) updateNow(ctx context.Context, missing error, what string, in *table, columns []column) error {
	args, err := updateArgs(make([]any, 0, in.updated), columns)
	if err != nil {
		return err
	}
	return t.changed(ctx, missing, what, in.update, args...)
}

// insertLater inserts a row of a decision, by the table's insert or upsert.
func (t *Tx) insertLater(ctx context.Context, what, query string, columns []column) error {
	// A decision writes many rows: the list of the next one takes the place of this one.
	t.columns = columns
	args, err := insertArgs(make([]any, 0, len(columns)), columns)
	if err != nil {
		return err
	}
	return t.later(ctx, what, query, args...)
}

// updateLater updates a row of a decision.
func (t *Tx) updateLater(ctx context.Context, what string, in *table, columns []column) error {
	t.columns = columns
	args, err := updateArgs(make([]any, 0, in.updated), columns)
	if err != nil {
		return err
	}
	return t.later(ctx, what, in.update, args...)
}
