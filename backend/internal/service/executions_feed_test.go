package service_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// follow reads the feed of a server until as many executions succeeded, and returns the
// pages.
func (l *lab) follow(after int64, succeeded int) (pages []store.FeedPage, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for page, err := range l.Feed(ctx, store.FeedQuery{After: after, Size: 5}) {
		if err != nil {
			return pages, err
		}
		pages = append(pages, page)
		for _, ev := range page.Events {
			if ev.Subject == execution.SubjectExecution && ev.State == execution.EventSucceeded {
				succeeded--
			}
		}
		if succeeded == 0 {
			return pages, nil
		}
	}
	return pages, fmt.Errorf("%d executions are missing: %w", succeeded, ctx.Err())
}

func eventsOf(pages []store.FeedPage) (events []execution.Event) {
	for _, page := range pages {
		events = append(events, page.Events...)
	}
	return events
}

// followed runs executions on all of the servers at once, while one reader on each follows
// the feed from its start.
func followed(t *testing.T, servers ...*lab) {
	t.Helper()
	const each = 10
	servers[0].pipeline("p", pipeline.Definition{ExecutionMode: pipeline.Parallel, Stages: []pipeline.Stage{{
		Name: "Test", Actions: []pipeline.Action{
			{Name: "One", Category: noop.ID.Category, Owner: noop.ID.Owner, Provider: noop.ID.Provider, Version: noop.ID.Version, RunOrder: 1},
			{Name: "Two", Category: noop.ID.Category, Owner: noop.ID.Owner, Provider: noop.ID.Provider, Version: noop.ID.Version, RunOrder: 2},
		},
	}}})
	read := make([][]store.FeedPage, len(servers))
	errs := make([]error, len(servers)*(1+each))
	var group sync.WaitGroup
	for i, server := range servers {
		group.Go(func() { read[i], errs[i] = server.follow(0, each*len(servers)) })
		for k := range each {
			group.Go(func() {
				_, err := server.Start(context.Background(), admin, "default", "p", service.StartInput{})
				errs[len(servers)+i*each+k] = err
			})
		}
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	var all store.FeedPage
	require.NoError(t, servers[0].store.View(t.Context(), func(ctx context.Context, r store.Reader) (err error) {
		all, err = r.Feed(ctx, store.FeedQuery{})
		return err
	}))
	for _, pages := range read {
		require.Equal(t, all.Events, eventsOf(pages), "every event once, in the order of the commits")
	}

	// One that was stopped in the middle goes on where it was.
	half := read[0][:len(read[0])/2]
	servers[0].restart()
	rest, err := servers[0].follow(half[len(half)-1].Next, each*len(servers)-succeeded(half))
	require.NoError(t, err)
	require.Equal(t, all.Events, append(eventsOf(half), eventsOf(rest)...))
}

func succeeded(pages []store.FeedPage) (n int) {
	for _, ev := range eventsOf(pages) {
		if ev.Subject == execution.SubjectExecution && ev.State == execution.EventSucceeded {
			n++
		}
	}
	return n
}

func TestFeedOfOneServer(t *testing.T) {
	t.Parallel()
	followed(t, newLab(t))
}

// Each server reads what the other commits as well.
func TestFeedOfSeveralServers(t *testing.T) {
	t.Parallel()
	one, two := newTwo(t, time.Hour, false)
	// Either may carry turns of the other, which are due by its clock.
	two.later(-time.Hour)
	followed(t, one, two)
}

// A feed waits until its context ends, and refuses a position that was never assigned.
func TestFeedEnds(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for page, err := range l.Feed(ctx, store.FeedQuery{}) {
			ended <- fmt.Errorf("a page up to %d: %w", page.Next, err)
		}
		ended <- nil
	}()
	cancel()
	require.NoError(t, within(t, ended, "the end of the feed"))
	refused := 0
	for _, err := range l.Feed(t.Context(), store.FeedQuery{After: 7}) {
		require.ErrorIs(t, err, store.ErrPositionUnknown)
		refused++
	}
	require.Equal(t, 1, refused, "the error ends it")
}
