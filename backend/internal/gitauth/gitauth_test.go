package gitauth_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
)

const (
	token = "sentinel-token-5b1c"
	key   = "-----BEGIN OPENSSH PRIVATE KEY-----\r\nsentinel-key-line\r\n-----END OPENSSH PRIVATE KEY-----"
)

func prepare(t *testing.T, remote gitauth.Remote) (dir string, environment gitauth.Environment) {
	t.Helper()
	dir = t.TempDir()
	environment, err := gitauth.Prepare(dir, remote)
	require.NoError(t, err)
	return dir, environment
}

// run runs a program in the environment and returns what it printed, and whether it succeeded.
func run(t *testing.T, environment gitauth.Environment, stdin string, argv ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env, cmd.Stdin, cmd.Dir = environment.Vars, strings.NewReader(stdin), t.TempDir()
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// TestCredentialsAreForOneHost holds that git gets them for the remote's own host, port and
// scheme only.
func TestCredentialsAreForOneHost(t *testing.T) {
	t.Parallel()
	_, environment := prepare(t, gitauth.Remote{URL: "https://git.example.com/acme/web.git", Username: "x-access-token", Password: token})
	for _, test := range []struct {
		ask  string
		gets bool
	}{
		{"protocol=https\nhost=git.example.com\n", true},
		{"protocol=https\nhost=git.example.com\npath=acme/lib.git\n", true},
		{"protocol=https\nhost=git.example.com:443\n", true},
		{"protocol=https\nhost=git.example.com:8443\n", false},
		{"protocol=http\nhost=git.example.com\n", false},
		{"protocol=https\nhost=example.com\n", false},
		{"protocol=https\nhost=evil.git.example.com\n", false},
		{"protocol=https\nhost=git.example.com.evil.org\n", false},
		{"protocol=https\nhost=evil.org\npath=git.example.com\n", false},
	} {
		out, ok := run(t, environment, test.ask, "git", "credential", "fill")
		require.Equal(t, test.gets, ok, "%s%s", test.ask, out)
		require.Equal(t, test.gets, strings.Contains(out, "password="+token+"\n"), "%s%s", test.ask, out)
	}
}

// TestKeyIsForOneHost holds that ssh offers the key to the remote's host only, and takes no
// host key, identity or setting from elsewhere.
func TestKeyIsForOneHost(t *testing.T) {
	t.Parallel()
	dir, environment := prepare(t, gitauth.Remote{URL: "git@git.example.com:acme/web.git", PrivateKey: key, KnownHosts: "git.example.com ssh-ed25519 AAAA"})
	config := filepath.Join(dir, "ssh_config")
	own, ok := run(t, environment, "", "ssh", "-G", "-F", config, "git@git.example.com")
	require.True(t, ok, own)
	require.Contains(t, own, "identityfile "+filepath.Join(dir, "key")+"\n")
	other, ok := run(t, environment, "", "ssh", "-G", "-F", config, "git@lib.example.com")
	require.True(t, ok, other)
	require.NotContains(t, other, filepath.Join(dir, "key"))
	for _, out := range []string{own, other} {
		for _, line := range []string{
			"identitiesonly yes", "batchmode yes", "stricthostkeychecking true", "identityagent none", "updatehostkeys false",
			"userknownhostsfile " + filepath.Join(dir, "known_hosts"), "globalknownhostsfile /dev/null",
		} {
			require.Contains(t, out, line+"\n")
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "key"))
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(key, "\r\n", "\n")+"\n", string(text))
}

// TestNothingIsLeftToRead holds that files are for their owner only, that the configuration
// of git holds no credential, and that no form of printing a remote does.
func TestNothingIsLeftToRead(t *testing.T) {
	t.Parallel()
	dir, _ := prepare(t, gitauth.Remote{
		URL: "https://git.example.com/acme/web.git", Password: token, PrivateKey: key, CACertificate: "-----BEGIN CERTIFICATE-----",
	})
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), entry.Name())
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(t, err)
		require.NotContains(t, string(text), token, entry.Name())
	}
	remote := gitauth.Remote{URL: "https://git.example.com/acme/web.git", Username: "ada", Password: token, PrivateKey: key}
	require.Equal(t, remote.URL, remote.String())
	require.Equal(t, remote.URL, remote.GoString())
}

// TestPrepareRefuses what would make git or ssh read more than a value.
func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		remote gitauth.Remote
		want   string
	}{
		"line break in a password": {gitauth.Remote{URL: "https://example.com/a", Password: "a\nhost=evil.org"}, "line break"},
		"no host keys":             {gitauth.Remote{URL: "ssh://git@example.com/a", PrivateKey: key}, gitauth.ErrNoHostKeys.Error()},
		"credentials in the URL":   {gitauth.Remote{URL: "https://ada:" + token + "@example.com/a"}, "credentials"},
		"pattern of hosts":         {gitauth.Remote{URL: "https://*.example.com/a", Password: token}, "host"},
		"option as a host":         {gitauth.Remote{URL: "ssh://-oProxyCommand=x/a"}, "host"},
		"option as a user":         {gitauth.Remote{URL: "-oProxyCommand=x@example.com:a"}, "user"},
		"other scheme":             {gitauth.Remote{URL: "ext::sh -c id"}, "spaces"},
		"git protocol":             {gitauth.Remote{URL: "git://example.com/a"}, `"git" is not supported`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := gitauth.Prepare(t.TempDir(), test.remote)
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), token)
		})
	}
	_, err := gitauth.Prepare("/tmp/100%", gitauth.Remote{URL: "https://example.com/a"})
	require.ErrorContains(t, err, "directory")
}

// TestAllows holds from where submodules and LFS objects may come.
func TestAllows(t *testing.T) {
	t.Parallel()
	overHTTPS := gitauth.Remote{URL: "https://git.example.com/acme/web.git", AllowedHosts: []string{"cdn.example.com", "lfs.example.com:8443"}}
	overSSH := gitauth.Remote{URL: "ssh://git@git.example.com:2222/acme/web.git"}
	for _, test := range []struct {
		remote  gitauth.Remote
		address string
		allowed bool
	}{
		{overHTTPS, "https://git.example.com/acme/lib.git", true},
		{overHTTPS, "https://GIT.example.com:443/acme/lib.git", true},
		{overHTTPS, "git@git.example.com:acme/lib.git", true},
		{overHTTPS, "ssh://git@git.example.com/acme/lib.git", true},
		{overHTTPS, "https://cdn.example.com/lib.git", true},
		{overHTTPS, "https://lfs.example.com:8443/lib", true},
		{overHTTPS, "https://lfs.example.com/lib", false},
		{overHTTPS, "http://git.example.com/acme/lib.git", false},
		{overHTTPS, "http://cdn.example.com/lib.git", false},
		{overHTTPS, "https://git.example.com:8443/acme/lib.git", false},
		{overHTTPS, "https://evil.org/git.example.com/lib.git", false},
		{overHTTPS, "https://git.example.com@evil.org/lib.git", false},
		{overHTTPS, "ssh://git@git.example.com:2222/lib.git", false},
		{overHTTPS, "/srv/git/lib.git", false},
		{overHTTPS, "file:///srv/git/lib.git", false},
		{overHTTPS, "../lib.git", false},
		{overHTTPS, "ext::sh", false},
		{overSSH, "ssh://git@git.example.com:2222/acme/lib.git", true},
		{overSSH, "https://git.example.com/acme/lib.git", true},
		{overSSH, "ssh://git@git.example.com/acme/lib.git", false},
	} {
		err := test.remote.Allows(test.address)
		require.Equal(t, test.allowed, err == nil, "%s from %s: %v", test.address, test.remote, err)
	}
}

// TestSubmodulesUseTheRemotesScheme holds that an address of the same server over SSH is
// fetched over HTTPS where the credentials are for HTTPS, and the reverse.
func TestSubmodulesUseTheRemotesScheme(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ remote, address, want string }{
		{"https://git.example.com/acme/web.git", "git@git.example.com:acme/lib.git", "https://git.example.com/acme/lib.git"},
		{"https://git.example.com/acme/web.git", "ssh://git@git.example.com/acme/lib.git", "https://git.example.com/acme/lib.git"},
		{"ssh://git@git.example.com:2222/acme/web.git", "https://git.example.com/acme/lib.git", "ssh://git@git.example.com:2222/acme/lib.git"},
		{"https://git.example.com/acme/web.git", "git@other.example.com:acme/lib.git", "git@other.example.com:acme/lib.git"},
	} {
		_, environment := prepare(t, gitauth.Remote{URL: test.remote, KnownHosts: "x ssh-ed25519 AAAA"})
		out, ok := run(t, environment, "", "git", "ls-remote", "--get-url", test.address)
		require.True(t, ok, out)
		require.Equal(t, test.want+"\n", out)
	}
}
