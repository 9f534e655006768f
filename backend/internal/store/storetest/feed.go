package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// feedFrom reads a page of the feed.
func (s *suite) feedFrom(q store.FeedQuery) store.FeedPage {
	s.t.Helper()
	return get(s, func(ctx context.Context, r store.Reader) (store.FeedPage, error) { return r.Feed(ctx, q) })
}

func (s *suite) newestPosition() int64 {
	s.t.Helper()
	return get(s, func(ctx context.Context, r store.Reader) (int64, error) { return r.NewestPosition(ctx) })
}

// messages are those of a page, which name the events of these tests.
func messages(page store.FeedPage) []string {
	all := []string{}
	for _, ev := range page.Events {
		all = append(all, ev.Message)
	}
	return all
}

// happened is a change that is nothing but events of an execution.
func happened(executionID string, texts ...string) *execution.Change {
	change := &execution.Change{}
	for i, text := range texts {
		change.Events = append(change.Events, execution.Event{
			ExecutionID: executionID, At: day().Add(time.Duration(i) * time.Second), Subject: execution.SubjectExecution, State: "Started",
			Attempt: 1, ExecutionAttempt: 1, Message: text,
		})
	}
	return change
}

// started is a live execution of a pipeline, without anything else.
func started(account, pipelineID, id string, number int64) *execution.Change {
	return &execution.Change{Started: []*execution.Execution{{ID: id, Account: account, PipelineID: pipelineID, Number: number}}}
}

// executions makes a pipeline of account "a" with an execution of each id.
func (s *suite) executions(pipelineID string, ids ...string) {
	s.t.Helper()
	s.pipeline(pipelineID)
	for i, id := range ids {
		s.apply(started("a", pipelineID, id, int64(i+1)))
	}
}

func testFeedHasEveryEventInOrder(s *suite) {
	t := s.t
	require.Equal(t, store.FeedPage{}, s.feedFrom(store.FeedQuery{Size: 10}), "nothing happened yet")
	require.Zero(t, s.newestPosition())
	s.account("a")
	s.executions("p", "e1", "e2")
	s.apply(happened("e1", "1", "2"))
	s.apply(happened("e2", "3"))
	s.apply(happened("e1", "4"))

	page := s.feedFrom(store.FeedQuery{Size: 3})
	require.Equal(t, []string{"1", "2", "3"}, messages(page))
	require.Equal(t, page.Events[2].Position, page.Next)
	require.Equal(t, s.events("e1", 0, 2), page.Events[:2], "positions are those of one execution's events")
	rest := s.feedFrom(store.FeedQuery{After: page.Next})
	require.Equal(t, []string{"4"}, messages(rest))
	require.Equal(t, rest.Next, s.newestPosition())
	require.Equal(t, store.FeedPage{Next: rest.Next}, s.feedFrom(store.FeedQuery{After: rest.Next, Size: 3}), "nothing more")

	unknown := func(position int64) {
		t.Helper()
		_, err := read(s, func(ctx context.Context, r store.Reader) (store.FeedPage, error) {
			return r.Feed(ctx, store.FeedQuery{After: position})
		})
		require.ErrorIs(t, err, store.ErrPositionUnknown)
	}
	unknown(rest.Next + 1)
	unknown(rest.Next + 1_000_000)

	s.restart()
	require.Equal(t, []string{"3", "4"}, messages(s.feedFrom(store.FeedQuery{After: page.Events[1].Position})))
	s.apply(happened("e2", "5"))
	require.Equal(t, []string{"5"}, messages(s.feedFrom(store.FeedQuery{After: rest.Next})))
}

// A page of an account passes over what others did, and says up to where.
func testFeedOfAnAccount(s *suite) {
	t := s.t
	s.account("a")
	s.account("b")
	s.executions("p", "e1")
	s.update(func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreatePipeline(ctx, definition.Pipeline{ID: "q", Account: "b", Name: "q", Revision: 1}); err != nil {
			return err
		}
		return tx.Apply(ctx, started("b", "q", "f1", 1))
	})
	s.apply(happened("e1", "a1"))
	s.apply(happened("f1", "b1", "b2", "b3", "b4"))
	s.apply(happened("e1", "a2"))

	var of []string
	pages := 0
	for after := int64(0); ; pages++ {
		page := s.feedFrom(store.FeedQuery{Account: "a", After: after, Size: 2})
		of = append(of, messages(page)...)
		if page.Next == after {
			break
		}
		after = page.Next
	}
	require.Equal(t, []string{"a1", "a2"}, of)
	require.Equal(t, 3, pages, "a page reads no more than its size, whoever the events are of")
	require.Equal(t, []string{"b1", "b2", "b3", "b4"}, messages(s.feedFrom(store.FeedQuery{Account: "b"})))
	require.Empty(t, s.feedFrom(store.FeedQuery{Account: "c"}).Events)
}

// A caller whose position was removed with a pipeline continues, also where the newest
// events of all were.
func testFeedSurvivesRemovedPipelines(s *suite) {
	t := s.t
	s.account("a")
	s.executions("p", "e1")
	s.executions("q", "f1")
	remove := func(id string) {
		t.Helper()
		s.update(func(ctx context.Context, tx store.Tx) error { return tx.DeletePipeline(ctx, id, 1) })
	}
	s.apply(happened("e1", "1"))
	s.apply(happened("f1", "2", "3"))
	s.apply(happened("e1", "4"))
	s.apply(happened("f1", "5", "6"))
	all := s.feedFrom(store.FeedQuery{})
	require.Equal(t, []string{"1", "2", "3", "4", "5", "6"}, messages(all))

	remove("q")
	require.Equal(t, []string{"1", "4"}, messages(s.feedFrom(store.FeedQuery{})))
	require.Equal(t, []string{"4"}, messages(s.feedFrom(store.FeedQuery{After: all.Events[2].Position})), "after one that was removed")
	require.Equal(t, store.FeedPage{Next: all.Next}, s.feedFrom(store.FeedQuery{After: all.Next}), "the newest of all was removed")
	require.Equal(t, all.Next, s.newestPosition())

	s.restart()
	s.apply(happened("e1", "7", "8"))
	later := s.feedFrom(store.FeedQuery{After: all.Next})
	require.Equal(t, []string{"7", "8"}, messages(later), "no position is assigned twice")
	require.Greater(t, later.Events[0].Position, all.Next)
	require.Equal(t, later.Events[0].Position+1, later.Events[1].Position)

	remove("p")
	s.executions("r", "g1")
	require.Equal(t, store.FeedPage{Next: later.Next}, s.feedFrom(store.FeedQuery{After: later.Next}), "nothing is left")
	s.apply(happened("g1", "9"))
	require.Equal(t, []string{"9"}, messages(s.feedFrom(store.FeedQuery{After: later.Next})))
	require.Equal(t, []string{"9"}, messages(s.feedFrom(store.FeedQuery{After: all.Next})), "still a position")
}

func testFeedSeesOwnWrites(s *suite) {
	t := s.t
	s.account("a")
	s.executions("p", "e1")
	var page, last store.FeedPage
	var events []execution.Event
	s.update(func(ctx context.Context, tx store.Tx) (err error) {
		if err := tx.Apply(ctx, happened("e1", "1")); err != nil {
			return err
		}
		if events, err = tx.Events(ctx, "e1", 0, 10); err != nil {
			return err
		}
		if page, err = tx.Feed(ctx, store.FeedQuery{}); err != nil {
			return err
		}
		if err := tx.Apply(ctx, happened("e1", "2")); err != nil {
			return err
		}
		last, err = tx.Feed(ctx, store.FeedQuery{After: page.Next})
		return err
	})
	require.Len(t, events, 1)
	require.Equal(t, []string{"1"}, messages(page))
	require.Equal(t, []string{"2"}, messages(last))
	require.Equal(t, []string{"1", "2"}, messages(s.feedFrom(store.FeedQuery{})))
}

// reader follows a feed until it has a number of events, and checks that it never goes
// back.
func (s *suite) follow(from store.Store, want int) ([]execution.Event, error) {
	var all []execution.Event
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for after := int64(0); len(all) < want; {
		var page store.FeedPage
		if err := from.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
			page, err = r.Feed(ctx, store.FeedQuery{After: after, Size: 7})
			return err
		}); err != nil {
			return all, fmt.Errorf("after %d of %d events: %w", len(all), want, err)
		}
		all, after = append(all, page.Events...), page.Next
	}
	return all, nil
}

// commitMany commits events of executions through several stores at once, each event in
// the transaction of its own, while others follow the feed: every follower gets every
// event, and those of one execution in the order in which they were committed.
func (s *suite) commitMany(stores ...store.Store) {
	t := s.t
	s.account("a")
	const executions, each = 8, 25
	ids := make([]string, executions)
	for i := range ids {
		ids[i] = fmt.Sprintf("e%d", i)
	}
	s.executions("p", ids...)
	followed := make([][]execution.Event, 2*len(stores))
	for _, err := range inParallel(executions+len(followed), func(i int) (err error) {
		if i >= executions {
			followed[i-executions], err = s.follow(stores[i%len(stores)], executions*each)
			return err
		}
		for n := range each {
			if err := stores[(i+n)%len(stores)].Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
				if err := tx.Apply(ctx, happened(ids[i], fmt.Sprint(n))); err != nil {
					return err
				}
				// Some write for longer than others after they decided.
				for range i % 3 {
					if _, err := tx.Accounts(ctx, store.Page{}); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}) {
		require.NoError(t, err)
	}
	all := s.feedFrom(store.FeedQuery{}).Events
	require.Len(t, all, executions*each)
	for _, events := range followed {
		require.Equal(t, all, events, "who follows the feed reads what is there at the end")
	}
	next := make(map[string]int)
	for _, ev := range all {
		require.Equal(t, fmt.Sprint(next[ev.ExecutionID]), ev.Message, "in the order of the commits")
		next[ev.ExecutionID]++
	}
}

func testFeedWhileOthersCommit(s *suite) { s.commitMany(s.store) }

// another opens the store once more, as another process does.
func (s *suite) another() store.Store {
	s.t.Helper()
	other := s.opener(s.t)
	s.t.Cleanup(func() { require.NoError(s.t, other.Close()) })
	return other
}

func testFeedOfSeveralWhileAllCommit(s *suite) { s.commitMany(s.store, s.another(), s.another()) }

// Of two transactions that overlap, the one that began first and decided first commits
// last: whoever read the events of the other meanwhile gets its events too.
func testFeedInTheOrderOfCommits(s *suite) {
	t := s.t
	s.account("a")
	s.executions("p", "e1", "e2")
	other := s.another()
	var between store.FeedPage
	s.update(func(ctx context.Context, tx store.Tx) error {
		if err := tx.Apply(ctx, happened("e1", "decided first")); err != nil {
			return err
		}
		// A read lets an engine over a network send what it was told to write.
		if _, err := tx.ExecutionHead(ctx, "e1"); err != nil {
			return err
		}
		if err := other.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			return tx.Apply(ctx, happened("e2", "committed first"))
		}); err != nil {
			return err
		}
		return other.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
			between, err = r.Feed(ctx, store.FeedQuery{})
			return err
		})
	})
	require.Equal(t, []string{"committed first"}, messages(between), "a transaction that stays open does not delay the others")
	require.Equal(t, []string{"decided first"}, messages(s.feedFrom(store.FeedQuery{After: between.Next})), "and loses nothing")
}

// A transaction that took positions and was rolled back leaves a gap that nobody waits
// for.
func testFeedWithoutWhatWasRolledBack(s *suite) {
	t := s.t
	s.account("a")
	s.executions("p", "e1", "e2")
	s.apply(happened("e1", "1"))
	before := s.feedFrom(store.FeedQuery{})
	other := s.another()
	require.ErrorIs(t, other.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		if err := tx.Apply(ctx, happened("e2", "never")); err != nil {
			return err
		}
		page, err := tx.Feed(ctx, store.FeedQuery{After: before.Next})
		if err != nil || len(page.Events) != 1 {
			return errors.Join(err, fmt.Errorf("%d events instead of 1", len(page.Events)))
		}
		return errMine
	}), errMine)
	s.apply(happened("e1", "2"))
	require.Equal(t, []string{"2"}, messages(s.feedFrom(store.FeedQuery{After: before.Next})))
}

// A pipeline that is deleted in the transaction of others' decisions about it takes their
// events with it.
func testRemovedPipelineTakesSharedEvents(s *suite) {
	t := s.t
	s.account("a")
	s.executions("p", "e1")
	s.executions("q", "f1")
	s.update(func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.Apply(ctx, happened("e1", "removed")), tx.Apply(ctx, happened("f1", "kept")), tx.DeletePipeline(ctx, "p", 1))
	})
	page := s.feedFrom(store.FeedQuery{})
	require.Equal(t, []string{"kept"}, messages(page))
	require.True(t, slices.IsSortedFunc(page.Events, func(a, b execution.Event) int { return int(a.Position - b.Position) }))
}
