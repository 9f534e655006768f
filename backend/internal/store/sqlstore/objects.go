package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Statements of accounts.
var (
	accountTable  = newTable("accounts", accountColumns(nil, &auth.Account{}))
	accountQuery  = accountTable.query(`WHERE name = $1`)
	accountsQuery = accountTable.query(`WHERE name > $1 ORDER BY name LIMIT $2`)
)

func accountColumns(c []column, a *auth.Account) []column {
	return append(c,
		text(identity, "name", &a.Name),
		instant(constant, "created_at", &a.CreatedAt),
		flag(variable, "require_approval_rule", &a.RequireApprovalRule),
	)
}

func scanAccount(rows *row) (auth.Account, error) {
	var a auth.Account
	err := scan(rows, accountColumns(rows.columns[:0], &a))
	return a, err
}

// CreateAccount implements store.Tx.
func (t *Tx) CreateAccount(ctx context.Context, a auth.Account) error {
	if err := t.insertNow(ctx, "account "+a.Name, &accountTable, accountColumns(t.columns[:0], &a)); err != nil {
		return err
	}
	return t.later(ctx, "share of account "+a.Name, `INSERT INTO shares (account, last) VALUES ($1, '') ON CONFLICT DO NOTHING`, a.Name)
}

// UpdateAccount implements store.Tx.
func (t *Tx) UpdateAccount(ctx context.Context, a auth.Account) error {
	if err := t.rulesChanged(ctx, a.Name); err != nil {
		return err
	}
	return t.updateNow(ctx, store.ErrNotFound, "account "+a.Name, &accountTable, accountColumns(t.columns[:0], &a))
}

// Account implements store.Reader.
func (t *Tx) Account(ctx context.Context, name string) (auth.Account, error) {
	found, err := list(ctx, t, scanAccount, accountQuery, name)
	return first(found, "account "+name, err)
}

// Accounts implements store.Reader.
func (t *Tx) Accounts(ctx context.Context, page store.Page) ([]auth.Account, error) {
	return list(ctx, t, scanAccount, accountsQuery, page.After, limit(page.Size))
}

// Statements of tokens.
var (
	tokenTable       = newTable("tokens", tokenColumns(nil, &auth.Token{}))
	tokenByHashQuery = tokenTable.query(`WHERE hash = $1`)
	tokenQuery       = tokenTable.query(`WHERE id = $1`)
	tokensQuery      = tokenTable.query(`WHERE id > $1 ORDER BY id LIMIT $2`)
)

func tokenColumns(c []column, k *auth.Token) []column {
	return append(c,
		text(identity, "id", &k.ID),
		text(constant, "hash", &k.Hash),
		text(constant, "principal", &k.Principal),
		record(constant, "groups", &k.Groups),
		record(constant, "bindings", &k.Bindings),
		instant(constant, "created_at", &k.CreatedAt),
		instant(constant, "expires_at", &k.ExpiresAt),
	)
}

func scanToken(rows *row) (auth.Token, error) {
	var k auth.Token
	err := scan(rows, tokenColumns(rows.columns[:0], &k))
	return k, err
}

// CreateToken implements store.Tx.
func (t *Tx) CreateToken(ctx context.Context, k auth.Token) error {
	return t.insertNow(ctx, "token "+k.ID, &tokenTable, tokenColumns(t.columns[:0], &k))
}

// TokenByHash implements store.Reader.
func (t *Tx) TokenByHash(ctx context.Context, hash string) (auth.Token, error) {
	tokens, err := list(ctx, t, scanToken, tokenByHashQuery, hash)
	return first(tokens, "token", err)
}

// Token implements store.Reader.
func (t *Tx) Token(ctx context.Context, id string) (auth.Token, error) {
	tokens, err := list(ctx, t, scanToken, tokenQuery, id)
	return first(tokens, "token "+id, err)
}

// Tokens implements store.Reader.
func (t *Tx) Tokens(ctx context.Context, page store.Page) ([]auth.Token, error) {
	return list(ctx, t, scanToken, tokensQuery, page.After, limit(page.Size))
}

// DeleteToken implements store.Tx.
func (t *Tx) DeleteToken(ctx context.Context, id string) error {
	return t.changed(ctx, store.ErrNotFound, "token "+id, `DELETE FROM tokens WHERE id = $1`, id)
}

// Statements of sessions.
var (
	sessionTable = newTable("sessions", sessionColumns(nil, &auth.Session{}))
	sessionQuery = sessionTable.query(`WHERE hash = $1`)
)

func sessionColumns(c []column, s *auth.Session) []column {
	return append(c,
		text(identity, "hash", &s.Hash),
		text(constant, "token_id", &s.Token),
		instant(constant, "created_at", &s.CreatedAt),
		instant(variable, "idle_at", &s.IdleAt),
		instant(constant, "ends_at", &s.EndsAt),
	)
}

// Session implements store.Reader.
func (t *Tx) Session(ctx context.Context, hash string) (auth.Session, error) {
	found, err := list(ctx, t, func(rows *row) (auth.Session, error) {
		var s auth.Session
		err := scan(rows, sessionColumns(rows.columns[:0], &s))
		return s, err
	}, sessionQuery, hash)
	return first(found, "session", err)
}

// CreateSession implements store.Tx.
func (t *Tx) CreateSession(ctx context.Context, s auth.Session, most int) error {
	if err := t.exec(ctx, "ended sessions", `DELETE FROM sessions WHERE idle_at <= $1 OR ends_at <= $1`, micros(s.CreatedAt)); err != nil {
		return err
	}
	if err := t.insertNow(ctx, "session of token "+s.Token, &sessionTable, sessionColumns(t.columns[:0], &s)); err != nil {
		return err
	}
	return t.exec(ctx, "old sessions of token "+s.Token,
		`DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE token_id = $1 ORDER BY idle_at DESC, hash LIMIT $2 OFFSET $3)`,
		s.Token, limit(0), most)
}

// UpdateSession implements store.Tx.
func (t *Tx) UpdateSession(ctx context.Context, s auth.Session) error {
	return t.updateNow(ctx, store.ErrNotFound, "session of token "+s.Token, &sessionTable, sessionColumns(t.columns[:0], &s))
}

// DeleteSession implements store.Tx.
func (t *Tx) DeleteSession(ctx context.Context, hash string) error {
	return t.exec(ctx, "session", `DELETE FROM sessions WHERE hash = $1`, hash)
}

// Statements of pipelines.
var (
	pipelineTable  = newTable("pipelines", pipelineColumns(nil, &definition.Pipeline{}))
	pipelineQuery  = pipelineTable.query(`WHERE account = $1 AND name = $2`)
	pipelinesQuery = pipelineTable.query(`WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3`)
)

func pipelineColumns(c []column, p *definition.Pipeline) []column {
	return append(c,
		text(identity, "id", &p.ID),
		text(constant, "account", &p.Account),
		text(constant, "name", &p.Name),
		flag(constant, "composed", &p.Composed),
		flag(variable, "explicit", &p.Explicit),
		record(variable, "definition", &p.Definition),
		record(variable, "draft", &p.Draft),
		number(variable, "version", &p.Version),
		text(variable, "digest", &p.Digest),
		number(counter, "revision", &p.Revision),
		instant(constant, "created_at", &p.CreatedAt),
		instant(variable, "updated_at", &p.UpdatedAt),
	)
}

func scanPipeline(rows *row) (definition.Pipeline, error) {
	var p definition.Pipeline
	err := scan(rows, pipelineColumns(rows.columns[:0], &p))
	return p, err
}

// CreatePipeline implements store.Tx.
func (t *Tx) CreatePipeline(ctx context.Context, p definition.Pipeline) error {
	if err := t.insertNow(ctx, "pipeline "+p.Name, &pipelineTable, pipelineColumns(t.columns[:0], &p)); err != nil {
		return err
	}
	return t.createScope(ctx, execution.ScopeKey{PipelineID: p.ID})
}

// UpdatePipeline implements store.Tx.
func (t *Tx) UpdatePipeline(ctx context.Context, p definition.Pipeline) error {
	return t.updateNow(ctx, store.ErrStale, "pipeline "+p.Name, &pipelineTable, pipelineColumns(t.columns[:0], &p))
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
	// What others in the same transaction decided has written its events by then.
	if err := t.advance(ctx); err != nil {
		return err
	}
	if err := t.notePositions(ctx); err != nil {
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
func (t *Tx) Pipeline(ctx context.Context, account, name string) (definition.Pipeline, error) {
	found, err := list(ctx, t, scanPipeline, pipelineQuery, account, name)
	return first(found, "pipeline "+name, err)
}

// PipelineHead implements store.Reader.
func (t *Tx) PipelineHead(ctx context.Context, account, name string) (definition.Pipeline, error) {
	p := definition.Pipeline{Account: account, Name: name}
	var updated int64
	err := t.one(ctx, "pipeline "+name, `SELECT id, version, revision, updated_at FROM pipelines WHERE account = $1 AND name = $2`,
		[]any{account, name}, &p.ID, &p.Version, &p.Revision, &updated)
	p.UpdatedAt = fromMicros(updated)
	return p, err
}

// Pipelines implements store.Reader.
func (t *Tx) Pipelines(ctx context.Context, account string, page store.Page) ([]definition.Pipeline, error) {
	return list(ctx, t, scanPipeline, pipelinesQuery, account, page.After, limit(page.Size))
}

// PipelineHeads implements store.Reader.
func (t *Tx) PipelineHeads(ctx context.Context, account string) ([]definition.Pipeline, error) {
	return list(ctx, t, func(rows *row) (definition.Pipeline, error) {
		p := definition.Pipeline{Account: account}
		var updated int64
		err := rows.Scan(&p.ID, &p.Name, &p.Revision, &updated)
		p.UpdatedAt = fromMicros(updated)
		return p, err
	}, `SELECT id, name, revision, updated_at FROM pipelines WHERE account = $1 ORDER BY name`, account)
}

// Statements of versions.
var (
	versionTable  = newTable("pipeline_versions", versionColumns(nil, &definition.Version{}))
	versionQuery  = versionTable.query(`WHERE pipeline_id = $1 AND version = $2`)
	versionsQuery = versionTable.query(`WHERE pipeline_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3`)
)

func versionColumns(c []column, v *definition.Version) []column {
	return append(c,
		text(identity, "pipeline_id", &v.PipelineID),
		number(identity, "version", &v.Version),
		record(constant, "definition", &v.Definition),
		text(constant, "digest", &v.Digest),
		text(constant, "principal", &v.Principal),
		instant(constant, "created_at", &v.CreatedAt),
	)
}

func scanVersion(rows *row) (definition.Version, error) {
	var v definition.Version
	err := scan(rows, versionColumns(rows.columns[:0], &v))
	return v, err
}

// CreatePipelineVersion implements store.Tx.
func (t *Tx) CreatePipelineVersion(ctx context.Context, v definition.Version) error {
	return t.insertNow(ctx, "pipeline version", &versionTable, versionColumns(t.columns[:0], &v))
}

// PipelineVersion implements store.Reader.
func (t *Tx) PipelineVersion(ctx context.Context, pipelineID string, version int64) (definition.Version, error) {
	found, err := list(ctx, t, scanVersion, versionQuery, pipelineID, version)
	return first(found, "pipeline version", err)
}

// PipelineVersions implements store.Reader.
func (t *Tx) PipelineVersions(ctx context.Context, pipelineID string, before int64, size int) ([]definition.Version, error) {
	if before == 0 {
		before = 1 << 62
	}
	return list(ctx, t, scanVersion, versionsQuery, pipelineID, before, limit(size))
}

// NextNumber implements store.Tx.
func (t *Tx) NextNumber(ctx context.Context, pipelineID string) (int64, error) {
	var number int64
	err := t.one(ctx, "pipeline "+pipelineID,
		`UPDATE scopes SET last_number = last_number + 1 WHERE pipeline_id = $1 AND execution_id = '' RETURNING last_number`, []any{pipelineID}, &number)
	return number, err
}

// Statements of approval rules.
var (
	ruleTable  = newTable("approval_rules", (&ruleRow{}).columns(nil))
	ruleQuery  = ruleTable.query(`WHERE account = $1 AND name = $2`)
	rulesQuery = ruleTable.query(`WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3`)
)

// ruleRow is a row of the table of approval rules. The document holds the whole rule as it
// was written, and the columns what changes with a write.
type ruleRow struct {
	approval.Rule

	written approval.Rule
}

func (r *ruleRow) columns(c []column) []column {
	return append(c,
		text(identity, "account", &r.Account),
		text(identity, "name", &r.Name),
		record(variable, "rule", &r.written),
		number(counter, "revision", &r.Revision),
		instant(constant, "created_at", &r.CreatedAt),
		instant(variable, "updated_at", &r.UpdatedAt),
	)
}

func scanRule(rows *row) (approval.Rule, error) {
	var r ruleRow
	err := scan(rows, r.columns(rows.columns[:0]))
	rule := r.written
	rule.Account, rule.Name, rule.Revision, rule.CreatedAt, rule.UpdatedAt = r.Account, r.Name, r.Revision, r.CreatedAt, r.UpdatedAt
	return rule, err
}

// CreateApprovalRule implements store.Tx.
func (t *Tx) CreateApprovalRule(ctx context.Context, r approval.Rule) error {
	row := ruleRow{r, r}
	if err := t.insertNow(ctx, "approval rule "+r.Name, &ruleTable, row.columns(t.columns[:0])); err != nil {
		return err
	}
	return t.rulesChanged(ctx, r.Account)
}

// rulesOf is the name that the rules of an account are held by.
func rulesOf(account string) string { return "approval rules of account " + account }

// rulesChanged waits for those who have confirmed the rules as they were: what they
// decided comes first then.
func (t *Tx) rulesChanged(ctx context.Context, account string) error {
	if err := t.conn.Lock(ctx, rulesOf(account), true); err != nil {
		return err
	}
	return t.changedLater(ctx, store.ErrNotFound, "account "+account,
		`UPDATE accounts SET rules_revision = rules_revision + 1 WHERE name = $1`, account)
}

// RulesRevision implements store.Tx.
func (t *Tx) RulesRevision(ctx context.Context, account string) (int64, error) {
	if err := t.conn.Lock(ctx, rulesOf(account), false); err != nil {
		return 0, err
	}
	var revision int64
	err := t.one(ctx, "account "+account, `SELECT rules_revision FROM accounts WHERE name = $1`, []any{account}, &revision)
	return revision, err
}

// ConfirmRules implements store.Tx.
func (t *Tx) ConfirmRules(ctx context.Context, account string, revision int64) error {
	if err := t.conn.Lock(ctx, rulesOf(account), false); err != nil {
		return err
	}
	return t.conn.Later(ctx, Statement{
		What:  rulesOf(account),
		Query: `SELECT name FROM accounts WHERE name = $1 AND rules_revision = $2`, Args: []any{account, revision},
		Missing: store.ErrStale, Confirms: true,
	})
}

// UpdateApprovalRule implements store.Tx.
func (t *Tx) UpdateApprovalRule(ctx context.Context, r approval.Rule) error {
	row := ruleRow{r, r}
	if err := t.updateNow(ctx, store.ErrStale, "approval rule "+r.Name, &ruleTable, row.columns(t.columns[:0])); err != nil {
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
func (t *Tx) ApprovalRule(ctx context.Context, account, name string) (approval.Rule, error) {
	found, err := list(ctx, t, scanRule, ruleQuery, account, name)
	return first(found, "approval rule "+name, err)
}

// ApprovalRules implements store.Reader.
func (t *Tx) ApprovalRules(ctx context.Context, account string, page store.Page) ([]approval.Rule, error) {
	return list(ctx, t, scanRule, rulesQuery, account, page.After, limit(page.Size))
}

// Request implements store.Reader.
func (t *Tx) Request(ctx context.Context, account, method, requestID string) (string, error) {
	var resource string
	err := t.one(ctx, "request", `SELECT resource FROM requests WHERE account = $1 AND method = $2 AND request_id = $3`,
		[]any{account, method, requestID}, &resource)
	return resource, err
}

// Statements of creations.
var (
	creationTable       = newTable("creations", creationColumns(nil, &store.Creation{}))
	creationQuery       = creationTable.query(`WHERE resource = $1`)
	creationUpdateQuery = creationTable.update + fmt.Sprintf(` AND request_id = $%d AND NOT confirmed`, creationTable.updated+1)
)

func creationColumns(c []column, r *store.Creation) []column {
	return append(c,
		text(identity, "resource", &r.Resource),
		text(variable, "request_id", &r.RequestID),
		text(variable, "principal", &r.Principal),
		text(variable, "object", &r.Object),
		flag(variable, "confirmed", &r.Confirmed),
		instant(variable, "created_at", &r.CreatedAt),
	)
}

// Creation implements store.Reader.
func (t *Tx) Creation(ctx context.Context, resource string) (store.Creation, error) {
	found, err := list(ctx, t, func(rows *row) (store.Creation, error) {
		var c store.Creation
		err := scan(rows, creationColumns(rows.columns[:0], &c))
		return c, err
	}, creationQuery, resource)
	return first(found, "creation of "+resource, err)
}

// creationMemory is how long a creation is remembered at least.
const creationMemory = time.Hour

// SaveCreation implements store.Tx. It forgets old ones, so that the table stays small.
func (t *Tx) SaveCreation(ctx context.Context, c store.Creation) error {
	if err := t.exec(ctx, "old creations", `DELETE FROM creations WHERE created_at < $1`, micros(c.CreatedAt.Add(-creationMemory))); err != nil {
		return err
	}
	args, err := insertArgs(nil, creationColumns(t.columns[:0], &c))
	if err != nil {
		return err
	}
	return t.exec(ctx, "creation of "+c.Resource, creationTable.upsert, args...)
}

// UpdateCreation implements store.Tx.
func (t *Tx) UpdateCreation(ctx context.Context, seen string, c store.Creation) error {
	args, err := updateArgs(nil, creationColumns(t.columns[:0], &c))
	if err != nil {
		return err
	}
	return t.changed(ctx, store.ErrStale, "creation of "+c.Resource, creationUpdateQuery, append(args, seen)...)
}

// DeleteCreation implements store.Tx.
func (t *Tx) DeleteCreation(ctx context.Context, resource string) error {
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
