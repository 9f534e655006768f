package sqlstore

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

const accountColumns = `name, created_at, require_approval_rule`

func scanAccount(rows Rows) (store.Account, error) {
	var a store.Account
	var created int64
	err := rows.Scan(&a.Name, &created, &a.RequireApprovalRule)
	a.CreatedAt = fromMicros(created)
	return a, err
}

// CreateAccount implements store.Tx.
func (t *Tx) CreateAccount(ctx context.Context, a store.Account) error {
	if err := t.exec(ctx, "account "+a.Name, `INSERT INTO accounts (`+accountColumns+`) VALUES ($1, $2, $3)`,
		a.Name, micros(a.CreatedAt), a.RequireApprovalRule); err != nil {
		return err
	}
	return t.later(ctx, "share of account "+a.Name, `INSERT INTO shares (account, last) VALUES ($1, '') ON CONFLICT DO NOTHING`, a.Name)
}

// UpdateAccount implements store.Tx.
func (t *Tx) UpdateAccount(ctx context.Context, a store.Account) error {
	if err := t.rulesChanged(ctx, a.Name); err != nil {
		return err
	}
	return t.changed(ctx, store.ErrNotFound, "account "+a.Name,
		`UPDATE accounts SET require_approval_rule = $2 WHERE name = $1`, a.Name, a.RequireApprovalRule)
}

// Account implements store.Reader.
func (t *Tx) Account(ctx context.Context, name string) (store.Account, error) {
	found, err := list(ctx, t, scanAccount, `SELECT `+accountColumns+` FROM accounts WHERE name = $1`, name)
	return first(found, "account "+name, err)
}

// Accounts implements store.Reader.
func (t *Tx) Accounts(ctx context.Context, page store.Page) ([]store.Account, error) {
	return list(ctx, t, scanAccount,
		`SELECT `+accountColumns+` FROM accounts WHERE name > $1 ORDER BY name LIMIT $2`, page.After, limit(page.Size))
}

const tokenColumns = `id, hash, principal, groups, bindings, created_at, expires_at` //nolint:gosec // Names of columns.

func scanToken(rows Rows) (store.Token, error) {
	var k store.Token
	var groups, bindings string
	var created, expires int64
	if err := rows.Scan(&k.ID, &k.Hash, &k.Principal, &groups, &bindings, &created, &expires); err != nil {
		return k, err
	}
	k.CreatedAt, k.ExpiresAt = fromMicros(created), fromMicros(expires)
	if err := decode(groups, &k.Groups); err != nil {
		return k, err
	}
	return k, decode(bindings, &k.Bindings)
}

// CreateToken implements store.Tx.
func (t *Tx) CreateToken(ctx context.Context, k store.Token) error {
	groups, err := document(k.Groups)
	if err != nil {
		return err
	}
	bindings, err := document(k.Bindings)
	if err != nil {
		return err
	}
	return t.exec(ctx, "token "+k.ID, `INSERT INTO tokens (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		k.ID, k.Hash, k.Principal, groups, bindings, micros(k.CreatedAt), micros(k.ExpiresAt))
}

// TokenByHash implements store.Reader.
func (t *Tx) TokenByHash(ctx context.Context, hash string) (store.Token, error) {
	tokens, err := list(ctx, t, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE hash = $1`, hash)
	return first(tokens, "token", err)
}

// Token implements store.Reader.
func (t *Tx) Token(ctx context.Context, id string) (store.Token, error) {
	tokens, err := list(ctx, t, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE id = $1`, id)
	return first(tokens, "token "+id, err)
}

// Tokens implements store.Reader.
func (t *Tx) Tokens(ctx context.Context, page store.Page) ([]store.Token, error) {
	return list(ctx, t, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE id > $1 ORDER BY id LIMIT $2`, page.After, limit(page.Size))
}

// DeleteToken implements store.Tx.
func (t *Tx) DeleteToken(ctx context.Context, id string) error {
	return t.changed(ctx, store.ErrNotFound, "token "+id, `DELETE FROM tokens WHERE id = $1`, id)
}

const pipelineColumns = `id, account, name, composed, explicit, definition, draft, version, digest, revision, created_at, updated_at`

func scanPipeline(rows Rows) (store.Pipeline, error) {
	var p store.Pipeline
	var definition, draft string
	var created, updated int64
	if err := rows.Scan(&p.ID, &p.Account, &p.Name, &p.Composed, &p.Explicit, &definition, &draft,
		&p.Version, &p.Digest, &p.Revision, &created, &updated); err != nil {
		return p, err
	}
	p.CreatedAt, p.UpdatedAt = fromMicros(created), fromMicros(updated)
	if err := decode(definition, &p.Definition); err != nil {
		return p, err
	}
	return p, decode(draft, &p.Draft)
}

// CreatePipeline implements store.Tx.
func (t *Tx) CreatePipeline(ctx context.Context, p store.Pipeline) error {
	definition, err := document(p.Definition)
	if err != nil {
		return err
	}
	draft, err := document(p.Draft)
	if err != nil {
		return err
	}
	if err := t.exec(ctx, "pipeline "+p.Name,
		`INSERT INTO pipelines (`+pipelineColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		p.ID, p.Account, p.Name, p.Composed, p.Explicit, definition, draft, p.Version, p.Digest, p.Revision,
		micros(p.CreatedAt), micros(p.UpdatedAt)); err != nil {
		return err
	}
	return t.createScope(ctx, execution.ScopeKey{PipelineID: p.ID})
}

// UpdatePipeline implements store.Tx.
func (t *Tx) UpdatePipeline(ctx context.Context, p store.Pipeline) error {
	definition, err := document(p.Definition)
	if err != nil {
		return err
	}
	draft, err := document(p.Draft)
	if err != nil {
		return err
	}
	return t.changed(ctx, store.ErrStale, "pipeline "+p.Name,
		`UPDATE pipelines SET explicit = $3, definition = $4, draft = $5, version = $6, digest = $7, updated_at = $8,
		revision = revision + 1 WHERE id = $1 AND revision = $2`,
		p.ID, p.Revision, p.Explicit, definition, draft, p.Version, p.Digest, micros(p.UpdatedAt))
}

const ofPipeline = `execution_id IN (SELECT id FROM executions WHERE pipeline_id = $1)`

// DeletePipeline implements store.Tx.
func (t *Tx) DeletePipeline(ctx context.Context, id string, revision int64) error {
	// The scopes first: who decides has claimed one and is waited for, and nobody does
	// after that.
	if err := t.exec(ctx, "scopes of pipeline "+id, `DELETE FROM scopes WHERE pipeline_id = $1`, id); err != nil {
		return err
	}
	if err := t.removePipelineOutputs(ctx, id); err != nil {
		return err
	}
	// What a hop writes has no reference to follow: it would slow every hop down.
	for _, query := range []string{
		`DELETE FROM leases WHERE pipeline_id = $1`, `DELETE FROM turns WHERE pipeline_id = $1`,
		`DELETE FROM events WHERE ` + ofPipeline, `DELETE FROM action_executions WHERE ` + ofPipeline,
		`DELETE FROM stage_executions WHERE ` + ofPipeline,
	} {
		if err := t.exec(ctx, "work of pipeline "+id, query, id); err != nil {
			return err
		}
	}
	return t.changed(ctx, store.ErrStale, "pipeline "+id, `DELETE FROM pipelines WHERE id = $1 AND revision = $2`, id, revision)
}

// Pipeline implements store.Reader.
func (t *Tx) Pipeline(ctx context.Context, account, name string) (store.Pipeline, error) {
	found, err := list(ctx, t, scanPipeline, `SELECT `+pipelineColumns+` FROM pipelines WHERE account = $1 AND name = $2`, account, name)
	return first(found, "pipeline "+name, err)
}

// Pipelines implements store.Reader.
func (t *Tx) Pipelines(ctx context.Context, account string, page store.Page) ([]store.Pipeline, error) {
	return list(ctx, t, scanPipeline,
		`SELECT `+pipelineColumns+` FROM pipelines WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3`,
		account, page.After, limit(page.Size))
}

// PipelineHeads implements store.Reader.
func (t *Tx) PipelineHeads(ctx context.Context, account string) ([]store.Pipeline, error) {
	return list(ctx, t, func(rows Rows) (store.Pipeline, error) {
		p := store.Pipeline{Account: account}
		var updated int64
		err := rows.Scan(&p.ID, &p.Name, &p.Revision, &updated)
		p.UpdatedAt = fromMicros(updated)
		return p, err
	}, `SELECT id, name, revision, updated_at FROM pipelines WHERE account = $1 ORDER BY name`, account)
}

const versionColumns = `pipeline_id, version, definition, digest, principal, created_at`

func scanVersion(rows Rows) (store.PipelineVersion, error) {
	var v store.PipelineVersion
	var definition string
	var created int64
	if err := rows.Scan(&v.PipelineID, &v.Version, &definition, &v.Digest, &v.Principal, &created); err != nil {
		return v, err
	}
	v.CreatedAt = fromMicros(created)
	return v, decode(definition, &v.Definition)
}

// CreatePipelineVersion implements store.Tx.
func (t *Tx) CreatePipelineVersion(ctx context.Context, v store.PipelineVersion) error {
	definition, err := document(v.Definition)
	if err != nil {
		return err
	}
	return t.exec(ctx, "pipeline version", `INSERT INTO pipeline_versions (`+versionColumns+`) VALUES ($1, $2, $3, $4, $5, $6)`,
		v.PipelineID, v.Version, definition, v.Digest, v.Principal, micros(v.CreatedAt))
}

// PipelineVersion implements store.Reader.
func (t *Tx) PipelineVersion(ctx context.Context, pipelineID string, version int64) (store.PipelineVersion, error) {
	found, err := list(ctx, t, scanVersion,
		`SELECT `+versionColumns+` FROM pipeline_versions WHERE pipeline_id = $1 AND version = $2`, pipelineID, version)
	return first(found, "pipeline version", err)
}

// PipelineVersions implements store.Reader.
func (t *Tx) PipelineVersions(ctx context.Context, pipelineID string, before int64, size int) ([]store.PipelineVersion, error) {
	if before == 0 {
		before = 1 << 62
	}
	return list(ctx, t, scanVersion,
		`SELECT `+versionColumns+` FROM pipeline_versions WHERE pipeline_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3`,
		pipelineID, before, limit(size))
}

// NextNumber implements store.Tx.
func (t *Tx) NextNumber(ctx context.Context, pipelineID string) (int64, error) {
	var number int64
	err := t.one(ctx, "pipeline "+pipelineID,
		`UPDATE scopes SET last_number = last_number + 1 WHERE pipeline_id = $1 AND execution_id = '' RETURNING last_number`, []any{pipelineID}, &number)
	return number, err
}

const ruleColumns = `account, name, rule, revision, created_at, updated_at`

func scanRule(rows Rows) (store.ApprovalRule, error) {
	var account, name, rule string
	var revision, created, updated int64
	if err := rows.Scan(&account, &name, &rule, &revision, &created, &updated); err != nil {
		return store.ApprovalRule{}, err
	}
	var r store.ApprovalRule
	if err := decode(rule, &r); err != nil {
		return r, err
	}
	r.Account, r.Name, r.Revision = account, name, revision
	r.CreatedAt, r.UpdatedAt = fromMicros(created), fromMicros(updated)
	return r, nil
}

// CreateApprovalRule implements store.Tx.
func (t *Tx) CreateApprovalRule(ctx context.Context, r store.ApprovalRule) error {
	rule, err := document(r)
	if err != nil {
		return err
	}
	if err := t.exec(ctx, "approval rule "+r.Name, `INSERT INTO approval_rules (`+ruleColumns+`) VALUES ($1, $2, $3, $4, $5, $6)`,
		r.Account, r.Name, rule, r.Revision, micros(r.CreatedAt), micros(r.UpdatedAt)); err != nil {
		return err
	}
	return t.rulesChanged(ctx, r.Account)
}

// rulesOf is the name that the rules of an account are held by.
func rulesOf(account string) string { return "approval rules of account " + account }

// rulesChanged waits for those who have confirmed the rules as they were: what they
// decided comes first then.
func (t *Tx) rulesChanged(ctx context.Context, account string) error {
	if err := t.conn.Hold(ctx, rulesOf(account), true); err != nil {
		return err
	}
	return t.changedLater(ctx, store.ErrNotFound, "account "+account,
		`UPDATE accounts SET rules_revision = rules_revision + 1 WHERE name = $1`, account)
}

// RulesRevision implements store.Tx.
func (t *Tx) RulesRevision(ctx context.Context, account string) (int64, error) {
	if err := t.conn.Hold(ctx, rulesOf(account), false); err != nil {
		return 0, err
	}
	var revision int64
	err := t.one(ctx, "account "+account, `SELECT rules_revision FROM accounts WHERE name = $1`, []any{account}, &revision)
	return revision, err
}

// ConfirmRules implements store.Tx.
func (t *Tx) ConfirmRules(ctx context.Context, account string, revision int64) error {
	if err := t.conn.Hold(ctx, rulesOf(account), false); err != nil {
		return err
	}
	return t.conn.Later(ctx, Statement{
		What:  rulesOf(account),
		Query: `SELECT name FROM accounts WHERE name = $1 AND rules_revision = $2`, Args: []any{account, revision},
		Missing: store.ErrStale, Confirms: true,
	})
}

// UpdateApprovalRule implements store.Tx.
func (t *Tx) UpdateApprovalRule(ctx context.Context, r store.ApprovalRule) error {
	rule, err := document(r)
	if err != nil {
		return err
	}
	if err := t.changed(ctx, store.ErrStale, "approval rule "+r.Name,
		`UPDATE approval_rules SET rule = $4, updated_at = $5, revision = revision + 1
		WHERE account = $1 AND name = $2 AND revision = $3`,
		r.Account, r.Name, r.Revision, rule, micros(r.UpdatedAt)); err != nil {
		return err
	}
	return t.rulesChanged(ctx, r.Account)
}

// DeleteApprovalRule implements store.Tx.
func (t *Tx) DeleteApprovalRule(ctx context.Context, account, name string) error {
	if err := t.changed(ctx, store.ErrNotFound, "approval rule "+name,
		`DELETE FROM approval_rules WHERE account = $1 AND name = $2`, account, name); err != nil {
		return err
	}
	return t.rulesChanged(ctx, account)
}

// ApprovalRule implements store.Reader.
func (t *Tx) ApprovalRule(ctx context.Context, account, name string) (store.ApprovalRule, error) {
	found, err := list(ctx, t, scanRule, `SELECT `+ruleColumns+` FROM approval_rules WHERE account = $1 AND name = $2`, account, name)
	return first(found, "approval rule "+name, err)
}

// ApprovalRules implements store.Reader.
func (t *Tx) ApprovalRules(ctx context.Context, account string, page store.Page) ([]store.ApprovalRule, error) {
	return list(ctx, t, scanRule,
		`SELECT `+ruleColumns+` FROM approval_rules WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3`,
		account, page.After, limit(page.Size))
}

// Request implements store.Reader.
func (t *Tx) Request(ctx context.Context, account, method, requestID string) (string, error) {
	var resource string
	err := t.one(ctx, "request", `SELECT resource FROM requests WHERE account = $1 AND method = $2 AND request_id = $3`,
		[]any{account, method, requestID}, &resource)
	return resource, err
}

// Creation implements store.Reader.
func (t *Tx) Creation(ctx context.Context, resource string) (store.Creation, error) {
	c := store.Creation{Resource: resource}
	var created int64
	err := t.one(ctx, "creation of "+resource,
		`SELECT request_id, principal, object, confirmed, created_at FROM creations WHERE resource = $1`,
		[]any{resource}, &c.RequestID, &c.Principal, &c.Object, &c.Confirmed, &created)
	c.CreatedAt = fromMicros(created)
	return c, err
}

// creationMemory is how long a creation is remembered at least.
const creationMemory = time.Hour

// SaveCreation implements store.Tx. It forgets old ones, so that the table stays small.
func (t *Tx) SaveCreation(ctx context.Context, c store.Creation) error {
	if err := t.exec(ctx, "old creations", `DELETE FROM creations WHERE created_at < $1`, micros(c.CreatedAt.Add(-creationMemory))); err != nil {
		return err
	}
	return t.exec(ctx, "creation of "+c.Resource,
		`INSERT INTO creations (resource, request_id, principal, object, confirmed, created_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (resource) DO UPDATE SET request_id = excluded.request_id, principal = excluded.principal,
		object = excluded.object, confirmed = excluded.confirmed, created_at = excluded.created_at`,
		c.Resource, c.RequestID, c.Principal, c.Object, c.Confirmed, micros(c.CreatedAt))
}

// UpdateCreation implements store.Tx.
func (t *Tx) UpdateCreation(ctx context.Context, seen string, c store.Creation) error {
	return t.changed(ctx, store.ErrStale, "creation of "+c.Resource,
		`UPDATE creations SET request_id = $3, principal = $4, object = $5, confirmed = $6
		WHERE resource = $1 AND request_id = $2 AND NOT confirmed`,
		c.Resource, seen, c.RequestID, c.Principal, c.Object, c.Confirmed)
}

// ForgetCreation implements store.Tx.
func (t *Tx) ForgetCreation(ctx context.Context, resource string) error {
	return t.exec(ctx, "creation of "+resource, `DELETE FROM creations WHERE resource = $1`, resource)
}

// requestMemory is how long a request id is remembered at least.
const requestMemory = 24 * time.Hour

// SaveRequest implements store.Tx. It forgets old ones, so that the table stays
// as large as a day's writes.
func (t *Tx) SaveRequest(ctx context.Context, account, method, requestID, resource string, at time.Time) error {
	if err := t.exec(ctx, "old requests", `DELETE FROM requests WHERE created_at < $1`, micros(at.Add(-requestMemory))); err != nil {
		return err
	}
	return t.exec(ctx, "request", `INSERT INTO requests (account, method, request_id, resource, created_at) VALUES ($1, $2, $3, $4, $5)`,
		account, method, requestID, resource, micros(at))
}
