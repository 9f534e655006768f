package service

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// ErrStopping ends a stream because the server stops; the client may resume.
var ErrStopping = errors.New("the server is stopping")

// eventsAtOnce bounds the events that a watch reads and holds.
const eventsAtOnce = 100

// watchEvery is the least time between two reads of a watch: an execution of
// short actions changes thousands of times a second, nobody sees that, and each read
// takes from what writes.
const watchEvery = 50 * time.Millisecond

// Watch emits the events of an execution after a position, in order, and returns
// after its last one.
func (x *Executions) Watch(ctx context.Context, who auth.Identity, account, executionID string, after int64, emit func(execution.Event) error) error {
	return x.watch(ctx, who, account, executionID, after, nil, emit)
}

// WatchTold is Watch with what is told beside the events.
func (x *Executions) WatchTold(ctx context.Context, who auth.Identity, account, executionID string, after int64, emit func(Told) error) error {
	t := newTeller(x, executionID, after)
	return x.watch(ctx, who, account, executionID, after, t.read, func(ev execution.Event) error { return emit(t.tell(ev)) })
}

// watch emits events. Read, where it is not nil, is called with events in the
// transaction that read them, before they are emitted.
func (x *Executions) watch(ctx context.Context, who auth.Identity, account, executionID string, after int64,
	read func(context.Context, store.Reader, *execution.Execution, []execution.Event) error, emit func(execution.Event) error,
) error {
	if err := authorize(who, auth.Read, account); err != nil {
		return err
	}
	changed, stop := x.watchers.watch(executionID)
	defer stop()
	pace := time.NewTimer(0)
	defer pace.Stop()
	for {
		pace.Reset(watchEvery)
		var events []execution.Event
		var status pipeline.Status
		if err := x.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
			e, err := find(ctx, r.ExecutionHead, account, executionID)
			if err != nil {
				return err
			}
			status = e.Status
			events, err = r.Events(ctx, executionID, after, eventsAtOnce)
			if err != nil || read == nil {
				return err
			}
			return read(ctx, r, e, events)
		}); err != nil {
			return err
		}
		for _, ev := range events {
			if err := emit(ev); err != nil {
				return err
			}
			after = ev.Position
		}
		switch {
		case len(events) == eventsAtOnce:
			continue
		case status.Terminal():
			return nil
		}
		if err := pause(ctx, x.stopping, changed); err != nil {
			return err
		}
		if err := pause(ctx, x.stopping, pace.C); err != nil {
			return err
		}
	}
}

// pause waits for a token, unless the server stops or the stream ends first.
func pause[T any](ctx context.Context, stopping <-chan struct{}, token <-chan T) error {
	select {
	case <-token:
		return nil
	case <-stopping:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

// logChunk is how much of a log is sent at once: with its offset it fits into a buffer
// of 32 KiB. The next larger one that messages are sent from has 1 MiB, which a client
// that does not read would make the server keep, twice for each of its tails.
const logChunk = 31 << 10

// LogTail says which part of a log is wanted.
type LogTail struct {
	// Offset is the first byte; it counts from the end where it is negative.
	Offset int64
	// Lines, where it is not 0, is how many lines before the end it begins instead.
	Lines int
	// Follow goes on until the action or rule ended.
	Follow bool
}

// TailLog emits the log of an action execution, or of a rule execution.
func (x *Executions) TailLog(ctx context.Context, who auth.Identity, account, executionID, actionExecutionID string, tail LogTail, emit func(offset int64, data []byte) error) error {
	if err := authorize(who, auth.Read, account); err != nil {
		return err
	}
	ended, err := x.actionEnded(ctx, account, executionID, actionExecutionID)
	if err != nil {
		return err
	}
	log, err := x.Logs.Open(ctx, executionID, actionExecutionID)
	if err != nil {
		return err
	}
	defer log.Close()
	offset := tail.Offset
	switch {
	case tail.Lines > 0:
		if offset, err = log.LastLines(ctx, tail.Lines); err != nil {
			return err
		}
	case offset < 0:
		offset = max(log.Size()+offset, 0)
	}
	changed, stop := x.watchers.watch(executionID)
	defer stop()
	buffer := make([]byte, logChunk)
	for {
		n, err := log.Read(ctx, buffer, offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n > 0 {
			if err := emit(offset, buffer[:n]); err != nil {
				return err
			}
			offset += int64(n)
			continue
		}
		if ended || !tail.Follow {
			return nil
		}
		if err := x.awaitLog(ctx, changed, log, offset); err != nil {
			return err
		}
		// Asked before the next read, so that what was written before the end is
		// read after it.
		if ended, err = x.actionEnded(ctx, account, executionID, actionExecutionID); err != nil {
			return err
		}
	}
}

// awaitLog waits for more of a log, or for the execution to move.
func (x *Executions) awaitLog(ctx context.Context, changed <-chan struct{}, log *logs.Reader, offset int64) error {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = log.Wait(waiting, offset)
	}()
	select {
	case <-done:
		return err
	case <-changed:
	case <-x.stopping:
		cancel()
		<-done
		return ErrStopping
	case <-ctx.Done():
	}
	cancel()
	<-done
	return ctx.Err()
}

func (x *Executions) actionEnded(ctx context.Context, account, executionID, actionExecutionID string) (ended bool, err error) {
	err = x.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		e, err := find(ctx, r.ExecutionHead, account, executionID)
		if err != nil {
			return err
		}
		if !e.OutputsRemovedAt.IsZero() {
			return removedByRetention(e)
		}
		status, err := r.ActionStatus(ctx, executionID, actionExecutionID)
		if errors.Is(err, store.ErrNotFound) {
			status, err = ruleStatus(ctx, r, executionID, actionExecutionID)
		}
		ended = status.Terminal()
		return err
	})
	return ended, err
}

// ruleStatus returns the status of a rule of a condition that was or is checked.
func ruleStatus(ctx context.Context, r store.Reader, executionID, ruleID string) (pipeline.Status, error) {
	e, err := r.Execution(ctx, executionID)
	if err != nil {
		return "", err
	}
	for _, stage := range e.Stages {
		for _, condition := range stage.Conditions {
			for _, rule := range condition.Rules {
				if rule.ID == ruleID {
					return rule.Status, nil
				}
			}
		}
	}
	return "", refuse(KindNotFound, pipeline.ReasonNotFound, "execution %q has no action or rule execution %q", executionID, ruleID)
}

// watchers wakes those who wait for news of an execution.
type watchers struct {
	mu   sync.Mutex
	news map[string]map[chan struct{}]struct{}
}

func newWatchers() *watchers {
	return &watchers{news: make(map[string]map[chan struct{}]struct{})}
}

// watch returns a channel that gets a token, at most one at a time, whenever the
// execution changed. Stop ends it.
func (w *watchers) watch(executionID string) (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.news[executionID] == nil {
		w.news[executionID] = make(map[chan struct{}]struct{})
	}
	w.news[executionID][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.news[executionID], c)
		if len(w.news[executionID]) == 0 {
			delete(w.news, executionID)
		}
	}
}

func (w *watchers) notify(executionID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell(executionID)
}

// notifyAll is for when it is not known what changed.
func (w *watchers) notifyAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.news {
		w.tell(id)
	}
}

func (w *watchers) tell(executionID string) {
	for c := range w.news[executionID] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
