package sqlstore

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Statements of triggers.
var (
	triggerTable              = newTable("triggers", triggerColumns(nil, &ledger.Trigger{}))
	triggerQuery              = triggerTable.query(`WHERE account = $1 AND owner = $2 AND name = $3`)
	triggerByIDQuery          = triggerTable.query(`WHERE id = $1`)
	triggersQuery             = triggerTable.query(`WHERE account = $1 ORDER BY owner, name`)
	triggersOfPipelineQuery   = triggerTable.query(`WHERE account = $1 AND pipeline = $2 ORDER BY owner, name`)
	triggersOfRepositoryQuery = triggerTable.query(`WHERE repository_id = $1 ORDER BY id`)
	triggersOfWebhookQuery    = triggerTable.query(`WHERE account = $1 AND webhook = $2 ORDER BY id`)
)

func triggerColumns(c []column, g *ledger.Trigger) []column {
	return append(c,
		text(identity, "id", &g.ID),
		text(constant, "account", &g.Account),
		text(constant, "owner", &g.Owner),
		text(constant, "name", &g.Name),
		text(variable, "pipeline", &g.Pipeline),
		text(variable, "repository_id", &g.RepositoryID),
		text(variable, "webhook", &g.Webhook),
		record(variable, "declared", &g.Declared),
		recordIf(g.Pause != nil, constant, "pause", &g.Pause),
		flag(variable, "baselined", &g.Baselined),
		number(counter, "revision", &g.Revision),
		instant(constant, "created_at", &g.CreatedAt),
		instant(variable, "updated_at", &g.UpdatedAt),
	)
}

func scanTrigger(rows *row) (ledger.Trigger, error) {
	var g ledger.Trigger
	err := scan(rows, triggerColumns(rows.columns[:0], &g))
	return g, err
}

// Trigger implements store.Reader.
func (t *Tx) Trigger(ctx context.Context, account, owner, name string) (ledger.Trigger, error) {
	found, err := list(ctx, t, scanTrigger, triggerQuery, account, owner, name)
	return first(found, "trigger "+name, err)
}

// TriggerByID implements store.Reader.
func (t *Tx) TriggerByID(ctx context.Context, id string) (ledger.Trigger, error) {
	found, err := list(ctx, t, scanTrigger, triggerByIDQuery, id)
	return first(found, "trigger "+id, err)
}

// Triggers implements store.Reader.
func (t *Tx) Triggers(ctx context.Context, account, pipeline string) ([]ledger.Trigger, error) {
	if pipeline == "" {
		return list(ctx, t, scanTrigger, triggersQuery, account)
	}
	return list(ctx, t, scanTrigger, triggersOfPipelineQuery, account, pipeline)
}

// TriggersOfRepository implements store.Reader.
func (t *Tx) TriggersOfRepository(ctx context.Context, repositoryID string) ([]ledger.Trigger, error) {
	return list(ctx, t, scanTrigger, triggersOfRepositoryQuery, repositoryID)
}

// TriggersOfWebhook implements store.Reader.
func (t *Tx) TriggersOfWebhook(ctx context.Context, account, webhook string) ([]ledger.Trigger, error) {
	return list(ctx, t, scanTrigger, triggersOfWebhookQuery, account, webhook)
}

// CreateTrigger implements store.Tx.
func (t *Tx) CreateTrigger(ctx context.Context, g ledger.Trigger) error {
	return t.insertNow(ctx, "trigger "+g.Name, &triggerTable, triggerColumns(t.columns[:0], &g))
}

// UpdateTrigger implements store.Tx.
func (t *Tx) UpdateTrigger(ctx context.Context, g ledger.Trigger) error {
	return t.updateNow(ctx, store.ErrStale, "trigger "+g.Name, &triggerTable, triggerColumns(t.columns[:0], &g))
}

// SetTriggerPause implements store.Tx.
func (t *Tx) SetTriggerPause(ctx context.Context, id string, pause *ledger.Pause) error {
	stored := ""
	if pause != nil {
		var err error
		if stored, err = document(pause); err != nil {
			return err
		}
	}
	return t.changed(ctx, store.ErrNotFound, "trigger "+id, `UPDATE triggers SET pause = $2 WHERE id = $1`, id, stored)
}

// SetBaselined implements store.Tx.
func (t *Tx) SetBaselined(ctx context.Context, repositoryID string, until time.Time) error {
	return t.exec(ctx, "triggers of repository "+repositoryID,
		`UPDATE triggers SET baselined = true WHERE repository_id = $1 AND NOT baselined AND updated_at <= $2`, repositoryID, micros(until))
}

// DeleteTrigger implements store.Tx.
func (t *Tx) DeleteTrigger(ctx context.Context, id string) error {
	return t.changed(ctx, store.ErrNotFound, "trigger "+id, `DELETE FROM triggers WHERE id = $1`, id)
}

// Compared implements store.Reader.
func (t *Tx) Compared(ctx context.Context, triggerID, ref string) (string, error) {
	var head string
	err := t.one(ctx, "ref "+ref, `SELECT head FROM trigger_refs WHERE trigger_id = $1 AND ref = $2`, []any{triggerID, ref}, &head)
	return head, err
}

// SetCompared implements store.Tx.
func (t *Tx) SetCompared(ctx context.Context, triggerID, ref, head string) error {
	return t.later(ctx, "ref "+ref, `INSERT INTO trigger_refs (trigger_id, ref, head) VALUES ($1, $2, $3)
		ON CONFLICT (trigger_id, ref) DO UPDATE SET head = excluded.head`, triggerID, ref, head)
}

// Statements of decisions.
var (
	decisionTable            = newTable("trigger_decisions", decisionColumns(nil, &ledger.Decision{}))
	decisionQuery            = decisionTable.query(`WHERE account = $1 AND id = $2`)
	decisionByStartQuery     = decisionTable.query(`WHERE start_key = $1 AND start_key <> ''`)
	decisionsPendingQuery    = decisionTable.query(`WHERE repository_id = $1 AND ref = $2 AND turn <> '' ORDER BY id`)
	decisionsOfDeliveryQuery = decisionTable.query(`WHERE delivery_id = $1 AND delivery_id <> '' ORDER BY id`)
	decisionInsertQuery      = decisionTable.insert + ` ON CONFLICT (start_key) WHERE start_key <> '' DO NOTHING`
	decisionEndQuery         = decisionTable.update + ` AND turn <> ''`
	decisionsRemoveQuery     = `DELETE FROM trigger_decisions WHERE (account, id) IN (` + oldestOf("trigger_decisions", " AND r.turn = ''") + `) RETURNING id`
)

func decisionColumns(c []column, d *ledger.Decision) []column {
	return append(c,
		text(identity, "id", &d.ID),
		text(identity, "account", &d.Account),
		text(constant, "pipeline", &d.Pipeline),
		text(constant, "trigger_id", &d.TriggerID),
		text(constant, "delivery_id", &d.DeliveryID),
		text(constant, "repository_id", &d.RepositoryID),
		text(constant, "ref", &d.Ref),
		text(variable, "to_commit", &d.ToCommit),
		number(variable, "move", &d.Move),
		text(variable, "outcome", &d.Outcome),
		text(variable, "start_key", &d.StartKey),
		text(variable, "turn", &d.Turn),
		instant(variable, "decided_at", &d.DecidedAt),
		record(variable, "details", &d.DecisionDetails),
	)
}

func scanDecision(rows *row) (ledger.Decision, error) {
	var d ledger.Decision
	err := scan(rows, decisionColumns(rows.columns[:0], &d))
	return d, err
}

// Decision implements store.Reader.
func (t *Tx) Decision(ctx context.Context, account, id string) (ledger.Decision, error) {
	found, err := list(ctx, t, scanDecision, decisionQuery, account, id)
	return first(found, "decision "+id, err)
}

// DecisionByStart implements store.Reader.
func (t *Tx) DecisionByStart(ctx context.Context, key string) (ledger.Decision, error) {
	found, err := list(ctx, t, scanDecision, decisionByStartQuery, key)
	return first(found, "decision", err)
}

// Decisions implements store.Reader.
func (t *Tx) Decisions(ctx context.Context, f store.DecisionFilter) ([]ledger.Decision, error) {
	var w where
	if f.TriggerID != "" {
		w.add("trigger_id = $%d", f.TriggerID)
	} else {
		w.add("account = $%d", f.Account)
	}
	if f.Pipeline != "" {
		w.add("pipeline = $%d", f.Pipeline)
	}
	if f.Ref != "" {
		w.add("ref = $%d", f.Ref)
	}
	if f.Commit != "" {
		w.add("to_commit >= $%d", f.Commit)
		w.add("to_commit < $%d", f.Commit+greatest)
	}
	if f.Before != "" {
		w.add("id < $%d", f.Before)
	}
	return list(ctx, t, scanDecision, decisionTable.query(w.newest(f.Size)), w.args...)
}

// PendingDecisions implements store.Reader.
func (t *Tx) PendingDecisions(ctx context.Context, repositoryID, ref string) ([]ledger.Decision, error) {
	return list(ctx, t, scanDecision, decisionsPendingQuery, repositoryID, ref)
}

// DecisionsOfDelivery implements store.Reader.
func (t *Tx) DecisionsOfDelivery(ctx context.Context, deliveryID string) ([]ledger.Decision, error) {
	return list(ctx, t, scanDecision, decisionsOfDeliveryQuery, deliveryID)
}

// CreateDecision implements store.Tx.
func (t *Tx) CreateDecision(ctx context.Context, d ledger.Decision) error {
	args, err := insertArgs(make([]any, 0, decisionTable.inserted), decisionColumns(t.columns[:0], &d))
	if err != nil {
		return err
	}
	return t.changedLater(ctx, store.ErrStale, "decision "+d.ID, decisionInsertQuery, args...)
}

// EndDecision implements store.Tx.
func (t *Tx) EndDecision(ctx context.Context, d ledger.Decision) error {
	args, err := updateArgs(make([]any, 0, decisionTable.updated), decisionColumns(t.columns[:0], &d))
	if err != nil {
		return err
	}
	return t.changedLater(ctx, store.ErrStale, "decision "+d.ID, decisionEndQuery, args...)
}

// RemoveDecisions implements store.Tx.
func (t *Tx) RemoveDecisions(ctx context.Context, before string, size int) (int, error) {
	removed, err := list(ctx, t, scanText, decisionsRemoveQuery, before, limit(size))
	return len(removed), err
}
