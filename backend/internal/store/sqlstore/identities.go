package sqlstore

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Identity implements store.Reader.
func (t *Tx) Identity(ctx context.Context, of store.IdentityKind) (string, error) {
	var id string
	err := t.one(ctx, "identity of the "+string(of), `SELECT id FROM identities WHERE name = $1`, []any{string(of)}, &id)
	return id, err
}

// SetIdentity implements store.Tx.
func (t *Tx) SetIdentity(ctx context.Context, of store.IdentityKind, seen, id string) error {
	what := "identity of the " + string(of)
	if seen == "" {
		return t.changed(ctx, store.ErrStale, what, `INSERT INTO identities (name, id) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, string(of), id)
	}
	return t.changed(ctx, store.ErrStale, what, `UPDATE identities SET id = $3 WHERE name = $1 AND id = $2`, string(of), seen, id)
}
