// Package webhook is the resource headrace_webhook.
package webhook

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
	"github.com/headrace/terraform-provider-headrace/internal/provider/deletion"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// Resource manages a webhook.
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
	response.TypeName = request.ProviderTypeName + "_webhook"
}

// Configure takes what the provider hands out.
func (r *Resource) Configure(
	_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse,
) {
	r.session = session.FromResource(request, response)
}

// Create stores the webhook with its secret.
func (r *Resource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	var plan model
	var secret types.String
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.Config.GetAttribute(ctx, path.Root("secret_wo"), &secret)...)
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
	wanted := plan.message()
	wanted.Secret = secret.ValueString()
	requestID := r.session.RequestID()
	r.session.NoteApplying()
	created, err := backend.Webhooks.CreateWebhook(ctx, &headracev1.CreateWebhookRequest{Webhook: wanted, RequestId: requestID})
	if err != nil {
		report.Add(&response.Diagnostics, "create", err)
		return
	}
	state := modelOf(created.GetWebhook(), &plan)
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
	_, err = backend.Webhooks.GetWebhook(ctx, &headracev1.GetWebhookRequest{Name: state.resourceName(), ConfirmRequestId: requestID})
	report.Confirmed(ctx, response, err)
}

// Read refreshes the state; a webhook that is gone leaves it.
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
	found, err := backend.Webhooks.GetWebhook(ctx, &headracev1.GetWebhookRequest{Name: state.resourceName()})
	if client.IsNotFound(err) {
		response.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		report.Add(&response.Diagnostics, "read", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, refreshed(found.GetWebhook(), &state))...)
	r.warn(&response.Diagnostics, found.GetWebhook(), report)
}

// warn shows what is wrong with the hooks that the server manages.
func (r *Resource) warn(diags *diag.Diagnostics, webhook *headracev1.Webhook, report problem.Reporter) {
	for _, hook := range webhook.GetManagedHooks() {
		if hook.GetProblem() == "" || !r.session.Tell(report.Object+hook.GetRepository()+hook.GetProblem()) {
			continue
		}
		diags.AddAttributeWarning(path.Root("manage"), fmt.Sprintf("The hook on %s is not right (%s)", hook.GetRepository(), report.Object),
			problem.Sentence(hook.GetProblem()))
	}
}

// Update replaces the settings, and the secret if its version changed.
func (r *Resource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	var plan, state model
	var secret types.String
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	response.Diagnostics.Append(request.Config.GetAttribute(ctx, path.Root("secret_wo"), &secret)...)
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
	if plan.setsSecret(&state) {
		wanted.Secret = secret.ValueString()
	}
	wanted.Etag = state.ETag.ValueString()
	r.session.NoteApplying()
	updated, err := backend.Webhooks.UpdateWebhook(ctx, &headracev1.UpdateWebhookRequest{Webhook: wanted})
	if err != nil {
		report.Add(&response.Diagnostics, "update", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, modelOf(updated.GetWebhook(), &plan))...)
}

// Delete removes the webhook.
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
	err = deletion.AfterUsers(ctx, domain.ReasonInUse, func(ctx context.Context) error {
		_, err := backend.Webhooks.DeleteWebhook(ctx, &headracev1.DeleteWebhookRequest{
			Name: state.resourceName(), Etag: state.ETag.ValueString(),
		})
		return err
	})
	if err != nil && !client.IsNotFound(err) {
		report.Add(&response.Diagnostics, "delete", err)
	}
}

// ImportState takes NAME, ACCOUNT/NAME or the resource name. The first apply after it sets
// the secret, since Terraform cannot know whether it is that of the configuration.
func (r *Resource) ImportState(
	ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse,
) {
	account, names, diags := address.FromImport(ctx, request, r.session.Account(types.StringNull()),
		address.Part{Collection: "webhooks", Attribute: "name"})
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	webhook := identity{Account: types.StringValue(account), Name: types.StringValue(names[0])}
	id := types.StringValue(client.WebhookName(account, names[0]))
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("id"), id)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("account"), webhook.Account)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("name"), webhook.Name)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, webhook)...)
}

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
)
