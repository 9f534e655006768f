package service

import (
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// authorize refuses a caller who lacks a permission in an account. It is asked
// before anything of the account is read, so that a stranger gets the same
// answer whether the account and its objects exist or not.
func authorize(who auth.Identity, permission auth.Permission, account string) error {
	if who.May(permission, account) {
		return nil
	}
	where := "in account " + quoteName(account)
	if account == auth.Every {
		where = "in all accounts"
	}
	has := "its token has no role there"
	if roles := who.RolesIn(account); len(roles) > 0 {
		has = "its token has the role " + roleList(roles, " and ")
	}
	return refuse(KindDenied, pipeline.ReasonPermissionDenied, "%s may not %s %s: that takes the role %s, and %s",
		quoteName(who.Principal), verb(permission), where, roleList(auth.RolesWith(permission), " or "), has)
}

// Authorize refuses as every use case does, for the rim, which refuses by what the
// contract declares before it calls a use case.
func Authorize(who auth.Identity, permission auth.Permission, account string) error {
	return authorize(who, permission, account)
}

// AuthorizeAnywhere refuses a caller who has the permission in no account.
func AuthorizeAnywhere(who auth.Identity, permission auth.Permission) error {
	if who.MayAnywhere(permission) {
		return nil
	}
	return refuse(KindDenied, pipeline.ReasonPermissionDenied, "%s may not %s: that takes the role %s in at least one account",
		quoteName(who.Principal), verb(permission), roleList(auth.RolesWith(permission), " or "))
}

// verb says a permission as what a caller wants to do.
func verb(permission auth.Permission) string {
	switch permission {
	case auth.ReadAccount:
		return "read the account"
	case auth.Read:
		return "read anything"
	case auth.Deploy:
		return "define, start or stop pipelines"
	case auth.Approve:
		return "decide approvals"
	case auth.Administer:
		return "change accounts, tokens, connections or approval rules"
	default:
		return string(permission)
	}
}

func roleList(roles []auth.Role, joint string) string {
	words := make([]string, len(roles))
	for i, role := range roles {
		words[i] = string(role)
	}
	return strings.Join(words, joint)
}

// quoteName quotes a name that a caller chose.
func quoteName(name string) string { return `"` + name + `"` }
