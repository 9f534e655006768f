package access

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/github"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitlab"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// repositoryToken returns a token that reads the contents of one repository.
func (r *Resolver) repositoryToken(ctx context.Context, c *connection.Connection, repository string) (string, error) {
	client, err := r.github(ctx, c)
	if err != nil {
		return "", err
	}
	return r.installationToken(client, c)(ctx, strings.TrimSuffix(strings.Trim(repository, "/"), ".git"), github.ReadContents())
}

// installationToken returns what issues tokens of a GitHub App's installation, which all
// servers share.
func (r *Resolver) installationToken(
	client *github.Client, c *connection.Connection,
) func(context.Context, string, github.Permissions) (string, error) {
	return func(ctx context.Context, repository string, permissions github.Permissions) (string, error) {
		scope := c.RepositoryKey(repository) + " " + permissions.String()
		return r.cachedToken(ctx, c, scope, func(ctx context.Context) (issued, error) {
			token, expires, err := client.IssueToken(ctx, repository, permissions)
			return issued{token: token, expires: expires}, err
		})
	}
}

// github returns a client for GitHub's API.
func (r *Resolver) github(ctx context.Context, c *connection.Connection) (*github.Client, error) {
	cfg := github.Config{Endpoint: c.Endpoint, HTTP: r.http(c)}
	if c.Type == pipeline.ConnectionGitHubToken {
		token, err := r.open(ctx, c, connection.Token)
		if err != nil {
			return nil, err
		}
		cfg.Token = func(context.Context, string, github.Permissions) (string, error) { return token, nil }
		return github.New(cfg)
	}
	text, err := r.open(ctx, c, connection.AppPrivateKey)
	if err != nil {
		return nil, err
	}
	key, err := connection.ParseAppKey([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("its %s: %w", connection.AppPrivateKey, err)
	}
	cfg.App = &github.App{ID: c.AppID, Installation: c.InstallationID, Key: key}
	var client *github.Client
	cfg.Token = func(ctx context.Context, repository string, permissions github.Permissions) (string, error) {
		return r.installationToken(client, c)(ctx, repository, permissions)
	}
	client, err = github.New(cfg)
	return client, err
}

// Forge returns a client for the API of a connection's forge.
func (r *Resolver) Forge(ctx context.Context, account, name string) (api.Client, error) {
	c, err := r.Find(ctx, account, name)
	if err != nil {
		return nil, err
	}
	client, err := r.forge(ctx, &c)
	if err != nil {
		return nil, fmt.Errorf("connection %q: %w", c.Name, err)
	}
	return client, nil
}

func (r *Resolver) forge(ctx context.Context, c *connection.Connection) (api.Client, error) {
	switch c.Type {
	case pipeline.ConnectionGitHubApp, pipeline.ConnectionGitHubToken:
		return r.github(ctx, c)
	case pipeline.ConnectionGitLab, pipeline.ConnectionGitea:
		token, err := r.open(ctx, c, connection.Token)
		if err != nil {
			return nil, err
		}
		if c.Type == pipeline.ConnectionGitea {
			return gitea.New(gitea.Config{Endpoint: c.Endpoint, HTTP: r.http(c), Token: token})
		}
		return gitlab.New(gitlab.Config{Endpoint: c.Endpoint, HTTP: r.http(c), Token: token})
	case pipeline.ConnectionGit:
	}
	return nil, fmt.Errorf("its type is %s: %w", c.Type, api.ErrNoAPI)
}

func publicGitHub(endpoint string) bool { return hostOf(endpoint) == "github.com" }

func hostOf(endpoint string) string {
	address, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return strings.ToLower(address.Hostname())
}
