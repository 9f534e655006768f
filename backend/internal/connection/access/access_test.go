package access_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/connection/access"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/github/githubtest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/sealer"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// bed is a store with a sealer, on which several servers resolve connections.
type bed struct {
	t      *testing.T
	store  store.Store
	sealer *sealer.Sealer
	mu     sync.Mutex
	now    time.Time
}

func newBed(t *testing.T) *bed {
	t.Helper()
	dir := t.TempDir()
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "headrace.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	b := &bed{t: t, store: st, now: time.Now().UTC()}
	b.sealer = sealer.New(sealer.Config{KeyFile: filepath.Join(dir, "key"), CreateKeyFile: true, Store: st})
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.CreateAccount(ctx, auth.Account{Name: "a"}) })
	return b
}

func (b *bed) update(fn func(context.Context, store.Tx) error) {
	b.t.Helper()
	require.NoError(b.t, b.store.Update(b.t.Context(), fn))
}

func (b *bed) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bed) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// resolver is one server's.
func (b *bed) resolver() *access.Resolver {
	return access.New(access.Config{Store: b.store, Sealer: b.sealer, Clock: b.clock, Wait: api.Sleep, UserAgent: "headraced/test"})
}

// create stores a connection with credentials.
func (b *bed) create(name string, settings pipeline.Connection, credentials map[connection.CredentialName]string) connection.Connection {
	b.t.Helper()
	c := connection.Connection{Account: "a", Name: name, Connection: settings, Revision: 1}
	for credential, value := range credentials {
		sealed, err := b.sealer.Seal(b.t.Context(), []byte(value), c.Binding(credential))
		require.NoError(b.t, err)
		c.Credentials = append(c.Credentials, connection.Credential{Name: credential, Sealed: sealed})
	}
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.CreateConnection(ctx, c) })
	return c
}

func TestGitOfEachType(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	const hosts = "git.example.com ssh-ed25519 AAAA"
	token := map[connection.CredentialName]string{connection.Token: "hunter22"}
	b.create("github", pipeline.Connection{Type: pipeline.ConnectionGitHubToken, Endpoint: "https://github.com"}, token)
	b.create("gitlab", pipeline.Connection{Type: pipeline.ConnectionGitLab, Endpoint: "https://git.example.com/gitlab/", CACertificate: "pem", AllowedHosts: []string{"LFS.example.com"}}, token)
	b.create("gitea", pipeline.Connection{Type: pipeline.ConnectionGitea, Endpoint: "https://gitea.example.com"}, token)
	b.create("ssh", pipeline.Connection{
		Type: pipeline.ConnectionGitea, Endpoint: "https://gitea.example.com", SSH: &pipeline.ConnectionSSH{Endpoint: "ssh://git@gitea.example.com:2222", KnownHosts: hosts},
	}, map[connection.CredentialName]string{connection.Token: "hunter22", connection.SSHPrivateKey: "key"})
	b.create("public", pipeline.Connection{Type: pipeline.ConnectionGit, Endpoint: "https://git.example.com/srv"}, nil)
	b.create("keys", pipeline.Connection{Type: pipeline.ConnectionGit, Endpoint: "ssh://me@git.example.com/srv/git", KnownHosts: hosts},
		map[connection.CredentialName]string{connection.SSHPrivateKey: "key"})
	b.create("bare", pipeline.Connection{Type: pipeline.ConnectionGitLab, Endpoint: "https://gitlab.com"}, nil)
	for connectionName, test := range map[string]struct{ repository, url, user, password, key, provider string }{
		"github":                        {"Acme/Web", "https://github.com/Acme/Web.git", "x-access-token", "hunter22", "", "GitHub"},
		"accounts/a/connections/github": {"https://github.com/acme/web", "https://github.com/acme/web.git", "x-access-token", "hunter22", "", "GitHub"},
		"gitlab":                        {"a/b/web.git", "https://git.example.com/gitlab/a/b/web.git", "oauth2", "hunter22", "", "GitLabSelfManaged"},
		"arn:headrace:connections::a:connection/gitea": {"git@gitea.example.com:acme/web.git", "https://gitea.example.com/acme/web.git", "x-access-token", "hunter22", "", "Gitea"},
		"ssh":    {"acme/web", "ssh://git@gitea.example.com:2222/acme/web.git", "", "", "key", "Gitea"},
		"public": {"tools/x", "https://git.example.com/srv/tools/x", "", "", "", "Git"},
		"keys":   {"ssh://me@git.example.com/srv/git/web", "ssh://me@git.example.com/srv/git/web", "", "", "key", "Git"},
	} {
		remote, err := b.resolver().Git(t.Context(), "a", connectionName, test.repository)
		require.NoError(t, err, connectionName)
		require.Equal(t, test.url, remote.URL)
		require.Equal(t, test.user, remote.Username)
		require.Equal(t, test.password, remote.Password)
		require.Equal(t, test.key, remote.PrivateKey)
		require.Equal(t, test.key != "", remote.KnownHosts == hosts)
		require.Equal(t, test.provider, remote.Provider)
		if connectionName == "gitlab" {
			require.Equal(t, "pem", remote.CACertificate)
			require.Equal(t, []string{"git.example.com", "lfs.example.com"}, remote.AllowedHosts)
		}
	}
	for name, test := range map[string][3]string{
		"missing":         {"nothing", "acme/web", `connection "nothing" does not exist in account "a"`},
		"of others":       {"accounts/b/connections/github", "acme/web", `a connection of another account`},
		"of AWS":          {"arn:aws:codeconnections:eu-west-1:1:connection/x", "acme/web", "is a connection of AWS"},
		"elsewhere":       {"github", "https://evil.example.com/acme/web", "is not on the host of the connection"},
		"beside":          {"keys", "ssh://me@git.example.com/etc/shadow", "is not on the host of the connection"},
		"above":           {"public", "../secret", "is not a path of names"},
		"with a password": {"github", "https://me:hunter22@github.com/acme/web", "has a user or a password"},
		"no owner":        {"github", "web", "is not OWNER/NAME"},
		"no token":        {"bare", "acme/web", "it has no token"},
	} {
		_, err := b.resolver().Git(t.Context(), "a", test[0], test[1])
		var unusable *access.UnusableError
		require.ErrorAs(t, err, &unusable, name)
		require.ErrorContains(t, err, test[2], name)
		require.NotContains(t, err.Error(), "hunter22")
	}
}

// githubApp returns a connection of an App of a fake GitHub.
func (b *bed) githubApp(s *githubtest.Server) connection.Connection {
	b.t.Helper()
	s.Clock = b.clock
	return b.create("github", pipeline.Connection{
		Type: pipeline.ConnectionGitHubApp, Endpoint: s.URL, AppID: githubtest.AppID, InstallationID: githubtest.Installation,
	}, map[connection.CredentialName]string{connection.AppPrivateKey: s.Key})
}

const issueCall = "POST /app/installations/4711/access_tokens"

// TestServersShareTokens has several servers that want the same token at once.
func TestServersShareTokens(t *testing.T) {
	t.Parallel()
	b, s := newBed(t), githubtest.Start(t)
	c := b.githubApp(s)
	get := func(repository string) string {
		remote, err := b.resolver().Git(t.Context(), "a", "github", repository)
		require.NoError(t, err)
		return remote.Password
	}
	tokens := make([]string, 20)
	var servers sync.WaitGroup
	for i := range tokens {
		servers.Go(func() {
			remote, err := b.resolver().Git(t.Context(), "a", "github", []string{"acme/web", "Acme/web.git"}[i%2])
			if err == nil {
				tokens[i] = remote.Password
			}
		})
	}
	servers.Wait()
	for _, token := range tokens {
		require.Equal(t, tokens[0], token)
	}
	require.Greater(t, len(tokens[0]), 500)
	require.Equal(t, 1, s.Count(issueCall))
	repositories, permissions := s.Allows(tokens[0])
	require.Len(t, repositories, 1)
	require.Equal(t, map[string]string{"contents": "read", "metadata": "read"}, permissions)
	require.NotEqual(t, tokens[0], get("acme/shop"), "a token is for one repository")
	require.Equal(t, 2, s.Count(issueCall))

	b.pass(54 * time.Minute)
	require.Equal(t, tokens[0], get("acme/web"))
	b.pass(2 * time.Minute)
	require.NotEqual(t, tokens[0], get("acme/web"), "a token that ends in four minutes may end during a clone")
	require.Equal(t, 3, s.Count(issueCall))

	c.UpdatedAt = b.clock()
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateConnection(ctx, c) })
	get("acme/web")
	require.Equal(t, 4, s.Count(issueCall), "the key may be another one")
	require.NoError(t, b.store.View(t.Context(), func(ctx context.Context, r store.Reader) error {
		cached, err := r.CachedToken(ctx, "a", "github", "acme/web contents=read")
		require.NotEmpty(t, cached.Sealed)
		require.False(t, bytes.Contains(cached.Sealed, []byte("ghs_")))
		return err
	}))
}

// TestServerThatDiesWhileItAsks leaves a claim that the others wait out.
func TestServerThatDiesWhileItAsks(t *testing.T) {
	t.Parallel()
	b, s := newBed(t), githubtest.Start(t)
	b.githubApp(s)
	b.update(func(ctx context.Context, tx store.Tx) error {
		return tx.SaveCachedToken(ctx, connection.CachedToken{
			Account: "a", Connection: "github", Scope: "acme/web contents=read", Sealed: []byte{}, ClaimedUntil: b.clock().Add(45 * time.Second),
		})
	})
	waits := 0
	r := access.New(access.Config{Store: b.store, Sealer: b.sealer, Clock: b.clock, Wait: func(context.Context, time.Duration) error {
		waits++
		b.pass(10 * time.Second)
		return nil
	}})
	_, err := r.Git(t.Context(), "a", "github", "acme/web")
	require.NoError(t, err)
	require.Equal(t, 5, waits)
	stopped := errors.New("the server stops")
	b.update(func(ctx context.Context, tx store.Tx) error {
		return tx.SaveCachedToken(ctx, connection.CachedToken{
			Account: "a", Connection: "github", Scope: "acme/shop contents=read", Sealed: []byte{}, ClaimedUntil: b.clock().Add(45 * time.Second),
		})
	})
	r = access.New(access.Config{Store: b.store, Sealer: b.sealer, Clock: b.clock, Wait: func(context.Context, time.Duration) error { return stopped }})
	_, err = r.Git(t.Context(), "a", "github", "acme/shop")
	require.ErrorIs(t, err, stopped)
}

// TestRefusedToken does not keep the next server from asking.
func TestRefusedToken(t *testing.T) {
	t.Parallel()
	b, s := newBed(t), githubtest.Start(t)
	b.githubApp(s)
	s.Change(func(state *githubtest.State) { delete(state.Permissions, "contents") })
	_, err := b.resolver().Git(t.Context(), "a", "github", "acme/web")
	var refused *api.Error
	require.ErrorAs(t, err, &refused)
	require.True(t, strings.HasPrefix(err.Error(), `connection "github": GitHub: cannot issue a token`), err.Error())
	s.Change(func(state *githubtest.State) { state.Permissions["contents"] = "read" })
	_, err = b.resolver().Git(t.Context(), "a", "github", "acme/web")
	require.NoError(t, err)
}

// TestForgeOfNothing holds that callers can tell why a connection has no API.
func TestForgeOfNothing(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.create("srv", pipeline.Connection{Type: pipeline.ConnectionGit, Endpoint: "https://git.example.com/srv"}, nil)
	_, err := b.resolver().Forge(t.Context(), "a", "nothing")
	require.ErrorIs(t, err, api.ErrNoConnection)
	require.EqualError(t, err, `connection "nothing" does not exist in account "a"`)
	_, err = b.resolver().Forge(t.Context(), "a", "srv")
	require.ErrorIs(t, err, api.ErrNoAPI)
	require.EqualError(t, err, `connection "srv": its type is git: servers of this type have no API that Headrace uses`)
}
