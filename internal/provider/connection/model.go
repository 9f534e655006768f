package connection

import (
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// model is the resource as Terraform has it. Exactly one of the blocks of types has an
// element.
type model struct {
	ID            types.String  `tfsdk:"id"`
	Account       types.String  `tfsdk:"account"`
	Name          types.String  `tfsdk:"name"`
	Description   types.String  `tfsdk:"description"`
	GithubApp     []githubApp   `tfsdk:"github_app"`
	GithubToken   []githubToken `tfsdk:"github_token"`
	Gitlab        []tokenForge  `tfsdk:"gitlab"`
	Gitea         []tokenForge  `tfsdk:"gitea"`
	Git           []gitServer   `tfsdk:"git"`
	CACertificate types.String  `tfsdk:"ca_certificate"`
	AllowedHosts  types.Set     `tfsdk:"allowed_hosts"`
	ARN           types.String  `tfsdk:"arn"`
	SetTimes      types.Map     `tfsdk:"credential_set_times"`
	Fingerprints  types.Map     `tfsdk:"credential_fingerprints"`
	ETag          types.String  `tfsdk:"etag"`
}

type githubApp struct {
	Endpoint            types.String `tfsdk:"endpoint"`
	AppID               types.String `tfsdk:"app_id"`
	InstallationID      types.Int64  `tfsdk:"installation_id"`
	PrivateKeyWO        types.String `tfsdk:"private_key_wo"`
	PrivateKeyWOVersion types.Int64  `tfsdk:"private_key_wo_version"`
}

// tokenForge is a forge that is reached by a token.
type tokenForge struct {
	Endpoint       types.String `tfsdk:"endpoint"`
	TokenWO        types.String `tfsdk:"token_wo"`
	TokenWOVersion types.Int64  `tfsdk:"token_wo_version"`
	SSH            []sshAccess  `tfsdk:"ssh"`
}

type githubToken = tokenForge

type sshAccess struct {
	Endpoint            types.String `tfsdk:"endpoint"`
	KnownHosts          types.String `tfsdk:"known_hosts"`
	PrivateKeyWO        types.String `tfsdk:"private_key_wo"`
	PrivateKeyWOVersion types.Int64  `tfsdk:"private_key_wo_version"`
}

type gitServer struct {
	Endpoint            types.String `tfsdk:"endpoint"`
	Username            types.String `tfsdk:"username"`
	PasswordWO          types.String `tfsdk:"password_wo"`
	PasswordWOVersion   types.Int64  `tfsdk:"password_wo_version"`
	KnownHosts          types.String `tfsdk:"known_hosts"`
	PrivateKeyWO        types.String `tfsdk:"private_key_wo"`
	PrivateKeyWOVersion types.Int64  `tfsdk:"private_key_wo_version"`
}

// identity is what names a connection for good.
type identity struct {
	Account types.String `tfsdk:"account"`
	Name    types.String `tfsdk:"name"`
}

func (m *model) identity() identity {
	return identity{Account: m.Account, Name: m.Name}
}

// resourceName returns what the backend calls the connection. It does not rest on the id,
// which is only shown.
func (m *model) resourceName() string {
	return client.ConnectionName(m.Account.ValueString(), m.Name.ValueString())
}

// forges returns the elements of the blocks of forges that are reached by a token.
func (m *model) forges() map[string][]tokenForge {
	return map[string][]tokenForge{"github_token": m.GithubToken, "gitlab": m.Gitlab, "gitea": m.Gitea}
}

// credential is a credential of the configuration.
type credential struct {
	// name is the field of ConnectionCredentials.
	name string
	// value is null in plans and states.
	value   types.String
	version *types.Int64
	// at leads to the version.
	at path.Path
}

// credentials returns those that the blocks have arguments for. Their versions may be null.
func (m *model) credentials() []credential {
	var all []credential
	for i := range m.GithubApp {
		b := &m.GithubApp[i]
		all = append(all, credential{
			"app_private_key", b.PrivateKeyWO, &b.PrivateKeyWOVersion, path.Root("github_app").AtListIndex(i).AtName("private_key_wo_version"),
		})
	}
	for name, blocks := range m.forges() {
		for i := range blocks {
			b, at := &blocks[i], path.Root(name).AtListIndex(i)
			all = append(all, credential{"token", b.TokenWO, &b.TokenWOVersion, at.AtName("token_wo_version")})
			for j := range b.SSH {
				ssh := &b.SSH[j]
				all = append(all, credential{
					"ssh_private_key", ssh.PrivateKeyWO, &ssh.PrivateKeyWOVersion, at.AtName("ssh").AtListIndex(j).AtName("private_key_wo_version"),
				})
			}
		}
	}
	for i := range m.Git {
		b, at := &m.Git[i], path.Root("git").AtListIndex(i)
		all = append(all,
			credential{"password", b.PasswordWO, &b.PasswordWOVersion, at.AtName("password_wo_version")},
			credential{"ssh_private_key", b.PrivateKeyWO, &b.PrivateKeyWOVersion, at.AtName("private_key_wo_version")})
	}
	return all
}

// version returns the version of a credential, null if there is none.
func (m *model) version(name string) types.Int64 {
	for _, c := range m.credentials() {
		if c.name == name {
			return *c.version
		}
	}
	return types.Int64Null()
}

// sets returns the credentials that an apply of the plan sets: those whose versions differ,
// or all that there are if the credentials go to another host.
func (m *model) sets(state *model) []credential {
	moved := state != nil && !m.domain().SameHosts(state.domain())
	var set []credential
	for _, c := range m.credentials() {
		if c.version.IsNull() {
			continue
		}
		if state == nil || moved || !c.version.Equal(state.version(c.name)) {
			set = append(set, c)
		}
	}
	return set
}

// removed returns the credentials that the state has and the plan does not.
func (m *model) removed(state *model) []string {
	var names []string
	for _, c := range m.credentials() {
		if c.version.IsNull() && !state.version(c.name).IsNull() {
			names = append(names, c.name)
		}
	}
	return names
}

// domain returns what the rules of the domain check. Values may be unknown.
func (m *model) domain() *domain.Connection {
	c := &domain.Connection{
		Description: values.Text(m.Description), CACertificate: values.Text(m.CACertificate), AllowedHosts: values.Texts(m.AllowedHosts),
	}
	for i := range m.GithubApp {
		b := &m.GithubApp[i]
		c.Type, c.Endpoint, c.AppID = domain.ConnectionGitHubApp, values.FromTextOr(values.Text(b.Endpoint), defaultGitHub).ValueString(), values.Text(b.AppID)
		c.InstallationID = b.InstallationID.ValueInt64()
		if b.InstallationID.IsUnknown() {
			c.InstallationID = domain.UnknownInt
		}
	}
	for name, blocks := range m.forges() {
		for i := range blocks {
			b := &blocks[i]
			c.Type = domain.ConnectionType(name)
			c.Endpoint = values.FromTextOr(values.Text(b.Endpoint), defaultEndpoint(name)).ValueString()
			for j := range b.SSH {
				c.SSH = &domain.ConnectionSSH{Endpoint: values.Text(b.SSH[j].Endpoint), KnownHosts: values.Text(b.SSH[j].KnownHosts)}
			}
		}
	}
	for i := range m.Git {
		b := &m.Git[i]
		c.Type, c.Endpoint = domain.ConnectionGit, values.Text(b.Endpoint)
		c.Username, c.KnownHosts = values.Text(b.Username), values.Text(b.KnownHosts)
	}
	return c
}

// message returns the connection to send, without an etag.
func (m *model) message() *headracev1.Connection {
	p := &headracev1.Connection{
		Name: m.resourceName(), Description: m.Description.ValueString(), CaCertificate: m.CACertificate.ValueString(),
		AllowedHosts: values.Texts(m.AllowedHosts),
	}
	for i := range m.GithubApp {
		b := &m.GithubApp[i]
		p.Type = &headracev1.Connection_GithubApp{GithubApp: &headracev1.GithubAppConnection{
			Endpoint: b.Endpoint.ValueString(), AppId: b.AppID.ValueString(), InstallationId: b.InstallationID.ValueInt64(),
		}}
	}
	for i := range m.GithubToken {
		b := &m.GithubToken[i]
		p.Type = &headracev1.Connection_GithubToken{GithubToken: &headracev1.GithubTokenConnection{Endpoint: b.Endpoint.ValueString(), Ssh: b.ssh()}}
	}
	for i := range m.Gitlab {
		b := &m.Gitlab[i]
		p.Type = &headracev1.Connection_Gitlab{Gitlab: &headracev1.GitlabConnection{Endpoint: b.Endpoint.ValueString(), Ssh: b.ssh()}}
	}
	for i := range m.Gitea {
		b := &m.Gitea[i]
		p.Type = &headracev1.Connection_Gitea{Gitea: &headracev1.GiteaConnection{Endpoint: b.Endpoint.ValueString(), Ssh: b.ssh()}}
	}
	for i := range m.Git {
		b := &m.Git[i]
		p.Type = &headracev1.Connection_Git{Git: &headracev1.GitConnection{
			Endpoint: b.Endpoint.ValueString(), Username: b.Username.ValueString(), KnownHosts: b.KnownHosts.ValueString(),
		}}
	}
	return p
}

func (f *tokenForge) ssh() *headracev1.SshAccess {
	for i := range f.SSH {
		return &headracev1.SshAccess{Endpoint: f.SSH[i].Endpoint.ValueString(), KnownHosts: f.SSH[i].KnownHosts.ValueString()}
	}
	return nil
}

// compared returns a message that differs if an apply would send something else. The versions
// of the arguments are never sent, but decide whether anything is.
func (m *model) compared() *headracev1.CreateConnectionRequest {
	request := &headracev1.CreateConnectionRequest{Connection: m.message(), Credentials: &headracev1.ConnectionCredentials{}}
	for _, c := range m.credentials() {
		if !c.version.IsNull() {
			setCredential(request.GetCredentials(), c.name, strconv.FormatInt(c.version.ValueInt64(), 10))
		}
	}
	return request
}

func setCredential(in *headracev1.ConnectionCredentials, name, value string) {
	switch name {
	case "token":
		in.Token = &value
	case "app_private_key":
		in.AppPrivateKey = &value
	case "password":
		in.Password = &value
	case "ssh_private_key":
		in.SshPrivateKey = &value
	}
}

// modelOf returns what Terraform shows of a connection. The versions of its credentials come
// from prior, as does the choice between null and empty.
func modelOf(c *headracev1.Connection, prior *model) *model {
	m := &model{
		ID:            types.StringValue(c.GetName()),
		Account:       types.StringValue(client.Segment(c.GetName(), "accounts")),
		Name:          types.StringValue(client.Segment(c.GetName(), "connections")),
		Description:   values.FromText(c.GetDescription()),
		CACertificate: values.FromText(c.GetCaCertificate()),
		AllowedHosts:  values.FromTextSet(c.GetAllowedHosts(), prior.AllowedHosts),
		ARN:           types.StringValue(c.GetArn()),
		ETag:          types.StringValue(c.GetEtag()),
	}
	times, fingerprints := map[string]string{}, map[string]string{}
	for _, has := range c.GetCredentials() {
		times[has.GetName()] = has.GetSetTime().AsTime().Format(time.RFC3339Nano)
		if has.GetFingerprint() != "" {
			fingerprints[has.GetName()] = has.GetFingerprint()
		}
	}
	m.SetTimes, m.Fingerprints = values.MapOf(times), values.MapOf(fingerprints)
	forge := func(endpoint string, ssh *headracev1.SshAccess) []tokenForge {
		f := tokenForge{Endpoint: types.StringValue(endpoint), TokenWO: types.StringNull(), TokenWOVersion: prior.version("token")}
		if ssh != nil {
			f.SSH = []sshAccess{{
				Endpoint: values.FromText(ssh.GetEndpoint()), KnownHosts: types.StringValue(ssh.GetKnownHosts()),
				PrivateKeyWO: types.StringNull(), PrivateKeyWOVersion: prior.version("ssh_private_key"),
			}}
		}
		return []tokenForge{f}
	}
	switch of := c.GetType().(type) {
	case *headracev1.Connection_GithubApp:
		m.GithubApp = []githubApp{{
			Endpoint: types.StringValue(of.GithubApp.GetEndpoint()), AppID: types.StringValue(of.GithubApp.GetAppId()),
			InstallationID: types.Int64Value(of.GithubApp.GetInstallationId()),
			PrivateKeyWO:   types.StringNull(), PrivateKeyWOVersion: prior.version("app_private_key"),
		}}
	case *headracev1.Connection_GithubToken:
		m.GithubToken = forge(of.GithubToken.GetEndpoint(), of.GithubToken.GetSsh())
	case *headracev1.Connection_Gitlab:
		m.Gitlab = forge(of.Gitlab.GetEndpoint(), of.Gitlab.GetSsh())
	case *headracev1.Connection_Gitea:
		m.Gitea = forge(of.Gitea.GetEndpoint(), of.Gitea.GetSsh())
	case *headracev1.Connection_Git:
		m.Git = []gitServer{{
			Endpoint: types.StringValue(of.Git.GetEndpoint()), Username: values.FromText(of.Git.GetUsername()),
			KnownHosts: values.FromText(of.Git.GetKnownHosts()), PasswordWO: types.StringNull(), PasswordWOVersion: prior.version("password"),
			PrivateKeyWO: types.StringNull(), PrivateKeyWOVersion: prior.version("ssh_private_key"),
		}}
	}
	return m
}

// refreshed is modelOf for a connection that was read. If somebody else has set or removed a
// credential, the version of its argument is forgotten, so that the next plan sets it again.
func refreshed(c *headracev1.Connection, prior *model) *model {
	now := modelOf(c, prior)
	if prior.SetTimes.IsNull() {
		return now
	}
	before, after := values.TextMap(prior.SetTimes), values.TextMap(now.SetTimes)
	for _, has := range now.credentials() {
		if before[has.name] != after[has.name] {
			*has.version = types.Int64Null()
		}
	}
	return now
}
