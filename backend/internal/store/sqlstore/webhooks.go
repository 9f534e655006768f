package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Statements of webhooks.
var (
	webhookTable       = newTable("webhooks", (&webhookRow{}).columns(nil))
	webhookQuery       = webhookTable.query(`WHERE account = $1 AND name = $2`)
	webhookByPathQuery = webhookTable.query(`WHERE path_hash = $1`)
	webhookByIDQuery   = webhookTable.query(`WHERE id = $1`)
	webhooksQuery      = webhookTable.query(`WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3`)
)

// webhookRow is a row of the table of webhooks.
type webhookRow struct {
	ledger.Webhook

	pathHash string
}

func rowOfWebhook(w ledger.Webhook) *webhookRow { return &webhookRow{w, hashOfPath(w.Path)} }

func hashOfPath(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:])
}

func (w *webhookRow) columns(c []column) []column {
	return append(c,
		text(identity, "id", &w.ID),
		text(constant, "account", &w.Account),
		text(constant, "name", &w.Name),
		text(constant, "path", &w.Path),
		text(constant, "path_hash", &w.pathHash),
		text(variable, "connection", &w.Connection),
		record(variable, "declared", &w.WebhookDetails),
		record(variable, "secrets", &w.Secrets),
		record(constant, "hooks", &w.Hooks),
		record(constant, "used", &w.Used),
		number(counter, "revision", &w.Revision),
		instant(constant, "created_at", &w.CreatedAt),
		instant(variable, "updated_at", &w.UpdatedAt),
	)
}

func scanWebhook(rows *row) (ledger.Webhook, error) {
	var w webhookRow
	err := scan(rows, w.columns(rows.columns[:0]))
	return w.Webhook, err
}

// Webhook implements store.Reader.
func (t *Tx) Webhook(ctx context.Context, account, name string) (ledger.Webhook, error) {
	found, err := list(ctx, t, scanWebhook, webhookQuery, account, name)
	return first(found, "webhook "+name, err)
}

// WebhookByPath implements store.Reader.
func (t *Tx) WebhookByPath(ctx context.Context, path string) (ledger.Webhook, error) {
	found, err := list(ctx, t, scanWebhook, webhookByPathQuery, hashOfPath(path))
	return first(found, "webhook of a path", err)
}

// WebhookByID implements store.Reader.
func (t *Tx) WebhookByID(ctx context.Context, id string) (ledger.Webhook, error) {
	found, err := list(ctx, t, scanWebhook, webhookByIDQuery, id)
	return first(found, "webhook "+id, err)
}

// Webhooks implements store.Reader.
func (t *Tx) Webhooks(ctx context.Context, account string, page store.Page) ([]ledger.Webhook, error) {
	return list(ctx, t, scanWebhook, webhooksQuery, account, page.After, limit(page.Size))
}

// WebhooksOfConnection implements store.Reader.
func (t *Tx) WebhooksOfConnection(ctx context.Context, account, connection string) ([]string, error) {
	return list(ctx, t, scanText, `SELECT name FROM webhooks WHERE account = $1 AND connection = $2 ORDER BY name`, account, connection)
}

// CreateWebhook implements store.Tx.
func (t *Tx) CreateWebhook(ctx context.Context, w ledger.Webhook) error {
	return t.insertNow(ctx, "webhook "+w.Name, &webhookTable, rowOfWebhook(w).columns(t.columns[:0]))
}

// UpdateWebhook implements store.Tx.
func (t *Tx) UpdateWebhook(ctx context.Context, w ledger.Webhook) error {
	return t.updateNow(ctx, store.ErrStale, "webhook "+w.Name, &webhookTable, rowOfWebhook(w).columns(t.columns[:0]))
}

// ConfirmWebhook implements store.Tx.
func (t *Tx) ConfirmWebhook(ctx context.Context, id string, revision int64) error {
	return t.conn.Later(ctx, Statement{
		What: "webhook " + id, Query: `SELECT 1 FROM webhooks WHERE id = $1 AND revision = $2`, Args: []any{id, revision},
		Missing: store.ErrStale, Confirms: true,
	})
}

// SetWebhookUse implements store.Tx.
func (t *Tx) SetWebhookUse(ctx context.Context, id string, use ledger.WebhookUse) error {
	used, err := document(use)
	if err != nil {
		return err
	}
	return t.later(ctx, "use of webhook "+id, `UPDATE webhooks SET used = $2 WHERE id = $1`, id, used)
}

// SetManagedHooks implements store.Tx.
func (t *Tx) SetManagedHooks(ctx context.Context, id string, hooks []ledger.ManagedHook) error {
	known, err := document(hooks)
	if err != nil {
		return err
	}
	return t.changed(ctx, store.ErrNotFound, "hooks of webhook "+id, `UPDATE webhooks SET hooks = $2 WHERE id = $1`, id, known)
}

// DeleteWebhook implements store.Tx.
func (t *Tx) DeleteWebhook(ctx context.Context, id string) error {
	return t.changed(ctx, store.ErrNotFound, "webhook "+id, `DELETE FROM webhooks WHERE id = $1`, id)
}

// Statements of deliveries. Lists leave the body out.
var (
	deliveryTable        = newTable("deliveries", deliveryColumns(nil, &ledger.Delivery{}))
	deliveryQuery        = deliveryTable.query(`WHERE account = $1 AND id = $2`)
	deliveryByDedupQuery = deliveryTable.query(`WHERE webhook_id = $1 AND dedup = $2`)
	deliveryInsertQuery  = deliveryUpsert(`attempts = deliveries.attempts + 1`)
	deliveryAddQuery     = deliveryUpsert(`attempts = deliveries.attempts + excluded.attempts`)
	removeBodiesQuery    = `UPDATE deliveries SET body = $3, has_body = false
	WHERE (account, id) IN (SELECT account, id FROM deliveries WHERE id < $1 AND has_body ORDER BY id LIMIT $2) RETURNING id`
	removeDeliveriesQuery = `DELETE FROM deliveries WHERE (account, id) IN (` + oldestOf("deliveries", "") + `) RETURNING id`
	removeRefusedQuery    = `DELETE FROM deliveries
	WHERE (account, id) IN (SELECT account, id FROM deliveries WHERE id < $1 AND status = 'REFUSED' ORDER BY id LIMIT $2) RETURNING id`
)

// oldestOf selects the keys of at most $2 rows of a table with ids before $1, which it finds by
// account: the key of the table begins with that. SQLite keeps the order of a CROSS JOIN.
func oldestOf(table, condition string) string {
	return `SELECT r.account, r.id FROM accounts AS a CROSS JOIN ` + table + ` AS r WHERE r.account = a.name AND r.id < $1` + condition + ` LIMIT $2`
}

func deliveryUpsert(set string) string {
	insert := strings.Replace(deliveryTable.insert, ") VALUES (", ", has_body, body) VALUES (", 1)
	insert = strings.TrimSuffix(insert, ")") + fmt.Sprintf(", $%d, $%d)", deliveryTable.inserted+1, deliveryTable.inserted+2)
	return insert + ` ON CONFLICT (webhook_id, dedup) DO UPDATE SET ` + set + ` RETURNING id`
}

func deliveryColumns(c []column, d *ledger.Delivery) []column {
	return append(c,
		text(identity, "id", &d.ID),
		text(constant, "webhook_id", &d.WebhookID),
		text(identity, "account", &d.Account),
		text(constant, "dedup", &d.Dedup),
		text(constant, "status", &d.Status),
		instant(constant, "received_at", &d.ReceivedAt),
		number(constant, "attempts", &d.Attempts),
		number(constant, "body_size", &d.BodySize),
		record(constant, "details", &d.DeliveryDetails),
	)
}

func scanDelivery(rows *row) (ledger.Delivery, error) {
	var d ledger.Delivery
	err := scan(rows, deliveryColumns(rows.columns[:0], &d))
	return d, err
}

// Delivery implements store.Reader.
func (t *Tx) Delivery(ctx context.Context, account, id string) (ledger.Delivery, error) {
	found, err := list(ctx, t, scanDelivery, deliveryQuery, account, id)
	return first(found, "delivery "+id, err)
}

// DeliveryByDedup implements store.Reader.
func (t *Tx) DeliveryByDedup(ctx context.Context, webhookID, dedup string) (ledger.Delivery, error) {
	found, err := list(ctx, t, scanDelivery, deliveryByDedupQuery, webhookID, dedup)
	return first(found, "delivery", err)
}

// DeliveryBody implements store.Reader.
func (t *Tx) DeliveryBody(ctx context.Context, account, id string) ([]byte, error) {
	var body []byte
	err := t.one(ctx, "delivery "+id, `SELECT body FROM deliveries WHERE account = $1 AND id = $2`, []any{account, id}, &body)
	return body, err
}

// Deliveries implements store.Reader.
func (t *Tx) Deliveries(ctx context.Context, f store.DeliveryFilter) ([]ledger.Delivery, error) {
	var w where
	if f.WebhookID != "" {
		w.add("webhook_id = $%d", f.WebhookID)
	} else {
		w.add("account = $%d", f.Account)
	}
	if f.Status != "" {
		w.add("status = $%d", string(f.Status))
	}
	if f.Before != "" {
		w.add("id < $%d", f.Before)
	}
	return list(ctx, t, scanDelivery, deliveryTable.query(w.newest(f.Size)), w.args...)
}

// CountRefusals implements store.Reader.
func (t *Tx) CountRefusals(ctx context.Context, webhookID, prefix string) (int, error) {
	var n int
	err := t.one(ctx, "refused deliveries", `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND dedup >= $2 AND dedup < $3`,
		[]any{webhookID, prefix, prefix + greatest}, &n)
	return n, err
}

// CreateDelivery implements store.Tx.
func (t *Tx) CreateDelivery(ctx context.Context, d ledger.Delivery, body []byte) (string, error) {
	return t.putDelivery(ctx, deliveryInsertQuery, d, body)
}

// AddRefusals implements store.Tx.
func (t *Tx) AddRefusals(ctx context.Context, d ledger.Delivery) error {
	_, err := t.putDelivery(ctx, deliveryAddQuery, d, nil)
	return err
}

func (t *Tx) putDelivery(ctx context.Context, query string, d ledger.Delivery, body []byte) (string, error) {
	args, err := insertArgs(make([]any, 0, deliveryTable.inserted+2), deliveryColumns(t.columns[:0], &d))
	if err != nil {
		return "", err
	}
	if body == nil {
		body = []byte{}
	}
	var id string
	err = t.one(ctx, "delivery", query, append(args, len(body) > 0, body), &id)
	return id, err
}

// AddAttempt implements store.Tx.
func (t *Tx) AddAttempt(ctx context.Context, account, id string) error {
	return t.changed(ctx, store.ErrNotFound, "delivery "+id, `UPDATE deliveries SET attempts = attempts + 1 WHERE account = $1 AND id = $2`, account, id)
}

// ForgetDedup implements store.Tx.
func (t *Tx) ForgetDedup(ctx context.Context, account, id string) error {
	return t.changed(ctx, store.ErrNotFound, "delivery "+id, `UPDATE deliveries SET dedup = dedup || ' ' || id WHERE account = $1 AND id = $2`, account, id)
}

// RemoveBodies implements store.Tx.
func (t *Tx) RemoveBodies(ctx context.Context, before string, size int) (int, error) {
	removed, err := list(ctx, t, scanText, removeBodiesQuery, before, limit(size), []byte{})
	return len(removed), err
}

// RemoveDeliveries implements store.Tx.
func (t *Tx) RemoveDeliveries(ctx context.Context, before string, refused bool, size int) (int, error) {
	query := removeDeliveriesQuery
	if refused {
		query = removeRefusedQuery
	}
	removed, err := list(ctx, t, scanText, query, before, limit(size))
	return len(removed), err
}

// where collects the conditions of a query.
type where struct {
	conditions []string
	args       []any
}

// add adds a condition, in which %d is the place of the value.
func (w *where) add(condition string, value any) {
	w.args = append(w.args, value)
	w.conditions = append(w.conditions, fmt.Sprintf(condition, len(w.args)))
}

// newest ends a query for the newest rows by id.
func (w *where) newest(size int) string {
	w.args = append(w.args, limit(size))
	return fmt.Sprintf(`WHERE %s ORDER BY id DESC LIMIT $%d`, strings.Join(w.conditions, " AND "), len(w.args))
}
