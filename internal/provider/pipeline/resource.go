// Package pipeline is the resource and the data source headrace_pipeline.
package pipeline

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/accountguard"
	"github.com/headrace/terraform-provider-headrace/internal/provider/address"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// Resource manages a pipeline.
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
	response.TypeName = request.ProviderTypeName + "_pipeline"
}

// Configure takes what the provider hands out.
func (r *Resource) Configure(
	_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse,
) {
	r.session = session.FromResource(request, response)
}

// Create stores the pipeline; an inline one is published.
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
	created, err := backend.Pipelines.CreatePipeline(ctx, &headracev1.CreatePipelineRequest{
		Pipeline: plan.message(), RequestId: requestID,
	})
	if err != nil {
		report.Add(&response.Diagnostics, "create", err)
		return
	}
	state := modelOf(created.GetPipeline(), plan)
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
	r.written(ctx, &response.Diagnostics, state, created.GetWarnings())
	_, err = backend.Pipelines.GetPipeline(ctx, &headracev1.GetPipelineRequest{
		Name: state.resourceName(), ConfirmRequestId: requestID,
	})
	report.Confirmed(ctx, response, err)
}

// Read refreshes the state; a pipeline that is gone leaves it.
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

// Update replaces the definition, which publishes a version where it changed.
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
		// Only what the backend does not know changed, such as force_destroy.
		plan.Publish, plan.Version, plan.ETag = state.Publish, state.Version, state.ETag
		response.Diagnostics.Append(response.State.Set(ctx, plan)...)
		return
	}
	wanted.Etag = state.ETag.ValueString()
	r.session.NoteApplying()
	updated, err := backend.Pipelines.UpdatePipeline(ctx, &headracev1.UpdatePipelineRequest{Pipeline: wanted})
	if err != nil {
		report.Add(&response.Diagnostics, "update", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, modelOf(updated.GetPipeline(), plan))...)
	r.written(ctx, &response.Diagnostics, plan, updated.GetWarnings())
}

// Delete removes the pipeline with its versions and its history.
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
	deleted, err := backend.Pipelines.DeletePipeline(ctx, &headracev1.DeletePipelineRequest{
		Name: state.resourceName(), Etag: state.ETag.ValueString(), Force: state.ForceDestroy.ValueBool(),
	})
	switch {
	case err == nil:
		warnings := r.session.StillTrue(ctx, state.Account.ValueString(), deleted.GetWarnings(), session.KeepAlone)
		report.Warn(&response.Diagnostics, warnings, r.session.Tell)
	case client.IsNotFound(err):
	case client.Reason(err) == domain.ReasonExecutionLive:
		response.Diagnostics.AddError("Cannot delete "+report.Object, client.Describe(err)+
			"\n\nWith Terraform: wait for the execution or stop it, then destroy again; or set force_destroy = true, apply, and "+
			"destroy, which abandons it.")
	default:
		report.Add(&response.Diagnostics, "delete", err)
	}
}

// ImportState takes NAME, ACCOUNT/NAME or the resource name.
func (r *Resource) ImportState(
	ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse,
) {
	account, names, diags := address.FromImport(ctx, request, r.session.Account(types.StringNull()),
		address.Part{Collection: "pipelines", Attribute: "name"})
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	state := model{
		ID:      types.StringValue(client.PipelineName(account, names[0])),
		Account: types.StringValue(account),
		Name:    types.StringValue(names[0]),
	}
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("id"), state.ID)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("account"), state.Account)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("name"), state.Name)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
}

// read returns the pipeline as the backend has it.
func read(ctx context.Context, backend *client.Client, prior model) (model, error) {
	answer, err := backend.Pipelines.GetPipeline(ctx, &headracev1.GetPipelineRequest{Name: prior.resourceName()})
	if err != nil {
		return model{}, err
	}
	return modelOf(answer.GetPipeline(), prior), nil
}

func reporter(m model) problem.Reporter {
	return problem.Reporter{
		Object:  fmt.Sprintf("pipeline %q", m.Name.ValueString()),
		Message: "pipeline", Shape: fieldpath.Pipeline(), Written: m.terraformPath,
	}
}

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
)
