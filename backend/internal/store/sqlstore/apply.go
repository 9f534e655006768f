package sqlstore

import (
	"context"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Apply implements store.Tx. Work that is over goes before work that is new,
// since a new attempt of an action takes the place of the old one.
func (t *Tx) Apply(ctx context.Context, c *execution.Change) error {
	for _, step := range []func(context.Context, *execution.Change) error{
		t.applyExecutions, t.applyState, t.applyStages, t.applyActions, t.applyLog, t.applyDone, t.applyWork,
	} {
		if err := step(ctx, c); err != nil {
			return err
		}
	}
	for i := range c.Events {
		t.events = append(t.events, &c.Events[i])
	}
	t.conn.NoteChange(c)
	return nil
}

func (t *Tx) applyExecutions(ctx context.Context, c *execution.Change) error {
	for _, e := range c.Started {
		row := rowOf(e)
		if err := t.insertLater(ctx, "execution "+e.ID, executionTable.insert, row.columns(t.columns[:0])); err != nil {
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
		row := rowOf(e)
		if err := t.updateLater(ctx, "execution "+e.ID, &executionTable, row.columns(t.columns[:0])); err != nil {
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
	for i := range c.NewStages {
		s := &c.NewStages[i]
		if err := t.insertLater(ctx, "stage "+s.Name, stageTable.insert, stageColumns(t.columns[:0], s)); err != nil {
			return err
		}
	}
	for i := range c.Stages {
		s := &c.Stages[i]
		if err := t.updateLater(ctx, "stage "+s.Name, &stageTable, stageColumns(t.columns[:0], s)); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) applyActions(ctx context.Context, c *execution.Change) error {
	for i := range c.NewActions {
		a := &c.NewActions[i]
		if err := t.insertLater(ctx, "action "+a.Name, actionTable.insert, actionColumns(t.columns[:0], a)); err != nil {
			return err
		}
		if err := t.useArtifacts(ctx, a.ExecutionID, a.Details.Outputs); err != nil {
			return err
		}
	}
	for i := range c.Actions {
		a := &c.Actions[i]
		if err := t.updateLater(ctx, "action "+a.Name, &actionTable, actionColumns(t.columns[:0], a)); err != nil {
			return err
		}
		if err := t.useArtifacts(ctx, a.ExecutionID, a.Details.Outputs); err != nil {
			return err
		}
	}
	return nil
}

// Statements of logs.
var (
	logTable  = newTable("action_logs", logColumns(nil, &execution.Log{}))
	logsQuery = logTable.query(`WHERE execution_id = $1 AND action_execution_id = $2 ORDER BY attempt`)
)

func logColumns(c []column, l *execution.Log) []column {
	return append(c,
		text(identity, "execution_id", &l.ExecutionID),
		text(identity, "action_execution_id", &l.ActionExecutionID),
		number(identity, "attempt", &l.Attempt),
		number(variable, "start", &l.Start),
		blob(variable, "data", &l.Data),
	)
}

func (t *Tx) applyLog(ctx context.Context, c *execution.Change) error {
	if c.Log == nil {
		return nil
	}
	return t.insertLater(ctx, "log of action "+c.Log.ActionExecutionID, logTable.insert, logColumns(t.columns[:0], c.Log))
}

// eventsAnInsert bounds the rows of one insert, and so the number of distinct
// statements that an engine keeps prepared.
const eventsAnInsert = 8

// writeEvents writes the events of all decisions so far at the commit, so that their positions
// are in the order of the commits. Decisions that share a transaction share the inserts.
func (t *Tx) writeEvents(ctx context.Context) error {
	if len(t.events) == 0 {
		return nil
	}
	events := t.events
	t.events = t.events[:0]
	defer clear(events)
	next, err := t.conn.Positions(len(events), func() (int64, error) { return t.NewestPosition(ctx) })
	if err != nil {
		return err
	}
	inserts, position := &generatedEventInserts, generated
	if next > 0 {
		inserts, position = &assignedEventInserts, constant
	}
	for rest := events; len(rest) > 0; {
		n := min(len(rest), eventsAnInsert)
		args := make([]any, 0, n*(eventTable.inserted+1))
		for _, ev := range rest[:n] {
			if next > 0 {
				ev.Position = next
				next++
			}
			t.columns = eventColumns(t.columns[:0], position, ev)
			if args, err = insertArgs(args, t.columns); err != nil {
				return err
			}
		}
		if err := t.conn.AtCommit(ctx, Statement{What: "events", Query: inserts[n-1], Args: args}); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// advance writes the events of all decisions so far before the next statement, which must see
// them.
func (t *Tx) advance(ctx context.Context) error {
	if err := t.writeEvents(ctx); err != nil {
		return err
	}
	return t.conn.Advance(ctx)
}

// generatedEventInserts and assignedEventInserts have the insert of one to eventsAnInsert events, whose
// positions the database or the engine assigns.
var (
	generatedEventInserts = eventInserts(generated)
	assignedEventInserts  = eventInserts(constant)
)

func eventInserts(position role) (inserts [eventsAnInsert]string) {
	events := newTable("events", eventColumns(nil, position, &execution.Event{}))
	inserts[0] = events.insert
	for i := 1; i < eventsAnInsert; i++ {
		inserts[i] = inserts[i-1] + ", (" + places(i*events.inserted+1, events.inserted) + ")"
	}
	return inserts
}

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
		row := leaseRow{l, l.Scope.ExecutionID != ""}
		if err := t.insertLater(ctx, "attempt "+l.Attempt.ID(), leaseTable.insert, row.columns(t.columns[:0])); err != nil {
			return err
		}
	}
	for _, turn := range c.Turns {
		row := turnRow{turn, turn.Scope.ExecutionID != "", turnWork{turn.Work, turn.Abandon}}
		if err := t.insertLater(ctx, "turn "+turn.ID, turnTable.upsert, row.columns(t.columns[:0])); err != nil {
			return err
		}
	}
	return nil
}
