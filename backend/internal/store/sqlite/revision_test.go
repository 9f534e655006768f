package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// TestARevisionHasAMigration keeps an older server off a database with fields that it does
// not know: it would drop them from every definition that it writes back. A server refuses
// a schema that is newer than its own, so a new revision of the contract needs a
// migration, even one that changes nothing.
func TestARevisionHasAMigration(t *testing.T) {
	t.Parallel()
	// The number of the migration that came with each revision.
	migrations := map[uint32]int{3: 10, 4: 13}
	came, listed := migrations[contract.Revision()]
	require.True(t, listed, "revision %d of the contract: add a migration for both engines, and its number here", contract.Revision())
	require.Greater(t, came, migrations[contract.Revision()-1])
	for _, directory := range []string{"migrations", "../postgres/migrations"} {
		files, err := filepath.Glob(filepath.Join(directory, "*.sql"))
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(files), came, directory)
	}
}
