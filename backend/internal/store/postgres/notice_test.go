package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/storetest"
)

// What happens while nobody listens is not told: whoever listens again learns that.
func TestListenComesBack(t *testing.T) {
	t.Parallel()
	config := migrated(t)
	one, two := open(t, config), open(t, config)
	t.Cleanup(func() { require.NoError(t, errors.Join(one.Close(), two.Close())) })
	require.NoError(t, account(one, "a"))
	heard := storetest.Listen(t, two)
	commit := func(id string) {
		require.NoError(t, one.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			return tx.Apply(ctx, &execution.Change{DoneAttempts: []string{id}})
		}))
	}
	require.Equal(t, store.Notice{Missed: true}, storetest.Hear(t, heard))
	for _, id := range []string{"x", "y"} {
		commit(id)
		require.Equal(t, store.Notice{Ended: []string{id}}, storetest.Hear(t, heard))
		execute(t, config, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'headraced listens'`)
		require.Equal(t, store.Notice{Missed: true}, storetest.Hear(t, heard))
	}
	commit("z")
	require.Equal(t, store.Notice{Ended: []string{"z"}}, storetest.Hear(t, heard))
}
