package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// versions is the table in which goose keeps the version, whose text is goose's own.
const versions = "goose_db_version"

// object is what a schema has under a name.
type object struct{ kind, name string }

func (o object) String() string { return "the " + o.kind + " " + o.name }

// checkSchema returns an error where a database is not what the migrations make of its
// version: a trigger or a view of somebody else's would go on working in the server.
func checkSchema(ctx context.Context, c *sql.Conn, version int64) error {
	found, err := schema(ctx, c)
	if err != nil {
		return err
	}
	want, err := migrated(ctx, version)
	if err != nil {
		return err
	}
	for _, o := range inOrder(found) {
		text, ok := want[o]
		if !ok {
			return fmt.Errorf("it has %s, which headraced did not make: remove it, and see who made it", o)
		}
		if text != found[o] && o.name != versions {
			return fmt.Errorf("%s in it is not as headraced made it: see who changed it", o)
		}
	}
	for _, o := range inOrder(want) {
		if _, ok := found[o]; !ok {
			return fmt.Errorf("it lacks %s, which headraced made: see who removed it", o)
		}
	}
	return nil
}

// migrated returns the schema of a version.
func migrated(ctx context.Context, version int64) (found map[object]string, err error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// Each connection has a database of its own.
	db.SetMaxOpenConns(1)
	p, err := provider(db)
	if err != nil {
		return nil, err
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return nil, fmt.Errorf("make the schema of version %d: %w", version, err)
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return schema(ctx, c)
}

// schema returns the texts of what a database has, but for what SQLite keeps for itself
// about the sizes of tables.
func schema(ctx context.Context, c *sql.Conn) (map[object]string, error) {
	rows, err := c.QueryContext(ctx, `SELECT type, name, coalesce(sql, '') FROM sqlite_schema
		WHERE NOT (type = 'table' AND name LIKE 'sqlite~_stat_' ESCAPE '~')`)
	if err != nil {
		return nil, notOurs(err)
	}
	defer func() { _ = rows.Close() }()
	found := make(map[object]string)
	for rows.Next() {
		var o object
		var text string
		if err := rows.Scan(&o.kind, &o.name, &text); err != nil {
			return nil, err
		}
		found[o] = text
	}
	if err := rows.Err(); err != nil {
		return nil, notOurs(err)
	}
	return found, nil
}

func inOrder(of map[object]string) []object {
	return slices.SortedFunc(maps.Keys(of), func(a, b object) int { return strings.Compare(a.kind+" "+a.name, b.kind+" "+b.name) })
}
