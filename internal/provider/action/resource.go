// Package action is the resource headrace_action: an action of a composed pipeline.
package action

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
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

// Resource manages an action of a composed pipeline.
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
	response.TypeName = request.ProviderTypeName + "_action"
}

// Configure takes what the provider hands out.
func (r *Resource) Configure(
	_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse,
) {
	r.session = session.FromResource(request, response)
}

// Create adds the action to its stage.
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
	created, err := backend.Pipelines.CreateAction(ctx, &headracev1.CreateActionRequest{
		Action: plan.message(), RequestId: requestID,
	})
	if err != nil {
		report.Add(&response.Diagnostics, "create", err)
		return
	}
	state := modelOf(created.GetAction(), plan)
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
	r.written(ctx, &response.Diagnostics, state, created.GetWarnings())
	_, err = backend.Pipelines.GetAction(ctx, &headracev1.GetActionRequest{
		Name: state.resourceName(), ConfirmRequestId: requestID,
	})
	report.Confirmed(ctx, response, err)
}

// Read refreshes the state; an action that is gone leaves it.
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
	if problem.Gone(err) {
		response.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		report.Add(&response.Diagnostics, "read", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
}

// Update replaces the action.
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
	updated, err := backend.Pipelines.UpdateAction(ctx, &headracev1.UpdateActionRequest{Action: wanted})
	if err != nil {
		report.Add(&response.Diagnostics, "update", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, modelOf(updated.GetAction(), plan))...)
	r.written(ctx, &response.Diagnostics, plan, updated.GetWarnings())
}

// Delete removes the action.
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
	deleted, err := backend.Pipelines.DeleteAction(ctx, &headracev1.DeleteActionRequest{
		Name: state.resourceName(), Etag: state.ETag.ValueString(),
	})
	if err != nil && !problem.Gone(err) {
		report.Add(&response.Diagnostics, "delete", err)
	}
	r.written(ctx, &response.Diagnostics, state, deleted.GetWarnings())
}

// written shows the warnings of a write, and notes that other parts of the pipeline may
// follow.
func (r *Resource) written(ctx context.Context, diags *diag.Diagnostics, m model, warnings []*headracev1.Warning) {
	r.session.NoteWritten(m.Account.ValueString(), m.Pipeline.ValueString())
	warnings = r.session.StillTrue(ctx, m.Account.ValueString(), warnings, session.KeepAlone)
	reporter(m).Warn(diags, warnings, r.session.Tell)
}

// ImportState takes PIPELINE/STAGE/ACTION, ACCOUNT/PIPELINE/STAGE/ACTION or the resource
// name.
func (r *Resource) ImportState(
	ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse,
) {
	account, names, diags := address.FromImport(ctx, request, r.session.Account(types.StringNull()),
		address.Part{Collection: "pipelines", Attribute: "pipeline"},
		address.Part{Collection: "stages", Attribute: "stage"},
		address.Part{Collection: "actions", Attribute: "name"})
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	action := identity{
		Account: types.StringValue(account), Pipeline: types.StringValue(names[0]),
		Stage: types.StringValue(names[1]), Name: types.StringValue(names[2]),
	}
	id := types.StringValue(client.ActionName(account, names[0], names[1], names[2]))
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("id"), id)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("account"), action.Account)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("pipeline"), action.Pipeline)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("stage"), action.Stage)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("name"), action.Name)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, action)...)
}

// read returns the action as the backend has it.
func read(ctx context.Context, backend *client.Client, prior model) (model, error) {
	answer, err := backend.Pipelines.GetAction(ctx, &headracev1.GetActionRequest{Name: prior.resourceName()})
	if err != nil {
		return model{}, err
	}
	return modelOf(answer.GetAction(), prior), nil
}

func reporter(m model) problem.Reporter {
	return problem.Reporter{
		Object:  fmt.Sprintf("action %q of stage %q of pipeline %q", m.Name.ValueString(), m.Stage.ValueString(), m.Pipeline.ValueString()),
		Message: "action", Shape: fieldpath.ActionObject(), Written: m.TerraformPath,
	}
}

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
)
