package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
)

// standard sets a default of the sessions of a database, as its owner may, and ends
// those that are open.
func standard(t *testing.T, config postgres.Config, setting string) {
	t.Helper()
	// Whatever it was before: this one writes.
	config.URL += "&default_transaction_read_only=off"
	execute(t, config, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I `+setting+`', current_database()); END $$`)
	execute(t, config, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
}

// Whatever the database says by default, a server that stands still keeps no locks,
// waits for no lock without a limit, and loses nothing that it committed; settings in the URL win.
func TestSessionsAreSafe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		standard, url             string
		setting, reading, writing string
	}{
		"a lock is waited for":          {"SET lock_timeout = 0", "", "lock_timeout", "10s", "250ms"},
		"a transaction that stands":     {"SET idle_in_transaction_session_timeout = 0", "", "idle_in_transaction_session_timeout", "10s", "10s"},
		"a statement that takes long":   {"SET statement_timeout = 0", "", "statement_timeout", "30s", "30s"},
		"its name":                      {"RESET ALL", "", "application_name", "headraced", "headraced"},
		"commits are durable":           {"SET synchronous_commit = off", "", "synchronous_commit", "on", "on"},
		"commits of a stricter default": {"SET synchronous_commit = remote_apply", "", "synchronous_commit", "remote_apply", "remote_apply"},
		"the URL is followed":           {"RESET ALL", "&lock_timeout=3s", "lock_timeout", "3s", "3s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := postgres.Config{URL: cluster.Database(t)}
			standard(t, config, test.standard)
			config.URL += test.url
			s := open(t, config)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			reading, writing, err := s.Settings(t.Context(), test.setting)
			require.NoError(t, err)
			require.Equal(t, []string{test.reading, test.writing}, []string{reading, writing})
		})
	}
}

// A database whose role makes transactions stricter than they need be: what another
// replica came in between is done again, and nobody notices.
func TestSerializationFailureIsDoneAgain(t *testing.T) {
	t.Parallel()
	config := migrated(t)
	strict := config
	strict.URL += "&default_transaction_isolation=repeatable%20read"
	one, two := open(t, strict), open(t, config)
	t.Cleanup(func() { require.NoError(t, errors.Join(one.Close(), two.Close())) })
	require.NoError(t, account(one, "a"))
	require.NoError(t, one.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreatePipeline(ctx, definition.Pipeline{ID: "p", Account: "a", Name: "web"})
	}))
	var numbers []int64
	next := func(ctx context.Context, tx store.Tx) error {
		number, err := tx.NextNumber(ctx, "p")
		numbers = append(numbers, number)
		return err
	}
	between := sync.OnceValue(func() error { return two.Update(context.Background(), next) })
	ran := 0
	require.NoError(t, one.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		ran++
		if _, err := tx.Account(ctx, "a"); err != nil {
			return err
		}
		if err := between(); err != nil {
			return err
		}
		return next(ctx, tx)
	}))
	require.Equal(t, 2, ran)
	require.Equal(t, []int64{1, 0, 2}, numbers)
}

// A database that reads and takes no writes, as one does that another took the place
// of: the server says that it is not ready, until writes succeed again.
func TestReadyAsksForAWrite(t *testing.T) {
	t.Parallel()
	config := migrated(t)
	s := open(t, config)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, account(s, "a"))
	standard(t, config, "SET default_transaction_read_only = on")
	require.Eventually(t, func() bool { return strings.Contains(fmt.Sprint(account(s, "b")), "read-only") }, time.Minute, time.Millisecond, "its connections were cut first")
	require.Eventually(t, func() bool {
		return strings.Contains(fmt.Sprint(s.Ready(t.Context())), "the database takes no writes")
	}, time.Minute, time.Millisecond, "those that read were cut too")
	require.ErrorIs(t, account(s, "b"), store.ErrUnavailable)
	require.Equal(t, []string{"a"}, accounts(t, s))
	require.ErrorContains(t, s.Ready(t.Context()), "the database takes no writes")

	standard(t, config, "RESET default_transaction_read_only")
	require.Eventually(t, func() bool { return s.Ready(t.Context()) == nil }, time.Minute, time.Millisecond)
	require.NoError(t, account(s, "b"))
}
