// Package access turns a connection into what reaches its endpoint: the address and the
// credentials of a repository for git, and a client for the API of the forge. It must never
// put a credential into an error, a log or a record that is not sealed.
package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Sealer seals and opens small values, each for the object that it belongs to.
type Sealer interface {
	Seal(ctx context.Context, plain []byte, binding string) ([]byte, error)
	Open(ctx context.Context, sealed []byte, binding string) ([]byte, error)
}

// Config is what a Resolver needs.
type Config struct {
	Store  store.Store
	Sealer Sealer
	Clock  func() time.Time
	// Wait returns after a time, or with an error if the context ends before.
	Wait func(ctx context.Context, d time.Duration) error
	// UserAgent names this server to forges.
	UserAgent string
}

// Resolver turns connections into what reaches their endpoints. Its methods are safe for
// concurrent use, and must not be called within a transaction of the store.
type Resolver struct {
	config Config
}

// UnusableError says what must change in the account before a connection can be used: it
// does not exist, lacks a credential, or the repository is not one of its own.
type UnusableError struct{ Err error }

// Error implements error.
func (e *UnusableError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UnusableError) Unwrap() error { return e.Err }

// New returns a resolver.
func New(cfg Config) *Resolver {
	return &Resolver{config: cfg}
}

// Find returns the connection that an account names: by its name, its resource name or its
// ARN. The error is an *UnusableError and api.ErrNoConnection if there is none.
func (r *Resolver) Find(ctx context.Context, account, name string) (connection.Connection, error) {
	id, err := pipeline.ConnectionReference(account, name)
	if err != nil {
		return connection.Connection{}, &UnusableError{err}
	}
	var c connection.Connection
	err = r.config.Store.View(ctx, func(ctx context.Context, reader store.Reader) (err error) {
		c, err = reader.Connection(ctx, id.Account, id.Connection)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return c, &UnusableError{&missingError{account: account, name: id.Connection}}
	}
	return c, err
}

// missingError says that a connection does not exist.
type missingError struct{ account, name string }

// Error implements error.
func (e *missingError) Error() string {
	return fmt.Sprintf("connection %q does not exist in account %q", e.name, e.account)
}

// Is lets callers that do not know this package find out.
func (*missingError) Is(target error) bool { return target == api.ErrNoConnection }

// Git returns the address of a repository, which is named by its path or by an address on the
// connection's host, and the credentials that read it. Those of a GitHub
// App are a token that is narrowed to the repository and to reading its contents, and lasts
// for at least five minutes.
func (r *Resolver) Git(ctx context.Context, account, name, repository string) (gitauth.Remote, error) {
	c, err := r.Find(ctx, account, name)
	if err != nil {
		return gitauth.Remote{}, err
	}
	remote, err := r.git(ctx, &c, repository)
	if err != nil {
		return gitauth.Remote{}, fmt.Errorf("connection %q: %w", c.Name, err)
	}
	return remote, nil
}

func (r *Resolver) git(ctx context.Context, c *connection.Connection, repository string) (gitauth.Remote, error) {
	repository, err := c.RepositoryPath(repository)
	if err != nil {
		return gitauth.Remote{}, &UnusableError{err}
	}
	address, err := c.CloneURL(repository)
	if err != nil {
		return gitauth.Remote{}, &UnusableError{err}
	}
	remote := gitauth.Remote{URL: address, CACertificate: c.CACertificate, AllowedHosts: c.Hosts(), Provider: provider(c)}
	if c.UsesSSH() {
		remote.KnownHosts = c.KnownHosts
		if c.SSH != nil {
			remote.KnownHosts = c.SSH.KnownHosts
		}
		remote.PrivateKey, err = r.open(ctx, c, connection.SSHPrivateKey)
		return remote, err
	}
	switch c.Type {
	case pipeline.ConnectionGitHubApp:
		remote.Username = "x-access-token"
		remote.Password, err = r.repositoryToken(ctx, c, repository)
	case pipeline.ConnectionGitHubToken, pipeline.ConnectionGitea:
		remote.Username = "x-access-token"
		remote.Password, err = r.open(ctx, c, connection.Token)
	case pipeline.ConnectionGitLab:
		remote.Username = "oauth2"
		remote.Password, err = r.open(ctx, c, connection.Token)
	case pipeline.ConnectionGit:
		remote.Username = c.Username
		if _, ok := c.Credential(connection.Password); ok {
			remote.Password, err = r.open(ctx, c, connection.Password)
		}
	}
	return remote, err
}

// provider returns the kind of forge in CodePipeline's words.
func provider(c *connection.Connection) string {
	switch c.Kind() {
	case forge.GitHub:
		if publicGitHub(c.Endpoint) {
			return "GitHub"
		}
		return "GitHubEnterpriseServer"
	case forge.GitLab:
		if hostOf(c.Endpoint) == "gitlab.com" {
			return "GitLab"
		}
		return "GitLabSelfManaged"
	case forge.Gitea:
		return "Gitea"
	case forge.Generic:
	}
	return "Git"
}

// open returns the value of a credential.
func (r *Resolver) open(ctx context.Context, c *connection.Connection, name connection.CredentialName) (string, error) {
	credential, ok := c.Credential(name)
	if !ok {
		return "", &UnusableError{fmt.Errorf("it has no %s; set it in headrace_connection or with: headrace connection set-credential", name)}
	}
	plain, err := r.config.Sealer.Open(ctx, credential.Sealed, c.Binding(name))
	if err != nil {
		return "", fmt.Errorf("open its %s: %w", name, err)
	}
	return string(plain), nil
}

// http returns how the API of the connection's forge is reached.
func (r *Resolver) http(c *connection.Connection) api.HTTPConfig {
	return api.HTTPConfig{CACertificate: c.CACertificate, UserAgent: r.config.UserAgent, Now: r.config.Clock, Wait: r.config.Wait}
}
