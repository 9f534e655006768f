// Package pipelineversion is the resource headrace_pipeline_version: the newest
// published version of a composed pipeline.
package pipelineversion

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/accountguard"
	"github.com/headrace/terraform-provider-headrace/internal/provider/address"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/planning"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// Resource publishes versions of a composed pipeline.
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
	response.TypeName = request.ProviderTypeName + "_pipeline_version"
}

// Configure takes what the provider hands out.
func (r *Resource) Configure(
	_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse,
) {
	r.session = session.FromResource(request, response)
}

// ValidateConfig checks the names.
func (r *Resource) ValidateConfig(
	ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse,
) {
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "pipeline", domain.CheckPipeline)
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "account", domain.CheckAccount)
}

// ModifyPlan plans a new version where parts or versions changed that no trigger
// told of.
func (r *Resource) ModifyPlan(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) {
	if request.Plan.Raw.IsNull() {
		return
	}
	planning.Name(ctx, r.session, request, response, func(account string, names []string) string {
		return client.PipelineName(account, names[0])
	}, "pipeline")
	unpublished := path.Root("unpublished_changes")
	response.Diagnostics.Append(response.Plan.SetAttribute(ctx, unpublished, types.BoolValue(false))...)
	if request.State.Raw.IsNull() || response.Diagnostics.HasError() {
		return
	}
	var before types.Bool
	response.Diagnostics.Append(request.State.GetAttribute(ctx, unpublished, &before)...)
	if before.ValueBool() {
		response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("version"), types.Int64Unknown())...)
		response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("digest"), types.StringUnknown())...)
	}
}

// Create publishes the parts as they are.
func (r *Resource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	var plan model
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	if response.Diagnostics.HasError() {
		return
	}
	report := reporter(plan)
	backend, err := r.session.Client()
	if err != nil {
		report.Add(&response.Diagnostics, "publish", err)
		return
	}
	plan.Account = r.session.Settled(plan.Account)
	plan.ID = types.StringValue(plan.pipelineName())
	state, err := r.publish(ctx, backend, plan, &response.Diagnostics)
	if err != nil {
		refused(&response.Diagnostics, plan, err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
}

// Read refreshes the state to the newest version; it leaves the state with the
// composed pipeline, or where nothing is published.
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
	found, err := backend.Pipelines.GetPipeline(ctx, &headracev1.GetPipelineRequest{Name: state.pipelineName()})
	if err != nil && !client.IsNotFound(err) {
		report.Add(&response.Diagnostics, "read", err)
		return
	}
	composed := found.GetPipeline().GetComposition() == headracev1.Composition_COMPOSITION_COMPOSED
	if err != nil || !composed || found.GetPipeline().GetVersion() == 0 {
		response.State.RemoveResource(ctx)
		return
	}
	version, err := backend.Pipelines.GetPipelineVersion(ctx, &headracev1.GetPipelineVersionRequest{
		Name: client.VersionName(state.Account.ValueString(), state.Pipeline.ValueString(), found.GetPipeline().GetVersion()),
	})
	if err != nil {
		report.Add(&response.Diagnostics, "read", err)
		return
	}
	state = state.refreshed(version.GetVersion(), found.GetPipeline().GetUnpublishedChanges())
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
}

// Update publishes the parts as they are; where nothing changed since the newest
// version, that one stays.
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
		report.Add(&response.Diagnostics, "publish", err)
		return
	}
	plan.Account = state.Account
	plan.ID = types.StringValue(plan.pipelineName())
	response.Diagnostics.Append(response.Identity.Set(ctx, plan.identity())...)
	published, err := r.publish(ctx, backend, plan, &response.Diagnostics)
	if err != nil {
		refused(&response.Diagnostics, plan, err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, published)...)
}

// Delete forgets the version: versions are history and stay with the pipeline.
func (r *Resource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}

// ImportState takes PIPELINE, ACCOUNT/PIPELINE or the resource name of the
// pipeline.
func (r *Resource) ImportState(
	ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse,
) {
	account, names, diags := address.FromImport(ctx, request, r.session.Account(types.StringNull()),
		address.Part{Collection: "pipelines", Attribute: "pipeline"})
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	pipeline := identity{Account: types.StringValue(account), Pipeline: types.StringValue(names[0])}
	id := types.StringValue(client.PipelineName(account, names[0]))
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("id"), id)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("account"), pipeline.Account)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("pipeline"), pipeline.Pipeline)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, pipeline)...)
}

// publish makes a version of the parts as they are.
func (r *Resource) publish(ctx context.Context, backend *client.Client, plan model, diags *diag.Diagnostics) (model, error) {
	answer, err := backend.Pipelines.PublishPipelineVersion(ctx, &headracev1.PublishPipelineVersionRequest{
		Name: plan.pipelineName(),
	})
	if err != nil {
		return model{}, err
	}
	warnings := r.session.StillTrue(ctx, plan.Account.ValueString(), answer.GetWarnings(), session.KeepAlone)
	reporter(plan).Warn(diags, warnings, r.session.Tell)
	return plan.with(answer.GetVersion(), false), nil
}

// refused adds why nothing was published. The paths of parts that do not fit together
// count the parts as the server put them together, so the names have to do.
func refused(diags *diag.Diagnostics, plan model, err error) {
	report := reporter(plan)
	if client.Reason(err) != domain.ReasonInvalidDefinition {
		report.Add(diags, "publish", err)
		return
	}
	for _, violation := range client.Violations(err) {
		diags.AddError("Cannot publish "+report.Object, problem.Sentence(violation.Description))
	}
}

func reporter(m model) problem.Reporter {
	return problem.Reporter{
		Object:  fmt.Sprintf("version of pipeline %q", m.Pipeline.ValueString()),
		Message: "pipeline", Shape: fieldpath.Version(),
	}
}

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
)
