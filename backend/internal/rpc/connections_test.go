package rpc_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// hostKeys is a line as ssh-keyscan prints it.
const hostKeys = "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9H1eFvHVqk0oPmZbZp4DkQ0Q3vE1Ff1r6d6dQ2hJ5k\n"

func gitlab(name string) *v1.Connection {
	return &v1.Connection{
		Name: client.ConnectionName("default", name), Description: "of the platform team",
		Type:         &v1.Connection_Gitlab{Gitlab: &v1.GitlabConnection{Endpoint: "https://gitlab.example.com"}},
		AllowedHosts: []string{"git.example.com", "lfs.example.com:8443"},
	}
}

func token(value string) *v1.ConnectionCredentials {
	return &v1.ConnectionCredentials{Token: &value}
}

func TestConnectionIsKeptAndItsCredentialsNeverRead(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	declared := gitlab("gitlab")
	request := &v1.CreateConnectionRequest{Connection: declared, Credentials: token("hunter22-first"), RequestId: "once"}
	created, err := c.Connections.CreateConnection(t.Context(), request)
	require.NoError(t, err)
	again, err := c.Connections.CreateConnection(t.Context(), request)
	require.NoError(t, err)
	require.True(t, proto.Equal(created, again))
	kept := created.GetConnection()
	require.Equal(t, "arn:headrace:connections::default:connection/gitlab", kept.GetArn())
	require.Len(t, kept.GetCredentials(), 1)
	require.Equal(t, "token", kept.GetCredentials()[0].GetName())
	require.Empty(t, kept.GetCredentials()[0].GetFingerprint(), "what is made of a token would help to guess it")
	bare := proto.CloneOf(kept)
	bare.Etag, bare.CreateTime, bare.UpdateTime, bare.Arn, bare.Credentials = "", nil, nil, "", nil
	require.True(t, proto.Equal(declared, bare), "nothing is added or lost: %v", bare)
	_, err = c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{Connection: declared, Credentials: token("hunter22-other")})
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists, `connection "gitlab" exists`)

	described := proto.CloneOf(kept)
	described.Description = "of everybody"
	updated, err := c.Connections.UpdateConnection(t.Context(), &v1.UpdateConnectionRequest{Connection: described})
	require.NoError(t, err)
	require.True(t, proto.Equal(kept.GetCredentials()[0], updated.GetConnection().GetCredentials()[0]), "the credential stays")
	_, err = c.Connections.UpdateConnection(t.Context(), &v1.UpdateConnectionRequest{Connection: described})
	refused(t, err, codes.Aborted, pipeline.ReasonEtagMismatch, "changed since it was read")
	same := proto.CloneOf(updated.GetConnection())
	updated, err = c.Connections.UpdateConnection(t.Context(), &v1.UpdateConnectionRequest{Connection: same})
	require.NoError(t, err)
	require.Equal(t, same.GetEtag(), updated.GetConnection().GetEtag(), "an update that changes nothing keeps the etag")
	updated, err = c.Connections.UpdateConnection(t.Context(), &v1.UpdateConnectionRequest{Connection: same, Credentials: token("hunter22-second")})
	require.NoError(t, err)
	require.NotEqual(t, same.GetEtag(), updated.GetConnection().GetEtag())

	got, err := c.Connections.GetConnection(t.Context(), &v1.GetConnectionRequest{Name: kept.GetName()})
	require.NoError(t, err)
	require.True(t, proto.Equal(updated.GetConnection(), got.GetConnection()))
	list, err := c.Connections.ListConnections(t.Context(), &v1.ListConnectionsRequest{Parent: "accounts/default"})
	require.NoError(t, err)
	require.Len(t, list.GetConnections(), 1)
	for _, answer := range []proto.Message{created, updated, got, list} {
		require.NotContains(t, fmt.Sprint(answer), "hunter22")
	}
	require.NoError(t, filepath.WalkDir(b.DataDir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		require.False(t, bytes.Contains(content, []byte("hunter22")), path)
		return err
	}))

	_, err = c.Connections.DeleteConnection(t.Context(), &v1.DeleteConnectionRequest{Name: kept.GetName(), Etag: kept.GetEtag()})
	refused(t, err, codes.Aborted, pipeline.ReasonEtagMismatch)
	_, err = c.Connections.DeleteConnection(t.Context(), &v1.DeleteConnectionRequest{Name: kept.GetName()})
	require.NoError(t, err)
	_, err = c.Connections.GetConnection(t.Context(), &v1.GetConnectionRequest{Name: kept.GetName()})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
}

// TestStoredCredentialGoesToNoOtherHost keeps an admin from reading a credential by pointing
// the connection to a server of their own.
func TestStoredCredentialGoesToNoOtherHost(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	declared := gitlab("gitlab")
	_, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{Connection: declared, Credentials: token("first")})
	require.NoError(t, err)
	update := func(change func(*v1.Connection), credentials *v1.ConnectionCredentials) (*v1.Connection, error) {
		changed := proto.CloneOf(declared)
		change(changed)
		answer, err := c.Connections.UpdateConnection(t.Context(), &v1.UpdateConnectionRequest{Connection: changed, Credentials: credentials})
		return answer.GetConnection(), err
	}
	for name, change := range map[string]func(*v1.Connection){
		"host":   func(c *v1.Connection) { c.GetGitlab().Endpoint = "https://evil.example.com" },
		"port":   func(c *v1.Connection) { c.GetGitlab().Endpoint = "https://gitlab.example.com:8443" },
		"scheme": func(c *v1.Connection) { c.GetGitlab().Endpoint = "http://localhost" },
		"type": func(c *v1.Connection) {
			c.Type = &v1.Connection_Gitea{Gitea: &v1.GiteaConnection{Endpoint: "https://gitlab.example.com"}}
		},
	} {
		_, err := update(change, nil)
		require.Equal(t, []string{"credentials.token"}, fields(err), "%s: %v", name, err)
		require.ErrorContains(t, err, "set it again")
		_, err = c.Connections.UpdateConnection(t.Context(), &v1.UpdateConnectionRequest{Connection: declared})
		require.NoError(t, err)
	}
	_, err = update(func(c *v1.Connection) { c.GetGitlab().Endpoint = "https://gitlab.example.com:443/" }, nil)
	require.NoError(t, err, "it is the same host")
	moved, err := update(func(c *v1.Connection) { c.GetGitlab().Endpoint = "https://new.example.com" }, token("second"))
	require.NoError(t, err)
	require.Len(t, moved.GetCredentials(), 1)
	empty := ""
	_, err = update(func(c *v1.Connection) { c.GetGitlab().Endpoint = "https://new.example.com" }, &v1.ConnectionCredentials{Token: &empty})
	require.Equal(t, []string{"credentials.token"}, fields(err), "it is needed: %v", err)
}

func TestConnectionsThatCouldNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	appKey := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	app := func(endpoint string, installation int64) *v1.Connection {
		return &v1.Connection{Name: client.ConnectionName("default", "x"), Type: &v1.Connection_GithubApp{GithubApp: &v1.GithubAppConnection{
			Endpoint: endpoint, AppId: "Iv23liABC", InstallationId: installation,
		}}}
	}
	git := func(endpoint, user, hosts string) *v1.Connection {
		return &v1.Connection{Name: client.ConnectionName("default", "x"), Type: &v1.Connection_Git{Git: &v1.GitConnection{
			Endpoint: endpoint, Username: user, KnownHosts: hosts,
		}}}
	}
	for name, test := range map[string]struct {
		connection  *v1.Connection
		credentials *v1.ConnectionCredentials
		field, says string
	}{
		"no type":              {&v1.Connection{Name: client.ConnectionName("default", "x")}, nil, "connection.type", ""},
		"no key":               {app("https://github.com", 1), nil, "credentials.app_private_key", "is missing"},
		"a token for an App":   {app("https://github.com", 1), token("x"), "credentials.token", "takes no token"},
		"not a key":            {app("https://github.com", 1), &v1.ConnectionCredentials{AppPrivateKey: proto.String("hunter22")}, "credentials.app_private_key", "not a private key in PEM"},
		"the API":              {app("https://api.github.com", 1), nil, "connection.github_app.endpoint", "write https://github.com"},
		"a path":               {app("https://github.com/acme", 1), nil, "connection.github_app.endpoint", "has a path"},
		"not encrypted":        {app("http://github.example.com", 1), nil, "connection.github_app.endpoint", "not encrypted"},
		"a password":           {git("https://me:hunter22@git.example.com", "", ""), nil, "connection.git.endpoint", "has a user or a password"},
		"scp":                  {git("git@git.example.com:acme", "", ""), nil, "connection.git.endpoint", "https://HOST or ssh://HOST"},
		"no host keys":         {git("ssh://git@git.example.com", "", ""), nil, "connection.git.known_hosts", "ssh-keyscan git.example.com"},
		"bad host keys":        {git("ssh://git@git.example.com", "", "nonsense"), nil, "connection.git.known_hosts", "HOST TYPE KEY"},
		"an option of ssh":     {git("ssh://-oProxyCommand=x", "", hostKeys), nil, "connection.git.endpoint", ""},
		"username with ssh":    {git("ssh://git@git.example.com", "me", hostKeys), nil, "connection.git.username", "ssh://USER@HOST"},
		"no password":          {git("https://git.example.com", "me", ""), nil, "credentials.password", "is missing"},
		"a line break":         {gitlab("x"), token("hunter22\n"), "credentials.token", "a new line"},
		"not a host":           {&v1.Connection{Name: client.ConnectionName("default", "x"), Type: gitlab("x").GetType(), AllowedHosts: []string{"https://lfs.example.com/x"}}, token("x"), "connection.allowed_hosts[0]", "is not a host"},
		"not a certificate":    {&v1.Connection{Name: client.ConnectionName("default", "x"), Type: gitlab("x").GetType(), CaCertificate: "x"}, token("x"), "connection.ca_certificate", "no certificate"},
		"a key as certificate": {&v1.Connection{Name: client.ConnectionName("default", "x"), Type: gitlab("x").GetType(), CaCertificate: appKey}, token("x"), "connection.ca_certificate", "rsa private key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{Connection: test.connection, Credentials: test.credentials})
			require.Equal(t, []string{test.field}, fields(err), "%v", err)
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "hunter22")
		})
	}
	created, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{
		Connection: app("https://github.com", 1), Credentials: &v1.ConnectionCredentials{AppPrivateKey: &appKey},
	})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(created.GetConnection().GetCredentials()[0].GetFingerprint(), "SHA256:"), "as GitHub shows it")
}

func TestConnectionsAreListedByPages(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	for i := range 3 {
		_, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{Connection: gitlab(fmt.Sprint("c", i)), Credentials: token("x")})
		require.NoError(t, err)
	}
	first, err := c.Connections.ListConnections(t.Context(), &v1.ListConnectionsRequest{Parent: "accounts/default", PageSize: 2})
	require.NoError(t, err)
	require.Len(t, first.GetConnections(), 2)
	rest, err := c.Connections.ListConnections(t.Context(), &v1.ListConnectionsRequest{
		Parent: "accounts/default", PageSize: 2, PageToken: first.GetNextPageToken(),
	})
	require.NoError(t, err)
	require.Len(t, rest.GetConnections(), 1)
	require.Empty(t, rest.GetNextPageToken())
}

func TestConnectionInUseIsNotDeleted(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	_, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{Connection: gitlab("gitlab"), Credentials: token("x")})
	require.NoError(t, err)
	p := inline("default", "web")
	p.GetDefinition().GetStages()[0].GetActions()[0].Configuration = map[string]string{"RepositoryUrl": "acme/web", "Connection": "gitlab"}
	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: p})
	require.NoError(t, err)
	remove := &v1.DeleteConnectionRequest{Name: client.ConnectionName("default", "gitlab")}
	_, err = c.Connections.DeleteConnection(t.Context(), remove)
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonInUse, `of pipeline "web"`)
	_, err = c.Pipelines.DeletePipeline(t.Context(), &v1.DeletePipelineRequest{Name: p.GetName()})
	require.NoError(t, err)
	webhook := &v1.Webhook{
		Name: client.WebhookName("default", "push"), Kind: v1.WebhookKind_WEBHOOK_KIND_GITLAB, Connection: client.ConnectionName("default", "gitlab"),
		Secret: "hunter22-hunter22",
	}
	for _, wrong := range []*v1.Webhook{
		{Name: webhook.GetName(), Kind: webhook.GetKind(), Connection: client.ConnectionName("default", "gitlap"), Secret: webhook.GetSecret()},
		{Name: webhook.GetName(), Kind: v1.WebhookKind_WEBHOOK_KIND_GITHUB, Connection: webhook.GetConnection(), Secret: webhook.GetSecret()},
	} {
		_, err = c.Webhooks.CreateWebhook(t.Context(), &v1.CreateWebhookRequest{Webhook: wrong})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.Equal(t, "webhook.connection", client.Violations(err)[0].Field)
	}
	_, err = c.Webhooks.CreateWebhook(t.Context(), &v1.CreateWebhookRequest{Webhook: webhook})
	require.NoError(t, err)
	_, err = c.Connections.DeleteConnection(t.Context(), remove)
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonInUse, `is used by webhook "push"`)
	_, err = c.Webhooks.DeleteWebhook(t.Context(), &v1.DeleteWebhookRequest{Name: webhook.GetName()})
	require.NoError(t, err)
	_, err = c.Connections.DeleteConnection(t.Context(), remove)
	require.NoError(t, err)
}

// A create whose answer was lost is answered with the connection that it made, which then has the
// credentials of the later create.
func TestLostConnectionIsAdoptedWithTheNewCredentials(t *testing.T) {
	t.Parallel()
	var seen sync.Map
	forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"), true)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(forge.Close)
	c := backendtest.Start(t).Admin()
	create := func(token, request string) error {
		_, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{
			Connection: &v1.Connection{
				Name: client.ConnectionName("default", "forge"), Type: &v1.Connection_Gitea{Gitea: &v1.GiteaConnection{Endpoint: forge.URL}},
			},
			Credentials: &v1.ConnectionCredentials{Token: proto.String(token)}, RequestId: request,
		})
		return err
	}
	require.NoError(t, create("hunter22", "first/1"))
	require.NoError(t, create("hunter23", "second/1"))
	_, err := c.Connections.CheckConnection(t.Context(), &v1.CheckConnectionRequest{Name: client.ConnectionName("default", "forge")})
	require.NoError(t, err)
	_, before := seen.Load("token hunter22")
	_, after := seen.Load("token hunter23")
	require.Equal(t, []bool{false, true}, []bool{before, after})

	get := func(request string) error {
		_, err := c.Connections.GetConnection(t.Context(), &v1.GetConnectionRequest{Name: client.ConnectionName("default", "forge"), ConfirmRequestId: request})
		return err
	}
	refused(t, get("first/1"), codes.AlreadyExists, pipeline.ReasonAlreadyExists, "took over")
	require.NoError(t, get("second/1"))
	refused(t, create("hunter24", "third/1"), codes.AlreadyExists, pipeline.ReasonAlreadyExists)
}
