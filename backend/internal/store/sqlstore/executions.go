package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// executionDetails is the document of an execution's row. Those from before there
// were types and attempts are STANDARD and in their first.
type executionDetails struct {
	Type      pipeline.ExecutionType     `json:"type,omitempty"`
	Attempt   int                        `json:"attempt,omitempty"`
	Summary   string                     `json:"summary,omitempty"`
	Trigger   execution.Trigger          `json:"trigger"`
	Variables map[string]string          `json:"variables,omitempty"`
	Overrides []pipeline.Override        `json:"overrides,omitempty"`
	Revisions []execution.SourceRevision `json:"revisions,omitempty"`
	Rollback  *execution.Rollback        `json:"rollback,omitempty"`
	Stop      *execution.Stop            `json:"stop,omitempty"`
	Cancel    *execution.Cancel          `json:"cancel,omitempty"`
}

const executionColumns = `id, account, pipeline_id, pipeline, number, version, mode, status, details, started_at, updated_at, ended_at,
	outputs_removed_at`

func scanExecution(rows Rows) (*execution.Execution, error) {
	e := &execution.Execution{}
	var details string
	var started, updated, ended, removed int64
	if err := rows.Scan(&e.ID, &e.Account, &e.PipelineID, &e.Pipeline, &e.Number, &e.Version, &e.Mode, &e.Status,
		&details, &started, &updated, &ended, &removed); err != nil {
		return nil, err
	}
	d := executionDetails{Type: pipeline.TypeStandard, Attempt: 1}
	if err := decode(details, &d); err != nil {
		return nil, err
	}
	e.Type, e.Attempt, e.Summary, e.Trigger, e.Variables = d.Type, d.Attempt, d.Summary, d.Trigger, d.Variables
	e.Overrides, e.Revisions, e.Rollback, e.Stop, e.Cancel = d.Overrides, d.Revisions, d.Rollback, d.Stop, d.Cancel
	e.StartedAt, e.UpdatedAt, e.EndedAt = fromMicros(started), fromMicros(updated), fromMicros(ended)
	e.OutputsRemovedAt = fromMicros(removed)
	return e, nil
}

func detailsOf(e *execution.Execution) (string, error) {
	return document(executionDetails{
		Type: e.Type, Attempt: e.Attempt, Summary: e.Summary, Trigger: e.Trigger, Variables: e.Variables,
		Overrides: e.Overrides, Revisions: e.Revisions, Rollback: e.Rollback, Stop: e.Stop, Cancel: e.Cancel,
	})
}

const stageColumns = `execution_id, position, name, status, arrival, arrived_at, started_at, ended_at, entry, details`

func scanStage(rows Rows) (execution.StageOf, error) {
	s := execution.StageOf{Stage: &execution.Stage{}}
	var arrived, started, ended int64
	var entry, details string
	if err := rows.Scan(&s.ExecutionID, &s.Position, &s.Name, &s.Status, &s.Arrival, &arrived, &started, &ended, &entry, &details); err != nil {
		return s, err
	}
	s.ArrivedAt, s.StartedAt, s.EndedAt = fromMicros(arrived), fromMicros(started), fromMicros(ended)
	if entry != "" {
		s.Entry = &execution.Approval{}
		if err := decode(entry, s.Entry); err != nil {
			return s, err
		}
	}
	if details == "" {
		return s, nil
	}
	return s, decode(details, &s.StageDetails)
}

// stageDetailsOf is empty for a stage that nothing is kept of.
func stageDetailsOf(s *execution.Stage) (string, error) {
	if s.Phase == "" && s.Retries == nil && len(s.Conditions) == 0 {
		return "", nil
	}
	return document(&s.StageDetails)
}

const actionColumns = `id, execution_id, stage_position, name, category, provider, work, run_order, namespace, attempt,
	status, retried, started_at, ended_at, details`

func scanAction(rows Rows) (execution.ActionOf, error) {
	a := execution.ActionOf{Action: &execution.Action{}}
	var started, ended int64
	var details string
	if err := rows.Scan(&a.ID, &a.ExecutionID, &a.Stage, &a.Name, &a.Category, &a.Provider, &a.Work, &a.RunOrder,
		&a.Namespace, &a.Attempt, &a.Status, &a.Retried, &started, &ended, &details); err != nil {
		return a, err
	}
	a.StartedAt, a.EndedAt = fromMicros(started), fromMicros(ended)
	return a, decode(details, &a.Details)
}

// Execution implements store.Reader.
func (t *Tx) Execution(ctx context.Context, id string) (*execution.Execution, error) {
	e, err := t.ExecutionHead(ctx, id)
	if err != nil {
		return nil, err
	}
	return e, t.loadStages(ctx, e)
}

// ExecutionHead implements store.Reader.
func (t *Tx) ExecutionHead(ctx context.Context, id string) (*execution.Execution, error) {
	found, err := list(ctx, t, scanExecution, `SELECT `+executionColumns+` FROM executions WHERE id = $1`, id)
	return first(found, "execution "+id, err)
}

// ActionStatus implements store.Reader.
func (t *Tx) ActionStatus(ctx context.Context, executionID, actionExecutionID string) (pipeline.Status, error) {
	var status pipeline.Status
	err := t.one(ctx, "action execution "+actionExecutionID,
		`SELECT status FROM action_executions WHERE id = $1 AND execution_id = $2`, []any{actionExecutionID, executionID}, &status)
	return status, err
}

// loadStages fills in the stages and actions of an execution.
func (t *Tx) loadStages(ctx context.Context, e *execution.Execution) error {
	stages, err := list(ctx, t, scanStage, `SELECT `+stageColumns+` FROM stage_executions WHERE execution_id = $1 ORDER BY position`, e.ID)
	if err != nil {
		return err
	}
	// Ids ascend in the order of the starts, which a stage keeps its actions in: run
	// orders do not once a retry started some again.
	actions, err := list(ctx, t, scanAction,
		`SELECT `+actionColumns+` FROM action_executions WHERE execution_id = $1 ORDER BY id`, e.ID)
	if err != nil {
		return err
	}
	for _, s := range stages {
		e.Stages = append(e.Stages, s.Stage)
	}
	for _, a := range actions {
		// A rollback has one stage, wherever that is in the definition.
		i := slices.IndexFunc(e.Stages, func(s *execution.Stage) bool { return s.Position == a.Stage })
		if i < 0 {
			// Where another process commits between two reads of a transaction.
			return fmt.Errorf("execution %s: action %s is of stage %d, which is missing: %w", e.ID, a.ID, a.Stage, store.ErrStale)
		}
		e.Stages[i].Actions = append(e.Stages[i].Actions, a.Action)
	}
	return nil
}

// Executions implements store.Reader.
func (t *Tx) Executions(ctx context.Context, f store.ExecutionFilter) ([]*execution.Execution, error) {
	var where []string
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if f.PipelineID != "" {
		add("pipeline_id = $%d", f.PipelineID)
	} else {
		add("account = $%d", f.Account)
	}
	if f.Before != "" {
		add("id < $%d", f.Before)
	}
	if len(f.Statuses) > 0 {
		marks := make([]string, len(f.Statuses))
		for i, s := range f.Statuses {
			args = append(args, string(s))
			marks[i] = "$" + strconv.Itoa(len(args))
		}
		where = append(where, "status IN ("+strings.Join(marks, ", ")+")")
	}
	args = append(args, limit(f.Size))
	return list(ctx, t, scanExecution, fmt.Sprintf(`SELECT %s FROM executions WHERE %s ORDER BY id DESC LIMIT $%d`,
		executionColumns, strings.Join(where, " AND "), len(args)), args...)
}

// live must be written as in the partial index, for the planner to use it.
const live = `status IN ('InProgress', 'Stopping')`

// LiveExecutions implements store.Reader.
func (t *Tx) LiveExecutions(ctx context.Context, pipelineID string) ([]*execution.Execution, error) {
	return list(ctx, t, scanExecution,
		`SELECT `+executionColumns+` FROM executions WHERE pipeline_id = $1 AND `+live+` ORDER BY number`, pipelineID)
}

// CountLive implements store.Reader.
func (t *Tx) CountLive(ctx context.Context) (int, error) {
	var n int
	err := t.one(ctx, "live executions", `SELECT count(*) FROM executions WHERE `+live, nil, &n)
	return n, err
}

// CountAttempts implements store.Reader.
func (t *Tx) CountAttempts(ctx context.Context) (ready, held int, err error) {
	err = t.one(ctx, "attempts", `SELECT coalesce(sum(CASE WHEN runner = '' THEN 1 ELSE 0 END), 0),
		coalesce(sum(CASE WHEN runner <> '' THEN 1 ELSE 0 END), 0) FROM leases`, nil, &ready, &held)
	return ready, held, err
}

// LiveScope implements store.Reader.
func (t *Tx) LiveScope(ctx context.Context, key execution.ScopeKey) (store.LiveScope, error) {
	scope := store.LiveScope{State: &execution.PipelineState{}}
	var state string
	if err := t.one(ctx, "scope of pipeline "+key.PipelineID,
		`SELECT revision, state FROM scopes WHERE pipeline_id = $1 AND execution_id = $2`,
		[]any{key.PipelineID, key.ExecutionID}, &scope.Revision, &state); err != nil {
		return scope, err
	}
	if state != "" {
		if err := decode(state, scope.State); err != nil {
			return scope, err
		}
	}
	query, args := ` WHERE pipeline_id = $1 AND `+live+` AND mode <> $2 ORDER BY number`, []any{key.PipelineID, string(pipeline.Parallel)}
	if key.ExecutionID != "" {
		query, args = ` WHERE id = $1 AND `+live, []any{key.ExecutionID}
	}
	found, err := list(ctx, t, scanExecution, `SELECT `+executionColumns+` FROM executions`+query, args...)
	if err != nil {
		return scope, err
	}
	for _, e := range found {
		if err := t.loadStages(ctx, e); err != nil {
			return scope, err
		}
	}
	scope.Live = found
	return scope, nil
}

const scopeInsert = `INSERT INTO scopes (pipeline_id, execution_id, revision, last_number) VALUES ($1, $2, 0, 0)`

func (t *Tx) createScope(ctx context.Context, key execution.ScopeKey) error {
	return t.later(ctx, "scope of pipeline "+key.PipelineID, scopeInsert, key.PipelineID, key.ExecutionID)
}

// ClaimScope implements store.Tx.
func (t *Tx) ClaimScope(ctx context.Context, key execution.ScopeKey, revision, next int64) error {
	return t.changedLater(ctx, store.ErrStale, "scope of pipeline "+key.PipelineID,
		`UPDATE scopes SET revision = $4 WHERE pipeline_id = $1 AND execution_id = $2 AND revision = $3`,
		key.PipelineID, key.ExecutionID, revision, next)
}

const eventColumns = `execution_id, at, subject, state, stage, action, action_execution_id, attempt, execution_attempt,
	condition, principal, message`

// Events implements store.Reader.
func (t *Tx) Events(ctx context.Context, executionID string, after int64, size int) ([]execution.Event, error) {
	scan := func(rows Rows) (execution.Event, error) {
		var ev execution.Event
		var at int64
		err := rows.Scan(&ev.Position, &ev.ExecutionID, &at, &ev.Subject, &ev.State, &ev.Stage, &ev.Action,
			&ev.ActionExecutionID, &ev.Attempt, &ev.ExecutionAttempt, &ev.Condition, &ev.Principal, &ev.Message)
		ev.At = fromMicros(at)
		return ev, err
	}
	return list(ctx, t, scan, `SELECT position, `+eventColumns+` FROM events
		WHERE execution_id = $1 AND position > $2 ORDER BY position LIMIT $3`, executionID, after, limit(size))
}

func scopeKey(pipelineID, executionID string, parallel bool) execution.ScopeKey {
	if parallel {
		return execution.ScopeKey{PipelineID: pipelineID, ExecutionID: executionID}
	}
	return execution.ScopeKey{PipelineID: pipelineID}
}

const leaseColumns = `execution_id, pipeline_id, parallel, attempt, runner, until, queued_at`

// scanLease reads leaseColumns, and what follows them.
func scanLease(rows Rows, further ...any) (*execution.Lease, error) {
	var l execution.Lease
	var executionID, pipelineID, attempt string
	var parallel bool
	var until, queued int64
	columns := append([]any{&executionID, &pipelineID, &parallel, &attempt, &l.Runner, &until, &queued}, further...)
	if err := rows.Scan(columns...); err != nil {
		return nil, err
	}
	l.Scope = scopeKey(pipelineID, executionID, parallel)
	l.Until, l.QueuedAt = fromMicros(until), fromMicros(queued)
	return &l, decode(attempt, &l.Attempt)
}

func leaseOnly(rows Rows) (*execution.Lease, error) { return scanLease(rows) }

// Leases implements store.Reader.
func (t *Tx) Leases(ctx context.Context) ([]*execution.Lease, error) {
	return list(ctx, t, leaseOnly, `SELECT `+leaseColumns+` FROM leases ORDER BY queued_at, action_execution_id`)
}

// Lease implements store.Reader.
func (t *Tx) Lease(ctx context.Context, actionExecutionID string) (*execution.Lease, error) {
	found, err := list(ctx, t, leaseOnly, `SELECT `+leaseColumns+` FROM leases WHERE action_execution_id = $1`, actionExecutionID)
	return first(found, "attempt "+actionExecutionID, err)
}

// RenewLeases implements store.Tx.
func (t *Tx) RenewLeases(ctx context.Context, runner string, until time.Time) ([]*execution.Lease, error) {
	// The second condition is that of the index of those that are held.
	return list(ctx, t, leaseOnly, `UPDATE leases SET until = $2 WHERE runner = $1 AND runner <> '' RETURNING `+leaseColumns, runner, micros(until))
}

// LetLeaseGo implements store.Tx.
func (t *Tx) LetLeaseGo(ctx context.Context, actionExecutionID string, number int, runner string) error {
	return t.changed(ctx, store.ErrStale, "attempt "+actionExecutionID,
		`UPDATE leases SET runner = '', until = 0 WHERE action_execution_id = $1 AND number = $2 AND runner = $3`,
		actionExecutionID, number, runner)
}

const turnColumns = `id, execution_id, pipeline_id, parallel, kind, due_at, work, carrier`

func scanTurn(rows Rows) (*execution.Turn, error) {
	var turn execution.Turn
	var pipelineID, work string
	var parallel bool
	var due int64
	if err := rows.Scan(&turn.ID, &turn.ExecutionID, &pipelineID, &parallel, &turn.Kind, &due, &work, &turn.Carrier); err != nil {
		return nil, err
	}
	turn.Scope, turn.DueAt = scopeKey(pipelineID, turn.ExecutionID, parallel), fromMicros(due)
	if work == "" {
		return &turn, nil
	}
	turn.Work = &action.Turn{}
	return &turn, decode(work, turn.Work)
}

// Turns implements store.Reader.
func (t *Tx) Turns(ctx context.Context) ([]*execution.Turn, error) {
	return list(ctx, t, scanTurn, `SELECT `+turnColumns+` FROM turns ORDER BY due_at, id`)
}

// Turn implements store.Reader.
func (t *Tx) Turn(ctx context.Context, id string) (*execution.Turn, error) {
	found, err := list(ctx, t, scanTurn, `SELECT `+turnColumns+` FROM turns WHERE id = $1`, id)
	return first(found, "turn "+id, err)
}

// CarriedTurn implements store.Reader.
func (t *Tx) CarriedTurn(ctx context.Context, carrier int64) (*execution.Turn, error) {
	found, err := list(ctx, t, scanTurn, `SELECT `+turnColumns+` FROM turns WHERE carrier = $1`, carrier)
	return first(found, fmt.Sprintf("turn that %d carries", carrier), err)
}
