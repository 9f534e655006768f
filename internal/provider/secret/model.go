package secret

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// model is the resource as Terraform has it.
type model struct {
	ID          types.String `tfsdk:"id"`
	Account     types.String `tfsdk:"account"`
	Name        types.String `tfsdk:"name"`
	Description types.String `tfsdk:"description"`
	// ValueWO is in the configuration alone.
	ValueWO types.String `tfsdk:"value_wo"`
	// ValueWOVersion is null in the state if the value is not the one that Terraform set.
	ValueWOVersion types.Int64  `tfsdk:"value_wo_version"`
	Version        types.Int64  `tfsdk:"version"`
	ValueSetTime   types.String `tfsdk:"value_set_time"`
	ETag           types.String `tfsdk:"etag"`
}

// identity is what names a secret for good.
type identity struct {
	Account types.String `tfsdk:"account"`
	Name    types.String `tfsdk:"name"`
}

func (m model) identity() identity {
	return identity{Account: m.Account, Name: m.Name}
}

// resourceName returns what the backend calls the secret. It does not rest on the id, which
// is only shown.
func (m model) resourceName() string {
	return client.SecretName(m.Account.ValueString(), m.Name.ValueString())
}

// message returns the secret to send, without its value and an etag.
func (m model) message() *headracev1.Secret {
	return &headracev1.Secret{Name: m.resourceName(), Description: m.Description.ValueString()}
}

// setsValue tells whether an apply of the plan sets the value.
func (m model) setsValue(state model) bool {
	return !m.ValueWOVersion.Equal(state.ValueWOVersion)
}

// modelOf returns what Terraform shows of a secret whose value it has set just now, or that
// it has read.
func modelOf(secret *headracev1.Secret, prior model) model {
	return model{
		ID:             types.StringValue(secret.GetName()),
		Account:        types.StringValue(client.Segment(secret.GetName(), "accounts")),
		Name:           types.StringValue(client.Segment(secret.GetName(), "secrets")),
		Description:    values.FromText(secret.GetDescription()),
		ValueWO:        types.StringNull(),
		ValueWOVersion: prior.ValueWOVersion,
		Version:        types.Int64Value(secret.GetVersion()),
		ValueSetTime:   types.StringValue(secret.GetValueTime().AsTime().Format(time.RFC3339Nano)),
		ETag:           types.StringValue(secret.GetEtag()),
	}
}

// refreshed is modelOf for a secret that was read. If somebody else has set a value, the
// version of the argument is forgotten, so that the next plan sets it again. The version of the
// server does not tell: a secret that was deleted and created again starts at 1.
func refreshed(secret *headracev1.Secret, prior model) model {
	now := modelOf(secret, prior)
	if !prior.ValueSetTime.IsNull() && !prior.ValueSetTime.Equal(now.ValueSetTime) {
		now.ValueWOVersion = types.Int64Null()
	}
	return now
}
