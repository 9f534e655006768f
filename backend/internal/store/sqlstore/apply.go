package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Apply implements store.Tx. Work that is over goes before work that is new,
// since a new attempt of an action takes the place of the old one.
func (t *Tx) Apply(ctx context.Context, c *execution.Change) error {
	for _, step := range []func(context.Context, *execution.Change) error{
		t.applyExecutions, t.applyState, t.applyStages, t.applyActions, t.applyEvents, t.applyDone, t.applyWork,
	} {
		if err := step(ctx, c); err != nil {
			return err
		}
	}
	t.conn.Applied(c)
	return nil
}

func (t *Tx) applyExecutions(ctx context.Context, c *execution.Change) error {
	for _, e := range c.Started {
		details, err := detailsOf(e)
		if err != nil {
			return err
		}
		if err := t.later(ctx, "execution "+e.ID, `INSERT INTO executions (`+executionColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			e.ID, e.Account, e.PipelineID, e.Pipeline, e.Number, e.Version, string(e.Mode), string(e.Status), details,
			micros(e.StartedAt), micros(e.UpdatedAt), micros(e.EndedAt), micros(e.OutputsRemovedAt)); err != nil {
			return err
		}
		if e.Rollback != nil {
			if err := t.useArtifacts(ctx, e.ID, e.Rollback.Artifacts); err != nil {
				return err
			}
		}
		if key := e.Scope(); key.ExecutionID != "" && !e.Status.Terminal() {
			if err := t.createScope(ctx, key); err != nil {
				return err
			}
		}
	}
	for _, e := range c.Updated {
		details, err := detailsOf(e)
		if err != nil {
			return err
		}
		if err := t.later(ctx, "execution "+e.ID,
			`UPDATE executions SET status = $2, details = $3, updated_at = $4, ended_at = $5 WHERE id = $1`,
			e.ID, string(e.Status), details, micros(e.UpdatedAt), micros(e.EndedAt)); err != nil {
			return err
		}
		if key := e.Scope(); key.ExecutionID != "" && e.Status.Terminal() {
			if err := t.later(ctx, "scope of execution "+e.ID,
				`DELETE FROM scopes WHERE pipeline_id = $1 AND execution_id = $2`, key.PipelineID, key.ExecutionID); err != nil {
				return err
			}
		}
	}
	for _, e := range c.Resumed {
		// Retention may have decided about it since it was read.
		if err := t.changedLater(ctx, store.ErrStale, "outputs of execution "+e.ID,
			`UPDATE executions SET outputs_removed_at = 0 WHERE id = $1 AND outputs_removed_at = 0`, e.ID); err != nil {
			return err
		}
		// The scope went when the execution ended. It is there where somebody else
		// brought the execution back meanwhile.
		if key := e.Scope(); key.ExecutionID != "" && !e.Status.Terminal() {
			if err := t.changedLater(ctx, store.ErrStale, "scope of execution "+e.ID,
				scopeInsert+` ON CONFLICT DO NOTHING`, key.PipelineID, key.ExecutionID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Tx) applyState(ctx context.Context, c *execution.Change) error {
	if c.State == nil {
		return nil
	}
	if c.Scope.ExecutionID != "" {
		return fmt.Errorf("execution %s: the scope of a PARALLEL execution keeps no state", c.Scope.ExecutionID)
	}
	state := ""
	if len(c.State.Stages) > 0 {
		var err error
		if state, err = document(c.State); err != nil {
			return err
		}
	}
	return t.changedLater(ctx, store.ErrNotFound, "scope of pipeline "+c.Scope.PipelineID,
		`UPDATE scopes SET state = $2 WHERE pipeline_id = $1 AND execution_id = ''`, c.Scope.PipelineID, state)
}

func (t *Tx) applyStages(ctx context.Context, c *execution.Change) error {
	for _, s := range c.NewStages {
		entry, err := optional(s.Entry)
		if err != nil {
			return err
		}
		details, err := stageDetailsOf(s.Stage)
		if err != nil {
			return err
		}
		if err := t.later(ctx, "stage "+s.Name, `INSERT INTO stage_executions (`+stageColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			s.ExecutionID, s.Position, s.Name, string(s.Status), s.Arrival, micros(s.ArrivedAt), micros(s.StartedAt),
			micros(s.EndedAt), entry, details); err != nil {
			return err
		}
	}
	for _, s := range c.Stages {
		entry, err := optional(s.Entry)
		if err != nil {
			return err
		}
		details, err := stageDetailsOf(s.Stage)
		if err != nil {
			return err
		}
		if err := t.later(ctx, "stage "+s.Name, `UPDATE stage_executions SET status = $3, started_at = $4, ended_at = $5, entry = $6,
			details = $7 WHERE execution_id = $1 AND position = $2`,
			s.ExecutionID, s.Position, string(s.Status), micros(s.StartedAt), micros(s.EndedAt), entry, details); err != nil {
			return err
		}
	}
	return nil
}

// optional is the document of a value that may be absent, which is "".
func optional[T any](v *T) (string, error) {
	if v == nil {
		return "", nil
	}
	return document(v)
}

func (t *Tx) applyActions(ctx context.Context, c *execution.Change) error {
	for _, a := range c.NewActions {
		details, err := document(&a.Details)
		if err != nil {
			return err
		}
		if err := t.later(ctx, "action "+a.Name, `INSERT INTO action_executions (`+actionColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
			a.ID, a.ExecutionID, a.Stage, a.Name, string(a.Category), a.Provider, int(a.Work), a.RunOrder, a.Namespace,
			a.Attempt, string(a.Status), a.Retried, micros(a.StartedAt), micros(a.EndedAt), details); err != nil {
			return err
		}
		if err := t.useArtifacts(ctx, a.ExecutionID, a.Details.Outputs); err != nil {
			return err
		}
	}
	for _, a := range c.Actions {
		details, err := document(&a.Details)
		if err != nil {
			return err
		}
		if err := t.later(ctx, "action "+a.Name,
			`UPDATE action_executions SET attempt = $3, status = $4, ended_at = $5, details = $6, retried = $7
			WHERE execution_id = $1 AND id = $2`,
			a.ExecutionID, a.ID, a.Attempt, string(a.Status), micros(a.EndedAt), details, a.Retried); err != nil {
			return err
		}
		if err := t.useArtifacts(ctx, a.ExecutionID, a.Details.Outputs); err != nil {
			return err
		}
	}
	return nil
}

// eventsAnInsert bounds the rows of one insert, and so the number of distinct
// statements that an engine keeps prepared.
const eventsAnInsert = 8

// eventWidth is how many columns eventColumns has.
const eventWidth = 12

func (t *Tx) applyEvents(ctx context.Context, c *execution.Change) error {
	for rest := c.Events; len(rest) > 0; {
		n := min(len(rest), eventsAnInsert)
		args := make([]any, 0, n*eventWidth)
		for _, ev := range rest[:n] {
			args = append(args, ev.ExecutionID, micros(ev.At), string(ev.Subject), ev.State, ev.Stage, ev.Action,
				ev.ActionExecutionID, ev.Attempt, ev.ExecutionAttempt, string(ev.Condition), ev.Principal, ev.Message)
		}
		if err := t.later(ctx, "events", eventInserts[n-1], args...); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// eventInserts has the insert of one to eventsAnInsert events.
var eventInserts = func() [eventsAnInsert]string {
	var inserts [eventsAnInsert]string
	var values []string
	for i := range eventsAnInsert {
		marks := make([]string, eventWidth)
		for j := range marks {
			marks[j] = "$" + strconv.Itoa(i*eventWidth+j+1)
		}
		values = append(values, "("+strings.Join(marks, ", ")+")")
		inserts[i] = `INSERT INTO events (` + eventColumns + `) VALUES ` + strings.Join(values, ", ")
	}
	return inserts
}()

func (t *Tx) applyDone(ctx context.Context, c *execution.Change) error {
	for _, id := range c.DoneAttempts {
		if err := t.later(ctx, "attempt "+id, `DELETE FROM leases WHERE action_execution_id = $1`, id); err != nil {
			return err
		}
	}
	for _, id := range c.DoneTurns {
		if err := t.later(ctx, "turn "+id, `DELETE FROM turns WHERE id = $1`, id); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) applyWork(ctx context.Context, c *execution.Change) error {
	for _, l := range c.Leases {
		attempt, err := document(&l.Attempt)
		if err != nil {
			return err
		}
		if err := t.later(ctx, "attempt "+l.Attempt.ID(), `INSERT INTO leases (action_execution_id, number, account, `+leaseColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			l.Attempt.ActionExecutionID, l.Attempt.Number, l.Attempt.Account, l.Attempt.ExecutionID, l.Scope.PipelineID, l.Scope.ExecutionID != "",
			attempt, l.Runner, micros(l.Until), micros(l.QueuedAt)); err != nil {
			return err
		}
	}
	for _, turn := range c.Turns {
		work, err := optional(turn.Work)
		if err != nil {
			return err
		}
		if err := t.later(ctx, "turn "+turn.ID, `INSERT INTO turns (`+turnColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, due_at = excluded.due_at, work = excluded.work, carrier = excluded.carrier`,
			turn.ID, turn.ExecutionID, turn.Scope.PipelineID, turn.Scope.ExecutionID != "", string(turn.Kind), micros(turn.DueAt), work,
			turn.Carrier); err != nil {
			return err
		}
	}
	return nil
}
