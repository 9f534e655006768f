package trigger_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// cluster is the PostgreSQL of this package's tests.
var cluster postgrestest.Cluster

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m, &cluster)) }

// engines open an empty database of each kind.
var engines = map[string]func(t *testing.T) store.Store{
	"SQLite": func(t *testing.T) store.Store {
		t.Helper()
		s, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(t.TempDir(), "headrace.db")})
		require.NoError(t, err)
		return s
	},
	"PostgreSQL": func(t *testing.T) store.Store {
		t.Helper()
		return openPostgres(t, migrated(t))
	},
}

// migrated makes a database on the test's PostgreSQL.
func migrated(t *testing.T) postgres.Config {
	t.Helper()
	config := postgres.Config{URL: cluster.Database(t), Log: hclog.NewNullLogger()}
	_, _, err := postgres.Migrate(t.Context(), config)
	require.NoError(t, err)
	return config
}

func openPostgres(t *testing.T, config postgres.Config) store.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), config)
	require.NoError(t, err)
	return s
}

// bedAt is a bed on a database and with a clock of the test.
func bedAt(t *testing.T, s store.Store, clock func() time.Time) *bed {
	t.Helper()
	b, end := bedWith(t, s, clock)
	t.Cleanup(end)
	return b
}

// pair is two servers on one PostgreSQL that watch the same remote.
func pair(t *testing.T) (first, other *bed) {
	t.Helper()
	config := migrated(t)
	first = bedAt(t, openPostgres(t, config), time.Now)
	other = &bed{t: t, store: openPostgres(t, config), remote: first.remote, clock: first.clock}
	other.process = other.boot()
	t.Cleanup(func() {
		other.end()
		require.NoError(t, other.store.Close())
	})
	return first, other
}

// TestRetiredSecretEndsOnAllServers proves that a server which has opened a secret before takes
// no delivery that it verifies after another server retired it.
func TestRetiredSecretEndsOnAllServers(t *testing.T) {
	t.Parallel()
	first, other := pair(t)
	set := func(versions ...int64) {
		t.Helper()
		require.NoError(t, first.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			w, err := tx.Webhook(ctx, "default", "hub")
			if err != nil {
				return err
			}
			w.Secrets = nil
			for _, v := range versions {
				w.Secrets = append(w.Secrets, ledger.WebhookSecret{Version: v, Sealed: fmt.Appendf(nil, "secret %d", v)})
			}
			return tx.UpdateWebhook(ctx, w)
		}))
	}
	secrets := func(read func(context.Context, forge.Kind, string) (forge.Webhook, error)) (etag string, values []string) {
		t.Helper()
		w, err := read(t.Context(), forge.GitHub, "path")
		require.NoError(t, err)
		for _, s := range w.Secrets {
			values = append(values, s.Value)
		}
		return w.Etag, values
	}
	set(2, 1)
	etag, values := secrets(other.intake.Webhook)
	require.Equal(t, []string{"secret 2", "secret 1"}, values)
	push := other.push(main, "", other.remote.commit("", "one"))
	verified := other.delivery(newID(), push)
	verified.Etag = etag
	require.NoError(t, other.intake.Deliver(t.Context(), verified))
	set(2)
	verified.ID = newID()
	require.ErrorIs(t, other.intake.Deliver(t.Context(), verified), forge.ErrWebhookChanged, "it was verified by the secret before that was retired")
	verified.Etag, values = secrets(other.intake.CurrentWebhook)
	require.Equal(t, []string{"secret 2"}, values)
	_, values = secrets(other.intake.Webhook)
	require.Equal(t, []string{"secret 2"}, values, "what was read last is kept")
	verified.SecretVersion = 2
	require.NoError(t, other.intake.Deliver(t.Context(), verified))
}

// TestServersStartEachMoveOnce delivers each push twice at the same time, to two servers on
// one PostgreSQL.
func TestServersStartEachMoveOnce(t *testing.T) {
	t.Parallel()
	first, other := pair(t)
	const branches, pushes = 4, 8
	web := first.watch("web", declared.Git{Coalesce: declared.CoalesceEach})
	var group errgroup.Group
	for n := range branches {
		group.Go(func() error {
			ref, at := fmt.Sprintf("refs/heads/b%d", n), ""
			for range pushes {
				to := first.remote.commit(at, "a commit")
				first.remote.set(ref, to)
				push, id := first.push(ref, at, to), newID()
				var twice errgroup.Group
				for _, b := range []*bed{first, other, first, other} {
					// Two servers get the same delivery, and that of the hook of a group.
					delivery := b.delivery(id, push)
					id = newID()
					twice.Go(func() error { return b.intake.Deliver(context.Background(), delivery) })
				}
				if err := twice.Wait(); err != nil {
					return err
				}
				at = to
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	first.settled()
	other.settled()
	require.Zero(t, first.poll(web.RepositoryID), "the ledger has what the remote has")
	require.Len(t, first.executions(), branches*pushes)
	seen := make(map[string]bool)
	for _, e := range first.executions() {
		require.False(t, seen[e.Trigger.To], "%s started twice", e.Trigger.To)
		seen[e.Trigger.To] = true
	}
}
