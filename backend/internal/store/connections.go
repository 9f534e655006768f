package store

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
)

// ConnectionReader reads connections and the tokens that forges issued for them.
type ConnectionReader interface {
	Connection(ctx context.Context, account, name string) (connection.Connection, error)
	// Connections returns connections by name. Page.After is a name; size 0 returns all.
	Connections(ctx context.Context, account string, page Page) ([]connection.Connection, error)
	// CachedToken returns the token of a connection for a scope.
	CachedToken(ctx context.Context, account, name, scope string) (connection.CachedToken, error)
}

// ConnectionWriter reads and writes connections and the tokens that forges issued for them.
type ConnectionWriter interface {
	ConnectionReader

	CreateConnection(ctx context.Context, c connection.Connection) error
	// UpdateConnection writes the record if its revision is still c.Revision, and adds one
	// to the revision; else ErrStale. The cached tokens of the connection are removed.
	UpdateConnection(ctx context.Context, c connection.Connection) error
	// DeleteConnection removes a connection that still has that revision, with its cached
	// tokens; else ErrStale.
	DeleteConnection(ctx context.Context, account, name string, revision int64) error
	// SaveCachedToken writes a token if its revision is still t.Revision, 0 if there was none,
	// and adds one to the revision; else ErrStale. ErrNotFound if there is no connection.
	SaveCachedToken(ctx context.Context, t connection.CachedToken) error
}
