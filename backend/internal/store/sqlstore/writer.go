package sqlstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// maxBatch bounds how many updates share a commit, so that the first of them does
// not wait for ever.
const maxBatch = 256

// Transaction is the one of a batch of updates. It begins anew after its commit or
// rollback.
type Transaction interface {
	Conn
	// Begin begins it, for one update alone or for all that come.
	Begin(ctx context.Context, alone bool) error
	// Of says whose the statements are that follow: the place of an update.
	Of(update int)
	// Failed returns the place of the update whose statement failed, with the error,
	// or -1. It may be another one than that which learned of it.
	Failed() (update int, err error)
	// Commit makes all durable. After an error nothing is, unless the engine says
	// that it cannot know; Failed tells where a statement was the reason.
	Commit(ctx context.Context) error
	Rollback(ctx context.Context)
}

// Writer commits updates that arrive together in one transaction.
type Writer struct {
	tx      Transaction
	updates chan *update
	done    chan struct{}
	// lone is taken already, to be run alone after the batch.
	lone *update
	// failing is set while the last transaction could not be committed.
	failing atomic.Bool

	mu     sync.RWMutex // guards closed against a send on updates
	closed bool
}

// update is one waiting call of Update.
type update struct {
	fn     func(context.Context, store.Tx) error
	alone  bool
	result chan error
}

// ErrClosed is what a closed store answers.
var ErrClosed = errors.New("the store is closed")

// NewWriter starts a writer, which Close stops. The transaction is its alone.
func NewWriter(tx Transaction) *Writer {
	w := &Writer{tx: tx, updates: make(chan *update, maxBatch), done: make(chan struct{})}
	go w.run()
	return w
}

// Update is store.Store's.
func (w *Writer) Update(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	return w.update(ctx, &update{fn: fn})
}

// UpdateAlone is Update in a transaction that is shared with nobody, which holds no
// lock of others while it waits for its own.
func (w *Writer) UpdateAlone(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	return w.update(ctx, &update{fn: fn, alone: true})
}

func (w *Writer) update(ctx context.Context, u *update) error {
	u.result = make(chan error, 1)
	w.mu.RLock()
	if w.closed {
		w.mu.RUnlock()
		return ErrClosed
	}
	select {
	case w.updates <- u:
		w.mu.RUnlock()
	case <-ctx.Done():
		w.mu.RUnlock()
		return ctx.Err()
	}
	// Once queued it is waited for: the caller must know whether it was committed.
	return <-u.result
}

// Close waits for the updates that were taken in.
func (w *Writer) Close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.updates)
	}
	w.mu.Unlock()
	<-w.done
}

// Ready returns nil where the last write succeeded or another does now.
func (w *Writer) Ready(ctx context.Context) error {
	if !w.failing.Load() {
		return nil
	}
	if err := w.Update(ctx, probe); err != nil {
		return fmt.Errorf("the database takes no writes: %w", err)
	}
	return nil
}

// probeSize is more than a decision takes: what is left of a full disk may hold a row
// and no decision.
const probeSize = 256 << 10

// probe writes the one row of a table of its own: its commit says whether the store
// takes writes.
func probe(ctx context.Context, tx store.Tx) error {
	own, ok := tx.(*Tx)
	if !ok {
		return fmt.Errorf("probe got a %T", tx)
	}
	noise := make([]byte, probeSize/2)
	// Not what a page or a file system could make smaller.
	if _, err := rand.Read(noise); err != nil {
		return err
	}
	return own.exec(ctx, "probe", `UPDATE probe SET writes = writes + 1, noise = $1`, hex.EncodeToString(noise))
}

// run ends when updates is closed and drained.
func (w *Writer) run() {
	defer close(w.done)
	for first := range w.updates {
		w.commit([]*update{first})
		for w.lone != nil {
			u := w.lone
			w.lone = nil
			w.commit([]*update{u})
		}
	}
}

// next returns an update that waits and shares its transaction, or nil.
func (w *Writer) next() *update {
	if w.lone != nil {
		return nil
	}
	select {
	case u := <-w.updates:
		// Of a closed channel it is nil too.
		if u != nil && u.alone {
			w.lone = u
			return nil
		}
		return u
	default:
		return nil
	}
}

// commit runs a batch in one transaction, with all that arrive until it commits.
// Where one fails, its error is answered and the others run again without it.
func (w *Writer) commit(batch []*update) {
	// Statements must not be interrupted by one caller's context: they are the
	// batch's. A context that cannot end also spares a driver its watcher.
	ctx := context.Background()
	for len(batch) > 0 {
		var failed int
		var err error
		batch, failed, err = w.transact(ctx, batch)
		if failed < 0 {
			w.failing.Store(err != nil)
			for _, u := range batch {
				u.result <- err
			}
			return
		}
		if errors.Is(err, store.ErrFull) {
			w.failing.Store(true)
		}
		batch[failed].result <- err
		batch = append(batch[:failed:failed], batch[failed+1:]...)
	}
}

// transact runs a batch in one transaction, and what arrives until nothing does, and
// commits it. It returns the whole batch and the place of the update that failed with
// its error, after a rollback; or -1, with the error of the transaction itself where
// it could not begin or commit.
func (w *Writer) transact(ctx context.Context, batch []*update) ([]*update, int, error) {
	alone := batch[0].alone
	if err := w.tx.Begin(ctx, alone); err != nil {
		return batch, -1, err
	}
	tx := New(w.tx)
	for i := 0; i < len(batch); i++ {
		w.tx.Of(i)
		if err := guard(ctx, batch[i].fn, tx); err != nil {
			if failed, reason := w.tx.Failed(); failed >= 0 && failed != i {
				i, err = failed, reason
			}
			w.tx.Rollback(ctx)
			return batch, i, err
		}
		if !alone && i == len(batch)-1 && len(batch) < maxBatch {
			if u := w.next(); u != nil {
				batch = append(batch, u)
			}
		}
	}
	if err := w.tx.Commit(ctx); err != nil {
		failed, _ := w.tx.Failed()
		w.tx.Rollback(ctx)
		return batch, failed, err
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
