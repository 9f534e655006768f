// Package auth holds accounts and tokens, and says who a caller is and what they may do. It
// must never hold a secret longer than the call: tokens are looked up by their hash.
package auth

import "slices"

// Role is what a token may do in an account.
type Role string

// The roles. Approving and deploying are separate rights, so that one token
// cannot do both unless it was given both.
const (
	Admin    Role = "admin"
	Deployer Role = "deployer"
	Approver Role = "approver"
	Viewer   Role = "viewer"
	Runner   Role = "runner"
)

// Permission is one thing that a use case asks for.
type Permission string

// The permissions.
const (
	// ReadAccount reads the account itself, with its settings.
	ReadAccount Permission = "read account"
	// Read definitions, executions, logs and rules.
	Read Permission = "read"
	// Deploy defines, starts and stops pipelines.
	Deploy Permission = "deploy"
	// Approve decides approvals.
	Approve Permission = "approve"
	// Administer accounts, tokens and approval rules.
	Administer Permission = "administer"
)

// Every is the account of a binding that holds in all accounts.
const Every = "*"

// Identity is an authenticated caller.
type Identity struct {
	// Token is the id of the token that the caller came with. Nobody else can choose it,
	// as an admin of any account can choose the principal of a token.
	Token     string
	Principal string
	Groups    []string
	Bindings  []Binding
}

// Binding grants a role in an account, or in Every.
type Binding struct {
	Account string `json:"account"`
	Role    Role   `json:"role"`
}

// May tells whether the caller has the permission in the account.
func (i Identity) May(permission Permission, account string) bool {
	return slices.ContainsFunc(i.Bindings, func(b Binding) bool {
		return (b.Account == account || b.Account == Every) && b.Role.grants(permission)
	})
}

// MayAnywhere tells whether the caller has the permission in at least one account.
func (i Identity) MayAnywhere(permission Permission) bool {
	return slices.ContainsFunc(i.Bindings, func(b Binding) bool { return b.Role.grants(permission) })
}

// RolesIn returns the roles that the caller has in the account, those of every
// account among them; none for a stranger.
func (i Identity) RolesIn(account string) []Role {
	var roles []Role
	for _, b := range i.Bindings {
		if (b.Account == account || b.Account == Every) && !slices.Contains(roles, b.Role) {
			roles = append(roles, b.Role)
		}
	}
	return roles
}

// RolesWith returns the roles that have the permission, the weakest first.
func RolesWith(permission Permission) []Role {
	var roles []Role
	for _, role := range []Role{Runner, Viewer, Approver, Deployer, Admin} {
		if role.grants(permission) {
			roles = append(roles, role)
		}
	}
	return roles
}

func (r Role) grants(permission Permission) bool {
	switch r {
	case Admin:
		return true
	case Deployer:
		return permission == ReadAccount || permission == Read || permission == Deploy
	case Approver:
		return permission == ReadAccount || permission == Read || permission == Approve
	case Viewer:
		return permission == ReadAccount || permission == Read
	case Runner:
		return permission == ReadAccount
	default:
		return false
	}
}
