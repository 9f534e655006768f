package connection

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/planning"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
)

// blocks returns the names of the blocks of types.
func blocks() []string {
	var names []string
	for _, of := range domain.ConnectionTypes() {
		names = append(names, string(of))
	}
	return names
}

// ValidateConfig checks the connection as the server does, and without one. What is not known
// yet is checked by the apply, as credentials are.
func (r *Resource) ValidateConfig(
	ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse,
) {
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "name", domain.CheckConnection)
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "account", domain.CheckAccount)
	given := 0
	for _, name := range blocks() {
		var block types.List
		response.Diagnostics.Append(request.Config.GetAttribute(ctx, path.Root(name), &block)...)
		if block.IsUnknown() || hasUnknownBlocks(block) {
			return
		}
		given += len(block.Elements())
	}
	if given != 1 {
		response.Diagnostics.AddError("Exactly one block of a type is needed", fmt.Sprintf(
			"The connection has %d blocks of types. Write exactly one of %s.", given, strings.Join(blocks(), ", ")))
		return
	}
	var config model
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if response.Diagnostics.HasError() {
		return
	}
	problem.AddViolations(&response.Diagnostics, domain.ValidateConnection(config.domain()), nil, fieldpath.Connection(), nil)
}

// hasUnknownBlocks tells whether it is not known yet how many blocks are in an element.
func hasUnknownBlocks(list types.List) bool {
	for _, element := range list.Elements() {
		object, ok := element.(types.Object)
		if !ok || object.IsUnknown() {
			return true
		}
		if inner, ok := object.Attributes()["ssh"].(types.List); ok && (inner.IsUnknown() || hasUnknownBlocks(inner)) {
			return true
		}
	}
	return false
}

// ModifyPlan fills in what depends on the provider or on other arguments.
func (r *Resource) ModifyPlan(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) {
	if request.Plan.Raw.IsNull() {
		return
	}
	planning.Name(ctx, r.session, request, response, func(account string, names []string) string {
		return client.ConnectionName(account, names[0])
	}, "name")
	unchanged := planning.Settle(ctx, request, response, func(m model) proto.Message { return m.compared() },
		"arn", "credential_set_times", "credential_fingerprints", "etag")
	planning.NoteChange(ctx, r.session, response, unchanged)
	r.planCredentials(ctx, request, response)
	planning.Support(ctx, r.session, response, func(m model) problem.Reporter { return reporter(&m) }, func(m model) proto.Message {
		return &headracev1.CreateConnectionRequest{Connection: m.message()}
	})
}

// planCredentials plans what follows from the credentials that the apply sets, and refuses a
// plan that has no value for one.
func (r *Resource) planCredentials(ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse) {
	if !certain(ctx, response.Plan) {
		return
	}
	var plan, config model
	response.Diagnostics.Append(response.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	var state *model
	if !request.State.Raw.IsNull() && len(response.RequiresReplace) == 0 {
		state = &model{}
		response.Diagnostics.Append(request.State.Get(ctx, state)...)
	}
	if response.Diagnostics.HasError() {
		return
	}
	if !plan.Account.IsUnknown() && !plan.Name.IsUnknown() {
		name := domain.ConnectionName{Account: plan.Account.ValueString(), Connection: plan.Name.ValueString()}
		response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("arn"), types.StringValue(name.ARN()))...)
	}
	set := plan.sets(state)
	if state != nil && len(set) == 0 && len(plan.removed(state)) == 0 && plan.domain().Type == state.domain().Type {
		response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("credential_set_times"), state.SetTimes)...)
		response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("credential_fingerprints"), state.Fingerprints)...)
	}
	for _, c := range set {
		value := config.value(c.name)
		if !value.IsNull() {
			continue
		}
		argument := strings.TrimSuffix(c.at.String(), "_version")
		response.Diagnostics.AddAttributeError(c.at, argument[strings.LastIndex(argument, ".")+1:]+" is not set",
			"The plan sets a credential of "+reporter(&plan).Object+", since it creates the connection, the _wo_version, the block or the host of an "+
				"endpoint changes, or somebody else has set another credential. Set "+argument+".")
	}
}

// certain tells whether a plan has all blocks of types, and whether it is known how many.
func certain(ctx context.Context, plan tfsdk.Plan) bool {
	for _, name := range blocks() {
		var block types.List
		if diags := plan.GetAttribute(ctx, path.Root(name), &block); diags.HasError() || block.IsUnknown() || hasUnknownBlocks(block) {
			return false
		}
	}
	return true
}

// value returns the value of a credential, null if there is none.
func (m *model) value(name string) types.String {
	for _, c := range m.credentials() {
		if c.name == name {
			return c.value
		}
	}
	return types.StringNull()
}
