package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// places returns the placeholders of n arguments, of which the first is the given one.
func places(first, n int) string {
	marks := make([]string, n)
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(first+i)
	}
	return strings.Join(marks, ", ")
}

// listIn is list for a query about many keys, which come after its other arguments. It
// says nothing of no keys.
func listIn[T any](ctx context.Context, t *Tx, scan func(*row) (T, error), keys []string, query string, args ...any) ([]T, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return list(ctx, t, scan, fmt.Sprintf(query, places(len(args)+1, len(keys))), append(args, anys(keys)...)...)
}

// anys returns texts as arguments of a statement.
func anys[T ~string](texts []T) []any {
	all := make([]any, len(texts))
	for i, text := range texts {
		all[i] = string(text)
	}
	return all
}

func scanText(rows *row) (string, error) {
	var text string
	return text, rows.Scan(&text)
}

// ExecutionsWithOutputs implements store.Reader.
func (t *Tx) ExecutionsWithOutputs(ctx context.Context, pipelineID string, after int64, size int) ([]*execution.Execution, error) {
	return list(ctx, t, scanExecution, executionTable.query(
		`WHERE pipeline_id = $1 AND number > $2 AND outputs_removed_at = 0 ORDER BY number LIMIT $3`), pipelineID, after, limit(size))
}

// PipelineState implements store.Reader.
func (t *Tx) PipelineState(ctx context.Context, pipelineID string) (newest int64, state *execution.PipelineState, err error) {
	var text string
	state = &execution.PipelineState{}
	if err := t.one(ctx, "scope of pipeline "+pipelineID,
		`SELECT last_number, state FROM scopes WHERE pipeline_id = $1 AND execution_id = ''`, []any{pipelineID}, &newest, &text); err != nil {
		return 0, nil, err
	}
	if text != "" {
		err = decode(text, state)
	}
	return newest, state, err
}

// ArtifactUses implements store.Reader.
func (t *Tx) ArtifactUses(ctx context.Context, executionIDs []string) ([]store.ArtifactUse, error) {
	return listIn(ctx, t, func(rows *row) (u store.ArtifactUse, err error) {
		return u, rows.Scan(&u.ExecutionID, &u.Digest, &u.Size)
	}, executionIDs, `SELECT execution_id, digest, size FROM artifact_uses WHERE execution_id IN (%s)`)
}

// CountUses implements store.Reader.
func (t *Tx) CountUses(ctx context.Context, digests []string) (map[string]int, error) {
	counts := make(map[string]int)
	_, err := listIn(ctx, t, func(rows *row) (digest string, err error) {
		var n int
		err = rows.Scan(&digest, &n)
		counts[digest] = n
		return digest, err
	}, digests, `SELECT digest, count(*) FROM artifact_uses WHERE digest IN (%s) GROUP BY digest`)
	return counts, err
}

// ArtifactRemovals implements store.Reader.
func (t *Tx) ArtifactRemovals(ctx context.Context, digests []string) (map[string]store.ArtifactRemoval, error) {
	removals := make(map[string]store.ArtifactRemoval)
	_, err := listIn(ctx, t, func(rows *row) (digest string, err error) {
		var marked, claimed, removed int64
		err = rows.Scan(&digest, &marked, &claimed, &removed)
		removals[digest] = store.ArtifactRemoval{MarkedAt: fromMicros(marked), ClaimedAt: fromMicros(claimed), RemovedAt: fromMicros(removed)}
		return digest, err
	}, digests, `SELECT digest, marked_at, claimed_at, removed_at FROM artifact_removals WHERE digest IN (%s)`)
	return removals, err
}

// SmallLogs implements store.Reader.
func (t *Tx) SmallLogs(ctx context.Context, executionID, actionExecutionID string) ([]execution.Log, error) {
	return list(ctx, t, func(rows *row) (l execution.Log, err error) {
		return l, scan(rows, logColumns(rows.columns[:0], &l))
	}, logsQuery, executionID, actionExecutionID)
}

// LogRemovals implements store.Reader.
func (t *Tx) LogRemovals(ctx context.Context, size int) ([]string, error) {
	return list(ctx, t, scanText, `SELECT execution_id FROM log_removals ORDER BY execution_id LIMIT $1`, limit(size))
}

// useArtifacts notes what an execution has made or got.
func (t *Tx) useArtifacts(ctx context.Context, executionID string, artifacts []action.Artifact) error {
	for _, a := range artifacts {
		if err := t.changedLater(ctx, store.ErrRemoving, "artifact sha256:"+a.Digest,
			`INSERT INTO artifact_uses (execution_id, digest, size) SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT)
			WHERE NOT EXISTS (SELECT 1 FROM artifact_removals WHERE digest = $2 AND claimed_at <> 0)
			ON CONFLICT (execution_id, digest) DO UPDATE SET size = excluded.size`, executionID, a.Digest, a.Size); err != nil {
			return err
		}
	}
	return nil
}

// RemoveOutputs implements store.Tx.
func (t *Tx) RemoveOutputs(ctx context.Context, executionIDs []string, ended, at time.Time) ([]string, error) {
	removed, err := listIn(ctx, t, scanText, executionIDs, `UPDATE executions SET outputs_removed_at = $1
		WHERE outputs_removed_at = 0 AND NOT (`+live+`) AND ended_at <= $2 AND id IN (%s) RETURNING id`, micros(at), micros(ended))
	if err != nil || len(removed) == 0 {
		return nil, err
	}
	if err := t.later(ctx, "artifacts of executions",
		`DELETE FROM artifact_uses WHERE execution_id IN (`+places(1, len(removed))+`)`, anys(removed)...); err != nil {
		return nil, err
	}
	if err := t.later(ctx, "small logs of executions",
		`DELETE FROM action_logs WHERE execution_id IN (`+places(1, len(removed))+`)`, anys(removed)...); err != nil {
		return nil, err
	}
	return removed, t.later(ctx, "logs of executions", `INSERT INTO log_removals (execution_id)
		SELECT id FROM executions WHERE id IN (`+places(1, len(removed))+`) ON CONFLICT DO NOTHING`, anys(removed)...)
}

// removePipelineOutputs is RemoveOutputs for a pipeline that is being deleted.
func (t *Tx) removePipelineOutputs(ctx context.Context, id string) error {
	if err := t.later(ctx, "artifacts of pipeline "+id,
		`DELETE FROM artifact_uses WHERE execution_id IN (SELECT id FROM executions WHERE pipeline_id = $1)`, id); err != nil {
		return err
	}
	if err := t.later(ctx, "small logs of pipeline "+id,
		`DELETE FROM action_logs WHERE execution_id IN (SELECT id FROM executions WHERE pipeline_id = $1)`, id); err != nil {
		return err
	}
	return t.later(ctx, "logs of pipeline "+id, `INSERT INTO log_removals (execution_id)
		SELECT id FROM executions WHERE pipeline_id = $1 AND outputs_removed_at = 0 ON CONFLICT DO NOTHING`, id)
}

// FinishLogRemovals implements store.Tx.
func (t *Tx) FinishLogRemovals(ctx context.Context, executionIDs []string) error {
	if len(executionIDs) == 0 {
		return nil
	}
	return t.later(ctx, "removed logs",
		`DELETE FROM log_removals WHERE execution_id IN (`+places(1, len(executionIDs))+`)`, anys(executionIDs)...)
}

// MarkArtifacts implements store.Tx.
func (t *Tx) MarkArtifacts(ctx context.Context, digests []string, at time.Time) error {
	for _, digest := range digests {
		if err := t.later(ctx, "artifact sha256:"+digest, `INSERT INTO artifact_removals (digest, marked_at, claimed_at, removed_at)
			SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), 0, 0 WHERE NOT EXISTS (SELECT 1 FROM artifact_uses WHERE digest = $1)
			ON CONFLICT (digest) DO NOTHING`, digest, micros(at)); err != nil {
			return err
		}
	}
	return nil
}

// ClaimArtifact implements store.Tx.
func (t *Tx) ClaimArtifact(ctx context.Context, digest string, seen store.ArtifactRemoval, at time.Time) error {
	return t.changed(ctx, store.ErrStale, "artifact sha256:"+digest, `UPDATE artifact_removals SET claimed_at = $4, removed_at = 0
		WHERE digest = $1 AND marked_at = $2 AND claimed_at = $3 AND NOT EXISTS (SELECT 1 FROM artifact_uses WHERE digest = $1)`,
		digest, micros(seen.MarkedAt), micros(seen.ClaimedAt), micros(at))
}

// FinishArtifactRemoval implements store.Tx.
func (t *Tx) FinishArtifactRemoval(ctx context.Context, digest string, claimed, at time.Time) error {
	return t.changed(ctx, store.ErrStale, "artifact sha256:"+digest,
		`UPDATE artifact_removals SET removed_at = $3 WHERE digest = $1 AND claimed_at = $2`, digest, micros(claimed), micros(at))
}

// RestoreArtifact implements store.Tx.
func (t *Tx) RestoreArtifact(ctx context.Context, digest string, claimed time.Time) error {
	return t.changed(ctx, store.ErrStale, "artifact sha256:"+digest,
		`DELETE FROM artifact_removals WHERE digest = $1 AND claimed_at = $2`, digest, micros(claimed))
}

// PruneRemovals implements store.Tx.
func (t *Tx) PruneRemovals(ctx context.Context, before time.Time) error {
	return t.exec(ctx, "removed artifacts", `DELETE FROM artifact_removals WHERE marked_at < $1 AND claimed_at < $1 AND removed_at < $1
		AND (removed_at <> 0 OR claimed_at = 0)`, micros(before))
}
