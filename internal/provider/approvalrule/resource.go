// Package approvalrule is the resource headrace_approval_rule.
package approvalrule

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/accountguard"
	"github.com/headrace/terraform-provider-headrace/internal/provider/address"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// Resource manages an approval rule.
type Resource struct {
	session *session.Session
}

// New returns the resource.
func New() resource.Resource {
	return accountguard.Resource(&Resource{})
}

// Metadata returns the name of the resource type.
func (r *Resource) Metadata(
	_ context.Context, request resource.MetadataRequest, response *resource.MetadataResponse,
) {
	response.TypeName = request.ProviderTypeName + "_approval_rule"
}

// Configure takes what the provider hands out.
func (r *Resource) Configure(
	_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse,
) {
	r.session = session.FromResource(request, response)
}

// Create stores the rule.
func (r *Resource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	var plan model
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	if response.Diagnostics.HasError() {
		return
	}
	report := reporter(plan)
	backend, err := r.session.Client()
	if err != nil {
		report.Add(&response.Diagnostics, "create", err)
		return
	}
	plan.Account = r.session.Settled(plan.Account)
	requestID := r.session.RequestID()
	r.session.NoteApplying()
	created, err := backend.ApprovalRules.CreateApprovalRule(ctx, &headracev1.CreateApprovalRuleRequest{
		ApprovalRule: plan.message(), RequestId: requestID,
	})
	if err != nil {
		report.Add(&response.Diagnostics, "create", err)
		return
	}
	state := modelOf(created.GetApprovalRule(), plan)
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
	r.warn(ctx, &response.Diagnostics, state, created.GetApprovalRule(), runState{changed: true, applied: true})
	_, err = backend.ApprovalRules.GetApprovalRule(ctx, &headracev1.GetApprovalRuleRequest{
		Name: state.resourceName(), ConfirmRequestId: requestID,
	})
	report.Confirmed(ctx, response, err)
}

// Read refreshes the state; a rule that is gone leaves it.
func (r *Resource) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	var state model
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	if response.Diagnostics.HasError() {
		return
	}
	// Also an object that is gone has an identity.
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
	report := reporter(state)
	backend, err := r.session.Client()
	if err != nil {
		problem.NotRefreshed(&response.Diagnostics, report.Object, err)
		return
	}
	state, err = read(ctx, backend, state)
	if client.IsNotFound(err) {
		response.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		report.Add(&response.Diagnostics, "read", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
}

// Update replaces the rule. Waits that have begun go on by the rule as it was.
func (r *Resource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	var plan, state model
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	if response.Diagnostics.HasError() {
		return
	}
	report := reporter(plan)
	backend, err := r.session.Client()
	if err != nil {
		report.Add(&response.Diagnostics, "update", err)
		return
	}
	plan.ID, plan.Account = state.ID, state.Account
	response.Diagnostics.Append(response.Identity.Set(ctx, plan.identity())...)
	wanted := plan.message()
	if proto.Equal(wanted, state.message()) {
		// Only the choice between null and empty changed.
		plan.ETag = state.ETag
		response.Diagnostics.Append(response.State.Set(ctx, plan)...)
		return
	}
	wanted.Etag = state.ETag.ValueString()
	r.session.NoteApplying()
	updated, err := backend.ApprovalRules.UpdateApprovalRule(ctx, &headracev1.UpdateApprovalRuleRequest{ApprovalRule: wanted})
	if err != nil {
		report.Add(&response.Diagnostics, "update", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, modelOf(updated.GetApprovalRule(), plan))...)
	r.warn(ctx, &response.Diagnostics, plan, updated.GetApprovalRule(), runState{changed: true, applied: true})
}

// Delete removes the rule. Waits that have begun go on by the rule as it was.
func (r *Resource) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	var state model
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	if response.Diagnostics.HasError() {
		return
	}
	report := reporter(state)
	backend, err := r.session.Client()
	if err != nil {
		report.Add(&response.Diagnostics, "delete", err)
		return
	}
	r.session.NoteApplying()
	r.noteDelete(state)
	_, err = backend.ApprovalRules.DeleteApprovalRule(ctx, &headracev1.DeleteApprovalRuleRequest{
		Name: state.resourceName(), Etag: state.ETag.ValueString(),
	})
	if err != nil && !client.IsNotFound(err) {
		report.Add(&response.Diagnostics, "delete", err)
	}
}

// ImportState takes NAME, ACCOUNT/NAME or the resource name.
func (r *Resource) ImportState(
	ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse,
) {
	account, names, diags := address.FromImport(ctx, request, r.session.Account(types.StringNull()),
		address.Part{Collection: "approvalRules", Attribute: "name"})
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	rule := identity{Account: types.StringValue(account), Name: types.StringValue(names[0])}
	id := types.StringValue(client.ApprovalRuleName(account, names[0]))
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("id"), id)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("account"), rule.Account)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("name"), rule.Name)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, rule)...)
}

// read returns the rule as the backend has it.
func read(ctx context.Context, backend *client.Client, prior model) (model, error) {
	answer, err := backend.ApprovalRules.GetApprovalRule(ctx, &headracev1.GetApprovalRuleRequest{Name: prior.resourceName()})
	if err != nil {
		return model{}, err
	}
	return modelOf(answer.GetApprovalRule(), prior), nil
}

func reporter(m model) problem.Reporter {
	return problem.Reporter{
		Object:  fmt.Sprintf("approval rule %q", m.Name.ValueString()),
		Message: "approval_rule", Shape: fieldpath.ApprovalRule(),
	}
}

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
)
