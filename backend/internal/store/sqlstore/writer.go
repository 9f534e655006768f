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
// not wait without end.
const maxBatch = 256

// Transaction is the one of a batch of updates. It begins anew after its commit or
// rollback.
type Transaction interface {
	Conn
	// Begin begins it, for one update alone or for all that come.
	Begin(ctx context.Context, alone bool) error
	// Attribute says whose the statements are that follow: the place of an update, or -1 for
	// all of them.
	Attribute(update int)
	// Failed returns the place of the update whose statement failed, with the error,
	// or -1. It may be another one than that which learned of it.
	Failed() (update int, err error)
	// Commit makes all durable. After an error nothing is, unless the engine says
	// that it cannot know; Failed tells where a statement was the reason.
	Commit(ctx context.Context) error
	Rollback(ctx context.Context)
}

// Writer commits updates that arrive together in one transaction. It has no goroutine:
// whoever finds nobody at work leads, and runs what others bring meanwhile, so that an
// update that comes alone waits for no other goroutine to wake.
type Writer struct {
	tx Transaction
	// updates is what the updates of each transaction write with, one after the other.
	updates *Tx
	// failing is set while the last transaction could not be committed.
	failing atomic.Bool
	// full is set once a write had no room. On a full disk small writes succeed now and
	// then, so that only a large one clears it.
	full atomic.Bool

	mu      sync.Mutex
	leading bool
	waiting []*update
	closed  bool
	// over is closed once the writer is and nobody leads.
	over chan struct{}
}

// update is one waiting call of Update.
type update struct {
	fn     func(context.Context, store.Tx) error
	alone  bool
	answer chan answer
}

// answer ends the wait of an update: with its result, or with the lead.
type answer struct {
	err  error
	lead bool
}

// ErrClosed is what a closed store answers.
var ErrClosed = errors.New("the store is closed")

// NewWriter returns a writer, which Close ends. The transaction is its alone.
func NewWriter(tx Transaction) *Writer {
	return &Writer{tx: tx, updates: New(tx), over: make(chan struct{})}
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
	if err := ctx.Err(); err != nil {
		return err
	}
	u.answer = make(chan answer, 1)
	leads, err := w.join(u)
	if err != nil {
		return err
	}
	// Once it has joined it is waited for: the caller must know whether it was committed.
	if !leads {
		if a := <-u.answer; !a.lead {
			return a.err
		}
	}
	func() {
		defer w.pass()
		w.commit([]*update{u})
	}()
	return (<-u.answer).err
}

// join queues an update, unless nobody is at work: then it leads.
func (w *Writer) join(u *update) (leads bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return false, ErrClosed
	case w.leading:
		w.waiting = append(w.waiting, u)
		return false, nil
	}
	w.leading = true
	return true, nil
}

// pass gives the lead to the first that waits.
func (w *Writer) pass() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u := w.take(); u != nil {
		u.answer <- answer{lead: true}
		return
	}
	w.leading = false
	if w.closed {
		close(w.over)
	}
}

// take takes the first that waits; nil where nobody does. The lock is the caller's.
func (w *Writer) take() *update {
	if len(w.waiting) == 0 {
		return nil
	}
	u := w.waiting[0]
	w.waiting[0] = nil
	w.waiting = w.waiting[1:]
	return u
}

// next returns an update that waits and shares its transaction, or nil.
func (w *Writer) next() *update {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) > 0 && w.waiting[0].alone {
		return nil
	}
	return w.take()
}

// Close waits for the updates that were taken in.
func (w *Writer) Close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		if !w.leading {
			close(w.over)
		}
	}
	w.mu.Unlock()
	<-w.over
}

// Ready returns nil where the last write succeeded, or a large one does now.
func (w *Writer) Ready(ctx context.Context) error {
	// Before the probe: what fails meanwhile sets it again.
	full := w.full.Swap(false)
	if !full && !w.failing.Load() {
		return nil
	}
	if err := w.Update(ctx, probe); err != nil {
		if full {
			w.full.Store(true)
		}
		return fmt.Errorf("the database takes no writes: %w", err)
	}
	return nil
}

// note notes how a write ended. A statement that had no room, or that the database refused
// as it would refuse any, is no fault of its update.
func (w *Writer) note(err error, committed bool) {
	if errors.Is(err, store.ErrFull) {
		w.full.Store(true)
	}
	switch {
	case committed:
		w.failing.Store(err != nil)
	case errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrUnavailable):
		w.failing.Store(true)
	}
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
			w.note(err, true)
			for _, u := range batch {
				u.answer <- answer{err: err}
			}
			return
		}
		w.note(err, false)
		batch[failed].answer <- answer{err: err}
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
	w.updates.events = w.updates.events[:0]
	for i := 0; i < len(batch); i++ {
		w.tx.Attribute(i)
		if err := guard(ctx, batch[i].fn, w.updates); err != nil {
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
	if err := w.finish(ctx); err != nil {
		failed, _ := w.tx.Failed()
		w.tx.Rollback(ctx)
		return batch, failed, err
	}
	return batch, -1, nil
}

// finish writes what the updates of a batch have in common, and commits it.
func (w *Writer) finish(ctx context.Context) error {
	if len(w.updates.events) > 0 {
		w.tx.Attribute(-1)
		if err := w.updates.writeEvents(ctx); err != nil {
			return err
		}
	}
	return w.tx.Commit(ctx)
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
