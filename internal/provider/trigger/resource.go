// Package trigger is the resource headrace_trigger.
package trigger

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/accountguard"
	"github.com/headrace/terraform-provider-headrace/internal/provider/address"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// Resource manages a trigger.
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
	response.TypeName = request.ProviderTypeName + "_trigger"
}

// Configure takes what the provider hands out.
func (r *Resource) Configure(
	_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse,
) {
	r.session = session.FromResource(request, response)
}

// Create stores the trigger.
func (r *Resource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	var plan model
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	if response.Diagnostics.HasError() {
		return
	}
	report := reporter(&plan)
	backend, err := r.session.Client()
	if err != nil {
		report.Add(&response.Diagnostics, "create", err)
		return
	}
	plan.Account = r.session.Settled(plan.Account)
	requestID := r.session.RequestID()
	r.session.NoteApplying()
	created, err := backend.Triggers.CreateTrigger(ctx, &headracev1.CreateTriggerRequest{
		Trigger: plan.message(), RequestId: requestID,
	})
	if err != nil {
		report.Add(&response.Diagnostics, "create", err)
		return
	}
	state := modelOf(created.GetTrigger(), &plan)
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
	report.Warn(&response.Diagnostics, created.GetTrigger().GetWarnings(), r.session.Tell)
	_, err = backend.Triggers.GetTrigger(ctx, &headracev1.GetTriggerRequest{
		Name: state.resourceName(), ConfirmRequestId: requestID,
	})
	report.Confirmed(ctx, response, err)
}

// Read refreshes the state; a trigger that is gone leaves it.
func (r *Resource) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	var state model
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	if response.Diagnostics.HasError() {
		return
	}
	// Also an object that is gone has an identity.
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
	report := reporter(&state)
	backend, err := r.session.Client()
	if err != nil {
		problem.NotRefreshed(&response.Diagnostics, report.Object, err)
		return
	}
	found, err := backend.Triggers.GetTrigger(ctx, &headracev1.GetTriggerRequest{Name: state.resourceName()})
	if client.IsNotFound(err) {
		response.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		report.Add(&response.Diagnostics, "read", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, modelOf(found.GetTrigger(), &state))...)
}

// Update replaces the trigger. Changes before it start nothing.
func (r *Resource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	var plan, state model
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	if response.Diagnostics.HasError() {
		return
	}
	report := reporter(&plan)
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
	updated, err := backend.Triggers.UpdateTrigger(ctx, &headracev1.UpdateTriggerRequest{Trigger: wanted})
	if err != nil {
		report.Add(&response.Diagnostics, "update", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, modelOf(updated.GetTrigger(), &plan))...)
	report.Warn(&response.Diagnostics, updated.GetTrigger().GetWarnings(), r.session.Tell)
}

// Delete removes the trigger. Its decisions stay.
func (r *Resource) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	var state model
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	if response.Diagnostics.HasError() {
		return
	}
	report := reporter(&state)
	backend, err := r.session.Client()
	if err != nil {
		report.Add(&response.Diagnostics, "delete", err)
		return
	}
	r.session.NoteApplying()
	_, err = backend.Triggers.DeleteTrigger(ctx, &headracev1.DeleteTriggerRequest{
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
		address.Part{Collection: "triggers", Attribute: "name"})
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	trigger := identity{Account: types.StringValue(account), Name: types.StringValue(names[0])}
	id := types.StringValue(client.TriggerName(account, names[0]))
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("id"), id)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("account"), trigger.Account)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("name"), trigger.Name)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, trigger)...)
}

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
)
