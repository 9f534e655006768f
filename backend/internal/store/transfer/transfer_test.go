package transfer_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/river"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/transfer"
)

// cluster is shared by the tests of this package; each has a database of its own.
var cluster postgrestest.Cluster

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m, &cluster)) }

// bed is an embedded database, and a PostgreSQL to move it to.
type bed struct {
	t     *testing.T
	path  string
	url   string
	queue *river.Queue
}

// migrated is a database that each test has a copy of.
var migrated struct {
	sync.Mutex
	url string
}

// target returns a PostgreSQL that is migrated and empty.
func target(t *testing.T) string {
	t.Helper()
	migrated.Lock()
	defer migrated.Unlock()
	if migrated.url == "" {
		url := cluster.Database(t)
		_, _, err := postgres.Migrate(t.Context(), postgres.Config{URL: url})
		require.NoError(t, err)
		_, err = river.Migrate(t.Context(), url)
		require.NoError(t, err)
		migrated.url = url
	}
	return cluster.Copy(t, migrated.url)
}

// newBed makes both, migrated and empty.
func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, path: filepath.Join(t.TempDir(), "headrace.db"), url: target(t)}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: b.path})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	b.queue, err = river.Open(t.Context(), river.Config{
		URL: b.url, Workers: 1, Clock: time.Now, Retry: time.Millisecond, Longest: time.Minute, Dead: time.Minute, Log: hclog.NewNullLogger(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.queue.Close()) })
	return b
}

// move moves all; meddle, where it is not nil, comes between the two.
func (b *bed) move(meddle func(transfer.Target) transfer.Target) (report *transfer.Report, err error) {
	err = sqlite.Read(b.t.Context(), b.path, func(ctx context.Context, source *sqlite.Snapshot) error {
		return postgres.Load(ctx, b.url, b.queue, func(ctx context.Context, loading *postgres.Loading) (err error) {
			var target transfer.Target = loading
			if meddle != nil {
				target = meddle(loading)
			}
			report, err = transfer.Move(ctx, source, target)
			return err
		})
	})
	return report, err
}

// inSource runs statements in the embedded database.
func (b *bed) inSource(fn func(db *sql.DB)) {
	b.t.Helper()
	db, err := sql.Open("sqlite", b.path)
	require.NoError(b.t, err)
	fn(db)
	require.NoError(b.t, db.Close())
}

// inTarget runs a statement in PostgreSQL and returns the rows.
func (b *bed) inTarget(query string) [][]any {
	b.t.Helper()
	c, err := pgx.Connect(b.t.Context(), b.url)
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, c.Close(b.t.Context())) }()
	rows, err := c.Query(b.t.Context(), query)
	require.NoError(b.t, err)
	got, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	require.NoError(b.t, err, query)
	return got
}

// fill puts rows into every table of the embedded database, another value into every
// column, and returns them by table and column. What refers to something is named
// after the row alone.
func (b *bed) fill(rows int) map[string][]map[string]any {
	b.t.Helper()
	filled := make(map[string][]map[string]any)
	b.inSource(func(db *sql.DB) {
		n := int64(0)
		for _, c := range columns(b.t, db) {
			table, column, kind, key := c.table, c.name, c.kind, c.key
			if filled[table] == nil {
				for range rows {
					filled[table] = append(filled[table], make(map[string]any))
				}
			}
			for i, row := range filled[table] {
				n++
				switch {
				case table == "turns" && column == "work":
					row[column] = `{}`
				case table == "turns" && column == "carrier":
					row[column] = int64(0)
				case table == "removed_positions":
					// Events with lower positions do not come later.
					row[column] = int64(i + 1)
				case kind == "TEXT" && key:
					row[column] = fmt.Sprintf("row %d", i)
				case kind == "TEXT":
					row[column] = fmt.Sprintf("%s.%s %d é", table, column, i)
				case kind == "BOOLEAN":
					row[column] = i%2 == 0
				case kind == "BLOB":
					row[column] = fmt.Appendf(nil, "\x00%s.%s %d\xff", table, column, i)
				default:
					row[column] = 1000*n + int64(i)
				}
			}
		}
		for table, all := range filled {
			// The migrations make a row, as on the other side.
			_, err := db.Exec(`DELETE FROM ` + table)
			require.NoError(b.t, err, table)
			for _, row := range all {
				insert(b.t, db, table, row)
			}
		}
	})
	require.NotEmpty(b.t, filled)
	return filled
}

// column is one of the embedded database; key is set where rows are found or refer to
// others by it.
type column struct {
	table, name, kind string
	key               bool
}

func columns(t *testing.T, db *sql.DB) (all []column) {
	t.Helper()
	rows, err := db.Query(`SELECT t.name, c.name, c.type, c.pk > 0 OR c.name LIKE '%\_id' ESCAPE '\' OR c.name = 'account'
		FROM sqlite_schema t JOIN pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT IN ('goose_db_version', 'probe')`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var c column
		require.NoError(t, rows.Scan(&c.table, &c.name, &c.kind, &c.key))
		all = append(all, c)
	}
	require.NoError(t, rows.Err())
	return all
}

func insert(t *testing.T, db *sql.DB, table string, row map[string]any) {
	t.Helper()
	var names, marks []string
	var values []any
	for name, value := range row {
		names, marks, values = append(names, `"`+name+`"`), append(marks, "?"), append(values, value)
	}
	_, err := db.Exec(`INSERT INTO `+table+` (`+strings.Join(names, ", ")+`) VALUES (`+strings.Join(marks, ", ")+`)`, values...)
	require.NoError(t, err, table)
}

// Whoever adds a table or a column to one of the two schemas and not to the other, or of
// a type that is not carried, learns it here.
func TestEveryColumnOfEveryTableIsCarried(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	filled := b.fill(7)
	before, err := os.ReadFile(b.path)
	require.NoError(t, err)
	report, err := b.move(nil)
	require.NoError(t, err)
	after, err := os.ReadFile(b.path)
	require.NoError(t, err)
	require.Equal(t, before, after, "the source is not touched")

	require.Len(t, report.Tables, len(filled))
	require.EqualValues(t, 7, report.Queued)
	require.Zero(t, report.Replaced)
	for _, moved := range report.Tables {
		require.EqualValues(t, 7, moved.Rows, moved.Table)
		require.Contains(t, report.String(), moved.Table)
	}
	tables := b.inTarget(`SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'
		AND table_name NOT LIKE 'river%' AND table_name NOT IN ('goose_db_version', 'probe', 'replicas')`)
	require.Len(t, tables, len(filled))
	for table, rows := range filled {
		names := make([]string, 0, len(rows[0]))
		for name := range rows[0] {
			names = append(names, name)
		}
		got := b.inTarget(`SELECT "` + strings.Join(names, `", "`) + `" FROM ` + table)
		require.Len(t, got, len(rows), table)
		columns := b.inTarget(`SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '` + table + `'`)
		require.EqualValues(t, len(names), columns[0][0], table)
		want := make([]string, len(rows))
		for i, row := range rows {
			for _, name := range names {
				want[i] += fmt.Sprintf("%s=%v ", name, row[name])
			}
		}
		have := make([]string, len(got))
		for i, row := range got {
			for j, name := range names {
				have[i] += fmt.Sprintf("%s=%v ", name, row[j])
			}
		}
		require.ElementsMatch(t, want, have, table)
	}
	newest := b.inTarget(`SELECT max(position) FROM events`)[0][0].(int64)
	next := b.inTarget(`INSERT INTO events (execution_id, at, subject, state, stage, action, action_execution_id, attempt, principal, message)
		VALUES ('row 0', 0, '', '', '', '', '', 0, '', '') RETURNING position`)
	require.Equal(t, newest+1, next[0][0], "positions go on where they were")
}

// A subscriber of the feed continues on the new database, also if the newest events of the
// old one were removed with their pipeline.
func TestRemovedPositionsAreNotAssignedAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	events := b.fill(3)["events"]
	newest := int64(0)
	for _, row := range events {
		newest = max(newest, row["position"].(int64))
	}
	removed := newest + 100
	b.inSource(func(db *sql.DB) {
		_, err := db.Exec(`INSERT INTO removed_positions (position) VALUES (?)`, removed)
		require.NoError(t, err)
	})
	_, err := b.move(nil)
	require.NoError(t, err)
	s, err := postgres.Open(t.Context(), postgres.Config{URL: b.url, Log: hclog.NewNullLogger()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	var all, none store.FeedPage
	require.NoError(t, s.View(t.Context(), func(ctx context.Context, r store.Reader) (err error) {
		if all, err = r.Feed(ctx, store.FeedQuery{}); err != nil {
			return err
		}
		none, err = r.Feed(ctx, store.FeedQuery{After: removed})
		return err
	}))
	require.Len(t, all.Events, len(events))
	require.Equal(t, newest, all.Next)
	require.Equal(t, store.FeedPage{Next: removed}, none)
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.Apply(ctx, &execution.Change{Events: []execution.Event{{ExecutionID: "row 0", Subject: execution.SubjectExecution}}})
	}))
	require.NoError(t, s.View(t.Context(), func(ctx context.Context, r store.Reader) (err error) {
		all, err = r.Feed(ctx, store.FeedQuery{After: removed})
		return err
	}))
	require.Equal(t, removed+1, all.Next)
}

// empty checks that the target is as the migrations left it.
func (b *bed) empty() {
	b.t.Helper()
	for _, table := range []string{"accounts", "pipelines", "events", "turns", "river_job"} {
		require.Empty(b.t, b.inTarget(`SELECT * FROM `+table), table)
	}
	require.Equal(b.t, false, b.inTarget(`SELECT is_called FROM events_position_seq`)[0][0])
}

func TestOnlyTheEmptyTakesAnything(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ query, want string }{
		"an account":      {`INSERT INTO accounts (name, created_at) VALUES ('other', 1)`, "rows in accounts"},
		"a request":       {`INSERT INTO requests VALUES ('a', 'b', 'c', 'd', 1)`, "rows in requests"},
		"a job":           {`INSERT INTO river_job (kind, args, max_attempts) VALUES ('turn', '{}', 1)`, "1 jobs"},
		"a newer schema":  {`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`, "start a newer headraced"},
		"an older schema": {`DELETE FROM goose_db_version WHERE version_id > 1`, "run headraced migrate"},
		"no schema":       {`DROP TABLE goose_db_version`, "run headraced migrate"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.fill(2)
			b.inTarget(test.query)
			_, err := b.move(nil)
			require.ErrorContains(t, err, test.want)
			require.Empty(t, b.inTarget(`SELECT * FROM pipelines`))
		})
	}
}

func TestSourceOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ query, want string }{
		"newer":             {`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`, "start a newer headraced"},
		"older":             {`DELETE FROM goose_db_version WHERE version_id > 1`, "start this headraced on it once"},
		"not of headraced":  {`DROP TABLE goose_db_version`, "not a headraced database"},
		"another table":     {`CREATE TABLE forgotten (id TEXT)`, "only the source has table forgotten"},
		"another column":    {`ALTER TABLE accounts ADD COLUMN forgotten TEXT`, "only the source has accounts.forgotten"},
		"a column is gone":  {`ALTER TABLE executions DROP COLUMN details`, "only the target has executions.details"},
		"a value of no use": {`INSERT INTO accounts (name, created_at) VALUES ('a', 'yesterday')`, "accounts.created_at"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.inSource(func(db *sql.DB) {
				_, err := db.Exec(test.query)
				require.NoError(t, err)
			})
			_, err := b.move(nil)
			require.ErrorContains(t, err, test.want)
			b.empty()
		})
	}
}

// meddler does something to the rows of a table on their way.
type meddler struct {
	transfer.Target

	table string
	with  func(row []any) ([]any, error)
}

func (m meddler) Write(ctx context.Context, table transfer.Table, rows iter.Seq2[[]any, error]) (int64, error) {
	if table.Name != m.table {
		return m.Target.Write(ctx, table, rows)
	}
	return m.Target.Write(ctx, table, func(yield func([]any, error) bool) {
		for row, err := range rows {
			if err == nil {
				row, err = m.with(row)
			}
			if row == nil && err == nil {
				continue
			}
			if !yield(row, err) {
				return
			}
		}
	})
}

func TestWhatGoesWrongLeavesNothing(t *testing.T) {
	t.Parallel()
	lost := errors.New("the power is gone")
	tests := map[string]struct {
		with func(row []any) ([]any, error)
		want string
	}{
		"an error":        {func([]any) ([]any, error) { return nil, lost }, lost.Error()},
		"a row is lost":   {func([]any) ([]any, error) { return nil, nil }, "move table turns: 2 rows were read and 0 written"},
		"a value differs": {func(row []any) ([]any, error) { row = slices.Clone(row); row[1] = int64(7); return row, nil }, "table turns: what arrived is not what was sent"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.fill(2)
			_, err := b.move(func(target transfer.Target) transfer.Target { return meddler{target, "turns", test.with} })
			require.ErrorContains(t, err, test.want)
			b.empty()
			_, err = b.move(nil)
			require.NoError(t, err, "and it can be done again")
			_, err = b.move(nil)
			require.ErrorIs(t, err, transfer.ErrNotEmpty)
		})
	}
}

// A NUL may be in what people and programs wrote. It must not keep anybody on the
// embedded database.
func TestTextsThatPostgreSQLDoesNotTake(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.inSource(func(db *sql.DB) {
		insert(t, db, "accounts", map[string]any{"name": "a", "created_at": 1})
		insert(t, db, "approval_rules", map[string]any{
			"account": "a", "name": "r", "rule": "one\x00two\xff", "revision": 1, "created_at": 1, "updated_at": 1,
		})
	})
	report, err := b.move(nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, report.Replaced)
	require.Contains(t, report.String(), "1 texts had a character")
	require.Equal(t, "one\uFFFDtwo\uFFFD", b.inTarget(`SELECT rule FROM approval_rules`)[0][0])
}

// Turns that wait are jobs afterwards, and come when they are due.
func TestTurnsGoOn(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	due := time.Now().Add(3 * time.Second).UTC().Truncate(time.Microsecond)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: b.path})
	require.NoError(t, err)
	turn := func(id string, due time.Time) *execution.Turn {
		return &execution.Turn{ID: id, Kind: execution.TurnRecheck, ExecutionID: "e", Scope: execution.ScopeKey{PipelineID: "p"}, DueAt: due}
	}
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.Apply(ctx, &execution.Change{Turns: []*execution.Turn{turn("later", due), turn("now", due.Add(-time.Hour)), turn("in a year", due.AddDate(1, 0, 0))}})
	}))
	require.NoError(t, s.Close())
	report, err := b.move(nil)
	require.NoError(t, err)
	require.EqualValues(t, 3, report.Queued)

	moved, err := postgres.Open(context.Background(), postgres.Config{URL: b.url, Jobs: b.queue, Log: hclog.NewNullLogger()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, moved.Close()) })
	b.queue.Use(moved)
	ctx, cancel := context.WithCancel(t.Context())
	ran, done := make(chan *execution.Turn, 3), make(chan error, 1)
	go func() {
		done <- b.queue.Run(ctx, func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
			ran <- turn
			return nil, moved.Update(ctx, func(ctx context.Context, tx store.Tx) error {
				return tx.Apply(ctx, &execution.Change{DoneTurns: []string{turn.ID}, Carrier: turn.Carrier})
			})
		})
	}()
	require.Equal(t, "now", (<-ran).ID)
	later := <-ran
	require.Equal(t, "later", later.ID)
	require.Equal(t, due, later.DueAt)
	require.False(t, time.Now().Before(due), "not before its time")
	cancel()
	require.NoError(t, <-done)
	require.Empty(t, ran)
}
