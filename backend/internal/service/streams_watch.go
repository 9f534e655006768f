package service

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// eventsAtOnce bounds the events that a watch reads and holds.
const eventsAtOnce = 100

// watchEvery is the least time between two reads of a watch: an execution of
// short actions changes thousands of times a second, nobody sees that, and each read
// takes from what writes.
const watchEvery = 50 * time.Millisecond

// Watch emits the events of an execution after a position, in order, and returns
// after its last one.
func (x *Streams) Watch(ctx context.Context, who auth.Identity, account, executionID string, after int64, emit func(execution.Event) error) error {
	return x.watch(ctx, who, account, executionID, after, nil, emit)
}

// WatchDetailed is Watch with what is told beside the events.
func (x *Streams) WatchDetailed(ctx context.Context, who auth.Identity, account, executionID string, after int64, emit func(EventDetail) error) error {
	t := newEnricher(x, executionID, after)
	return x.watch(ctx, who, account, executionID, after, t.read, func(ev execution.Event) error { return emit(t.tell(ev)) })
}

// watch emits events. Read, where it is not nil, is called with events in the
// transaction that read them, before they are emitted.
func (x *Streams) watch(ctx context.Context, who auth.Identity, account, executionID string, after int64,
	read func(context.Context, store.Reader, *execution.Execution, []execution.Event) error, emit func(execution.Event) error,
) error {
	if err := authorize(who, auth.Read, account); err != nil {
		return err
	}
	changed, stop := x.config.Loop.Subscribe(executionID)
	defer stop()
	pace := time.NewTimer(0)
	defer pace.Stop()
	for {
		pace.Reset(watchEvery)
		var events []execution.Event
		var status pipeline.Status
		if err := x.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
			e, err := findExecution(ctx, r.ExecutionHead, account, executionID)
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
