// Package planning holds what all resources plan in the same way: the account
// that an object lives in, its resource name, whether anything changed, and whether the
// server supports it. A plan needs no server: only the last asks one, if it answers.
package planning

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// Name plans the account and the id of an object. The account is the provider's
// where the configuration names none. An object cannot move to another account, so
// it is replaced if its configuration names another one. That the provider's account
// may have moved is up to accountguard, which refuses such a plan. The id is the resource name that build
// makes of the account and of the values of the attributes, in that order; it is
// known in the plan as soon as these are.
func Name(
	ctx context.Context, s *session.Session,
	request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
	build func(account string, names []string) string, attributes ...string,
) {
	account := planAccount(ctx, s, request, response)
	known := !account.IsUnknown()
	names := make([]string, 0, len(attributes))
	for _, attribute := range attributes {
		var name types.String
		response.Diagnostics.Append(request.Plan.GetAttribute(ctx, path.Root(attribute), &name)...)
		known = known && !name.IsUnknown()
		names = append(names, name.ValueString())
	}
	id := types.StringUnknown()
	if known {
		id = types.StringValue(build(account.ValueString(), names))
	}
	response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("id"), id)...)
}

func planAccount(
	ctx context.Context, s *session.Session,
	request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) types.String {
	var configured, before types.String
	account := path.Root("account")
	response.Diagnostics.Append(request.Config.GetAttribute(ctx, account, &configured)...)
	if !request.State.Raw.IsNull() {
		response.Diagnostics.Append(request.State.GetAttribute(ctx, account, &before)...)
	}
	planned := s.Account(configured)
	existing := !before.IsNull()
	if existing && configured.IsNull() {
		planned = before
	}
	response.Diagnostics.Append(response.Plan.SetAttribute(ctx, account, planned)...)
	switch {
	case !existing || planned.Equal(before):
	case planned.IsUnknown():
		// A replacement would delete the object before anybody knows whether it moves.
		response.Diagnostics.AddAttributeWarning(account, "Whether the object is replaced is known only after an apply",
			fmt.Sprintf("It is in account %q, and the value of account is not known yet. If it turns out to be another account, "+
				"the apply fails with an inconsistent final plan and nothing is deleted. Apply what the value comes from first, with "+
				"-target.", before.ValueString()))
	default:
		response.RequiresReplace = append(response.RequiresReplace, account)
	}
	return planned
}

// Unchanged tells whether the plan equals the state but for the given attributes.
func Unchanged(plan, state tftypes.Value, but ...string) bool {
	var planned, before map[string]tftypes.Value
	if plan.As(&planned) != nil || state.As(&before) != nil || before == nil {
		return false
	}
	for name, value := range planned {
		if !slices.Contains(but, name) && !value.Equal(before[name]) {
			return false
		}
	}
	return true
}
