package sqlstore

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Statements of secrets.
var (
	secretTable  = newTable("secrets", secretColumns(nil, &definition.Secret{}))
	secretQuery  = secretTable.query(`WHERE account = $1 AND name = $2`)
	secretsQuery = secretTable.query(`WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3`)
)

func secretColumns(c []column, s *definition.Secret) []column {
	return append(c,
		text(identity, "account", &s.Account),
		text(identity, "name", &s.Name),
		text(variable, "description", &s.Description),
		blob(variable, "sealed", &s.Sealed),
		number(variable, "version", &s.Version),
		instant(variable, "value_at", &s.ValueAt),
		number(counter, "revision", &s.Revision),
		instant(constant, "created_at", &s.CreatedAt),
		instant(variable, "updated_at", &s.UpdatedAt),
	)
}

func scanSecret(rows *row) (definition.Secret, error) {
	var s definition.Secret
	err := scan(rows, secretColumns(rows.columns[:0], &s))
	return s, err
}

// CreateSecret implements store.Tx.
func (t *Tx) CreateSecret(ctx context.Context, s definition.Secret) error {
	return t.insertNow(ctx, "secret "+s.Name, &secretTable, secretColumns(t.columns[:0], &s))
}

// UpdateSecret implements store.Tx.
func (t *Tx) UpdateSecret(ctx context.Context, s definition.Secret) error {
	return t.updateNow(ctx, store.ErrStale, "secret "+s.Name, &secretTable, secretColumns(t.columns[:0], &s))
}

// DeleteSecret implements store.Tx.
func (t *Tx) DeleteSecret(ctx context.Context, account, name string, revision int64) error {
	return t.changed(ctx, store.ErrStale, "secret "+name,
		`DELETE FROM secrets WHERE account = $1 AND name = $2 AND revision = $3`, account, name, revision)
}

// Secret implements store.Reader.
func (t *Tx) Secret(ctx context.Context, account, name string) (definition.Secret, error) {
	found, err := list(ctx, t, scanSecret, secretQuery, account, name)
	return first(found, "secret "+name, err)
}

// Secrets implements store.Reader.
func (t *Tx) Secrets(ctx context.Context, account string, page store.Page) ([]definition.Secret, error) {
	return list(ctx, t, scanSecret, secretsQuery, account, page.After, limit(page.Size))
}
