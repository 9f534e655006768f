package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
)

// pair writes an account and a token in one transaction.
func pair(s store.Store, name string) error {
	return s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreateAccount(ctx, auth.Account{Name: name}); err != nil {
			return err
		}
		return tx.CreateToken(ctx, auth.Token{ID: name, Hash: name, Principal: strings.Repeat("x", 20_000)})
	})
}

// files returns the names in a directory.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestBackupBesideWriters(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "headrace.db"))
	for i := range 300 {
		require.NoError(t, pair(s, fmt.Sprintf("before %d", i)))
	}
	var written atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := pair(s, fmt.Sprintf("writer %d, %d", w, i)); err != nil {
					t.Error(err)
					return
				}
				written.Add(1)
			}
		})
	}
	require.Eventually(t, func() bool { return written.Load() > 0 }, time.Minute, time.Millisecond)

	dir := t.TempDir()
	// It is a name and no URI.
	to := filepath.Join(dir, "file:back up?.db")
	before := written.Load()
	require.NoError(t, sqlite.Backup(t.Context(), s.Path(), to))
	during := written.Load() - before
	cancel()
	writers.Wait()
	require.NoError(t, s.Close())
	t.Logf("%d transactions before, %d while the backup was made", before, during)
	require.Positive(t, during, "writers go on")

	require.Equal(t, []string{filepath.Base(to)}, files(t, dir), "one file and nothing else")
	info, err := os.Stat(to)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	path := filepath.Join(t.TempDir(), "headrace.db")
	require.NoError(t, sqlite.Restore(t.Context(), to, path))
	require.Equal(t, []string{"headrace.db"}, files(t, filepath.Dir(path)))
	s = open(t, path)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	view(t, s, func(ctx context.Context, r store.Reader) error {
		tokens, err := r.Tokens(ctx, store.Page{})
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(tokens), 300+int(before))
		require.Len(t, tokens, accounts(t, s), "no transaction is there by half")
		return nil
	})
	require.NoError(t, account(s, "after"))
}

func TestBackupOverwritesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "headrace.db"))
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	to := filepath.Join(t.TempDir(), "backup.db")
	require.NoError(t, os.WriteFile(to, nil, 0o600))
	require.ErrorIs(t, sqlite.Backup(t.Context(), s.Path(), to), fs.ErrExist)
	require.Equal(t, []string{"backup.db"}, files(t, filepath.Dir(to)))
	info, err := os.Stat(to)
	require.NoError(t, err)
	require.Zero(t, info.Size())
}

// One that is interrupted leaves nothing that looks like a backup, and nothing else.
func TestBackupThatIsInterrupted(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "headrace.db"))
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	to := filepath.Join(t.TempDir(), "backup.db")
	require.ErrorIs(t, sqlite.Backup(ctx, s.Path(), to), context.Canceled)
	require.Empty(t, files(t, filepath.Dir(to)))
}

// backup makes a store with something in it and returns the file of its backup.
func backup(t *testing.T) string {
	t.Helper()
	s := open(t, filepath.Join(t.TempDir(), "headrace.db"))
	require.NoError(t, pair(s, "a"))
	to := filepath.Join(t.TempDir(), "backup.db")
	require.NoError(t, sqlite.Backup(t.Context(), s.Path(), to))
	require.NoError(t, s.Close())
	return to
}

// endlessVersions replaces the table of versions by a view that never ends.
const endlessVersions = `DROP TABLE goose_db_version; CREATE VIEW goose_db_version AS
	WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS version_id, 1 AS is_applied FROM n`

func TestRestoreRefusesWhatIsNoWholeBackup(t *testing.T) {
	t.Parallel()
	statement := func(query string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			onFile(t, path, func(db *sql.DB) {
				_, err := db.Exec(query)
				require.NoError(t, err)
			})
		}
	}
	cut := func(part func(size int64) int64) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, os.Truncate(path, part(info.Size())))
		}
	}
	tests := map[string]struct {
		damage func(t *testing.T, path string)
		want   string
	}{
		"empty":                 {cut(func(int64) int64 { return 0 }), "it is empty"},
		"without its last byte": {cut(func(size int64) int64 { return size - 1 }), "damaged or not all there"},
		"without its last page": {cut(func(size int64) int64 { return size - 4096 }), "damaged or not all there"},
		"half":                  {cut(func(size int64) int64 { return size / 2 }), "damaged or not all there"},
		"a header":              {cut(func(int64) int64 { return 100 }), "cannot be used"},
		"a few bytes":           {cut(func(int64) int64 { return 10 }), "not a headraced database"},
		"a text": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 1000)), 0o600))
		}, "not a headraced database"},
		"a page of zeros": {func(t *testing.T, path string) {
			t.Helper()
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = file.WriteAt(make([]byte, 4096), 3*4096)
			require.NoError(t, err)
			require.NoError(t, file.Close())
		}, "damaged or not all there"},
		"of somebody else": {statement(`DROP TABLE goose_db_version`), "not a headraced database"},
		"of a newer program": {
			statement(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`), "start a newer headraced",
		},
		"the file of a server": {statement(`PRAGMA journal_mode = WAL`), "not one that headraced backup made"},
		"with a trigger": {
			statement(`CREATE TRIGGER door AFTER INSERT ON accounts BEGIN INSERT INTO tokens (id, hash) VALUES ('door', 'x'); END`),
			"it has the trigger door, which headraced did not make",
		},
		"with a view in a table's place": {
			statement(`DROP TABLE leases; CREATE VIEW leases AS SELECT 1`), "it has the view leases, which headraced did not make",
		},
		"with a view of versions": {statement(endlessVersions), "not a headraced database"},
		"with a column more":      {statement(`ALTER TABLE tokens ADD COLUMN more TEXT`), "the table tokens in it is not as headraced made it"},
		"without a table":         {statement(`DROP TABLE leases`), "it lacks the index leases_held, which headraced made"},
		"a named pipe": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path))
			require.NoError(t, syscall.Mkfifo(path, 0o600))
		}, "it is not a regular file"},
		"a device": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Symlink("/dev/zero", path))
		}, "it is not a regular file"},
		"gone": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path))
		}, "no such file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := backup(t)
			test.damage(t, from)
			path := filepath.Join(t.TempDir(), "headrace.db")
			require.ErrorContains(t, sqlite.Restore(t.Context(), from, path), test.want)
			require.Empty(t, files(t, filepath.Dir(path)))
		})
	}
}

// One that is interrupted leaves nothing, and one that was killed leaves nothing to whoever
// tries again.
func TestRestoreThatIsInterrupted(t *testing.T) {
	t.Parallel()
	from := backup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	require.ErrorIs(t, sqlite.Restore(ctx, from, path), context.Canceled)
	require.Empty(t, files(t, filepath.Dir(path)))

	for _, left := range []string{".new-123456789", ".new-", ".new-notes"} {
		require.NoError(t, os.WriteFile(path+left, nil, 0o600))
	}
	require.NoError(t, sqlite.Restore(t.Context(), from, path))
	require.Equal(t, []string{"headrace.db", "headrace.db.new-", "headrace.db.new-notes"}, files(t, filepath.Dir(path)))
}

// A move to another store neither waits at a pipe nor asks a view that never ends.
func TestReadRefusesWhatIsNoDatabase(t *testing.T) {
	t.Parallel()
	read := func(path string) error {
		return sqlite.Read(t.Context(), path, func(context.Context, *sqlite.Snapshot) error { return nil })
	}
	from := backup(t)
	require.NoError(t, read(from))
	onFile(t, from, func(db *sql.DB) {
		_, err := db.Exec(endlessVersions)
		require.NoError(t, err)
	})
	require.ErrorContains(t, read(from), "not a headraced database")
	pipe := filepath.Join(t.TempDir(), "headrace.db")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.ErrorContains(t, read(pipe), "it is not a regular file")
}

func TestRestoreTakesNoPlaceOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	from := backup(t)
	path := filepath.Join(t.TempDir(), "headrace.db")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.ErrorIs(t, sqlite.Restore(t.Context(), from, path), fs.ErrExist)
	require.NoError(t, os.WriteFile(path+"-wal", nil, 0o600))
	require.ErrorIs(t, sqlite.Restore(t.Context(), from, path), fs.ErrExist, "nobody is told to remove a part of it")
	require.NoError(t, os.Remove(path))
	require.ErrorContains(t, sqlite.Restore(t.Context(), from, path), "headrace.db-wal belongs to another database")
	require.NoError(t, os.Remove(path+"-wal"))
	require.NoError(t, sqlite.Restore(t.Context(), from, path))
	require.NoError(t, os.Remove(from), "the backup is not needed any more")
	s := open(t, path)
	require.Equal(t, 1, accounts(t, s))
	require.NoError(t, s.Close())
}

// A backup of an older program is brought up to date by the start, as its database.
func TestRestoreOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	from := filepath.Join(t.TempDir(), "backup.db")
	require.NoError(t, sqlite.Backup(t.Context(), version1(t), from))
	path := filepath.Join(t.TempDir(), "headrace.db")
	require.NoError(t, sqlite.Restore(t.Context(), from, path))
	s := open(t, path)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	view(t, s, func(ctx context.Context, r store.Reader) error {
		_, err := r.Execution(ctx, "e1")
		return err
	})
}
