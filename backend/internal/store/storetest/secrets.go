package storetest

import (
	"context"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

func testSecrets(s *suite) {
	t := s.t
	secret := filled[definition.Secret]()
	// What is sealed is not a text.
	secret.Sealed = []byte("\x01\x00\xff sealed \x80")
	create := func(secret definition.Secret) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreateSecret(ctx, secret) })
	}
	named := func(account, name string) func(context.Context, store.Reader) (definition.Secret, error) {
		return func(ctx context.Context, r store.Reader) (definition.Secret, error) {
			return r.Secret(ctx, account, name)
		}
	}
	require.ErrorIs(t, create(secret), store.ErrNotFound, "its account does not exist")
	s.account(secret.Account)
	s.account("other")
	require.NoError(t, create(secret))
	require.ErrorIs(t, create(secret), store.ErrAlreadyExists)
	require.Equal(t, secret, get(s, named(secret.Account, secret.Name)))
	missing(s, named("other", secret.Name))
	missing(s, named(secret.Account, "other"))

	elsewhere := secret
	elsewhere.Account = "other"
	later := secret
	later.Name += "2"
	require.NoError(t, create(elsewhere))
	require.NoError(t, create(later))
	page := func(page store.Page) []definition.Secret {
		return get(s, func(ctx context.Context, r store.Reader) ([]definition.Secret, error) {
			return r.Secrets(ctx, secret.Account, page)
		})
	}
	require.Equal(t, []definition.Secret{secret, later}, page(store.Page{}))
	require.Equal(t, []definition.Secret{secret}, page(store.Page{Size: 1}))
	require.Equal(t, []definition.Secret{later}, page(store.Page{Size: 1, After: secret.Name}))

	// Of what identifies it, nothing is written; all else is.
	changed := secret
	changed.Description, changed.Sealed, changed.Version = "changed", []byte("new"), secret.Version+1
	changed.ValueAt, changed.UpdatedAt = day(), day()
	update := func(secret definition.Secret) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.UpdateSecret(ctx, secret) })
	}
	require.NoError(t, update(changed))
	require.ErrorIs(t, update(changed), store.ErrStale)
	changed.Revision++
	s.restart()
	require.Equal(t, changed, get(s, named(secret.Account, secret.Name)))
	require.Equal(t, elsewhere, get(s, named("other", secret.Name)))

	remove := func(revision int64) error {
		return s.try(func(ctx context.Context, tx store.Tx) error {
			return tx.DeleteSecret(ctx, secret.Account, secret.Name, revision)
		})
	}
	require.ErrorIs(t, remove(secret.Revision), store.ErrStale)
	require.NoError(t, remove(changed.Revision))
	missing(s, named(secret.Account, secret.Name))
	require.Equal(t, []definition.Secret{later}, page(store.Page{}))
}
