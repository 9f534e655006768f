package webhook

import (
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// model is the resource as Terraform has it.
type model struct {
	ID             types.String     `tfsdk:"id"`
	Account        types.String     `tfsdk:"account"`
	Name           types.String     `tfsdk:"name"`
	Description    types.String     `tfsdk:"description"`
	Kind           types.String     `tfsdk:"kind"`
	Connection     types.String     `tfsdk:"connection_name"`
	Authentication []authentication `tfsdk:"authentication"`
	Manage         types.Bool       `tfsdk:"manage"`
	// SecretWO is in the configuration alone.
	SecretWO types.String `tfsdk:"secret_wo"`
	// SecretWOVersion is null in the state if the secret is not the one that Terraform set.
	SecretWOVersion types.Int64  `tfsdk:"secret_wo_version"`
	SecretVersion   types.Int64  `tfsdk:"secret_version"`
	SecretSetTime   types.String `tfsdk:"secret_set_time"`
	Tags            types.Map    `tfsdk:"tags"`
	URL             types.String `tfsdk:"url"`
	ETag            types.String `tfsdk:"etag"`
}

// authentication is the block of a generic webhook. One of its blocks has an element.
type authentication struct {
	HMAC             []hmacBlock `tfsdk:"hmac"`
	StandardWebhooks []struct{}  `tfsdk:"standard_webhooks"`
	Bearer           []struct{}  `tfsdk:"bearer"`
}

type hmacBlock struct {
	Header    types.String `tfsdk:"header"`
	Algorithm types.String `tfsdk:"algorithm"`
	Prefix    types.String `tfsdk:"prefix"`
	Encoding  types.String `tfsdk:"encoding"`
}

// identity is what names a webhook for good.
type identity struct {
	Account types.String `tfsdk:"account"`
	Name    types.String `tfsdk:"name"`
}

func (m *model) identity() identity {
	return identity{Account: m.Account, Name: m.Name}
}

// resourceName returns what the backend calls the webhook. It does not rest on the id, which
// is only shown.
func (m *model) resourceName() string {
	return client.WebhookName(m.Account.ValueString(), m.Name.ValueString())
}

// domain returns what the rules of the domain check. Texts may be unknown.
func (m *model) domain() *domain.Webhook {
	w := &domain.Webhook{
		Kind: domain.WebhookKind(values.Text(m.Kind)), Connection: values.Text(m.Connection), Manage: m.Manage.ValueBool(), Tags: values.TextMap(m.Tags),
	}
	for _, block := range m.Authentication {
		for range block.HMAC {
			w.Methods = append(w.Methods, domain.WebhookHMAC)
		}
		for range block.StandardWebhooks {
			w.Methods = append(w.Methods, domain.WebhookStandardWebhooks)
		}
		for range block.Bearer {
			w.Methods = append(w.Methods, domain.WebhookBearer)
		}
	}
	return w
}

const kindPrefix = "WEBHOOK_KIND_"

// message returns the webhook to send, without its secret and an etag.
func (m *model) message() *headracev1.Webhook {
	p := &headracev1.Webhook{
		Name: m.resourceName(), Description: m.Description.ValueString(), Manage: m.Manage.ValueBool(), Tags: values.TextMap(m.Tags),
		Kind: headracev1.WebhookKind(headracev1.WebhookKind_value[kindPrefix+strings.ToUpper(m.Kind.ValueString())]),
	}
	if m.Connection.ValueString() != "" {
		p.Connection = client.ConnectionName(m.Account.ValueString(), m.Connection.ValueString())
	}
	for _, block := range m.Authentication {
		p.Authentication = &headracev1.WebhookAuthentication{}
		for _, hmac := range block.HMAC {
			p.Authentication.Method = &headracev1.WebhookAuthentication_Hmac{Hmac: &headracev1.HmacAuthentication{
				Header: hmac.Header.ValueString(), Algorithm: hmac.Algorithm.ValueString(), Prefix: hmac.Prefix.ValueString(), Encoding: hmac.Encoding.ValueString(),
			}}
		}
		for range block.StandardWebhooks {
			p.Authentication.Method = &headracev1.WebhookAuthentication_StandardWebhooks{StandardWebhooks: &headracev1.StandardWebhooksAuthentication{}}
		}
		for range block.Bearer {
			p.Authentication.Method = &headracev1.WebhookAuthentication_Bearer{Bearer: &headracev1.BearerAuthentication{}}
		}
	}
	return p
}

// setsSecret tells whether an apply of the plan sets the secret.
func (m *model) setsSecret(state *model) bool {
	return !m.SecretWOVersion.Equal(state.SecretWOVersion)
}

// modelOf returns what Terraform shows of a webhook whose secret it has set just now, or that
// it has read.
func modelOf(w *headracev1.Webhook, prior *model) *model {
	m := &model{
		ID:              types.StringValue(w.GetName()),
		Account:         types.StringValue(client.Segment(w.GetName(), "accounts")),
		Name:            types.StringValue(client.Segment(w.GetName(), "webhooks")),
		Description:     values.FromText(w.GetDescription()),
		Kind:            types.StringValue(strings.ToLower(strings.TrimPrefix(w.GetKind().String(), kindPrefix))),
		Connection:      values.FromText(client.Segment(w.GetConnection(), "connections")),
		Manage:          types.BoolValue(w.GetManage()),
		SecretWO:        types.StringNull(),
		SecretWOVersion: prior.SecretWOVersion,
		Tags:            values.FromTextMap(w.GetTags(), prior.Tags),
		URL:             types.StringValue(w.GetUrl()),
		ETag:            types.StringValue(w.GetEtag()),
	}
	newest := &headracev1.WebhookSecret{}
	for _, secret := range w.GetSecrets() {
		if secret.GetVersion() > newest.GetVersion() {
			newest = secret
		}
	}
	m.SecretVersion = types.Int64Value(newest.GetVersion())
	m.SecretSetTime = types.StringValue(newest.GetCreateTime().AsTime().Format(time.RFC3339Nano))
	switch method := w.GetAuthentication().GetMethod().(type) {
	case *headracev1.WebhookAuthentication_Hmac:
		m.Authentication = []authentication{{HMAC: []hmacBlock{{
			Header:    types.StringValue(method.Hmac.GetHeader()),
			Algorithm: values.FromTextOr(method.Hmac.GetAlgorithm(), defaultAlgorithm),
			Prefix:    values.FromText(method.Hmac.GetPrefix()),
			Encoding:  values.FromTextOr(method.Hmac.GetEncoding(), defaultEncoding),
		}}}}
	case *headracev1.WebhookAuthentication_StandardWebhooks:
		m.Authentication = []authentication{{StandardWebhooks: []struct{}{{}}}}
	case *headracev1.WebhookAuthentication_Bearer:
		m.Authentication = []authentication{{Bearer: []struct{}{{}}}}
	}
	return m
}

// refreshed is modelOf for a webhook that was read. If somebody else has set a secret, the
// version of the argument is forgotten, so that the next plan sets it again. The version of the
// server does not tell: a webhook that was deleted and created again starts at 1.
func refreshed(w *headracev1.Webhook, prior *model) *model {
	now := modelOf(w, prior)
	if !prior.SecretSetTime.IsNull() && !prior.SecretSetTime.Equal(now.SecretSetTime) {
		now.SecretWOVersion = types.Int64Null()
	}
	return now
}
