package crashtest

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

// watchAtOnce is how long one connection of a watch is kept: one to a server that is
// paused tells nothing.
const watchAtOnce = 8 * time.Second

// run is one execution under its script, and what was seen of it.
type run struct {
	script   script
	pipeline string
	request  string

	name   string
	number int64
	// watched are the events that came while it ran, over many connections.
	watched []*headracev1.Event
	// read are the events from the start, and ended the execution, after all was over.
	read  []*headracev1.Event
	ended *headracev1.Execution
}

func (r *run) position() int64 {
	if len(r.watched) == 0 {
		return 0
	}
	return r.watched[len(r.watched)-1].GetPosition()
}

// carryOut starts the execution and does what its script says people do, until it
// ended.
func (s *site) carryOut(ctx context.Context, r *run) error {
	started, err := call(ctx, s, func(ctx context.Context, c *client.Client) (*headracev1.StartExecutionResponse, error) {
		req := &headracev1.StartExecutionRequest{Pipeline: client.PipelineName("default", r.pipeline), RequestId: r.request}
		if r.script.fail != "" {
			req.Variables = map[string]string{"FAIL": r.script.fail}
		}
		return c.Executions.StartExecution(ctx, req)
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", r.request, err)
	}
	r.name, r.number = started.GetExecution().GetName(), started.GetExecution().GetNumber()
	for {
		if ctx.Err() != nil {
			return s.stuck(r)
		}
		ended, err := s.watch(ctx, r)
		if err != nil {
			return fmt.Errorf("%s %d: %w", r.pipeline, r.number, err)
		}
		if !ended {
			continue
		}
		// A retry may have brought it back, which a watch that ended does not tell.
		e, err := s.get(ctx, r.name)
		if err != nil {
			return err
		}
		last := r.watched[len(r.watched)-1]
		if terminal(word(e.GetStatus())) && e.GetAttempt() == last.GetExecutionAttempt() {
			return nil
		}
	}
}

func (s *site) get(ctx context.Context, name string) (*headracev1.Execution, error) {
	got, err := call(ctx, s, func(ctx context.Context, c *client.Client) (*headracev1.GetExecutionResponse, error) {
		return c.Executions.GetExecution(ctx, &headracev1.GetExecutionRequest{Name: name})
	})
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	return got.GetExecution(), nil
}

// stuck says all that can be said of an execution that does not end.
func (s *site) stuck(r *run) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := s.get(ctx, r.name)
	why, _ := call(ctx, s, func(ctx context.Context, c *client.Client) (*headracev1.ExplainExecutionResponse, error) {
		return c.Executions.ExplainExecution(ctx, &headracev1.ExplainExecutionRequest{Name: r.name})
	})
	return fmt.Errorf("%s %d (%s) is stuck after %d events: %v\n%v, %w", r.pipeline, r.number, r.script.name, len(r.watched), why, e, err)
}

// watch follows an execution over one connection and reacts to what it does. It returns
// true when the server says that there is no more.
func (s *site) watch(ctx context.Context, r *run) (ended bool, err error) {
	limited, cancel := context.WithTimeout(ctx, watchAtOnce)
	defer cancel()
	stream, err := s.pick().client.Executions.WatchExecution(limited, &headracev1.WatchExecutionRequest{Name: r.name, AfterPosition: r.position()})
	for err == nil {
		var got *headracev1.WatchExecutionResponse
		if got, err = stream.Recv(); err == nil {
			r.watched = append(r.watched, got.GetEvent())
			err = s.react(ctx, r, got.GetEvent())
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		if len(r.watched) == 0 {
			return false, errors.New("the watch ended without an event")
		}
		return true, nil
	case limited.Err() != nil:
		return false, nil
	case s.passes(err):
		rest(ctx, 50*time.Millisecond)
		return false, nil
	default:
		return false, err
	}
}

// react does what people do at an event.
func (s *site) react(ctx context.Context, r *run, ev *headracev1.Event) error {
	switch {
	case ev.GetSubject() == headracev1.EventSubject_EVENT_SUBJECT_STAGE_EXECUTION && ev.GetState() == "STARTED" &&
		ev.GetStage() == buildStage && r.script.stop:
		return s.act(ctx, func(ctx context.Context, c *client.Client) error {
			_, err := c.Executions.StopExecution(ctx, &headracev1.StopExecutionRequest{Name: r.name, Abandon: r.script.abandon})
			return err
		})
	case ev.GetAction() == manual && ev.GetState() == "STARTED" && !r.script.silent && !r.script.stop:
		return s.act(ctx, func(ctx context.Context, c *client.Client) error {
			_, err := c.Executions.DecideApproval(ctx, &headracev1.DecideApprovalRequest{Name: r.name, Approve: !r.script.reject})
			return err
		})
	case ev.GetSubject() == headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION && ev.GetState() == "FAILED" &&
		r.script.retry && ev.GetExecutionAttempt() == 1:
		return s.act(ctx, func(ctx context.Context, c *client.Client) error {
			_, err := c.Executions.RetryStage(ctx, &headracev1.RetryStageRequest{Name: r.name})
			return err
		})
	}
	return nil
}

// act does something until it is done or refused: one whose answer was lost is refused
// the second time.
func (s *site) act(ctx context.Context, fn func(ctx context.Context, c *client.Client) error) error {
	_, err := call(ctx, s, func(ctx context.Context, c *client.Client) (struct{}, error) { return struct{}{}, fn(ctx, c) })
	if status.Code(err) == codes.FailedPrecondition {
		return nil
	}
	return err
}

// readAll reads what is known of an execution that ended, from the start.
func (s *site) readAll(ctx context.Context, r *run) error {
	var err error
	if r.ended, err = s.get(ctx, r.name); err != nil {
		return err
	}
	r.read, err = call(ctx, s, func(ctx context.Context, c *client.Client) (events []*headracev1.Event, err error) {
		stream, err := c.Executions.WatchExecution(ctx, &headracev1.WatchExecutionRequest{Name: r.name})
		for err == nil {
			var got *headracev1.WatchExecutionResponse
			if got, err = stream.Recv(); err == nil {
				events = append(events, got.GetEvent())
			}
		}
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		return nil, err
	})
	return err
}
