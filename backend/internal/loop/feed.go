package loop

import (
	"context"
	"iter"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Feed returns the committed events of all executions, or of those of an account, in the
// order of their commits, as pages that are read one after the other. It starts after
// query.After, waits for further commits of this process and of others, and ends without an
// error when the context does. A caller that keeps FeedPage.Next and starts there again
// gets every event, across restarts too; with the work of a page done before Next is kept,
// at least once. Other errors end it, also store.ErrPositionUnknown. Pages without events
// only move Next on. Run must run.
func (l *Loop) Feed(ctx context.Context, query store.FeedQuery) iter.Seq2[store.FeedPage, error] {
	return func(yield func(store.FeedPage, error) bool) {
		// Before the first read, so that no commit comes between the two.
		changed, stop := l.watchers.watch(anyExecution)
		defer stop()
		for ctx.Err() == nil {
			page, err := l.feedPage(ctx, query)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				yield(store.FeedPage{Next: query.After}, err)
				return
			case page.Next == query.After:
				select {
				case <-changed:
				case <-ctx.Done():
				}
				continue
			}
			query.After = page.Next
			if !yield(page, nil) {
				return
			}
		}
	}
}

func (l *Loop) feedPage(ctx context.Context, query store.FeedQuery) (page store.FeedPage, err error) {
	err = l.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		page, err = r.Feed(ctx, query)
		return err
	})
	return page, err
}
