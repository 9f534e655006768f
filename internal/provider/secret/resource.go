// Package secret is the resource headrace_secret.
package secret

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/accountguard"
	"github.com/headrace/terraform-provider-headrace/internal/provider/address"
	"github.com/headrace/terraform-provider-headrace/internal/provider/deletion"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// Resource manages a secret.
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
	response.TypeName = request.ProviderTypeName + "_secret"
}

// Configure takes what the provider hands out.
func (r *Resource) Configure(
	_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse,
) {
	r.session = session.FromResource(request, response)
}

// Create stores the secret.
func (r *Resource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	var plan model
	var value types.String
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.Config.GetAttribute(ctx, path.Root("value_wo"), &value)...)
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
	wanted := plan.message()
	wanted.Value = []byte(value.ValueString())
	requestID := r.session.RequestID()
	r.session.NoteApplying()
	created, err := backend.Secrets.CreateSecret(ctx, &headracev1.CreateSecretRequest{Secret: wanted, RequestId: requestID})
	if err != nil {
		report.Add(&response.Diagnostics, "create", err)
		return
	}
	state := modelOf(created.GetSecret(), plan)
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
	_, err = backend.Secrets.GetSecret(ctx, &headracev1.GetSecretRequest{Name: state.resourceName(), ConfirmRequestId: requestID})
	report.Confirmed(ctx, response, err)
}

// Read refreshes the state; a secret that is gone leaves it.
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
	found, err := backend.Secrets.GetSecret(ctx, &headracev1.GetSecretRequest{Name: state.resourceName()})
	if client.IsNotFound(err) {
		response.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		report.Add(&response.Diagnostics, "read", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, refreshed(found.GetSecret(), state))...)
}

// Update replaces the description, and the value if its version changed.
func (r *Resource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	var plan, state model
	var value types.String
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	response.Diagnostics.Append(request.Config.GetAttribute(ctx, path.Root("value_wo"), &value)...)
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
	if plan.setsValue(state) {
		wanted.Value = []byte(value.ValueString())
	}
	wanted.Etag = state.ETag.ValueString()
	r.session.NoteApplying()
	updated, err := backend.Secrets.UpdateSecret(ctx, &headracev1.UpdateSecretRequest{Secret: wanted})
	if err != nil {
		report.Add(&response.Diagnostics, "update", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, modelOf(updated.GetSecret(), plan))...)
}

// Delete removes the secret.
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
	err = deletion.AfterUsers(ctx, domain.ReasonInUse, func(ctx context.Context) error {
		_, err := backend.Secrets.DeleteSecret(ctx, &headracev1.DeleteSecretRequest{
			Name: state.resourceName(), Etag: state.ETag.ValueString(),
		})
		return err
	})
	if err != nil && !client.IsNotFound(err) {
		report.Add(&response.Diagnostics, "delete", err)
	}
}

// ImportState takes NAME, ACCOUNT/NAME or the resource name. The first apply after it sets
// the value, since Terraform cannot know whether it is that of the configuration.
func (r *Resource) ImportState(
	ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse,
) {
	account, names, diags := address.FromImport(ctx, request, r.session.Account(types.StringNull()),
		address.Part{Collection: "secrets", Attribute: "name"})
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	secret := identity{Account: types.StringValue(account), Name: types.StringValue(names[0])}
	id := types.StringValue(client.SecretName(account, names[0]))
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("id"), id)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("account"), secret.Account)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("name"), secret.Name)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, secret)...)
}

func reporter(m model) problem.Reporter {
	return problem.Reporter{
		Object:  fmt.Sprintf("secret %q", m.Name.ValueString()),
		Message: "secret", Shape: fieldpath.Secret(),
	}
}

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
)
