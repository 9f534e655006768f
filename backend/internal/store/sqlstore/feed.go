package sqlstore

import (
	"context"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Statements of events.
var (
	eventTable  = newTable("events", eventColumns(nil, generated, &execution.Event{}))
	eventsQuery = eventTable.query(`WHERE execution_id = $1 AND position > $2 ORDER BY position LIMIT $3`)
	feedQuery   = eventTable.query(`WHERE position > $1 AND position <= $2 ORDER BY position`)
	// A look-up for each event: a join lets PostgreSQL begin with all executions of the
	// account.
	feedOfAccountQuery = eventTable.query(`WHERE position > $1 AND position <= $2
		AND (SELECT account FROM executions WHERE id = events.execution_id) = $3 ORDER BY position`)
)

// eventColumns are the columns of an event, whose position is generated, or constant if the
// engine assigns it.
func eventColumns(c []column, position role, ev *execution.Event) []column {
	return append(c,
		number(position, "position", &ev.Position),
		text(constant, "execution_id", &ev.ExecutionID),
		instant(constant, "at", &ev.At),
		text(constant, "subject", &ev.Subject),
		text(constant, "state", &ev.State),
		text(constant, "stage", &ev.Stage),
		text(constant, "action", &ev.Action),
		text(constant, "action_execution_id", &ev.ActionExecutionID),
		number(constant, "attempt", &ev.Attempt),
		number(constant, "execution_attempt", &ev.ExecutionAttempt),
		text(constant, "condition", &ev.Condition),
		text(constant, "principal", &ev.Principal),
		text(constant, "message", &ev.Message),
	)
}

func scanEvent(rows *row) (execution.Event, error) {
	var ev execution.Event
	err := scan(rows, eventColumns(rows.columns[:0], generated, &ev))
	return ev, err
}

// Events implements store.Reader.
func (t *Tx) Events(ctx context.Context, executionID string, after int64, size int) ([]execution.Event, error) {
	if err := t.advance(ctx); err != nil {
		return nil, err
	}
	return list(ctx, t, scanEvent, eventsQuery, executionID, after, limit(size))
}

// Feed implements store.Reader. The positions of a page are read first and its events
// after that, since a transaction that writes may see more in the second read.
func (t *Tx) Feed(ctx context.Context, q store.FeedQuery) (store.FeedPage, error) {
	page := store.FeedPage{Next: q.After}
	if err := t.advance(ctx); err != nil {
		return page, err
	}
	var next int64
	if err := t.one(ctx, "end of the page", `SELECT coalesce(max(position), 0) FROM (
			SELECT position FROM events WHERE position > $1 ORDER BY position LIMIT $2
		) AS page`, []any{q.After, limit(q.Size)}, &next); err != nil {
		return page, err
	}
	if next == 0 {
		return page, t.assigned(ctx, q.After)
	}
	query, args := feedQuery, []any{q.After, next}
	if q.Account != "" {
		query, args = feedOfAccountQuery, append(args, q.Account)
	}
	events, err := list(ctx, t, scanEvent, query, args...)
	if err != nil {
		return page, err
	}
	return store.FeedPage{Events: events, Next: next}, nil
}

// assigned is store.ErrPositionUnknown if a position was never assigned.
func (t *Tx) assigned(ctx context.Context, position int64) error {
	newest, err := t.NewestPosition(ctx)
	if err == nil && (position < 0 || position > newest) {
		err = fmt.Errorf("event %d, where the newest is %d: %w", position, newest, store.ErrPositionUnknown)
	}
	return err
}

// NewestPosition implements store.Reader.
func (t *Tx) NewestPosition(ctx context.Context) (int64, error) {
	if err := t.advance(ctx); err != nil {
		return 0, err
	}
	var newest int64
	err := t.one(ctx, "newest event", `SELECT coalesce(max(position), 0) FROM (
			SELECT max(position) AS position FROM events UNION ALL SELECT max(position) FROM removed_positions
		) AS assigned`, nil, &newest)
	return newest, err
}

// notePositions keeps the newest position from being assigned again once its event is
// removed.
func (t *Tx) notePositions(ctx context.Context) error {
	if err := t.exec(ctx, "removed positions",
		`DELETE FROM removed_positions WHERE position < (SELECT max(position) FROM events)`); err != nil {
		return err
	}
	return t.exec(ctx, "removed positions", `INSERT INTO removed_positions (position)
		SELECT position FROM events ORDER BY position DESC LIMIT 1 ON CONFLICT DO NOTHING`)
}
