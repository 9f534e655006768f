// Package connection holds the records of connections and checks their credentials. It must
// never reach a forge or hold a credential that is not sealed.
package connection

import (
	"slices"
	"strconv"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Connection is how Headrace reaches a forge or a git server.
type Connection struct {
	Account string
	Name    string
	pipeline.Connection

	// Credentials are those that are set, by name.
	Credentials []Credential
	Revision    int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Credential is a credential of a connection.
type Credential struct {
	Name CredentialName
	// Sealed is the value as the sealer returned it for Binding.
	Sealed []byte
	// Fingerprint is of the public key, empty for tokens and passwords.
	Fingerprint string
	SetAt       time.Time
}

// CredentialName names a credential within its connection, as in the contract.
type CredentialName string

// The credentials.
const (
	Token         CredentialName = "token"
	AppPrivateKey CredentialName = "app_private_key"
	Password      CredentialName = "password"
	SSHPrivateKey CredentialName = "ssh_private_key"
)

// ID returns the name of the connection.
func (c *Connection) ID() pipeline.ConnectionName {
	return pipeline.ConnectionName{Account: c.Account, Connection: c.Name}
}

// Etag returns the etag that a write of the connection must match. The revision starts at 1
// again for a new connection of the same name and after a restore; the time of the last
// change does not.
func (c *Connection) Etag() string {
	return strconv.FormatInt(c.Revision, 10) + "-" + strconv.FormatInt(c.UpdatedAt.UnixMicro(), 36)
}

// Credential returns the credential of that name.
func (c *Connection) Credential(name CredentialName) (Credential, bool) {
	i := slices.IndexFunc(c.Credentials, func(has Credential) bool { return has.Name == name })
	if i < 0 {
		return Credential{}, false
	}
	return c.Credentials[i], true
}

// Binding returns what the value of a credential is sealed for, so that a row that is copied
// to another connection, or to another credential, cannot be opened.
func (c *Connection) Binding(name CredentialName) string {
	return c.ID().String() + "/credentials/" + string(name)
}

// Kind returns whose deliveries webhooks of the connection take. It is empty for a git
// server.
func (c *Connection) Kind() forge.Kind {
	switch c.Type {
	case pipeline.ConnectionGitHubApp, pipeline.ConnectionGitHubToken:
		return forge.GitHub
	case pipeline.ConnectionGitLab:
		return forge.GitLab
	case pipeline.ConnectionGitea:
		return forge.Gitea
	case pipeline.ConnectionGit:
	}
	return ""
}

// RepositoryKey returns the one spelling of the name of a repository of the connection.
func (c *Connection) RepositoryKey(repository string) string {
	return forge.RepositoryKey(c.Kind(), repository)
}

// CachedToken is a short-lived token that a forge issued for a connection. All servers share
// it.
type CachedToken struct {
	Account    string
	Connection string
	// Scope is what the token is for: the repositories and permissions that it is narrowed to.
	Scope string
	// Sealed is the token as the sealer returned it for Binding, empty before the first was
	// issued.
	Sealed    []byte
	ExpiresAt time.Time
	// ClaimedUntil is until when one server alone may ask the forge for the next token. Zero
	// if none does.
	ClaimedUntil time.Time
	Revision     int64
}

// Binding returns what the token is sealed for.
func (t *CachedToken) Binding() string {
	return pipeline.ConnectionName{Account: t.Account, Connection: t.Connection}.String() + "/tokens/" + t.Scope
}
