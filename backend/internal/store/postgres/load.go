package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/transfer"
)

// Queue is a work queue that turns can be moved to.
type Queue interface {
	Jobs
	// Length is how many jobs there are, of whatever state.
	Length(ctx context.Context, tx pgx.Tx) (int64, error)
}

// Loading is a database that takes rows of another store, in one transaction.
type Loading struct {
	tx    pgx.Tx
	queue Queue
	// tables are read once: their locks keep them as they are.
	tables []transfer.Table
}

var _ transfer.Target = (*Loading)(nil)

// Load calls fn with a transaction that nobody else writes beside, and commits it
// where fn returns no error. Neither a schema that is not this program's nor a work
// queue that has jobs is loaded.
func Load(ctx context.Context, url string, queue Queue, fn func(context.Context, *Loading) error) error {
	// Rows may be many, and are read from elsewhere in between.
	pool, err := connect(ctx, url, 1, map[string]string{"statement_timeout": "0", "idle_in_transaction_session_timeout": "10min"})
	if err != nil {
		return err
	}
	defer pool.Close()
	written := false
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := checkSchema(ctx, tx); err != nil {
			return err
		}
		l := &Loading{tx: tx, queue: queue}
		if err := l.prepare(ctx); err != nil {
			return err
		}
		err := fn(ctx, l)
		written = err == nil
		return err
	})
	var answer *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case written && !errors.As(err, &answer):
		return fmt.Errorf("the answer to the commit was lost, so that all was moved or nothing: do it again, which refuses a database that has all (%w)", err)
	case errors.Is(classify(err), errConflict):
		return fmt.Errorf("nothing was moved: somebody else works on the database: stop the servers that use it (%w)", err)
	}
	return fmt.Errorf("nothing was moved: %w", err)
}

// prepare locks what is there before anybody looks into it.
func (l *Loading) prepare(ctx context.Context) (err error) {
	if l.tables, err = l.readTables(ctx); err != nil {
		return err
	}
	names := make([]string, len(l.tables))
	for i, t := range l.tables {
		names[i] = pgx.Identifier{t.Name}.Sanitize()
	}
	if _, err := l.tx.Exec(ctx, "LOCK TABLE "+strings.Join(names, ", ")+" IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		return err
	}
	// The schema may have been migrated while the locks were waited for.
	if err := checkSchema(ctx, l.tx); err != nil {
		return err
	}
	// The only row that migrations make, which the other store has too.
	if _, err := l.tx.Exec(ctx, "DELETE FROM shares WHERE account = ''"); err != nil {
		return err
	}
	jobs, err := l.queue.Length(ctx, l.tx)
	if err == nil && jobs > 0 {
		err = fmt.Errorf("%w: its work queue has %d jobs", transfer.ErrNotEmpty, jobs)
	}
	return err
}

// own tells of tables that only this engine has: who works on the database now, and
// River's, which the queue fills itself.
func own(table string) bool { return table == "replicas" || strings.HasPrefix(table, "river_") }

// Tables implements transfer.Source.
func (l *Loading) Tables(context.Context) ([]transfer.Table, error) { return l.tables, nil }

func (l *Loading) readTables(ctx context.Context) ([]transfer.Table, error) {
	found, err := l.tx.Query(ctx, `SELECT c.relname, a.attname, format_type(a.atttypid, NULL),
			ARRAY(SELECT f.relname::text FROM pg_constraint r JOIN pg_class f ON f.oid = r.confrelid WHERE r.conrelid = c.oid AND r.contype = 'f')
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY c.relname COLLATE "C", a.attname COLLATE "C"`)
	if err != nil {
		return nil, err
	}
	var tables []transfer.Table
	var table, column, declared string
	var after []string
	_, err = pgx.ForEachRow(found, []any{&table, &column, &declared, &after}, func() error {
		if own(table) {
			return nil
		}
		if len(tables) == 0 || tables[len(tables)-1].Name != table {
			tables = append(tables, transfer.Table{Name: table, After: after})
		}
		last := &tables[len(tables)-1]
		last.Columns = append(last.Columns, transfer.Column{Name: column, Kind: kind(declared)})
		return nil
	})
	return tables, err
}

// kind returns what a column holds; a type that the migrations do not use is none.
func kind(declared string) transfer.Kind {
	switch declared {
	case "text":
		return transfer.Text
	case "integer", "bigint":
		return transfer.Integer
	case "boolean":
		return transfer.Boolean
	case "bytea":
		return transfer.Bytes
	}
	return transfer.Kind(declared)
}

// Empty implements transfer.Target.
func (l *Loading) Empty(ctx context.Context, table transfer.Table) (empty bool, err error) {
	err = l.tx.QueryRow(ctx, "SELECT NOT EXISTS (SELECT 1 FROM "+pgx.Identifier{table.Name}.Sanitize()+")").Scan(&empty)
	return empty, err
}

// Rows implements transfer.Source.
func (l *Loading) Rows(ctx context.Context, table transfer.Table) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		rows, err := l.tx.Query(ctx, table.Select())
		if err != nil {
			yield(nil, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			row, err := rows.Values()
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// Write implements transfer.Target.
func (l *Loading) Write(ctx context.Context, table transfer.Table, rows iter.Seq2[[]any, error]) (int64, error) {
	columns := make([]string, len(table.Columns))
	for i, c := range table.Columns {
		columns[i] = c.Name
	}
	next, stop := iter.Pull2(rows)
	defer stop()
	return l.tx.CopyFrom(ctx, pgx.Identifier{table.Name}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		row, err, _ := next()
		return row, err
	}))
}

// Finish implements transfer.Target.
func (l *Loading) Finish(ctx context.Context) (int64, error) {
	if err := l.count(ctx); err != nil {
		return 0, fmt.Errorf("set the counters: %w", err)
	}
	turns, err := sqlstore.New(&conn{pg: l.tx.Conn(), of: -1}).Turns(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the turns: %w", err)
	}
	if err := l.queue.Commit(ctx, l.tx, []*execution.Change{{Turns: turns}}); err != nil {
		return 0, fmt.Errorf("queue the turns: %w", err)
	}
	queued, err := l.queue.Length(ctx, l.tx)
	if err == nil && queued != int64(len(turns)) {
		err = fmt.Errorf("queue the turns: there are %d and %d were queued", len(turns), queued)
	}
	return queued, err
}

// count lets the columns that count by themselves go on behind the rows that were
// written with numbers of their own.
func (l *Loading) count(ctx context.Context) error {
	found, err := l.tx.Query(ctx, `SELECT table_name, column_name FROM information_schema.columns
		WHERE table_schema = current_schema() AND is_identity = 'YES'`)
	if err != nil {
		return err
	}
	type counter struct{ Table, Column string }
	counters, err := pgx.CollectRows(found, pgx.RowToStructByPos[counter])
	if err != nil {
		return err
	}
	for _, c := range counters {
		if own(c.Table) {
			continue
		}
		table, column := pgx.Identifier{c.Table}.Sanitize(), pgx.Identifier{c.Column}.Sanitize()
		var next int64
		// Positions of removed events are not assigned again.
		if err := l.tx.QueryRow(ctx, "SELECT greatest(max("+column+"), (SELECT max(position) FROM removed_positions), 0) + 1 FROM "+table).Scan(&next); err != nil {
			return err
		}
		// It is undone with the transaction, which setval is not.
		if _, err := l.tx.Exec(ctx, fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s RESTART WITH %d", table, column, next)); err != nil {
			return err
		}
	}
	return nil
}
