package storetest

import (
	"context"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

func (s *suite) connection(c connection.Connection) error {
	return s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreateConnection(ctx, c) })
}

func testConnections(s *suite) {
	t := s.t
	c := filled[connection.Connection]()
	byName := func(account, name string) func(context.Context, store.Reader) (connection.Connection, error) {
		return func(ctx context.Context, r store.Reader) (connection.Connection, error) {
			return r.Connection(ctx, account, name)
		}
	}
	require.ErrorIs(t, s.connection(c), store.ErrNotFound, "its account does not exist")
	s.account(c.Account)
	s.account("other")
	require.NoError(t, s.connection(c))
	require.ErrorIs(t, s.connection(c), store.ErrAlreadyExists)
	require.Equal(t, c, get(s, byName(c.Account, c.Name)))
	missing(s, byName("other", c.Name))
	missing(s, byName(c.Account, strings.ToUpper(c.Name)))

	changed := c
	changed.Description, changed.SSH, changed.AllowedHosts, changed.Credentials = "", nil, nil, nil
	// A token of an installation of GitHub has 520 characters today; keys have more.
	changed.Credentials = []connection.Credential{{Name: connection.Token, Sealed: []byte(strings.Repeat("x", 20_000))}}
	changed.UpdatedAt = changed.UpdatedAt.Add(time.Hour)
	set := func(ctx context.Context, tx store.Tx) error { return tx.UpdateConnection(ctx, changed) }
	s.update(set)
	require.ErrorIs(t, s.try(set), store.ErrStale)
	changed.Revision++
	require.Equal(t, changed, get(s, byName(c.Account, c.Name)))

	for _, name := range []string{"c", "a", "b"} {
		require.NoError(t, s.connection(connection.Connection{Account: "other", Name: name}))
	}
	list := func(page store.Page) (names []string) {
		for _, c := range get(s, func(ctx context.Context, r store.Reader) ([]connection.Connection, error) {
			return r.Connections(ctx, "other", page)
		}) {
			names = append(names, c.Name)
		}
		return names
	}
	require.Equal(t, []string{"a", "b", "c"}, list(store.Page{}))
	require.Equal(t, []string{"b"}, list(store.Page{Size: 1, After: "a"}))
	remove := func(revision int64) error {
		return s.try(func(ctx context.Context, tx store.Tx) error {
			return tx.DeleteConnection(ctx, c.Account, c.Name, revision)
		})
	}
	require.ErrorIs(t, remove(c.Revision), store.ErrStale, "it changed")
	require.NoError(t, remove(changed.Revision))
	missing(s, byName(c.Account, c.Name))
}

func testCachedTokens(s *suite) {
	t := s.t
	of := connection.Connection{Account: "a", Name: "github", Revision: 1}
	token := filled[connection.CachedToken]()
	token.Account, token.Connection, token.Revision = of.Account, of.Name, 0
	byScope := func(scope string) func(context.Context, store.Reader) (connection.CachedToken, error) {
		return func(ctx context.Context, r store.Reader) (connection.CachedToken, error) {
			return r.CachedToken(ctx, of.Account, of.Name, scope)
		}
	}
	save := func(token connection.CachedToken) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.SaveCachedToken(ctx, token) })
	}
	s.account(of.Account)
	require.ErrorIs(t, save(token), store.ErrNotFound, "its connection does not exist")
	require.NoError(t, s.connection(of))
	claim := token
	claim.Sealed = []byte{}
	require.NoError(t, save(claim))
	require.ErrorIs(t, save(claim), store.ErrStale, "another server was first")
	claim = get(s, byScope(token.Scope))
	require.Empty(t, claim.Sealed)
	require.NoError(t, save(claim), "the claim passes to another server")
	token.Revision = 2
	require.NoError(t, save(token))
	require.ErrorIs(t, save(token), store.ErrStale)
	token.Revision = 3
	require.Equal(t, token, get(s, byScope(token.Scope)))
	missing(s, byScope("other"))

	s.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateConnection(ctx, of) })
	missing(s, byScope(token.Scope))
	require.ErrorIs(t, save(token), store.ErrStale, "it is of the credentials before")
	token.Revision = 0
	require.NoError(t, save(token))
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteConnection(ctx, of.Account, of.Name, 2) })
	missing(s, byScope(token.Scope))
}
