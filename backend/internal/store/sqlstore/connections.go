package sqlstore

import (
	"context"
	"errors"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Statements of connections.
var (
	connectionTable  = newTable("connections", connectionColumns(nil, &connection.Connection{}))
	connectionQuery  = connectionTable.query(`WHERE account = $1 AND name = $2`)
	connectionsQuery = connectionTable.query(`WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3`)
)

func connectionColumns(c []column, r *connection.Connection) []column {
	return append(c,
		text(identity, "account", &r.Account),
		text(identity, "name", &r.Name),
		record[pipeline.Connection](variable, "connection", &r.Connection),
		record(variable, "credentials", &r.Credentials),
		number(counter, "revision", &r.Revision),
		instant(constant, "created_at", &r.CreatedAt),
		instant(variable, "updated_at", &r.UpdatedAt),
	)
}

func scanConnection(rows *row) (connection.Connection, error) {
	var c connection.Connection
	err := scan(rows, connectionColumns(rows.columns[:0], &c))
	return c, err
}

// CreateConnection implements store.Tx.
func (t *Tx) CreateConnection(ctx context.Context, c connection.Connection) error {
	return t.insertNow(ctx, "connection "+c.Name, &connectionTable, connectionColumns(t.columns[:0], &c))
}

// UpdateConnection implements store.Tx.
func (t *Tx) UpdateConnection(ctx context.Context, c connection.Connection) error {
	if err := t.updateNow(ctx, store.ErrStale, "connection "+c.Name, &connectionTable, connectionColumns(t.columns[:0], &c)); err != nil {
		return err
	}
	return t.exec(ctx, "tokens of connection "+c.Name,
		`DELETE FROM connection_tokens WHERE account = $1 AND connection = $2`, c.Account, c.Name)
}

// DeleteConnection implements store.Tx.
func (t *Tx) DeleteConnection(ctx context.Context, account, name string, revision int64) error {
	return t.changed(ctx, store.ErrStale, "connection "+name,
		`DELETE FROM connections WHERE account = $1 AND name = $2 AND revision = $3`, account, name, revision)
}

// Connection implements store.Reader.
func (t *Tx) Connection(ctx context.Context, account, name string) (connection.Connection, error) {
	found, err := list(ctx, t, scanConnection, connectionQuery, account, name)
	return first(found, "connection "+name, err)
}

// Connections implements store.Reader.
func (t *Tx) Connections(ctx context.Context, account string, page store.Page) ([]connection.Connection, error) {
	return list(ctx, t, scanConnection, connectionsQuery, account, page.After, limit(page.Size))
}

// Statements of the tokens that forges issued for connections.
var (
	cachedTokenTable = newTable("connection_tokens", cachedTokenColumns(nil, &connection.CachedToken{}))
	cachedTokenQuery = cachedTokenTable.query(`WHERE account = $1 AND connection = $2 AND scope = $3`)
)

func cachedTokenColumns(c []column, r *connection.CachedToken) []column {
	return append(c,
		text(identity, "account", &r.Account),
		text(identity, "connection", &r.Connection),
		text(identity, "scope", &r.Scope),
		blob(variable, "sealed", &r.Sealed),
		instant(variable, "expires_at", &r.ExpiresAt),
		instant(variable, "claimed_until", &r.ClaimedUntil),
		number(counter, "revision", &r.Revision),
	)
}

// CachedToken implements store.Reader.
func (t *Tx) CachedToken(ctx context.Context, account, name, scope string) (connection.CachedToken, error) {
	found, err := list(ctx, t, func(rows *row) (connection.CachedToken, error) {
		var c connection.CachedToken
		err := scan(rows, cachedTokenColumns(rows.columns[:0], &c))
		return c, err
	}, cachedTokenQuery, account, name, scope)
	return first(found, "token of connection "+name, err)
}

// SaveCachedToken implements store.Tx.
func (t *Tx) SaveCachedToken(ctx context.Context, token connection.CachedToken) error {
	what := "token of connection " + token.Connection
	if token.Sealed == nil {
		// Engines read no bytes back as nil, which they would write as NULL.
		token.Sealed = []byte{}
	}
	if token.Revision > 0 {
		return t.updateNow(ctx, store.ErrStale, what, &cachedTokenTable, cachedTokenColumns(t.columns[:0], &token))
	}
	if _, err := t.Connection(ctx, token.Account, token.Connection); err != nil {
		return err
	}
	token.Revision = 1
	err := t.insertNow(ctx, what, &cachedTokenTable, cachedTokenColumns(t.columns[:0], &token))
	if errors.Is(err, store.ErrAlreadyExists) {
		return store.ErrStale
	}
	return err
}
