package sqlite_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/transfer"
)

// What is moved to another store is one moment: a row of one table never names a row of
// another that was written after that was read.
func TestSnapshotIsOneMoment(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	s := open(t, path)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, account(s, "before"))
	require.NoError(t, sqlite.Read(t.Context(), path, func(ctx context.Context, snapshot *sqlite.Snapshot) error {
		tables, err := snapshot.Tables(ctx)
		require.NoError(t, err)
		i := slices.IndexFunc(tables, func(table transfer.Table) bool { return table.Name == "accounts" })
		require.GreaterOrEqual(t, i, 0)
		for _, name := range []string{"while it is read", "while it is read again"} {
			rows := 0
			for _, err := range snapshot.Rows(ctx, tables[i]) {
				require.NoError(t, err)
				rows++
			}
			require.Equal(t, 1, rows)
			require.NoError(t, account(s, name), "nobody is kept from writing")
		}
		return nil
	}))
	require.Equal(t, 3, accounts(t, s))
}
