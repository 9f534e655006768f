package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

const (
	// channel is where servers tell each other what they commit.
	channel = "headrace_changes"
	// maxNotice is what PostgreSQL lets a notice hold, in bytes, and a little less.
	maxNotice = 7900
	// relisten is how long a listener rests whose connection broke.
	relisten = 200 * time.Millisecond
)

// notice is store.Notice on its way.
type notice struct {
	Executions []string `json:"x,omitempty"`
	Ready      bool     `json:"r,omitempty"`
	Ended      []string `json:"e,omitempty"`
	Lost       []string `json:"l,omitempty"`
	Missed     bool     `json:"m,omitempty"`
}

// noticeOf returns what others are told of changes; empty for nothing.
func noticeOf(changes []*execution.Change) string {
	var n notice
	for _, change := range changes {
		for _, ev := range change.Events {
			if !slices.Contains(n.Executions, ev.ExecutionID) {
				n.Executions = append(n.Executions, ev.ExecutionID)
			}
		}
		n.Ready = n.Ready || slices.ContainsFunc(change.Leases, func(l *execution.Lease) bool { return l.Runner == "" })
		for _, id := range change.DoneAttempts {
			// One that is tried again has the same id: who held it before finds that out
			// with the next renewal, and who holds it now must not be told of its end.
			if !slices.ContainsFunc(change.Leases, func(l *execution.Lease) bool { return l.Attempt.ActionExecutionID == id }) {
				n.Ended = append(n.Ended, id)
				if id == change.Lost {
					n.Lost = append(n.Lost, id)
				}
			}
		}
	}
	if len(n.Executions)+len(n.Ended) == 0 && !n.Ready {
		return ""
	}
	text, err := json.Marshal(n)
	if err != nil || len(text) > maxNotice {
		return `{"m":true}`
	}
	return string(text)
}

// Listen implements store.Store. What this process commits is told too: the caller
// knows it already, and hears it again at no harm.
func (s *Store) Listen(ctx context.Context, fn func(store.Notice)) error {
	for ctx.Err() == nil {
		err := s.listen(ctx, fn)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // The end of the context is no failure.
		}
		s.log.Warn("does not hear of other servers, will listen again", "in", relisten, "error", err)
		select {
		case <-time.After(relisten):
		case <-ctx.Done():
		}
	}
	return nil
}

// listen listens on a connection until it breaks.
func (s *Store) listen(ctx context.Context, fn func(store.Notice)) error {
	config, err := pgx.ParseConfig(s.url)
	if err != nil {
		return fmt.Errorf("database-url: %w", err)
	}
	config.RuntimeParams["application_name"] = "headraced listens"
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
		return classify(err)
	}
	// Until here nothing was heard.
	fn(store.Notice{Missed: true})
	for {
		told, err := c.WaitForNotification(ctx)
		if err != nil {
			return classify(err)
		}
		var n notice
		if err := json.Unmarshal([]byte(told.Payload), &n); err != nil {
			n = notice{Missed: true}
		}
		fn(store.Notice(n))
	}
}
