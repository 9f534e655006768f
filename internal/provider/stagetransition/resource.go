// Package stagetransition is the resource headrace_stage_transition: whether
// executions may enter a stage.
package stagetransition

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

var (
	// errGone means that there is no such transition any more.
	errGone = errors.New("there is no such transition")
	// errChanged means that the transition is not what the plan was made for.
	errChanged = errors.New("somebody else changed the transition")
)

// Resource manages the transition into a stage.
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
	response.TypeName = request.ProviderTypeName + "_stage_transition"
}

// Configure takes what the provider hands out.
func (r *Resource) Configure(
	_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse,
) {
	r.session = session.FromResource(request, response)
}

// Create makes the transition, which is there with its stage, what the plan says.
func (r *Resource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	var plan model
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	if response.Diagnostics.HasError() {
		return
	}
	backend, err := r.session.Client()
	if err != nil {
		add(&response.Diagnostics, "set", plan, err)
		return
	}
	plan.Account = r.session.Settled(plan.Account)
	set, err := backend.Pipelines.SetStageTransition(ctx, plan.request())
	if err != nil {
		add(&response.Diagnostics, "set", plan, err)
		return
	}
	state := modelOf(set.GetStage(), plan)
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
}

// Read refreshes the state; the transition leaves it with its stage.
func (r *Resource) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	var state model
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	if response.Diagnostics.HasError() {
		return
	}
	// Also an object that is gone has an identity.
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
	backend, err := r.session.Client()
	if err != nil {
		problem.NotRefreshed(&response.Diagnostics, object(state), err)
		return
	}
	found, err := read(ctx, backend, state)
	if gone(err) {
		response.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		add(&response.Diagnostics, "read", state, err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, found)...)
}

// Update disables or enables the transition, or changes the reason.
func (r *Resource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	var plan, state model
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	if response.Diagnostics.HasError() {
		return
	}
	backend, err := r.session.Client()
	if err != nil {
		add(&response.Diagnostics, "set", plan, err)
		return
	}
	plan.Account = state.Account
	response.Diagnostics.Append(response.Identity.Set(ctx, plan.identity())...)
	if plan.says(state) {
		// Only on_destroy changed, which the backend does not know.
		response.Diagnostics.Append(response.State.Set(ctx, plan)...)
		return
	}
	if err = unchanged(ctx, backend, state); err != nil {
		add(&response.Diagnostics, "set", plan, err)
		return
	}
	set, err := backend.Pipelines.SetStageTransition(ctx, plan.request())
	if err != nil {
		add(&response.Diagnostics, "set", plan, err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, modelOf(set.GetStage(), plan))...)
}

// Delete leaves the transition as it is, unless on_destroy says otherwise: where it
// goes before its pipeline or stage does, enabling it lets in what was held back.
func (r *Resource) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	var state model
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	if response.Diagnostics.HasError() || state.OnDestroy.ValueString() != destroyEnables {
		return
	}
	backend, err := r.session.Client()
	if err != nil {
		add(&response.Diagnostics, "enable", state, err)
		return
	}
	err = unchanged(ctx, backend, state)
	if err == nil {
		open := state
		open.Enabled, open.DisabledReason = types.BoolValue(true), types.StringNull()
		_, err = backend.Pipelines.SetStageTransition(ctx, open.request())
	}
	if err != nil && !gone(err) {
		add(&response.Diagnostics, "enable", state, err)
	}
}

// ImportState takes PIPELINE/STAGE, ACCOUNT/PIPELINE/STAGE or the resource name of
// the stage.
func (r *Resource) ImportState(
	ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse,
) {
	account, names, diags := address.FromImport(ctx, request, r.session.Account(types.StringNull()),
		address.Part{Collection: "pipelines", Attribute: "pipeline"},
		address.Part{Collection: "stages", Attribute: "stage"})
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	transition := identity{
		Account: types.StringValue(account), Pipeline: types.StringValue(names[0]), Stage: types.StringValue(names[1]),
	}
	id := types.StringValue(client.StageName(account, names[0], names[1]))
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("id"), id)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("account"), transition.Account)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("pipeline"), transition.Pipeline)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("stage"), transition.Stage)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, transition)...)
}

// read returns the transition as the backend has it, or an error that gone knows.
func read(ctx context.Context, backend *client.Client, prior model) (model, error) {
	answer, err := backend.Pipelines.GetPipelineState(ctx, &headracev1.GetPipelineStateRequest{Name: prior.pipelineName()})
	if err != nil {
		return prior, err
	}
	if answer.GetState().GetExecutionMode() == headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL {
		// No execution is held back there. A declared freeze is drift then, and its
		// apply says why it cannot be.
		return modelOf(nil, prior), nil
	}
	for _, stage := range answer.GetState().GetStages() {
		if stage.GetStage() == prior.Stage.ValueString() {
			return modelOf(stage, prior), nil
		}
	}
	return prior, errGone
}

// unchanged returns an error where the transition is not what the plan was made
// for: who disabled it since then holds back a release for a reason that the plan
// did not know. Transitions have no etag that would let the backend compare.
func unchanged(ctx context.Context, backend *client.Client, state model) error {
	found, err := read(ctx, backend, state)
	if err != nil {
		return err
	}
	if !found.says(state) {
		return errChanged
	}
	return nil
}

// gone tells whether the error says that the pipeline or the stage is not there any
// more, or has no transitions any more.
func gone(err error) bool {
	if errors.Is(err, errGone) || client.IsNotFound(err) {
		return true
	}
	return slices.Contains([]domain.Reason{
		domain.ReasonStageNotFound, domain.ReasonNoTransitions, domain.ReasonNothingToPublish,
	}, client.Reason(err))
}

func reporter(m model) problem.Reporter {
	return problem.Reporter{Object: object(m), Shape: fieldpath.StageTransition()}
}

// add adds an error of a call, which the backend does not always blame on a field.
func add(diags *diag.Diagnostics, doing string, m model, err error) {
	summary := "Cannot " + doing + " " + object(m)
	switch {
	case errors.Is(err, errGone):
		diags.AddAttributeError(path.Root("stage"), summary, "The newest version of the pipeline has no such stage.")
	case errors.Is(err, errChanged):
		diags.AddError(summary, "It was changed by somebody else since this plan was made. This object was not written. "+
			"Plan and apply again: the new plan shows what they changed.")
	case len(client.Violations(err)) > 0:
		reporter(m).Add(diags, doing, err)
	case client.Reason(err) == domain.ReasonStageNotFound:
		diags.AddAttributeError(path.Root("stage"), summary, client.Describe(err)+". It has to be one of the newest version.")
	case gone(err):
		diags.AddAttributeError(path.Root("pipeline"), summary, client.Describe(err))
	default:
		diags.AddError(summary, client.Describe(err))
	}
}

func object(m model) string {
	return fmt.Sprintf("the transition into stage %q of pipeline %q", m.Stage.ValueString(), m.Pipeline.ValueString())
}

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
)
