package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea/giteatest"
)

func TestConnections(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	created := withInput(t, b, "hunter22\n", nil, "connection", "create", "gitlab", "--type", "gitlab", "--description", "Of acme", "--allowed-host", "lfs.example.com")
	require.Equal(t, "created connection gitlab; check it with: headrace connection doctor gitlab\n", created.stdout, created.stderr)
	public := withInput(t, b, "", nil, "connection", "create", "public", "--type", "git", "--endpoint", "https://git.example.com")
	require.Zero(t, public.code, public.stderr)
	list := headrace(t, b, b.AdminToken, "connection", "list").stdout
	require.Regexp(t, `(?m)^gitlab +gitlab +https://gitlab.com +Of acme$`, list)
	require.Regexp(t, `(?m)^public +git +https://git.example.com`, list)
	show := headrace(t, b, b.AdminToken, "connection", "show", "gitlab").stdout
	require.Regexp(t, `(?m)^ARN +arn:headrace:connections::default:connection/gitlab$`, show)
	require.Regexp(t, `(?m)^token +20\d\d-`, show)
	set := withInput(t, b, "hunter22-second", nil, "connection", "set-credential", "gitlab")
	require.Equal(t, "set token of connection gitlab; check it with: headrace connection doctor gitlab\n", set.stdout, set.stderr)

	for says, args := range map[string][]string{
		"--type is missing":            {"connection", "create", "x"},
		"--type svn does not exist":    {"connection", "create", "x", "--type", "svn"},
		"connection.gitea.endpoint":    {"connection", "create", "x", "--type", "gitea"},
		"is not an RSA private key":    {"connection", "create", "x", "--type", "github-app", "--app-id", "1", "--installation-id", "2", "--from-file", writeFile(t, "-----BEGIN X-----\n-----END X-----\n")},
		"has 0 credentials; say which": {"connection", "set-credential", "public"},
	} {
		refused := withInput(t, b, "hunter22", nil, args...)
		require.NotZero(t, refused.code)
		require.Contains(t, refused.stderr, says)
	}
	require.Equal(t, "deleted connection public\n", headrace(t, b, b.AdminToken, "connection", "delete", "public").stdout)
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// TestDoctor checks connections to a real Gitea.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := giteatest.Start(t)
	s.Create("web")
	b := backendtest.Start(t)
	create := func(name, token string) {
		t.Helper()
		made := withInput(t, b, token, nil, "connection", "create", name, "--type", "gitea", "--endpoint", s.URL)
		require.Zero(t, made.code, made.stderr)
	}
	create("gitea", s.Token)
	create("wrong", strings.Repeat("0", 40))
	create("narrow", s.NewToken("narrow", "read:repository"))
	doctor := headrace(t, b, b.AdminToken, "connection", "doctor", "gitea", "--repository", "owner/web")
	require.Zero(t, doctor.code, doctor.stdout+doctor.stderr)
	for _, line := range []string{
		`ok       http://127.0.0.1:\d+ answers`, `ok       the token is owner's`, `ok       the token has write:repository, for registering|skipped  the server does not report the permissions`, `ok       owner/web has the id \d+ and the default branch main`,
		`skipped  the repository has no webhook that delivers to Headrace`, `ok       git reads 1 refs of http://127.0.0.1:\d+/owner/web.git`,
	} {
		require.Regexp(t, `(?m)^`+line, doctor.stdout)
	}
	require.NotContains(t, doctor.stdout, s.Token)

	wrong := headrace(t, b, b.AdminToken, "connection", "doctor", "wrong", "--repository", "owner/web")
	require.Equal(t, cli.ExitFailed, wrong.code)
	require.Regexp(t, `(?m)^failed   Gitea: cannot authenticate: HTTP 401.*\n +-> the token is invalid`, wrong.stdout)
	require.Regexp(t, `(?m)^failed   git cannot read its refs: .*Authentication failed`, wrong.stdout)
	require.NotContains(t, wrong.stdout, strings.Repeat("0", 40))
	narrow := headrace(t, b, b.AdminToken, "connection", "doctor", "narrow", "--repository", "owner/web")
	require.Zero(t, narrow.code, narrow.stdout)
	require.Regexp(t, `(?m)^warning  the token lacks write:repository, which is needed for registering`, narrow.stdout)
	require.Contains(t, narrow.stdout, "git reads 1 refs")
	var hooks []any
	s.Call(http.MethodGet, "/repos/owner/web/hooks", nil, &hooks)
	require.Empty(t, hooks, "it changes nothing")
}
