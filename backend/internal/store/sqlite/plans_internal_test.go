package sqlite

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// longHistory are plans that read all rows of a table that grows with each push, or all
// executions of a pipeline.
var longHistory = regexp.MustCompile(`SCAN (executions|deliveries|trigger_decisions|e|r)\b|SEARCH executions .*\(pipeline_id=\?\)$`)

// TestLookupsReadNoHistory proves that statements which each start, each metric and each round of
// retention runs find their rows by indexes.
func TestLookupsReadNoHistory(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "headrace.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	rare := []pipeline.Status{pipeline.Failed}
	for _, run := range []func(context.Context, store.Tx) error{
		func(ctx context.Context, tx store.Tx) error { return second(tx.CountLive(ctx)) },
		func(ctx context.Context, tx store.Tx) error { return second(tx.CountLiveOf(ctx, "p")) },
		func(ctx context.Context, tx store.Tx) error { return second(tx.LiveExecutions(ctx, "p")) },
		func(ctx context.Context, tx store.Tx) error {
			return errors.Join(tx.CreateAccount(ctx, auth.Account{Name: "a"}), tx.CreatePipeline(ctx, definition.Pipeline{ID: "p", Account: "a"}))
		},
		func(ctx context.Context, tx store.Tx) error {
			return second(tx.LiveScope(ctx, execution.ScopeKey{PipelineID: "p"}))
		},
		func(ctx context.Context, tx store.Tx) error { return second(tx.Execution(ctx, "e")) },
		func(ctx context.Context, tx store.Tx) error {
			return second(tx.Executions(ctx, store.ExecutionFilter{Account: "a", Statuses: rare, Size: 1}))
		},
		func(ctx context.Context, tx store.Tx) error { return second(tx.PipelineMarks(ctx, "a")) },
		func(ctx context.Context, tx store.Tx) error { return second(tx.PipelinesOf(ctx, []string{"e"})) },
		func(ctx context.Context, tx store.Tx) error { return second(tx.Overviews(ctx, []string{"p", "q"})) },
		func(ctx context.Context, tx store.Tx) error {
			return second(tx.NewestVersions(ctx, []string{"p", "q"}))
		},
		func(ctx context.Context, tx store.Tx) error { return second(tx.Delivery(ctx, "a", "d")) },
		func(ctx context.Context, tx store.Tx) error { return second(tx.DeliveryBody(ctx, "a", "d")) },
		func(ctx context.Context, tx store.Tx) error { return tx.AddAttempt(ctx, "a", "d") },
		func(ctx context.Context, tx store.Tx) error { return tx.ForgetDedup(ctx, "a", "d") },
		func(ctx context.Context, tx store.Tx) error {
			return second(tx.Deliveries(ctx, store.DeliveryFilter{Account: "a", Size: 1}))
		},
		func(ctx context.Context, tx store.Tx) error {
			return second(tx.Deliveries(ctx, store.DeliveryFilter{WebhookID: "w", Size: 1}))
		},
		func(ctx context.Context, tx store.Tx) error { return second(tx.Decision(ctx, "a", "d")) },
		func(ctx context.Context, tx store.Tx) error { return second(tx.DecisionsOfDelivery(ctx, "d")) },
		func(ctx context.Context, tx store.Tx) error {
			return second(tx.Decisions(ctx, store.DecisionFilter{Account: "a", Size: 1}))
		},
		func(ctx context.Context, tx store.Tx) error { return tx.EndDecision(ctx, ledger.Decision{ID: "d"}) },
		func(ctx context.Context, tx store.Tx) error { return second(tx.RemoveBodies(ctx, "d", 1)) },
		func(ctx context.Context, tx store.Tx) error { return second(tx.RemoveDeliveries(ctx, "d", true, 1)) },
		func(ctx context.Context, tx store.Tx) error { return second(tx.RemoveDeliveries(ctx, "d", false, 1)) },
		func(ctx context.Context, tx store.Tx) error { return second(tx.RemoveDecisions(ctx, "d", 1)) },
		func(ctx context.Context, tx store.Tx) error {
			_, _, err := tx.AcquireLease(ctx, store.LeaseRequest{Runner: "r", Until: time.Now()})
			return err
		},
	} {
		require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			if err := run(ctx, tx); err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrStale) {
				return err
			}
			return nil
		}))
	}
	texts := slices.Concat(slices.Collect(maps.Keys(s.writing.queries)), slices.Collect(maps.Keys(s.writing.writes)))
	explained := 0
	for _, text := range texts {
		if !strings.Contains(text, " WHERE ") {
			continue
		}
		explained++
		for _, step := range plan(t, s, text) {
			require.NotRegexp(t, longHistory, step, text)
		}
	}
	require.Greater(t, explained, 15)
}

func second[T any](_ T, err error) error { return err }

// plan returns the steps by which SQLite runs a statement.
func plan(t *testing.T, s *Store, text string) (steps []string) {
	t.Helper()
	text, _ = positional(text)
	args := make([]any, strings.Count(text, "?"))
	for n := range args {
		args[n] = ""
	}
	rows, err := s.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
	require.NoError(t, err, text)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var id, parent, unused int
		var step string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &step))
		steps = append(steps, step)
	}
	require.NoError(t, rows.Err())
	return steps
}
