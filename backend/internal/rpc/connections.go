package rpc

import (
	"context"
	"fmt"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// connections serves ConnectionService.
type connections struct {
	headracev1.UnimplementedConnectionServiceServer
	use *service.Connections
}

// CreateConnection implements ConnectionService.
func (s *connections) CreateConnection(
	ctx context.Context, req *headracev1.CreateConnectionRequest,
) (*headracev1.CreateConnectionResponse, error) {
	c, err := connectionFromProto(req.GetConnection())
	if err != nil {
		return nil, err
	}
	created, err := s.use.Create(ctx, caller(ctx), c, credentialsFromProto(req.GetCredentials()), req.GetRequestId(), req.GetValidateOnly())
	if err != nil {
		return nil, err
	}
	return &headracev1.CreateConnectionResponse{Connection: connectionToProto(created)}, nil
}

// GetConnection implements ConnectionService.
func (s *connections) GetConnection(
	ctx context.Context, req *headracev1.GetConnectionRequest,
) (*headracev1.GetConnectionResponse, error) {
	name, err := named(pipeline.ParseConnectionName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	err = s.use.ConfirmCreate(ctx, caller(ctx), service.Created{
		Account: name.Account, Method: "CreateConnection", Resource: name.String(), RequestID: req.GetConfirmRequestId(),
	})
	if err != nil {
		return nil, err
	}
	c, err := s.use.Get(ctx, caller(ctx), name.Account, name.Connection)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetConnectionResponse{Connection: connectionToProto(c)}, nil
}

// ListConnections implements ConnectionService.
func (s *connections) ListConnections(
	ctx context.Context, req *headracev1.ListConnectionsRequest,
) (*headracev1.ListConnectionsResponse, error) {
	parent, err := named(pipeline.ParseAccountName, req.GetParent(), "parent")
	if err != nil {
		return nil, err
	}
	after, err := pageKey(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	all, next, err := s.use.List(ctx, caller(ctx), parent.Account, after, pageSize(req.GetPageSize(), defaultPage))
	if err != nil {
		return nil, err
	}
	return &headracev1.ListConnectionsResponse{Connections: each(all, connectionToProto), NextPageToken: pageToken(next)}, nil
}

// UpdateConnection implements ConnectionService.
func (s *connections) UpdateConnection(
	ctx context.Context, req *headracev1.UpdateConnectionRequest,
) (*headracev1.UpdateConnectionResponse, error) {
	c, err := connectionFromProto(req.GetConnection())
	if err != nil {
		return nil, err
	}
	updated, err := s.use.Update(ctx, caller(ctx), c, credentialsFromProto(req.GetCredentials()), req.GetConnection().GetEtag(), req.GetValidateOnly(),
		refuseClearing(ctx, req, fmt.Sprintf("connection %q", c.Name), connectionToProto))
	if err != nil {
		return nil, err
	}
	return &headracev1.UpdateConnectionResponse{Connection: connectionToProto(updated)}, nil
}

// DeleteConnection implements ConnectionService.
func (s *connections) DeleteConnection(
	ctx context.Context, req *headracev1.DeleteConnectionRequest,
) (*headracev1.DeleteConnectionResponse, error) {
	name, err := named(pipeline.ParseConnectionName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	if err := s.use.Delete(ctx, caller(ctx), name.Account, name.Connection, req.GetEtag()); err != nil {
		return nil, err
	}
	return &headracev1.DeleteConnectionResponse{}, nil
}

// CheckConnection implements ConnectionService.
func (s *connections) CheckConnection(
	ctx context.Context, req *headracev1.CheckConnectionRequest,
) (*headracev1.CheckConnectionResponse, error) {
	name, err := named(pipeline.ParseConnectionName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	checks, err := s.use.Check(ctx, caller(ctx), name.Account, name.Connection, req.GetRepository())
	if err != nil {
		return nil, err
	}
	return &headracev1.CheckConnectionResponse{Checks: each(checks, checkToProto)}, nil
}

func connectionFromProto(p *headracev1.Connection) (connection.Connection, error) {
	name, err := named(pipeline.ParseConnectionName, p.GetName(), "connection", "name")
	if err != nil {
		return connection.Connection{}, err
	}
	c := connection.Connection{Account: name.Account, Name: name.Connection, Connection: pipeline.Connection{
		Description: p.GetDescription(), CACertificate: p.GetCaCertificate(), AllowedHosts: p.GetAllowedHosts(),
	}}
	switch of := p.GetType().(type) {
	case *headracev1.Connection_GithubApp:
		c.Type, c.Endpoint = pipeline.ConnectionGitHubApp, of.GithubApp.GetEndpoint()
		c.AppID, c.InstallationID = of.GithubApp.GetAppId(), of.GithubApp.GetInstallationId()
	case *headracev1.Connection_GithubToken:
		c.Type, c.Endpoint, c.SSH = pipeline.ConnectionGitHubToken, of.GithubToken.GetEndpoint(), sshFromProto(of.GithubToken.GetSsh())
	case *headracev1.Connection_Gitlab:
		c.Type, c.Endpoint, c.SSH = pipeline.ConnectionGitLab, of.Gitlab.GetEndpoint(), sshFromProto(of.Gitlab.GetSsh())
	case *headracev1.Connection_Gitea:
		c.Type, c.Endpoint, c.SSH = pipeline.ConnectionGitea, of.Gitea.GetEndpoint(), sshFromProto(of.Gitea.GetSsh())
	case *headracev1.Connection_Git:
		c.Type, c.Endpoint = pipeline.ConnectionGit, of.Git.GetEndpoint()
		c.Username, c.KnownHosts = of.Git.GetUsername(), of.Git.GetKnownHosts()
	}
	return c, nil
}

func sshFromProto(p *headracev1.SshAccess) *pipeline.ConnectionSSH {
	if p == nil {
		return nil
	}
	return &pipeline.ConnectionSSH{Endpoint: p.GetEndpoint(), KnownHosts: p.GetKnownHosts()}
}

func sshToProto(s *pipeline.ConnectionSSH) *headracev1.SshAccess {
	if s == nil {
		return nil
	}
	return &headracev1.SshAccess{Endpoint: s.Endpoint, KnownHosts: s.KnownHosts}
}

func credentialsFromProto(p *headracev1.ConnectionCredentials) service.GivenCredentials {
	given := service.GivenCredentials{}
	if p == nil {
		return given
	}
	for name, value := range map[connection.CredentialName]*string{
		connection.Token: p.Token, connection.AppPrivateKey: p.AppPrivateKey,
		connection.Password: p.Password, connection.SSHPrivateKey: p.SshPrivateKey,
	} {
		if value != nil {
			given[name] = *value
		}
	}
	return given
}

func connectionToProto(c connection.Connection) *headracev1.Connection {
	p := &headracev1.Connection{
		Name: c.ID().String(), Description: c.Description, CaCertificate: c.CACertificate, AllowedHosts: c.AllowedHosts,
		Arn: c.ID().ARN(), Etag: c.Etag(), CreateTime: timestamp(c.CreatedAt), UpdateTime: timestamp(c.UpdatedAt),
		Credentials: each(c.Credentials, func(has connection.Credential) *headracev1.ConnectionCredential {
			return &headracev1.ConnectionCredential{Name: string(has.Name), Fingerprint: has.Fingerprint, SetTime: timestamp(has.SetAt)}
		}),
	}
	switch c.Type {
	case pipeline.ConnectionGitHubApp:
		p.Type = &headracev1.Connection_GithubApp{GithubApp: &headracev1.GithubAppConnection{
			Endpoint: c.Endpoint, AppId: c.AppID, InstallationId: c.InstallationID,
		}}
	case pipeline.ConnectionGitHubToken:
		p.Type = &headracev1.Connection_GithubToken{GithubToken: &headracev1.GithubTokenConnection{Endpoint: c.Endpoint, Ssh: sshToProto(c.SSH)}}
	case pipeline.ConnectionGitLab:
		p.Type = &headracev1.Connection_Gitlab{Gitlab: &headracev1.GitlabConnection{Endpoint: c.Endpoint, Ssh: sshToProto(c.SSH)}}
	case pipeline.ConnectionGitea:
		p.Type = &headracev1.Connection_Gitea{Gitea: &headracev1.GiteaConnection{Endpoint: c.Endpoint, Ssh: sshToProto(c.SSH)}}
	case pipeline.ConnectionGit:
		p.Type = &headracev1.Connection_Git{Git: &headracev1.GitConnection{
			Endpoint: c.Endpoint, Username: c.Username, KnownHosts: c.KnownHosts,
		}}
	}
	return p
}

func checkToProto(c connection.Check) *headracev1.ConnectionCheck {
	return &headracev1.ConnectionCheck{
		Kind: checkKindEnum.ToProto(c.Kind), Status: checkStatusEnum.ToProto(c.Status),
		Subject: c.Subject, Message: c.Message, NextStep: c.NextStep,
	}
}
