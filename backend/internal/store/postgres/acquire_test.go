package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
)

// A database that was never analyzed or vacuumed, such as a new one, reads few entries of the
// indexes to find the next attempt, however many attempts were there before.
func TestAcquireReadsLittleOfTheIndexes(t *testing.T) {
	t.Parallel()
	const attempts, waiting = 1500, 20
	// Transactions of other tests keep PostgreSQL from marking entries of removed rows.
	own := &postgrestest.Cluster{}
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
	config := postgres.Config{URL: own.Database(t), Log: hclog.NewNullLogger()}
	_, _, err := postgres.Migrate(t.Context(), config)
	require.NoError(t, err)
	execute(t, config, `ALTER TABLE leases SET (autovacuum_enabled = off)`)
	s := open(t, config)
	require.NoError(t, account(s, "a"))
	id := func(n int) string { return fmt.Sprintf("attempt %05d", n) }
	attempt := func(n int) *execution.Lease {
		lease := &execution.Lease{}
		lease.Attempt.ActionExecutionID = id(n)
		lease.Scope.PipelineID, lease.Attempt.Account, lease.QueuedAt = "p", "a", time.UnixMicro(int64(n))
		return lease
	}
	first := &execution.Change{}
	for n := range waiting {
		first.Leases = append(first.Leases, attempt(n))
	}
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.Apply(ctx, first) }))
	held := ""
	for n := waiting; n < attempts; n++ {
		require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			change := &execution.Change{Leases: []*execution.Lease{attempt(n)}}
			if held != "" {
				change.DoneAttempts = []string{held}
			}
			if err := tx.Apply(ctx, change); err != nil {
				return err
			}
			lease, _, err := tx.AcquireLease(ctx, store.LeaseRequest{Runner: "r", Until: time.UnixMicro(1), Prefer: id(n)})
			if err == nil {
				held = lease.Attempt.ActionExecutionID
			}
			return err
		}))
	}
	// The end of its sessions stores what they counted.
	require.NoError(t, s.Close())
	db, err := pgx.Connect(t.Context(), config.URL)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) }()
	require.Eventually(t, func() bool {
		var deleted int64
		err := db.QueryRow(t.Context(), `SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'leases'`).Scan(&deleted)
		return err == nil && deleted >= attempts-waiting-1
	}, time.Minute, 20*time.Millisecond)
	var entries, pages float64
	require.NoError(t, db.QueryRow(t.Context(), `SELECT sum(idx_tup_read), sum(idx_blks_hit + idx_blks_read)
		FROM pg_stat_user_indexes AS s JOIN pg_statio_user_indexes USING (indexrelid) WHERE s.relname = 'leases'`).Scan(&entries, &pages))
	require.Less(t, entries/attempts, 30.0)
	require.Less(t, pages/attempts, 25.0)
}
