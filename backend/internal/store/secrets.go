package store

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
)

// SecretReader reads secrets, whose values are sealed.
type SecretReader interface {
	Secret(ctx context.Context, account, name string) (definition.Secret, error)
	// Secrets returns secrets by name. Page.After is a name; size 0 returns all.
	Secrets(ctx context.Context, account string, page Page) ([]definition.Secret, error)
}

// SecretWriter reads and writes secrets.
type SecretWriter interface {
	SecretReader

	CreateSecret(ctx context.Context, secret definition.Secret) error
	// UpdateSecret writes the record if its revision is still secret.Revision, and adds one
	// to the revision; else ErrStale.
	UpdateSecret(ctx context.Context, secret definition.Secret) error
	// DeleteSecret removes the record if its revision is still the given one; else ErrStale.
	DeleteSecret(ctx context.Context, account, name string, revision int64) error
}
