package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
)

// Jobs is the work queue that lives in the same database.
type Jobs interface {
	// Commit queues what changes made and completes what carried them, inside the
	// transaction that writes the changes.
	Commit(ctx context.Context, tx pgx.Tx, changes []*execution.Change) error
}

// transaction is the writer's. Decisions read and then claim what they read by its
// revision, so that READ COMMITTED is enough for them.
type transaction struct {
	conn
	pool *pgxpool.Pool
	jobs Jobs
	held *pgxpool.Conn
	// changes are those of the updates so far.
	changes []*execution.Change
}

var _ sqlstore.Transaction = (*transaction)(nil)

// aloneWaits lets a transaction wait for a lock as long as one that stands still may
// hold it.
const aloneWaits = `SELECT set_config('lock_timeout', '` + lockTimeout + `', true)`

// Begin implements sqlstore.Transaction. It sends nothing.
func (t *transaction) Begin(ctx context.Context, alone bool) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	held, err := t.pool.Acquire(limited)
	if err != nil {
		return classify(err)
	}
	t.held = held
	t.conn = conn{pg: held.Conn(), begin: "BEGIN", pending: t.pending[:0], atCommit: t.atCommit[:0], of: -1, shared: !alone}
	t.changes = t.changes[:0]
	if alone {
		return t.Later(ctx, sqlstore.Statement{What: "patience", Query: aloneWaits})
	}
	return nil
}

// Attribute implements sqlstore.Transaction.
func (t *transaction) Attribute(update int) { t.of = update }

// NoteChange implements sqlstore.Conn.
func (t *transaction) NoteChange(change *execution.Change) { t.changes = append(t.changes, change) }

// Failed implements sqlstore.Transaction.
func (t *transaction) Failed() (int, error) {
	if t.failed == nil {
		return -1, nil
	}
	return t.failed.of, t.failed.err
}

// Commit implements sqlstore.Transaction.
func (t *transaction) Commit(ctx context.Context) error {
	if t.failed != nil {
		return t.failed.err
	}
	if !t.open && len(t.pending) == 0 && len(t.atCommit) == 0 {
		t.release()
		return nil
	}
	if err := t.queue(ctx); err != nil {
		return err
	}
	text := noticeOf(t.changes)
	lock, args := lockPositions, []any(nil)
	if text != "" && len(t.atCommit) > 0 {
		lock, args, text = lockAndNotify, []any{channel, text}, ""
	}
	if err := t.advance(lock, args...); err != nil {
		return err
	}
	t.of = -1
	if !t.open {
		// The transaction is one message, which PostgreSQL commits at its end.
		t.begin = ""
	}
	results := t.send(ctx, func(batch *pgx.Batch) {
		if text != "" {
			batch.Queue(`SELECT pg_notify($1, $2)`, channel, text)
		}
		if t.open {
			batch.Queue("COMMIT")
		}
	})
	// The end of the batch reads the rest, also how the commit ended.
	err := t.end(results, t.settle(results))
	if errors.Is(err, store.ErrUnavailable) {
		// The commit is on its way: nobody knows whether all is committed, so that none
		// of them may be done again.
		t.failed = &failure{of: -1, err: err}
	}
	if err != nil {
		return err
	}
	t.release()
	return nil
}

// queue lets the work queue write its part, where it has one: a chain that goes on has
// none, and stays one message.
func (t *transaction) queue(ctx context.Context) error {
	if t.jobs == nil || !hasJobs(t.changes) {
		return nil
	}
	results := t.send(ctx, nil)
	if err := t.end(results, t.settle(results)); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := t.jobs.Commit(limited, openTx{t.pg}, t.changes); err != nil {
		return t.fail(-1, classify(err))
	}
	return nil
}

// hasJobs tells whether changes made turns that are queued, or ended what carried them.
func hasJobs(changes []*execution.Change) bool {
	for _, change := range changes {
		ended := change.Carrier != 0
		for _, turn := range change.Turns {
			if turn.Carrier == 0 {
				return true
			}
			ended = false
		}
		if ended {
			return true
		}
	}
	return false
}

// Rollback implements sqlstore.Transaction.
func (t *transaction) Rollback(ctx context.Context) {
	if t.held == nil {
		return
	}
	// Where it fails the connection goes, and the transaction with it.
	_ = t.rollback(ctx)
	t.release()
}

func (t *transaction) release() {
	t.held.Release()
	t.held = nil
}

var errNotYours = errors.New("the transaction is the store's to begin and to end")

// openTx is the open transaction of a connection, for a library that wants to write in
// it. It ends where it began.
type openTx struct{ pg *pgx.Conn }

var _ pgx.Tx = openTx{}

// Begin implements pgx.Tx.
func (openTx) Begin(context.Context) (pgx.Tx, error) { return nil, errNotYours }

// Commit implements pgx.Tx.
func (openTx) Commit(context.Context) error { return errNotYours }

// Rollback implements pgx.Tx.
func (openTx) Rollback(context.Context) error { return errNotYours }

// CopyFrom implements pgx.Tx.
func (t openTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, source pgx.CopyFromSource) (int64, error) {
	return t.pg.CopyFrom(ctx, table, columns, source)
}

// SendBatch implements pgx.Tx.
func (t openTx) SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults {
	return t.pg.SendBatch(ctx, batch)
}

// LargeObjects implements pgx.Tx.
func (openTx) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }

// Prepare implements pgx.Tx.
func (t openTx) Prepare(ctx context.Context, name, query string) (*pgconn.StatementDescription, error) {
	return t.pg.Prepare(ctx, name, query)
}

// Exec implements pgx.Tx.
func (t openTx) Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error) {
	return t.pg.Exec(ctx, query, args...)
}

// Query implements pgx.Tx.
func (t openTx) Query(ctx context.Context, query string, args ...any) (pgx.Rows, error) {
	return t.pg.Query(ctx, query, args...)
}

// QueryRow implements pgx.Tx.
func (t openTx) QueryRow(ctx context.Context, query string, args ...any) pgx.Row {
	return t.pg.QueryRow(ctx, query, args...)
}

// Conn implements pgx.Tx.
func (t openTx) Conn() *pgx.Conn { return t.pg }
