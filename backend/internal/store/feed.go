package store

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// FeedReader reads the events of all executions as one sequence, in the order in which
// they were committed.
type FeedReader interface {
	// Feed returns the events after a position. An event that is committed later than
	// another has a higher position, whichever process committed it, so a caller that
	// continues at FeedPage.Next reads every event once. Positions are those of Events.
	// They are never used again: events that were removed with their pipeline leave a gap,
	// and a position in a gap is as good as any other. If the database has not assigned
	// the position yet, as after a restore of an older backup, Feed returns
	// ErrPositionUnknown.
	//
	// A write transaction that stays open does not delay the feed. Its events get their
	// positions with its commit.
	Feed(ctx context.Context, query FeedQuery) (FeedPage, error)
	// NewestPosition returns the newest position that the database assigned; 0 if there
	// are no events. A caller that wants only later events starts there.
	NewestPosition(ctx context.Context) (int64, error)
}

// FeedQuery selects a page of the feed.
type FeedQuery struct {
	// Account is empty for all accounts.
	Account string
	// After is the Next of the page before; 0 starts at the oldest event.
	After int64
	// Size is how many events are read at most, those of other accounts included; 0 for no
	// limit.
	Size int
}

// FeedPage is a page of the feed.
type FeedPage struct {
	Events []execution.Event
	// Next is the position to continue after. It also passes events of other accounts, so
	// a page without events may be followed by others. It is FeedQuery.After if no event is
	// newer than that.
	Next int64
}
