// Package connection is the resource headrace_connection.
package connection

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

// Resource manages a connection.
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
	response.TypeName = request.ProviderTypeName + "_connection"
}

// Configure takes what the provider hands out.
func (r *Resource) Configure(
	_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse,
) {
	r.session = session.FromResource(request, response)
}

// Create stores the connection with its credentials.
func (r *Resource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	var plan, config model
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
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
	created, err := backend.Connections.CreateConnection(ctx, &headracev1.CreateConnectionRequest{
		Connection: plan.message(), Credentials: given(&plan, &config, nil), RequestId: requestID,
	})
	if err != nil {
		report.Add(&response.Diagnostics, "create", err)
		return
	}
	state := modelOf(created.GetConnection(), &plan)
	response.Diagnostics.Append(response.State.Set(ctx, state)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, state.identity())...)
	_, err = backend.Connections.GetConnection(ctx, &headracev1.GetConnectionRequest{Name: state.resourceName(), ConfirmRequestId: requestID})
	report.Confirmed(ctx, response, err)
}

// given returns the credentials that an apply sends.
func given(plan, config, state *model) *headracev1.ConnectionCredentials {
	credentials := &headracev1.ConnectionCredentials{}
	for _, c := range plan.sets(state) {
		setCredential(credentials, c.name, config.value(c.name).ValueString())
	}
	if state != nil {
		for _, name := range plan.removed(state) {
			setCredential(credentials, name, "")
		}
	}
	return credentials
}

// Read refreshes the state; a connection that is gone leaves it.
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
	found, err := backend.Connections.GetConnection(ctx, &headracev1.GetConnectionRequest{Name: state.resourceName()})
	if client.IsNotFound(err) {
		response.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		report.Add(&response.Diagnostics, "read", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, refreshed(found.GetConnection(), &state))...)
}

// Update replaces the settings, and the credentials whose versions changed.
func (r *Resource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	var plan, state, config model
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
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
	wanted.Etag = state.ETag.ValueString()
	r.session.NoteApplying()
	updated, err := backend.Connections.UpdateConnection(ctx, &headracev1.UpdateConnectionRequest{
		Connection: wanted, Credentials: given(&plan, &config, &state),
	})
	if err != nil {
		report.Add(&response.Diagnostics, "update", err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, modelOf(updated.GetConnection(), &plan))...)
}

// Delete removes the connection.
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
		_, err := backend.Connections.DeleteConnection(ctx, &headracev1.DeleteConnectionRequest{
			Name: state.resourceName(), Etag: state.ETag.ValueString(),
		})
		return err
	})
	if err != nil && !client.IsNotFound(err) {
		report.Add(&response.Diagnostics, "delete", err)
	}
}

// ImportState takes NAME, ACCOUNT/NAME or the resource name. The first apply after it sets
// the credentials, since Terraform cannot know whether they are those of the configuration.
func (r *Resource) ImportState(
	ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse,
) {
	account, names, diags := address.FromImport(ctx, request, r.session.Account(types.StringNull()),
		address.Part{Collection: "connections", Attribute: "name"})
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	connection := identity{Account: types.StringValue(account), Name: types.StringValue(names[0])}
	id := types.StringValue(client.ConnectionName(account, names[0]))
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("id"), id)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("account"), connection.Account)...)
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("name"), connection.Name)...)
	response.Diagnostics.Append(response.Identity.Set(ctx, connection)...)
}

// reporter shows what is wrong with a credential at its version: an error that points at the
// credential would show its line.
func reporter(m *model) problem.Reporter {
	return problem.Reporter{
		Object:  fmt.Sprintf("connection %q", m.Name.ValueString()),
		Message: "connection", Shape: fieldpath.Connection(),
		Beside: func(field string) (path.Path, bool) {
			for _, c := range m.credentials() {
				if field == "credentials."+c.name {
					return c.at, true
				}
			}
			return path.Empty(), false
		},
	}
}

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
)
