package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/storetest"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// cluster is shared by the tests of this package; each has a database of its own.
var cluster postgrestest.Cluster

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m, &cluster)) }

// migrated returns a database with the schema of this program.
func migrated(t *testing.T) postgres.Config {
	t.Helper()
	return migratedOn(t, &cluster)
}

func migratedOn(t *testing.T, cluster *postgrestest.Cluster) postgres.Config {
	t.Helper()
	config := postgres.Config{URL: cluster.Database(t), Log: hclog.NewNullLogger()}
	_, _, err := postgres.Migrate(t.Context(), config)
	require.NoError(t, err)
	return config
}

func open(t *testing.T, config postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), config)
	require.NoError(t, err)
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	fresh := func(t *testing.T) storetest.Opener {
		t.Helper()
		config := migrated(t)
		return func(t *testing.T) store.Store {
			t.Helper()
			return open(t, config)
		}
	}
	storetest.Run(t, fresh)
	storetest.RunShared(t, fresh)
}

// What a real PostgreSQL says of a page that is not as it wrote it, and of a file that is gone.
func TestDamageIsTold(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*postgrestest.Cluster, context.Context, string, string) error{
		"a damaged page": (*postgrestest.Cluster).Damage, "a lost file": (*postgrestest.Cluster).Lose,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := &postgrestest.Cluster{}
			t.Cleanup(func() { require.NoError(t, own.Stop()) })
			config := migratedOn(t, own)
			s := open(t, config)
			require.NoError(t, account(s, "dev"))
			require.NoError(t, s.Close())
			require.NoError(t, spoil(own, t.Context(), config.URL, "accounts"))
			s = open(t, config)
			err := s.View(t.Context(), func(ctx context.Context, r store.Reader) error {
				_, err := r.Accounts(ctx, store.Page{})
				return err
			})
			require.ErrorIs(t, err, store.ErrDamaged)
			require.ErrorIs(t, account(s, "prod"), store.ErrDamaged)
			require.NoError(t, s.Close())
		})
	}
}

func TestClockOfTheDatabase(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t))
	now, err := s.Now(t.Context())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), now, time.Minute, "it runs on this machine")
	require.NoError(t, s.Close())
	_, err = s.Now(t.Context())
	require.Error(t, err)
}

func account(s store.Store, name string) error {
	return s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: name})
	})
}

func accounts(t *testing.T, s store.Store) (names []string) {
	t.Helper()
	require.NoError(t, s.View(t.Context(), func(ctx context.Context, r store.Reader) error {
		all, err := r.Accounts(ctx, store.Page{})
		for _, a := range all {
			names = append(names, a.Name)
		}
		return err
	}))
	return names
}

func TestSchemaIsMigratedByHand(t *testing.T) {
	t.Parallel()
	config := postgres.Config{URL: cluster.Database(t), Log: hclog.NewNullLogger()}
	s := open(t, config)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	err := s.Ready(t.Context())
	require.ErrorIs(t, err, postgres.ErrSchemaBehind)
	require.ErrorContains(t, err, "run headraced migrate")

	// Replicas that start together migrate one after the other.
	var group errgroup.Group
	var migrated atomic.Int64
	for range 4 {
		group.Go(func() error {
			from, to, err := postgres.Migrate(t.Context(), config)
			if from < to {
				migrated.Add(1)
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Positive(t, migrated.Load())
	require.NoError(t, s.Ready(t.Context()))
	require.NoError(t, account(s, "a"))
	from, to, err := postgres.Migrate(t.Context(), config)
	require.NoError(t, err)
	require.Equal(t, to, from)
	require.Equal(t, []string{"a"}, accounts(t, s))

	execute(t, config, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	require.ErrorContains(t, s.Ready(t.Context()), "start a newer headraced")
	_, _, err = postgres.Migrate(t.Context(), config)
	require.ErrorContains(t, err, "start a newer headraced")
}

// Replicas of one database: who decides on a scope that the other decided upon
// meanwhile learns it, and what was decided beside it in the same commit stays.
func TestReplicasClaimOneScope(t *testing.T) {
	t.Parallel()
	config := migrated(t)
	one, two := open(t, config), open(t, config)
	t.Cleanup(func() { require.NoError(t, errors.Join(one.Close(), two.Close())) })
	require.NoError(t, account(one, "a"))
	key := execution.ScopeKey{PipelineID: "p"}
	require.NoError(t, one.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreatePipeline(ctx, definition.Pipeline{ID: "p", Account: "a", Name: "web"})
	}))
	claim := func(s store.Store, revision int64) error {
		return s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error { return tx.ClaimScope(ctx, key, revision, revision+1) })
	}
	require.NoError(t, claim(one, 0))
	require.ErrorIs(t, claim(two, 0), store.ErrStale)
	require.NoError(t, claim(two, 1))

	entered, gate := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(entered); <-gate })
	var group errgroup.Group
	group.Go(func() error {
		return one.Update(context.Background(), func(context.Context, store.Tx) error {
			enter()
			return nil
		})
	})
	<-entered
	stale := make(chan error, 1)
	go func() { stale <- claim(one, 0) }()
	for i := range 20 {
		group.Go(func() error { return account(one, fmt.Sprintf("b%d", i)) })
	}
	close(gate)
	require.NoError(t, group.Wait())
	require.ErrorIs(t, <-stale, store.ErrStale)
	require.Len(t, accounts(t, two), 21)
}

// Transactions of two replicas that wait for each other: one of them is done again,
// and nobody notices.
func TestDeadlockIsDoneAgain(t *testing.T) {
	t.Parallel()
	config := migrated(t)
	one, two := open(t, config), open(t, config)
	t.Cleanup(func() { require.NoError(t, errors.Join(one.Close(), two.Close())) })
	require.NoError(t, account(one, "a"))
	for _, id := range []string{"p", "q"} {
		require.NoError(t, one.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			return tx.CreatePipeline(ctx, definition.Pipeline{ID: id, Account: "a", Name: id})
		}))
	}
	var both sync.WaitGroup
	both.Add(2)
	var group errgroup.Group
	for s, order := range map[store.Store][2]string{one: {"p", "q"}, two: {"q", "p"}} {
		meet := sync.OnceFunc(func() { both.Done(); both.Wait() })
		group.Go(func() error {
			return s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
				if _, err := tx.NextNumber(ctx, order[0]); err != nil {
					return err
				}
				meet()
				_, err := tx.NextNumber(ctx, order[1])
				return err
			})
		})
	}
	require.NoError(t, group.Wait())
	for _, id := range []string{"p", "q"} {
		require.NoError(t, one.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			number, err := tx.NextNumber(ctx, id)
			if number != 3 {
				return fmt.Errorf("the next number of %s is %d", id, number)
			}
			return err
		}))
	}
}

// The database goes away and comes back: errors meanwhile, and nothing to restart.
func TestDatabaseComesBack(t *testing.T) {
	t.Parallel()
	var own postgrestest.Cluster
	config := postgres.Config{URL: own.Database(t)}
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
	_, _, err := postgres.Migrate(t.Context(), config)
	require.NoError(t, err)
	s := open(t, config)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, account(s, "a"))
	require.NoError(t, own.Kill())
	require.ErrorIs(t, account(s, "b"), store.ErrUnavailable)
	require.ErrorIs(t, s.Ready(t.Context()), store.ErrUnavailable)
	require.ErrorIs(t, s.View(t.Context(), func(ctx context.Context, r store.Reader) error {
		_, err := r.Accounts(ctx, store.Page{})
		return err
	}), store.ErrUnavailable)
	require.NoError(t, own.Start())
	require.NoError(t, s.Ready(t.Context()))
	require.NoError(t, account(s, "b"))
	require.Equal(t, []string{"a", "b"}, accounts(t, s))
}

// Connections that are cut in the middle of many updates: each is an error or there,
// and those after them go on.
func TestConnectionsAreCut(t *testing.T) {
	t.Parallel()
	config := migrated(t)
	s := open(t, config)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	cut := func() {
		execute(t, config, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	}
	acknowledged := make(map[string]bool)
	for i := range 200 {
		if i%20 == 10 {
			cut()
		}
		name := fmt.Sprintf("a%03d", i)
		err := account(s, name)
		if err != nil {
			require.ErrorIs(t, err, store.ErrUnavailable)
		}
		acknowledged[name] = err == nil
	}
	// A read does not fail because its connection was cut while nobody used it.
	cut()
	there := accounts(t, s)
	for name, ok := range acknowledged {
		if ok {
			require.Contains(t, there, name)
		}
	}
	require.Greater(t, len(there), 150)
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), postgres.Config{URL: "postgres://ann:geheim@127.0.0.1:1/headrace?connect_timeout=2"})
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.NotContains(t, err.Error(), "geheim")
	_, err = postgres.Open(t.Context(), postgres.Config{URL: "postgres://ann:geheim@127.0.0.1:x/headrace"})
	require.ErrorContains(t, err, "database-url")
	require.NotContains(t, err.Error(), "geheim")
}

func execute(t *testing.T, config postgres.Config, query string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), config.URL)
	require.NoError(t, err)
	_, err = c.Exec(t.Context(), query)
	require.NoError(t, errors.Join(err, c.Close(t.Context())))
}

// Retention must not take what was stored before it for what nobody uses.
func TestMigrationNotesWhoUsesWhat(t *testing.T) {
	t.Parallel()
	config := migrated(t)
	s := open(t, config)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	out := func(digest string, size int64) action.Artifact {
		return action.Artifact{Name: "x", Digest: digest, Size: size}
	}
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := errors.Join(tx.CreateAccount(ctx, auth.Account{Name: "a"}), tx.CreatePipeline(ctx, definition.Pipeline{ID: "p", Account: "a", Name: "p"})); err != nil {
			return err
		}
		return tx.Apply(ctx, &execution.Change{
			Started: []*execution.Execution{
				{ID: "e1", Account: "a", PipelineID: "p", Number: 1, Summary: "a text with \x00 in it"},
				{ID: "e2", Account: "a", PipelineID: "p", Number: 2, Rollback: &execution.Rollback{Artifacts: []action.Artifact{out("d1", 10)}}},
			},
			NewStages: []execution.StageOf{{ExecutionID: "e1", Stage: &execution.Stage{}}},
			NewActions: []execution.ActionOf{
				{ExecutionID: "e1", Action: &execution.Action{ID: "a1", Details: execution.ActionDetails{Outputs: []action.Artifact{out("d1", 10), out("d1", 10), out("d2", 20)}}}},
				{ExecutionID: "e1", Action: &execution.Action{ID: "a2", Details: execution.ActionDetails{Summary: "a text with \x00 in it, and \\u0000"}}},
			},
		})
	}))
	execute(t, config, `DELETE FROM artifact_uses`)
	file, err := os.ReadFile("migrations/00006_retention.sql")
	require.NoError(t, err)
	_, statement, found := strings.Cut(string(file), "which a text may hold.\n")
	require.True(t, found)
	statement, _, found = strings.Cut(statement, ";")
	require.True(t, found)
	execute(t, config, statement)
	require.NoError(t, s.View(t.Context(), func(ctx context.Context, r store.Reader) error {
		uses, err := r.ArtifactUses(ctx, []string{"e1", "e2"})
		require.ElementsMatch(t, []store.ArtifactUse{
			{ExecutionID: "e1", Digest: "d1", Size: 10}, {ExecutionID: "e1", Digest: "d2", Size: 20}, {ExecutionID: "e2", Digest: "d1", Size: 10},
		}, uses)
		return err
	}))
}

// deafen stands between a store and its database. Once told to, it loses the next answer
// of the database but for its beginning, and the connection.
type deafen struct {
	listener net.Listener
	database *pgx.ConnConfig
	lose     atomic.Bool
	streams  sync.WaitGroup
}

// between returns one, and the configuration that goes through it.
func between(t *testing.T, config postgres.Config) (*deafen, postgres.Config) {
	t.Helper()
	database, err := pgx.ParseConfig(config.URL)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &deafen{listener: listener, database: database}
	d.streams.Go(d.serve)
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		d.streams.Wait()
	})
	config.URL = fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", database.User, listener.Addr(), database.Database)
	return d, config
}

// beginning is longer than the answer to BEGIN, in bytes: what is missing first then is
// the answer to a statement of an update.
const beginning = 40

func (d *deafen) serve() {
	for {
		client, err := d.listener.Accept()
		if err != nil {
			return
		}
		network, address := pgconn.NetworkAddress(d.database.Host, d.database.Port)
		server, err := (&net.Dialer{}).DialContext(context.Background(), network, address)
		if err != nil {
			_ = client.Close()
			continue
		}
		d.streams.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		})
		d.streams.Go(func() {
			defer func() { _ = client.Close() }()
			buffer := make([]byte, 64<<10)
			for {
				n, err := server.Read(buffer)
				if err != nil {
					return
				}
				// PostgreSQL answers a message when all of it is done.
				if d.lose.CompareAndSwap(true, false) {
					_, _ = client.Write(buffer[:min(n, beginning)])
					return
				}
				if _, err := client.Write(buffer[:n]); err != nil {
					return
				}
			}
		})
	}
}

// Where the answer to a commit is lost, nobody knows whether it was one: whoever shared
// it learns that, and nothing is done again.
func TestLostAnswerIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	d, config := between(t, migrated(t))
	s := open(t, config)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, account(s, "a"))
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreatePipeline(ctx, definition.Pipeline{ID: "p", Account: "a", Name: "web"})
	}))

	const others = 20
	var calling sync.WaitGroup
	calling.Add(others)
	ran := make([]atomic.Int32, others+2)
	failed := make([]error, others+1)
	begin := func(i int, wait func()) error {
		return s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
			ran[i].Add(1)
			wait()
			// Its statements go with the commit.
			return tx.Apply(ctx, &execution.Change{Started: []*execution.Execution{{
				ID: fmt.Sprintf("e%02d", i), Account: "a", PipelineID: "p", Pipeline: "web", Number: int64(i + 1), Mode: pipeline.Queued,
				Status: pipeline.Succeeded,
			}}})
		})
	}
	require.NoError(t, begin(others+1, func() {}), "the first of its kind prepares its statements, in a message before")
	var updates errgroup.Group
	updates.Go(func() error {
		failed[others] = begin(others, func() {
			calling.Wait()
			d.lose.Store(true)
		})
		return nil
	})
	for i := range others {
		updates.Go(func() error {
			calling.Done()
			failed[i] = begin(i, func() {})
			return nil
		})
	}
	require.NoError(t, updates.Wait())
	require.ErrorIs(t, failed[others], store.ErrUnavailable)
	for i, err := range failed {
		require.EqualValues(t, 1, ran[i].Load(), "update %d", i)
		if err != nil {
			require.ErrorIs(t, err, store.ErrUnavailable)
		}
	}
	require.NoError(t, s.View(t.Context(), func(ctx context.Context, r store.Reader) error {
		all, err := r.Executions(ctx, store.ExecutionFilter{PipelineID: "p", Size: 100})
		require.Len(t, all, others+2, "all were committed")
		return err
	}))
}

// What confirmed the rules comes before a change of them, and what confirms them after it
// is stale: no decision is committed behind a rule that it did not see.
func TestRulesHoldFromTheirCommit(t *testing.T) {
	t.Parallel()
	config := migrated(t)
	one, two := open(t, config), open(t, config)
	t.Cleanup(func() { require.NoError(t, errors.Join(one.Close(), two.Close())) })
	require.NoError(t, account(one, "a"))
	require.NoError(t, one.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreatePipeline(ctx, definition.Pipeline{ID: "p", Account: "a", Name: "web"})
	}))
	// during calls fn while a transaction on the first server is open that did something.
	during := func(something func(context.Context, store.Tx) error, fn func()) error {
		return one.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
			if err := something(ctx, tx); err != nil {
				return err
			}
			// It is sent with what is to be answered now.
			if _, err := tx.NextNumber(ctx, "p"); err != nil {
				return err
			}
			fn()
			return nil
		})
	}
	second := make(chan error, 1)
	begin := func(something func(context.Context, store.Tx) error) {
		go func() { second <- two.Update(context.Background(), something) }()
		require.Eventually(t, func() bool {
			return count(t, config, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == 1
		}, time.Minute, time.Millisecond)
	}
	confirm := func(ctx context.Context, tx store.Tx) error { return tx.ConfirmRules(ctx, "a", 0) }
	change := func(ctx context.Context, tx store.Tx) error {
		return tx.CreateApprovalRule(ctx, approval.Rule{Account: "a", Name: "ops", Revision: 1})
	}
	require.NoError(t, during(confirm, func() { begin(change) }))
	require.NoError(t, <-second)
	require.ErrorIs(t, one.Update(t.Context(), confirm), store.ErrStale)

	remove := func(ctx context.Context, tx store.Tx) error { return tx.DeleteApprovalRule(ctx, "a", "ops") }
	before := func(ctx context.Context, tx store.Tx) error { return tx.ConfirmRules(ctx, "a", 1) }
	require.NoError(t, during(remove, func() { begin(before) }))
	require.ErrorIs(t, <-second, store.ErrStale)
}

func count(t *testing.T, config postgres.Config, query string) (n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), config.URL)
	require.NoError(t, err)
	require.NoError(t, c.QueryRow(t.Context(), query).Scan(&n))
	require.NoError(t, c.Close(t.Context()))
	return n
}
