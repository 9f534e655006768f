package secret

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/planning"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
)

// ValidateConfig checks the secret as the server does, and without one. What is not known
// yet is checked by the apply.
func (r *Resource) ValidateConfig(
	ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse,
) {
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "name", domain.CheckSecret)
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "account", domain.CheckAccount)
	var value types.String
	response.Diagnostics.Append(request.Config.GetAttribute(ctx, path.Root("value_wo"), &value)...)
	if value.IsNull() || value.IsUnknown() {
		return
	}
	if err := domain.CheckSecretValue([]byte(value.ValueString())); err != nil {
		// Not at the argument: Terraform would print its line, which may hold the value.
		response.Diagnostics.AddError("Invalid value_wo", problem.Sentence(err.Error()))
	}
}

// ModifyPlan fills in what depends on the provider or on other arguments.
func (r *Resource) ModifyPlan(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) {
	if request.Plan.Raw.IsNull() {
		return
	}
	planning.Name(ctx, r.session, request, response, func(account string, names []string) string {
		return client.SecretName(account, names[0])
	}, "name")
	planning.Settle(ctx, request, response, func(m model) proto.Message {
		// The version of the argument is never sent, but decides whether anything is.
		message := m.message()
		message.Version = m.ValueWOVersion.ValueInt64()
		return message
	}, "version", "value_set_time", "etag")
	r.planVersion(ctx, request, response)
	planning.Support(ctx, r.session, response, reporter, func(m model) proto.Message {
		return &headracev1.CreateSecretRequest{Secret: m.message()}
	})
}

// planVersion plans that a new description leaves the value as it is, and refuses a plan
// that has no value to set.
func (r *Resource) planVersion(ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse) {
	var plan, state model
	var value types.String
	response.Diagnostics.Append(response.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.Config.GetAttribute(ctx, path.Root("value_wo"), &value)...)
	create := request.State.Raw.IsNull() || len(response.RequiresReplace) > 0
	if !create {
		response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	}
	if response.Diagnostics.HasError() {
		return
	}
	if !plan.Account.IsUnknown() && !plan.Name.IsUnknown() {
		r.session.NoteSecret(plan.resourceName())
	}
	switch {
	case !create && !plan.setsValue(state):
		response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("version"), state.Version)...)
		response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("value_set_time"), state.ValueSetTime)...)
	case value.IsNull():
		response.Diagnostics.AddAttributeError(path.Root("value_wo_version"), "value_wo is not set",
			"The plan sets the value of "+reporter(plan).Object+", since it creates the secret, value_wo_version changes, or somebody else "+
				"has set another value. Set value_wo.")
	}
}
