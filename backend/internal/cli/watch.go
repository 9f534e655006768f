package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

const (
	// maxTries bounds how often a lost server is tried: about a minute with the
	// default backoff.
	maxTries = 12
	// steadyAfter is how long a stream must have held for the tries to count anew.
	steadyAfter = 30 * time.Second
	// refreshSoon lets a burst of events pass before the state is read.
	refreshSoon = 100 * time.Millisecond
	// refreshIdle reads the state again for what no event tells, for instance
	// that no runner is free.
	refreshIdle = 5 * time.Second
)

// update is what a watch tells: exactly one of its fields is set.
type update struct {
	event *headracev1.Event
	// ended is the execution after its end, and the last update.
	ended *headracev1.Execution
	// notice is a sentence about the connection.
	notice string
	// err ends the watch.
	err error
}

// errBrokeOff is a stream that ended before its execution.
var errBrokeOff = status.Error(codes.Unavailable, "the server ended the watch early")

// watch sends the events of an execution from the first, across restarts of the
// server, then the execution, and closes the channel after it or an error.
func watch(
	ctx context.Context, c *client.Client, name string, backoff func(int) time.Duration, now func() time.Time,
) <-chan update {
	updates := make(chan update)
	go func() {
		defer close(updates)
		send := func(u update) {
			select {
			case updates <- u:
			case <-ctx.Done():
			}
		}
		var position int64
		for try := 1; ; try++ {
			opened, before := now(), position
			err := watchOnce(ctx, c, name, &position, send)
			if err == nil {
				var e *headracev1.Execution
				if e, err = get(ctx, c, name); err == nil {
					if terminal(e.GetStatus()) {
						send(update{ended: e})
						return
					}
					err = errBrokeOff
				}
			}
			if ctx.Err() != nil {
				return
			}
			if position > before || now().Sub(opened) >= steadyAfter {
				try = 1
			}
			if status.Code(err) != codes.Unavailable || try > maxTries {
				send(update{err: err})
				return
			}
			wait := backoff(try)
			send(update{notice: fmt.Sprintf("lost headraced at %s; connecting again in %s (%d of %d)", c.Endpoint, wait, try, maxTries)})
			if sleep(ctx, wait) != nil {
				return
			}
		}
	}()
	return updates
}

// watchOnce sends the events of one stream and moves position along with them.
func watchOnce(ctx context.Context, c *client.Client, name string, position *int64, send func(update)) error {
	stream, err := c.Executions.WatchExecution(ctx, &headracev1.WatchExecutionRequest{Name: name, AfterPosition: *position})
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		*position = response.GetEvent().GetPosition()
		send(update{event: response.GetEvent()})
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// view shows an execution while it runs.
type view interface {
	// event shows what happened.
	event(e *headracev1.Event)
	// state shows where the execution is and why.
	state(why *explained)
	// notice shows a sentence about the connection.
	notice(text string)
	// tick is called every second.
	tick()
	// end shows how the execution ended, and what can be done about it.
	end(why *explained)
}

// follow shows an execution to its end and returns an endError where it did not
// succeed.
func (a *app) follow(ctx context.Context, c *client.Client, e *headracev1.Execution) error {
	v := a.view(c, e)
	watched, cancel := context.WithCancel(ctx)
	defer cancel()
	updates := watch(watched, c, e.GetName(), a.Backoff, a.Now)
	// The first events bring the first state after them: a wait told before what
	// led to it would be read in the wrong order.
	refresh := time.NewTimer(refreshIdle)
	defer refresh.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	lost := false
	for {
		select {
		case <-ctx.Done():
			a.err.linef("%s goes on; watch it with: %s", label(e), a.hint(c, "execution watch "+label(e)))
			return ctx.Err()
		case u, open := <-updates:
			if !open {
				// Only an interrupt closes it early: the first case tells.
				updates = nil
				continue
			}
			switch {
			case u.err != nil:
				return u.err
			case u.ended != nil:
				return a.ended(ctx, c, u.ended, v)
			case u.notice != "":
				lost = true
				v.notice(u.notice)
			case u.event != nil:
				v.event(u.event)
				refresh.Reset(refreshSoon)
			}
		case <-refresh.C:
			refresh.Reset(refreshIdle)
			switch err := showState(ctx, c, e.GetName(), v); status.Code(err) {
			case codes.OK:
				if lost {
					lost = false
					v.notice("connected to headraced again")
				}
			case codes.Unavailable, codes.Canceled:
				// The watch tells of a lost server, the context of an interrupt.
			default:
				return err
			}
		case <-second.C:
			v.tick()
		}
		if a.out.failure != nil {
			return a.out.failure
		}
	}
}

// showState reads and shows where an execution is and why.
func showState(ctx context.Context, c *client.Client, name string, v view) error {
	e, err := get(ctx, c, name)
	if err != nil || terminal(e.GetStatus()) {
		return err
	}
	why, err := explain(ctx, c, e)
	if err != nil {
		return err
	}
	v.state(why)
	return nil
}

// ended shows the end of an execution.
func (a *app) ended(ctx context.Context, c *client.Client, e *headracev1.Execution, v view) error {
	why, err := explain(ctx, c, e)
	if err != nil {
		// How it ended is known, and the exit code must tell. The hints can be asked for.
		why = &explained{ExplainExecutionResponse: &headracev1.ExplainExecutionResponse{Status: e.GetStatus()}, execution: e}
	}
	v.end(why)
	if a.out.failure != nil {
		return a.out.failure
	}
	if e.GetStatus() != headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED {
		return endError{status: statusText(e.GetStatus())}
	}
	return nil
}
