package auth_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
)

func TestRolesGrantNoMoreThanTheySay(t *testing.T) {
	t.Parallel()
	all := []auth.Permission{auth.ReadAccount, auth.Read, auth.Deploy, auth.Approve, auth.Administer}
	tests := map[auth.Role][]auth.Permission{
		auth.Admin:      all,
		auth.Deployer:   {auth.ReadAccount, auth.Read, auth.Deploy},
		auth.Approver:   {auth.ReadAccount, auth.Read, auth.Approve},
		auth.Viewer:     {auth.ReadAccount, auth.Read},
		auth.Runner:     {auth.ReadAccount},
		"":              nil,
		"administrator": nil,
	}
	for role, granted := range tests {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			who := auth.Identity{Bindings: []auth.Binding{{Account: "dev", Role: role}}}
			for _, permission := range all {
				want := false
				for _, g := range granted {
					want = want || g == permission
				}
				require.Equal(t, want, who.May(permission, "dev"), "%s in dev", permission)
				require.Equal(t, want, who.MayAnywhere(permission), "%s anywhere", permission)
				require.False(t, who.May(permission, "prod"), "%s in another account", permission)
				require.False(t, who.May(permission, auth.Every), "%s everywhere", permission)
			}
		})
	}
}

func TestBindingToEveryAccountHoldsInEach(t *testing.T) {
	t.Parallel()
	who := auth.Identity{Bindings: []auth.Binding{{Account: auth.Every, Role: auth.Viewer}, {Account: "dev", Role: auth.Deployer}}}
	require.True(t, who.May(auth.Read, "prod"))
	require.False(t, who.May(auth.Deploy, "prod"))
	require.Equal(t, []auth.Role{auth.Viewer, auth.Deployer}, who.RolesIn("dev"))
	require.Equal(t, []auth.Role{auth.Viewer}, who.RolesIn("prod"))
	require.Equal(t, []auth.Role{auth.Deployer, auth.Admin}, auth.RolesWith(auth.Deploy))
}

func TestSecretsDifferAndHideInTheirHash(t *testing.T) {
	t.Parallel()
	first, second := auth.NewSecret(), auth.NewSecret()
	require.NotEqual(t, first, second)
	require.Regexp(t, `^hr_[A-Za-z0-9_-]{43}$`, first)
	require.NotEqual(t, auth.Hash(first), auth.Hash(second))
	require.NotContains(t, auth.Hash(first), first[3:])
}

func TestTokenExpires(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	token := auth.Token{ID: "t", Principal: "ann", Groups: []string{"ops"}, Bindings: []auth.Binding{{Account: "dev", Role: auth.Approver}}}
	require.False(t, token.Expired(at), "a token without an end never expires")
	token.ExpiresAt = at
	require.False(t, token.Expired(at.Add(-time.Microsecond)))
	require.True(t, token.Expired(at))
	who := token.Identity()
	require.Equal(t, auth.Identity{Token: "t", Principal: "ann", Groups: []string{"ops"}, Bindings: token.Bindings}, who)
	require.True(t, who.May(auth.Approve, "dev"))
}
