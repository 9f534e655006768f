// Package embedded is the work queue of a single process: what is due, by time,
// woken in process. The rows in the store are the queue that lasts; this is who
// looks at them next. It must never know of other processes.
package embedded

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// Config is what a queue needs.
type Config struct {
	// Workers is how many turns run at once.
	Workers int
	// Clock tells the time that due times are compared with.
	Clock func() time.Time
	// Retry is how long a turn waits after its handler failed.
	Retry time.Duration
	Log   hclog.Logger
}

// maxWait bounds how long the queue trusts the clock: one that was set while it
// waited is noticed by then.
const maxWait = time.Second

// Queue implements dispatch.Queue.
type Queue struct {
	config Config

	mu      sync.Mutex
	pending due
	byID    map[string]*item
	// wake has room for one token: something was added or a worker is free.
	wake chan struct{}
}

var _ dispatch.Queue = (*Queue)(nil)

// New returns an empty queue.
func New(config Config) *Queue {
	return &Queue{config: config, byID: make(map[string]*item), wake: make(chan struct{}, 1)}
}

// Add implements dispatch.Queue.
func (q *Queue) Add(turns ...*execution.Turn) {
	if len(turns) == 0 {
		return
	}
	q.mu.Lock()
	for _, turn := range turns {
		if old, ok := q.byID[turn.ID]; ok {
			heap.Remove(&q.pending, old.index)
		}
		q.push(turn, turn.DueAt)
	}
	q.mu.Unlock()
	q.signal()
}

func (q *Queue) push(turn *execution.Turn, at time.Time) {
	it := &item{turn: turn, at: at}
	q.byID[turn.ID] = it
	heap.Push(&q.pending, it)
}

// retry queues a turn that failed, as it is in the store. One of its id that was added while it
// ran is newer.
func (q *Queue) retry(turn *execution.Turn) {
	q.mu.Lock()
	if _, newer := q.byID[turn.ID]; !newer {
		q.push(turn, q.config.Clock().Add(q.config.Retry))
	}
	q.mu.Unlock()
	q.signal()
}

// Remove implements dispatch.Queue.
func (q *Queue) Remove(ids ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		if it, ok := q.byID[id]; ok {
			heap.Remove(&q.pending, it.index)
			delete(q.byID, id)
		}
	}
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// pop returns the first turn that is due, or else how long until the next is; a
// negative wait means that there is none.
func (q *Queue) pop() (*execution.Turn, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) == 0 {
		return nil, -1
	}
	first := q.pending[0]
	if wait := first.at.Sub(q.config.Clock()); wait > 0 {
		return nil, wait
	}
	heap.Pop(&q.pending)
	delete(q.byID, first.turn.ID)
	return first.turn, 0
}

// Run implements dispatch.Queue.
func (q *Queue) Run(ctx context.Context, handler dispatch.Handler) error {
	var running sync.WaitGroup
	defer running.Wait()
	free := make(chan struct{}, q.config.Workers)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		turn := q.next(ctx, timer)
		if turn == nil {
			return nil
		}
		running.Go(func() {
			defer func() { <-free }()
			q.carry(ctx, handler, turn)
		})
	}
}

// next waits for a turn that is due; nil when the context ends.
func (q *Queue) next(ctx context.Context, timer *time.Timer) *execution.Turn {
	for ctx.Err() == nil {
		turn, wait := q.pop()
		if turn != nil {
			return turn
		}
		var due <-chan time.Time
		if wait >= 0 {
			timer.Reset(min(wait, maxWait))
			due = timer.C
		}
		select {
		case <-q.wake:
		case <-due:
		case <-ctx.Done():
		}
	}
	return nil
}

// carry runs a turn and those that it is handed to carry on with.
func (q *Queue) carry(ctx context.Context, handler dispatch.Handler, turn *execution.Turn) {
	for turn != nil {
		next, err := handler(ctx, turn)
		if err != nil {
			q.config.Log.Error("turn failed, it will run again", "turn", turn.ID, "kind", turn.Kind, "in", q.config.Retry, "error", err)
			q.retry(turn)
			return
		}
		turn = next
		if turn != nil && ctx.Err() != nil {
			// The next start of the server finds it in the store.
			return
		}
	}
}

// item is a turn in the heap.
type item struct {
	turn *execution.Turn
	// at is when it runs, which is later than it is due after a failure.
	at    time.Time
	index int
}

// due is a heap by due time.
type due []*item

func (d due) Len() int           { return len(d) }
func (d due) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d due) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

// Push implements heap.Interface.
func (d *due) Push(x any) {
	it, ok := x.(*item)
	if !ok {
		return
	}
	it.index = len(*d)
	*d = append(*d, it)
}

// Pop implements heap.Interface.
func (d *due) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}
