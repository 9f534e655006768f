package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
)

// transaction is the writer's. Decisions read and then claim what they read by its
// revision, so that READ COMMITTED is enough for them.
type transaction struct {
	conn
	pool *pgxpool.Pool
	held *pgxpool.Conn
}

var _ sqlstore.Transaction = (*transaction)(nil)

// Begin implements sqlstore.Transaction. It sends nothing.
func (t *transaction) Begin(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	held, err := t.pool.Acquire(limited)
	if err != nil {
		return classify(err)
	}
	t.held = held
	t.conn = conn{pg: held.Conn(), begin: "BEGIN", pending: t.pending[:0], of: -1}
	return nil
}

// Of implements sqlstore.Transaction.
func (t *transaction) Of(update int) { t.of = update }

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
	if t.begin != "" && len(t.pending) == 0 {
		t.release()
		return nil
	}
	t.of = -1
	results := t.send(ctx, func(batch *pgx.Batch) { batch.Queue("COMMIT") })
	err := t.settle(results)
	if err == nil {
		if _, err = results.Exec(); err != nil {
			err = t.fail(-1, classify(err))
		}
	}
	if err = t.end(results, err); err != nil {
		return err
	}
	t.release()
	return nil
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
