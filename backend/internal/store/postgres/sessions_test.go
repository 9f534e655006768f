package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
