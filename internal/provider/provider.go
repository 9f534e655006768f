// Package provider is the Terraform provider headrace: its configuration and
// the list of its resources and data sources. Each resource type is a package of
// its own below this one. Of the backend it knows the client, the contract and
// the domain, and nothing else.
package provider

import (
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/action"
	"github.com/headrace/terraform-provider-headrace/internal/provider/approvalrule"
	"github.com/headrace/terraform-provider-headrace/internal/provider/connection"
	"github.com/headrace/terraform-provider-headrace/internal/provider/execution"
	"github.com/headrace/terraform-provider-headrace/internal/provider/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/pipelinestate"
	"github.com/headrace/terraform-provider-headrace/internal/provider/pipelineversion"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/secret"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
	"github.com/headrace/terraform-provider-headrace/internal/provider/stage"
	"github.com/headrace/terraform-provider-headrace/internal/provider/stagetransition"
	"github.com/headrace/terraform-provider-headrace/internal/provider/trigger"
	"github.com/headrace/terraform-provider-headrace/internal/provider/triggermatches"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
	"github.com/headrace/terraform-provider-headrace/internal/provider/webhook"
)

// Provider is the Terraform provider.
type Provider struct {
	version string
	getenv  func(string) string
}

// New returns a function that makes providers of that version. getenv, which is
// os.Getenv outside of tests, is asked for what the configuration leaves out.
func New(version string, getenv func(string) string) func() provider.Provider {
	return func() provider.Provider {
		return &Provider{version: version, getenv: getenv}
	}
}

// model is the provider's configuration.
type model struct {
	Endpoint       types.String `tfsdk:"endpoint"`
	Token          types.String `tfsdk:"token"`
	Account        types.String `tfsdk:"account"`
	Allowed        types.List   `tfsdk:"allowed_accounts"`
	CACertFile     types.String `tfsdk:"ca_cert_file"`
	ClientCertFile types.String `tfsdk:"client_cert_file"`
	ClientKeyFile  types.String `tfsdk:"client_key_file"`
	Insecure       types.Bool   `tfsdk:"insecure"`
}

// Metadata returns the name that all types begin with.
func (p *Provider) Metadata(
	_ context.Context, _ provider.MetadataRequest, response *provider.MetadataResponse,
) {
	response.TypeName = "headrace"
	response.Version = p.version
}

// Schema returns the provider's arguments.
func (p *Provider) Schema(_ context.Context, _ provider.SchemaRequest, response *provider.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: "Release pipelines with the semantics of AWS CodePipeline, run by a backend that you host yourself.",
		Attributes: map[string]schema.Attribute{
			"endpoint": schema.StringAttribute{
				Optional:   true,
				Validators: notEmpty(),
				MarkdownDescription: "Where headraced listens: `host:port`, or `unix:/path/to/socket`. Defaults to `HEADRACE_ENDPOINT`, " +
					"or else `127.0.0.1:7480`.",
			},
			"token": schema.StringAttribute{
				Optional:   true,
				Validators: notEmpty(),
				Sensitive:  true,
				MarkdownDescription: "Token of the caller. Defaults to `HEADRACE_TOKEN`, or else the content of the file that " +
					"`HEADRACE_TOKEN_FILE` names. Prefer these to a token in the configuration.",
			},
			"account": schema.StringAttribute{
				Optional:   true,
				Validators: notEmpty(),
				MarkdownDescription: "Account of the objects that do not name one, for example `terraform.workspace`. Defaults to " +
					"`HEADRACE_ACCOUNT`, or else `default`.",
			},
			"allowed_accounts": schema.ListAttribute{
				ElementType: types.StringType,
				Optional:    true,
				Validators:  []validator.List{listvalidator.SizeAtLeast(1), listvalidator.NoNullValues()},
				MarkdownDescription: "Names of the accounts that this configuration may use. Any other account, the provider's or that of " +
					"a resource or data source, is refused before the server is called. Defaults to all accounts.",
			},
			"ca_cert_file": schema.StringAttribute{
				Optional:   true,
				Validators: notEmpty(),
				MarkdownDescription: "File with the PEM certificates of the authorities that the server's certificate is checked against, instead of the " +
					"system's. Defaults to `HEADRACE_CA_CERT_FILE`.",
			},
			"client_cert_file": schema.StringAttribute{
				Optional:   true,
				Validators: notEmpty(),
				MarkdownDescription: "File with the PEM certificate that the provider shows to the server, together with " +
					"`client_key_file`. Defaults to `HEADRACE_CLIENT_CERT_FILE`.",
			},
			"client_key_file": schema.StringAttribute{
				Optional:            true,
				Validators:          notEmpty(),
				MarkdownDescription: "File with the PEM key of `client_cert_file`. Defaults to `HEADRACE_CLIENT_KEY_FILE`.",
			},
			"insecure": schema.BoolAttribute{
				Optional: true,
				MarkdownDescription: "Whether to allow a connection without TLS to another machine. Anyone who sees the traffic can then " +
					"read the token. Defaults to `HEADRACE_INSECURE`, or else `false`.",
			},
		},
	}
}

// Configure makes the client. It calls nobody, so that a plan works where the
// server does not exist yet; the first call connects.
func (p *Provider) Configure(
	ctx context.Context, request provider.ConfigureRequest, response *provider.ConfigureResponse,
) {
	var config model
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if response.Diagnostics.HasError() {
		return
	}
	s := p.session(config, response)
	response.ResourceData = s
	response.DataSourceData = s
}

func (p *Provider) session(config model, response *provider.ConfigureResponse) *session.Session {
	settled := p.account(config)
	checkAccounts(config, settled, &response.Diagnostics)
	if config.undecided() {
		return session.New(settled)
	}
	getenv := p.getenv
	if !config.Insecure.IsNull() {
		// Also an explicit false wins over the environment.
		getenv = func(name string) string {
			if name == client.EnvInsecure {
				return ""
			}
			return p.getenv(name)
		}
	}
	settings, err := client.FromEnvironment(getenv, client.Config{
		Endpoint:       config.Endpoint.ValueString(),
		Token:          config.Token.ValueString(),
		Account:        settled.Account.ValueString(),
		CACertFile:     config.CACertFile.ValueString(),
		ClientCertFile: config.ClientCertFile.ValueString(),
		ClientKeyFile:  config.ClientKeyFile.ValueString(),
		Insecure:       config.Insecure.ValueBool(),
	})
	if err != nil {
		response.Diagnostics.AddError("Invalid provider configuration", err.Error())
		return nil
	}
	backend, err := client.Dial(settings, "terraform-provider-headrace/"+p.version)
	if err != nil {
		response.Diagnostics.AddError("Invalid provider configuration", err.Error())
		return nil
	}
	settled.Client = backend
	return session.New(settled)
}

// account returns the account that objects are in by default, where it was set, and which
// accounts are allowed.
func (p *Provider) account(config model) session.Config {
	settled := session.Config{Account: config.Account, AccountSource: "account in the provider block"}
	if config.Account.IsNull() {
		settled.Account = types.StringValue(client.DefaultAccount)
		settled.AccountSource = "the default, since neither account in the provider block nor " + client.EnvAccount + " is set"
		if named := p.getenv(client.EnvAccount); named != "" {
			settled.Account, settled.AccountSource = types.StringValue(named), "the environment variable "+client.EnvAccount
		}
	}
	if !config.Allowed.IsNull() && !config.allowedUndecided() {
		settled.AllowedAccounts = values.Texts(config.Allowed)
	}
	return settled
}

// checkAccounts adds what is wrong with the accounts that the provider is configured with.
func checkAccounts(config model, settled session.Config, diags *diag.Diagnostics) {
	for i, element := range config.Allowed.Elements() {
		if name, ok := element.(types.String); ok && !name.IsUnknown() {
			if err := domain.CheckAccount(name.ValueString()); err != nil {
				diags.AddAttributeError(path.Root("allowed_accounts").AtListIndex(i), "Invalid allowed account", problem.Sentence(err.Error()))
			}
		}
	}
	if settled.Account.IsUnknown() {
		return
	}
	at := path.Root("account")
	if config.Account.IsNull() {
		at = path.Root("allowed_accounts")
	}
	if err := domain.CheckAccount(settled.Account.ValueString()); err != nil {
		diags.AddAttributeError(path.Root("account"), "Invalid provider account",
			err.Error()+". It comes from "+settled.AccountSource+".")
	} else if err := session.New(settled).CheckAllowed(settled.Account); err != nil {
		diags.AddAttributeError(at, "The provider's account is not allowed",
			problem.Sentence(err.Error())+" It comes from "+settled.AccountSource+".")
	}
}

// notEmpty refuses an empty text, which would silently mean the default. Null means it.
func notEmpty() []validator.String {
	return []validator.String{stringvalidator.LengthAtLeast(1)}
}

// undecided tells whether the configuration depends on values that are not known
// yet.
func (m model) undecided() bool {
	return m.Endpoint.IsUnknown() || m.Token.IsUnknown() || m.Account.IsUnknown() || m.allowedUndecided() ||
		m.CACertFile.IsUnknown() || m.ClientCertFile.IsUnknown() || m.ClientKeyFile.IsUnknown() || m.Insecure.IsUnknown()
}

func (m model) allowedUndecided() bool {
	return m.Allowed.IsUnknown() || slices.ContainsFunc(m.Allowed.Elements(), attr.Value.IsUnknown)
}

// Resources returns the resource types.
func (p *Provider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		pipeline.New,
		stage.New,
		action.New,
		pipelineversion.New,
		stagetransition.New,
		approvalrule.New,
		connection.New,
		secret.New,
		webhook.New,
		trigger.New,
	}
}

// DataSources returns the data source types.
func (p *Provider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		pipeline.NewDataSource,
		pipelinestate.New,
		execution.New,
		execution.NewList,
		webhook.NewDeliveries,
		trigger.NewDecisions,
	}
}

// Functions returns the functions.
func (p *Provider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{triggermatches.New}
}

var _ provider.ProviderWithFunctions = (*Provider)(nil)
