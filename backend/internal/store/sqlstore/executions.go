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

// Statements of executions, their stages and actions.
var (
	executionTable      = newTable("executions", (&executionRow{Execution: &execution.Execution{}}).columns(nil))
	executionQuery      = executionTable.query(`WHERE id = $1`)
	liveExecutionsQuery = executionTable.query(`WHERE pipeline_id = $1 AND ` + live + byNumber)
	liveExecutionQuery  = executionTable.query(`WHERE id = $1 AND ` + live)
	liveScopeQuery      = executionTable.query(`WHERE pipeline_id = $1 AND ` + live + ` AND mode <> $2` + byNumber)

	stageTable  = newTable("stage_executions", stageColumns(nil, &execution.StageOf{Stage: &execution.Stage{}}))
	stagesQuery = stageTable.query(`WHERE execution_id = $1 ORDER BY position`)

	actionTable = newTable("action_executions", actionColumns(nil, &execution.ActionOf{Action: &execution.Action{}}))
	// Ids ascend in the order of the starts, which a stage keeps its actions in. Run orders
	// do not after a retry started some again.
	actionsQuery = actionTable.query(`WHERE execution_id = $1 ORDER BY id`)
)

// executionRow is a row of the table of executions.
type executionRow struct {
	*execution.Execution

	details executionDetails
}

func rowOf(e *execution.Execution) executionRow {
	return executionRow{e, executionDetails{
		Type: e.Type, Attempt: e.Attempt, Summary: e.Summary, Trigger: e.Trigger, Variables: e.Variables,
		Overrides: e.Overrides, Revisions: e.Revisions, Rollback: e.Rollback, Stop: e.Stop, Cancel: e.Cancel,
	}}
}

func (r *executionRow) columns(c []column) []column {
	return append(c,
		text(identity, "id", &r.ID),
		text(constant, "account", &r.Account),
		text(constant, "pipeline_id", &r.PipelineID),
		text(constant, "pipeline", &r.Pipeline),
		number(constant, "number", &r.Number),
		number(constant, "version", &r.Version),
		text(constant, "mode", &r.Mode),
		text(variable, "status", &r.Status),
		record(variable, "details", &r.details),
		instant(constant, "started_at", &r.StartedAt),
		instant(variable, "updated_at", &r.UpdatedAt),
		instant(variable, "ended_at", &r.EndedAt),
		instant(constant, "outputs_removed_at", &r.OutputsRemovedAt),
	)
}

func scanExecution(rows *row) (*execution.Execution, error) {
	e := &execution.Execution{}
	r := executionRow{e, executionDetails{Type: pipeline.TypeStandard, Attempt: 1}}
	if err := scan(rows, r.columns(rows.columns[:0])); err != nil {
		return nil, err
	}
	d := &r.details
	e.Type, e.Attempt, e.Summary, e.Trigger, e.Variables = d.Type, d.Attempt, d.Summary, d.Trigger, d.Variables
	e.Overrides, e.Revisions, e.Rollback, e.Stop, e.Cancel = d.Overrides, d.Revisions, d.Rollback, d.Stop, d.Cancel
	return e, nil
}

func scanStage(rows *row) (execution.StageOf, error) {
	s := execution.StageOf{Stage: &execution.Stage{}}
	err := scan(rows, stageColumns(rows.columns[:0], &s))
	return s, err
}

func stageColumns(c []column, s *execution.StageOf) []column {
	detailed := s.Phase != "" || s.Retries != nil || len(s.Conditions) > 0
	return append(c,
		text(identity, "execution_id", &s.ExecutionID),
		number(identity, "position", &s.Position),
		text(constant, "name", &s.Name),
		text(variable, "status", &s.Status),
		number(constant, "arrival", &s.Arrival),
		instant(constant, "arrived_at", &s.ArrivedAt),
		instant(variable, "started_at", &s.StartedAt),
		instant(variable, "ended_at", &s.EndedAt),
		recordIf(s.Entry != nil, variable, "entry", &s.Entry),
		recordIf(detailed, variable, "details", &s.StageDetails),
	)
}

func scanAction(rows *row) (execution.ActionOf, error) {
	a := execution.ActionOf{Action: &execution.Action{}}
	err := scan(rows, actionColumns(rows.columns[:0], &a))
	return a, err
}

func actionColumns(c []column, a *execution.ActionOf) []column {
	return append(c,
		text(identity, "id", &a.ID),
		text(identity, "execution_id", &a.ExecutionID),
		number(constant, "stage_position", &a.Stage),
		text(constant, "name", &a.Name),
		text(constant, "category", &a.Category),
		text(constant, "provider", &a.Provider),
		number(constant, "work", &a.Work),
		number(constant, "run_order", &a.RunOrder),
		text(constant, "namespace", &a.Namespace),
		number(variable, "attempt", &a.Attempt),
		text(variable, "status", &a.Status),
		flag(variable, "retried", &a.Retried),
		instant(constant, "started_at", &a.StartedAt),
		instant(variable, "ended_at", &a.EndedAt),
		record(variable, "details", &a.Details),
	)
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
	found, err := list(ctx, t, scanExecution, executionQuery, id)
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
	stages, err := list(ctx, t, scanStage, stagesQuery, e.ID)
	if err != nil {
		return err
	}
	actions, err := list(ctx, t, scanAction, actionsQuery, e.ID)
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

// Executions implements store.Reader. The database selects by the text of a document, where it
// may find too many, so each is compared again.
func (t *Tx) Executions(ctx context.Context, f store.ExecutionFilter) ([]*execution.Execution, error) {
	var all []*execution.Execution
	for size := f.Size; ; {
		found, err := t.executionsPage(ctx, &f)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			if selects(&f, e) {
				all = append(all, e)
			}
		}
		if size <= 0 || len(found) < f.Size || len(all) == size {
			return all, nil
		}
		f.Before, f.Size = found[len(found)-1].ID, size-len(all)
	}
}

func (t *Tx) executionsPage(ctx context.Context, f *store.ExecutionFilter) ([]*execution.Execution, error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		marks := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			marks[i] = "$" + strconv.Itoa(len(args))
		}
		where = append(where, fmt.Sprintf(condition, marks...))
	}
	if f.PipelineID != "" {
		add("pipeline_id = %s", f.PipelineID)
	} else {
		add("account = %s", f.Account)
	}
	if f.Before != "" {
		add("id < %s", f.Before)
	}
	if len(f.Statuses) > 0 {
		add("status IN ("+strings.Repeat(", %s", len(f.Statuses))[2:]+")", anys(f.Statuses)...)
	}
	if f.Number != 0 {
		add("number = %s", f.Number)
	}
	if !f.From.IsZero() {
		add("started_at >= %s", micros(f.From))
	}
	if !f.To.IsZero() {
		add("started_at < %s", micros(f.To))
	}
	if len(f.Triggers) > 0 {
		patterns := make([]any, len(f.Triggers))
		for i, kind := range f.Triggers {
			patterns[i] = holding(`"trigger":{"type":`, string(kind), `"`)
		}
		add("("+strings.Repeat(" OR "+likeDetails, len(patterns))[4:]+")", patterns...)
	}
	if f.Principal != "" {
		add(likeDetails, holding(`"principal":`, f.Principal, `"`))
	}
	if f.Revision != "" {
		add("("+likeDetails+" OR "+likeDetails+")", holding(`"id":`, f.Revision, ""), holding(`"to":`, f.Revision, ""))
	}
	args = append(args, limit(f.Size))
	return list(ctx, t, scanExecution, executionTable.query(
		fmt.Sprintf(`WHERE %s ORDER BY id DESC LIMIT $%d`, strings.Join(where, " AND "), len(args))), args...)
}

// likeDetails compares the document of an execution with a pattern of holding.
const likeDetails = `details LIKE %s ESCAPE '\'`

// holding returns the pattern of a document that has a text after a key, and what follows it.
func holding(key, text, end string) string {
	// A text always encodes.
	encoded, _ := document(text)
	escaper := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
	return "%" + escaper.Replace(key+strings.TrimSuffix(encoded, `"`)+end) + "%"
}

// selects tells whether a filter selects an execution by what its document says.
func selects(f *store.ExecutionFilter, e *execution.Execution) bool {
	switch {
	case len(f.Triggers) > 0 && !slices.Contains(f.Triggers, e.Trigger.Type):
		return false
	case f.Principal != "" && f.Principal != e.Trigger.Principal:
		return false
	}
	return f.Revision == "" || strings.HasPrefix(e.Trigger.To, f.Revision) ||
		slices.ContainsFunc(e.Revisions, func(r execution.SourceRevision) bool { return strings.HasPrefix(r.ID, f.Revision) })
}

// live must be written as in PostgreSQL's partial index, for the planner to use it.
const live = `status IN ('InProgress', 'Stopping')`

// byNumber orders the few executions that are live. It is an expression: SQLite would read all
// executions of the pipeline by the index of their numbers.
const byNumber = ` ORDER BY number + 0`

// LiveExecutions implements store.Reader.
func (t *Tx) LiveExecutions(ctx context.Context, pipelineID string) ([]*execution.Execution, error) {
	return list(ctx, t, scanExecution, liveExecutionsQuery, pipelineID)
}

// CountLive implements store.Reader.
func (t *Tx) CountLive(ctx context.Context) (int, error) {
	var n int
	// By account, since an index has the statuses of each. SQLite keeps the order of a CROSS JOIN.
	err := t.one(ctx, "live executions", `SELECT count(*) FROM accounts AS a CROSS JOIN executions AS e WHERE e.account = a.name AND `+live, nil, &n)
	return n, err
}

// CountLiveOf implements store.Reader.
func (t *Tx) CountLiveOf(ctx context.Context, pipelineID string) (int, error) {
	var n int
	err := t.one(ctx, "live executions", `SELECT count(*) FROM executions WHERE pipeline_id = $1 AND `+live, []any{pipelineID}, &n)
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
	query, args := liveScopeQuery, []any{key.PipelineID, string(pipeline.Parallel)}
	if key.ExecutionID != "" {
		query, args = liveExecutionQuery, []any{key.ExecutionID}
	}
	found, err := list(ctx, t, scanExecution, query, args...)
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

// Statements of attempts.
var (
	leaseTable      = newTable("leases", (&leaseRow{Lease: &execution.Lease{}}).columns(nil))
	leaseQuery      = leaseTable.query(`WHERE action_execution_id = $1`)
	leasesOfQuery   = leaseTable.query(`WHERE action_execution_id IN (%s)`)
	heldLeasesQuery = leaseTable.query(`WHERE ` + held + ` ORDER BY queued_at, action_execution_id`)
	// The second condition is that of the index of held attempts.
	renewLeasesQuery = `UPDATE leases SET until = $2 WHERE runner = $1 AND runner <> '' RETURNING ` + leaseTable.columns
)

// leaseRow is a row of the table of attempts.
type leaseRow struct {
	*execution.Lease

	parallel bool
}

func (r *leaseRow) columns(c []column) []column {
	a := &r.Attempt
	return append(c,
		text(identity, "action_execution_id", &a.ActionExecutionID),
		number(constant, "number", &a.Number),
		text(constant, "account", &a.Account),
		text(constant, "execution_id", &a.ExecutionID),
		text(constant, "pipeline_id", &r.Scope.PipelineID),
		flag(constant, "parallel", &r.parallel),
		record(constant, "attempt", a),
		text(constant, "runner", &r.Runner),
		instant(constant, "until", &r.Until),
		instant(constant, "queued_at", &r.QueuedAt),
	)
}

// scanLease reads a lease, and what the query selects after it.
func scanLease(rows *row, further ...any) (*execution.Lease, error) {
	r := leaseRow{Lease: &execution.Lease{}}
	if err := scan(rows, r.columns(rows.columns[:0]), further...); err != nil {
		return nil, err
	}
	if r.parallel {
		r.Scope.ExecutionID = r.Attempt.ExecutionID
	}
	return r.Lease, nil
}

func leaseOnly(rows *row) (*execution.Lease, error) { return scanLease(rows) }

// Lease implements store.Reader.
func (t *Tx) Lease(ctx context.Context, actionExecutionID string) (*execution.Lease, error) {
	found, err := list(ctx, t, leaseOnly, leaseQuery, actionExecutionID)
	return first(found, "attempt "+actionExecutionID, err)
}

// LeasesOf implements store.Reader.
func (t *Tx) LeasesOf(ctx context.Context, actionExecutionIDs []string) ([]*execution.Lease, error) {
	return listIn(ctx, t, leaseOnly, actionExecutionIDs, leasesOfQuery)
}

// HeldLeases implements store.Reader.
func (t *Tx) HeldLeases(ctx context.Context) ([]*execution.Lease, error) {
	return list(ctx, t, leaseOnly, heldLeasesQuery)
}

// RenewLeases implements store.Tx.
func (t *Tx) RenewLeases(ctx context.Context, runner string, until time.Time) ([]*execution.Lease, error) {
	return list(ctx, t, leaseOnly, renewLeasesQuery, runner, micros(until))
}

// ReleaseLease implements store.Tx.
func (t *Tx) ReleaseLease(ctx context.Context, actionExecutionID string, number int, runner string) error {
	return t.changed(ctx, store.ErrStale, "attempt "+actionExecutionID,
		`UPDATE leases SET runner = '', until = 0 WHERE action_execution_id = $1 AND number = $2 AND runner = $3`,
		actionExecutionID, number, runner)
}

// ReturnLease implements store.Tx.
func (t *Tx) ReturnLease(ctx context.Context, lease *execution.Lease, runner string) error {
	attempt := &lease.Attempt
	text, err := document(attempt)
	if err != nil {
		return err
	}
	err = t.changed(ctx, store.ErrStale, "attempt "+attempt.ActionExecutionID,
		`UPDATE leases SET runner = '', until = 0, attempt = $4 WHERE action_execution_id = $1 AND number = $2 AND runner = $3`,
		attempt.ActionExecutionID, attempt.Number, runner, text)
	if err == nil {
		// Runners of other servers need not wait until they look by themselves.
		t.conn.NoteChange(&execution.Change{Leases: []*execution.Lease{lease}})
	}
	return err
}

// Statements of turns.
var (
	turnTable          = newTable("turns", (&turnRow{Turn: &execution.Turn{}}).columns(nil))
	turnsQuery         = turnTable.query(`ORDER BY due_at, id`)
	turnQuery          = turnTable.query(`WHERE id = $1`)
	turnsOfQuery       = turnTable.query(`WHERE id IN (%s)`)
	turnByCarrierQuery = turnTable.query(`WHERE carrier = $1`)
)

// turnRow is a row of the table of turns.
type turnRow struct {
	*execution.Turn

	parallel bool
	work     turnWork
}

func (r *turnRow) columns(c []column) []column {
	return append(c,
		text(identity, "id", &r.ID),
		text(constant, "execution_id", &r.ExecutionID),
		text(constant, "pipeline_id", &r.Scope.PipelineID),
		flag(constant, "parallel", &r.parallel),
		text(variable, "kind", &r.Kind),
		instant(variable, "due_at", &r.DueAt),
		recordIf(r.Work != nil, variable, "work", &r.work),
		number(variable, "carrier", &r.Carrier),
	)
}

func scanTurn(rows *row) (*execution.Turn, error) {
	r := turnRow{Turn: &execution.Turn{}}
	if err := scan(rows, r.columns(rows.columns[:0])); err != nil {
		return nil, err
	}
	if r.parallel {
		r.Scope.ExecutionID = r.ExecutionID
	}
	r.Work, r.Abandon = r.work.Turn, r.work.Abandon
	return r.Turn, nil
}

// turnWork is the document of what a turn is about.
type turnWork struct {
	*action.Turn

	Abandon *execution.Abandon `json:"abandon,omitempty"`
}

// Turns implements store.Reader.
func (t *Tx) Turns(ctx context.Context) ([]*execution.Turn, error) {
	return list(ctx, t, scanTurn, turnsQuery)
}

// Turn implements store.Reader.
func (t *Tx) Turn(ctx context.Context, id string) (*execution.Turn, error) {
	found, err := list(ctx, t, scanTurn, turnQuery, id)
	return first(found, "turn "+id, err)
}

// TurnsOf implements store.Reader.
func (t *Tx) TurnsOf(ctx context.Context, ids []string) ([]*execution.Turn, error) {
	return listIn(ctx, t, scanTurn, ids, turnsOfQuery)
}

// ClaimTurn implements store.Tx.
func (t *Tx) ClaimTurn(ctx context.Context, turn *execution.Turn) (bool, error) {
	// The update locks the row until the commit.
	found, err := list(ctx, t, scanTurn, `UPDATE turns SET carrier = carrier WHERE id = $1 AND due_at = $2 RETURNING `+turnTable.columns,
		turn.ID, micros(turn.DueAt))
	return len(found) > 0, err
}

// TurnByCarrier implements store.Reader.
func (t *Tx) TurnByCarrier(ctx context.Context, carrier int64) (*execution.Turn, error) {
	found, err := list(ctx, t, scanTurn, turnByCarrierQuery, carrier)
	return first(found, fmt.Sprintf("turn that %d carries", carrier), err)
}
