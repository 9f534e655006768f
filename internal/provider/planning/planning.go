// Package planning holds what all resources plan in the same way: the account
// that an object lives in, its resource name, whether anything changed, and whether the
// server supports it. A plan needs no server: only the last asks one, if it answers.
package planning

import (
	"context"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"google.golang.org/protobuf/proto"

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

// Settle keeps the computed attributes of the state where the apply would send what the
// server has already. The framework counts every difference between configuration and state
// as a change, also null for empty, and then plans them as known after the apply. It reports
// whether the apply would send the same.
func Settle[Model any](
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
	message func(Model) proto.Message, computed ...string,
) bool {
	var plan, state map[string]tftypes.Value
	if request.State.Raw.IsNull() || response.Diagnostics.HasError() ||
		response.Plan.Raw.As(&plan) != nil || request.State.Raw.As(&state) != nil {
		return false
	}
	// As returns the map of the value itself.
	plan = maps.Clone(plan)
	for _, name := range computed {
		plan[name] = state[name]
	}
	settled := tftypes.NewValue(response.Plan.Raw.Type(), plan)
	if !settled.IsFullyKnown() {
		return false
	}
	var planned, before Model
	response.Diagnostics.Append((&tfsdk.Plan{Schema: response.Plan.Schema, Raw: settled}).Get(ctx, &planned)...)
	response.Diagnostics.Append(request.State.Get(ctx, &before)...)
	if response.Diagnostics.HasError() || !proto.Equal(message(planned), message(before)) {
		return false
	}
	response.Plan.Raw = settled
	return true
}

// NoteChange tells others of the same run that an object is created or changed, by its id.
func NoteChange(ctx context.Context, s *session.Session, response *resource.ModifyPlanResponse, unchanged bool) {
	var id types.String
	response.Diagnostics.Append(response.Plan.GetAttribute(ctx, path.Root("id"), &id)...)
	if !unchanged && !id.IsNull() && !id.IsUnknown() {
		s.NoteChange(id.ValueString())
	}
}
