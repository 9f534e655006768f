package postgres_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
)

// insertEvent writes an event as servers did before version 12, which know no lock.
const insertEvent = `INSERT INTO events (execution_id, at, subject, state, stage, action, action_execution_id, attempt, principal, message)
	VALUES ('e', 0, 'execution', 'Started', '', '', '', 1, '', $1)`

// older is an open transaction of an older server.
type older struct {
	t  *testing.T
	c  *pgx.Conn
	tx pgx.Tx
}

func beginOlder(t *testing.T, config postgres.Config) *older {
	t.Helper()
	c, err := pgx.Connect(t.Context(), config.URL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	tx, err := c.Begin(t.Context())
	require.NoError(t, err)
	return &older{t: t, c: c, tx: tx}
}

func (o *older) insert(message string) {
	o.t.Helper()
	_, err := o.tx.Exec(o.t.Context(), insertEvent, message)
	require.NoError(o.t, err)
}

func (o *older) commit() {
	o.t.Helper()
	require.NoError(o.t, o.tx.Commit(o.t.Context()))
}

// feed returns the messages of the events after a position, and where to continue.
func feed(t *testing.T, s store.Store, after int64) (messages []string, next int64) {
	t.Helper()
	require.NoError(t, s.View(t.Context(), func(ctx context.Context, r store.Reader) error {
		page, err := r.Feed(ctx, store.FeedQuery{After: after})
		for _, ev := range page.Events {
			messages = append(messages, ev.Message)
		}
		next = page.Next
		return err
	}))
	return messages, next
}

func decide(s store.Store, message string) error {
	return s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		return tx.Apply(ctx, &execution.Change{Events: []execution.Event{{ExecutionID: "f", Subject: execution.SubjectExecution, Message: message}}})
	})
}

// waits waits for as many sessions that wait for a lock of a type.
func waits(t *testing.T, config postgres.Config, locktype string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return count(t, config, `SELECT count(*) FROM pg_locks WHERE locktype = '`+locktype+`' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == 1
	}, time.Minute, time.Millisecond)
}

// Events from before the migration are in the feed by the positions that they have, and the
// migration waits for the transactions that took positions before it.
func TestFeedOfWhatWasBeforeIt(t *testing.T) {
	t.Parallel()
	config := postgres.Config{URL: cluster.Database(t)}
	require.NoError(t, postgres.MigrateTo(t.Context(), config, 11))
	first, second := beginOlder(t, config), beginOlder(t, config)
	first.insert("1")
	second.insert("2")
	second.commit()
	migrated := make(chan error, 1)
	go func() {
		_, _, err := postgres.Migrate(context.Background(), config)
		migrated <- err
	}()
	waits(t, config, "relation")
	first.insert("3")
	first.commit()
	require.NoError(t, <-migrated)
	s := open(t, config)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, decide(s, "4"))
	messages, _ := feed(t, s, 0)
	require.Equal(t, []string{"1", "2", "3", "4"}, messages)
}

// A server that was not upgraded yet, and commits last of two that overlap, loses nothing:
// the one that came second waits for it, or goes on once its session ends.
func TestFeedBesideAnOlderServer(t *testing.T) {
	t.Parallel()
	config := migrated(t)
	s := open(t, config)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, decide(s, "1"))
	_, next := feed(t, s, 0)

	slow := beginOlder(t, config)
	slow.insert("2")
	decided := make(chan error, 1)
	go func() { decided <- decide(s, "3") }()
	waits(t, config, "advisory")
	messages, again := feed(t, s, next)
	require.Empty(t, messages, "neither of them is committed")
	slow.commit()
	require.NoError(t, <-decided)
	messages, next = feed(t, s, again)
	require.Equal(t, []string{"2", "3"}, messages)

	dead := beginOlder(t, config)
	dead.insert("never")
	go func() { decided <- decide(s, "4") }()
	waits(t, config, "advisory")
	require.NoError(t, dead.c.Close(t.Context()))
	require.NoError(t, <-decided)
	messages, _ = feed(t, s, next)
	require.Equal(t, []string{"4"}, messages, "a crash leaves a gap, which nobody waits for")
}

// Decisions that share a transaction share the inserts of their events. If the database refuses
// one of the events, only its decision fails.
func TestEventThatIsRefusedFailsItsDecisionAlone(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t))
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	begun, release, first := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		var once sync.Once
		first <- s.Update(context.Background(), func(context.Context, store.Tx) error {
			once.Do(func() { close(begun) })
			<-release
			return nil
		})
	}()
	<-begun
	const decisions, refused = 30, 7
	var want []string
	errs := make([]error, decisions)
	var running sync.WaitGroup
	for i := range decisions {
		message := strconv.Itoa(i)
		if i == refused {
			message = "\x00"
		} else {
			want = append(want, message)
		}
		running.Go(func() { errs[i] = decide(s, message) })
	}
	close(release)
	running.Wait()
	require.NoError(t, <-first)
	for i, err := range errs {
		if i == refused {
			require.ErrorContains(t, err, "events: ERROR: invalid byte sequence")
			continue
		}
		require.NoError(t, err, "decision %d", i)
	}
	messages, _ := feed(t, s, 0)
	require.ElementsMatch(t, want, messages)
}

// A crash of the database between the assignment of positions and the commit.
func TestFeedAfterACrashOfTheDatabase(t *testing.T) {
	t.Parallel()
	var own postgrestest.Cluster
	config := postgres.Config{URL: own.Database(t)}
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
	_, _, err := postgres.Migrate(t.Context(), config)
	require.NoError(t, err)
	s := open(t, config)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, decide(s, "1"))
	_, next := feed(t, s, 0)
	beginOlder(t, config).insert("never")
	require.NoError(t, own.Kill())
	require.ErrorIs(t, decide(s, "not stored"), store.ErrUnavailable)
	require.NoError(t, own.Start())
	require.Eventually(t, func() bool { return s.Ready(t.Context()) == nil }, time.Minute, time.Millisecond)
	require.NoError(t, decide(s, "2"))
	messages, _ := feed(t, s, next)
	require.Equal(t, []string{"2"}, messages)
}
