package service_test

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// errDisk is what a commit fails with.
var errDisk = store.ErrFull

// faultyStore fails commits or holds back their answer.
type faultyStore struct {
	store.Store
	// failing counts the updates whose commit is to fail after their function ran.
	failing atomic.Int64
	// before runs in the transaction that fails, ahead of its function.
	before func(context.Context, store.Tx) error
	// after runs once the transaction that fails is rolled back, before its caller
	// learns of it.
	after func()
	// breaking is taken by the next update: the call of its transaction that fails.
	breaking atomic.Pointer[string]
	// holding is taken by the next update, which waits after its commit.
	holding atomic.Pointer[hold]
	// viewing runs before each view, where it is set.
	viewing atomic.Pointer[func(context.Context) error]
	// views counts the views that ended, emptyTakes the updates that found no attempt to take.
	views, emptyTakes atomic.Int64
	// losing is taken by the next update that takes an attempt: its answer is lost.
	losing atomic.Bool
	// withoutNotices withholds the notices of other servers; listening gets the function
	// that would receive them.
	withoutNotices bool
	listening      chan func(store.Notice)
}

// Listen passes on no notice if they are withheld.
func (m *faultyStore) Listen(ctx context.Context, fn func(store.Notice)) error {
	if !m.withoutNotices {
		return m.Store.Listen(ctx, fn)
	}
	m.listening <- fn
	<-ctx.Done()
	return nil
}

// takingTx records whether an attempt was taken.
type takingTx struct {
	store.Tx
	err   error
	asked bool
}

func (t *takingTx) AcquireLease(ctx context.Context, take store.LeaseRequest) (lease *execution.Lease, more bool, err error) {
	t.asked = true
	lease, more, t.err = t.Tx.AcquireLease(ctx, take)
	return lease, more, t.err
}

func (m *faultyStore) View(ctx context.Context, fn func(context.Context, store.Reader) error) error {
	defer m.views.Add(1)
	if before := m.viewing.Load(); before != nil {
		if err := (*before)(ctx); err != nil {
			return err
		}
	}
	return m.Store.View(ctx, fn)
}

// breakNext makes one call of the next update fail.
func (m *faultyStore) breakNext(call string) { m.breaking.Store(&call) }

// brokenTx fails one of the calls that a decision makes while it is taken.
type brokenTx struct {
	store.Tx
	call string
}

func (b brokenTx) fails(call string) error {
	if b.call == call {
		return errDisk
	}
	return nil
}

func (b brokenTx) Execution(ctx context.Context, id string) (*execution.Execution, error) {
	if err := b.fails("Execution"); err != nil {
		return nil, err
	}
	return b.Tx.Execution(ctx, id)
}

// Request does not find what another server's transaction is about to commit.
func (b brokenTx) Request(ctx context.Context, account, method, requestID string) (string, error) {
	if b.call == "Request" {
		return "", store.ErrNotFound
	}
	return b.Tx.Request(ctx, account, method, requestID)
}

func (b brokenTx) NextNumber(ctx context.Context, pipelineID string) (int64, error) {
	if err := b.fails("NextNumber"); err != nil {
		return 0, err
	}
	return b.Tx.NextNumber(ctx, pipelineID)
}

func (b brokenTx) ApprovalRules(ctx context.Context, account string, page store.Page) ([]approval.Rule, error) {
	if err := b.fails("ApprovalRules"); err != nil {
		return nil, err
	}
	return b.Tx.ApprovalRules(ctx, account, page)
}

// Ready says no as long as updates fail, as the store does.
func (m *faultyStore) Ready(ctx context.Context) error {
	if m.failing.Load() > 0 {
		return errDisk
	}
	return m.Store.Ready(ctx)
}

type hold struct{ committed, release chan struct{} }

// hold makes the next update wait after its commit, until released.
func (m *faultyStore) hold() *hold {
	h := &hold{committed: make(chan struct{}), release: make(chan struct{})}
	m.holding.Store(h)
	return h
}

func (m *faultyStore) Update(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	// The store itself may or may not notice.
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.failing.Load() > 0 && m.failing.Add(-1) >= 0 {
		err := m.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			if m.before != nil {
				if err := m.before(ctx, tx); err != nil {
					return err
				}
			}
			if err := fn(ctx, tx); err != nil {
				return err
			}
			return errDisk
		})
		if m.after != nil {
			m.after()
		}
		return err
	}
	if call := m.breaking.Swap(nil); call != nil {
		return m.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error { return fn(ctx, brokenTx{tx, *call}) })
	}
	h := m.holding.Swap(nil)
	var taking *takingTx
	err := m.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		taking = &takingTx{Tx: tx}
		return fn(ctx, taking)
	})
	switch {
	case err != nil || !taking.asked:
	case errors.Is(taking.err, store.ErrNotFound):
		m.emptyTakes.Add(1)
	case m.losing.CompareAndSwap(true, false):
		return store.ErrUnavailable
	}
	if h != nil {
		close(h.committed)
		<-h.release
	}
	return err
}
