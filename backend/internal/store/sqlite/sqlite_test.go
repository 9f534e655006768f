package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/storetest"
)

func open(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	require.NoError(t, err)
	return s
}

func account(s store.Store, name string) error {
	return s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: name})
	})
}

func accounts(t *testing.T, s store.Store) int {
	t.Helper()
	n := 0
	require.NoError(t, s.View(context.Background(), func(ctx context.Context, r store.Reader) error {
		all, err := r.Accounts(ctx, store.Page{})
		n = len(all)
		return err
	}))
	return n
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		t.Helper()
		// A name that means something in a URI.
		path := filepath.Join(t.TempDir(), "data base?mode=ro#1 %41.db")
		return func(t *testing.T) store.Store {
			t.Helper()
			return open(t, path)
		}
	})
}

func TestSchemaNewerThanTheProgramIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	s := open(t, path)
	require.NoError(t, account(s, "a"))
	require.NoError(t, s.Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	require.NoError(t, err)
	_, err = sqlite.Open(context.Background(), sqlite.Config{Path: path})
	require.ErrorContains(t, err, "version 9999")
	require.ErrorContains(t, err, "start a newer headraced")
	require.ErrorContains(t, err, path)

	_, err = db.Exec(`DELETE FROM goose_db_version WHERE version_id = 9999`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s = open(t, path)
	require.Equal(t, 1, accounts(t, s), "the refusal changed nothing")
	require.NoError(t, s.Close())
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(dir, "missing", "headrace.db")})
	require.ErrorContains(t, err, filepath.Join(dir, "missing", "headrace.db"))

	path := filepath.Join(dir, "other.db")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 1000)), 0o600))
	_, err = sqlite.Open(context.Background(), sqlite.Config{Path: path})
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "not a database")
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	require.NoError(t, open(t, path).Close())
	s, err := sqlite.OpenLimited(context.Background(), sqlite.Config{Path: path}, "120")
	require.NoError(t, err)
	require.NoError(t, account(s, "a"))
	create := func(id string) error {
		return s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
			return tx.CreatePipeline(ctx, definition.Pipeline{ID: id, Account: "a", Name: id, Digest: strings.Repeat("x", 100_000)})
		})
	}
	kept := 0
	for err == nil {
		if err = create(fmt.Sprint(kept)); err == nil {
			kept++
		}
	}
	require.ErrorIs(t, err, store.ErrFull)
	require.NotErrorIs(t, err, store.ErrAlreadyExists)
	require.Positive(t, kept)
	count := func() int {
		n := 0
		require.NoError(t, s.View(context.Background(), func(ctx context.Context, r store.Reader) error {
			all, err := r.Pipelines(ctx, "a", store.Page{})
			n = len(all)
			return err
		}))
		return n
	}
	require.Equal(t, kept, count(), "reading works, and nothing is half there")
	require.Error(t, create("more"))
	require.NoError(t, s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error { return tx.DeletePipeline(ctx, "0", 0) }))
	require.NoError(t, create("more"), "once there is room it works again")
	require.Equal(t, kept, count())
	require.NoError(t, s.Close())
	s = open(t, path)
	require.Equal(t, kept, count())
	require.NoError(t, s.Close())
}

// Transactions that arrive while another commits share the next commit: far fewer
// pages go to the log than when each commits alone.
func TestArrivingTogetherShareACommit(t *testing.T) {
	t.Parallel()
	const n = 60
	log := func(path string) int64 {
		info, err := os.Stat(path + "-wal")
		require.NoError(t, err)
		return info.Size()
	}
	alone := filepath.Join(t.TempDir(), "alone.db")
	s := open(t, alone)
	before := log(alone)
	for i := range n {
		require.NoError(t, account(s, fmt.Sprint(i)))
	}
	one := log(alone) - before
	require.NoError(t, s.Close())

	together := filepath.Join(t.TempDir(), "together.db")
	s = open(t, together)
	before = log(together)
	entered, gate := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	errs := make([]error, n)
	group.Go(func() {
		errs[0] = s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
			close(entered)
			<-gate
			return tx.CreateAccount(ctx, auth.Account{Name: "0"})
		})
	})
	<-entered
	var queued sync.WaitGroup
	for i := 1; i < n; i++ {
		queued.Add(1)
		group.Go(func() {
			queued.Done()
			errs[i] = account(s, fmt.Sprint(i))
		})
	}
	queued.Wait()
	close(gate)
	group.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Less(t, log(together)-before, one/4)
	require.Equal(t, n, accounts(t, s))
	require.NoError(t, s.Close())
}

func TestAPanicIsItsCallersAlone(t *testing.T) {
	t.Parallel()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "headrace.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	err = s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		require.NoError(t, tx.CreateAccount(ctx, auth.Account{Name: "half"}))
		var none *auth.Account
		return tx.CreateAccount(ctx, *none)
	})
	require.ErrorContains(t, err, "panic in a transaction")
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Account(ctx, "half")
		require.ErrorIs(t, err, store.ErrNotFound)
		return tx.CreateAccount(ctx, auth.Account{Name: "whole"})
	}))
}

// What is written after the file is gone would be lost with the process.
func TestWritesMissTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	s := open(t, path)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Ready(t.Context()))
	require.NoError(t, os.Rename(path, path+".away"))
	require.ErrorContains(t, s.Ready(t.Context()), "gone")
	require.ErrorIs(t, account(s, "a"), store.ErrUnavailable)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.ErrorContains(t, s.Ready(t.Context()), "not the file that was opened")
	require.ErrorIs(t, account(s, "a"), store.ErrUnavailable)
	require.NoError(t, os.Rename(path+".away", path))
	require.NoError(t, s.Ready(t.Context()))
	require.NoError(t, account(s, "a"))
}

// A row fits where a decision does not.
func TestReadyOnAlmostFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	require.NoError(t, open(t, path).Close())
	s, err := sqlite.OpenLimited(context.Background(), sqlite.Config{Path: path}, "80")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.ErrorIs(t, account(s, strings.Repeat("x", 400_000)), store.ErrFull)
	require.ErrorIs(t, s.Ready(t.Context()), store.ErrFull, "there is room for a row, and not for much more")
	require.NoError(t, account(s, "a"))
	require.ErrorIs(t, s.Ready(t.Context()), store.ErrFull, "a small write that succeeds makes no room for a large one")
}

// Whoever balances load must learn that decisions cannot be kept, also where reading works
// and statements do.
func TestReadyWhileCommitsFail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	s := open(t, path)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	// A constraint that is looked at when the transaction ends.
	_, err = db.ExecContext(t.Context(), `CREATE TABLE parents (id INTEGER PRIMARY KEY);
		CREATE TABLE broken (id INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
		CREATE TRIGGER account AFTER INSERT ON accounts BEGIN INSERT INTO broken VALUES (1); END;
		CREATE TRIGGER probing AFTER UPDATE ON probe BEGIN INSERT INTO broken VALUES (1); END`)
	require.NoError(t, err)
	require.NoError(t, s.Ready(t.Context()), "nothing failed yet")
	for range 2 {
		require.Error(t, account(s, "a"))
		require.ErrorContains(t, s.Ready(t.Context()), "the database takes no writes")
	}
	require.Zero(t, accounts(t, s), "reading works")

	_, err = db.ExecContext(t.Context(), `DROP TRIGGER account`)
	require.NoError(t, err)
	require.NoError(t, account(s, "a"))
	require.NoError(t, s.Ready(t.Context()), "the last write succeeded")
}
