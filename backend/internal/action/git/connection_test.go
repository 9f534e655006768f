package git_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/git"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

const (
	user  = "x-access-token"
	token = "sentinel-token-9f3e7a61"
)

// connections hands out remotes by the name of their repository, as a server does.
type connections map[string]gitauth.Remote

func (c connections) Git(_ context.Context, connection, repository string) (gitauth.Remote, error) {
	remote, found := c[repository]
	if connection != "forge" || !found {
		return gitauth.Remote{}, &action.CredentialsError{Code: action.ConfigurationError, Err: errors.New("there is no connection " + connection)}
	}
	return remote, nil
}

// Open has sealed values that begin with sealed-.
func (c connections) Open(_ context.Context, sealed string) (string, error) {
	value, ok := strings.CutPrefix(sealed, "sealed-")
	if !ok {
		return "", errors.New("not sealed")
	}
	return value, nil
}

func with(c connections) func(*runner.Config) {
	return func(config *runner.Config) {
		config.Credentials = func(action.Scope) action.Credentials { return c }
	}
}

// through returns an attempt of Source/Git through the connection.
func through(repository string, configuration map[string]string) action.Attempt {
	values := map[string]string{"Connection": "forge"}
	maps.Copy(values, configuration)
	return attempt(repository, values)
}

// files returns the files of an artifact by path, with .git if it has one.
func files(t *testing.T, bench *runnertest.Bench, result action.Result) (dir string, texts map[string]string) {
	t.Helper()
	dir = t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close() })
	require.Len(t, result.Artifacts, 1)
	require.NoError(t, bench.Artifacts.Fetch(t.Context(), result.Artifacts[0], root, "."))
	texts = make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		relative, _ := filepath.Rel(dir, path)
		texts[filepath.ToSlash(relative)] = string(text)
		return err
	}))
	return dir, texts
}

// private returns a repository that a server over HTTP shows with the token only.
func private(t *testing.T) (*gittest.Host, *gittest.HTTPServer, *gittest.Repository) {
	t.Helper()
	host := gittest.NewHost(t)
	server := host.HTTP()
	server.Allow(user, token)
	repository := host.Repository("acme/web")
	repository.Commit("main", map[string]string{"README": "web\n"})
	return host, server, repository
}

func remoteOf(server *gittest.HTTPServer, repository *gittest.Repository) gitauth.Remote {
	return gitauth.Remote{URL: server.URL(repository), Username: user, Password: token, Provider: "Gitea"}
}

// TestPrivateRepositoryByToken holds that a connection's token reads a private repository, and
// that nothing that the action leaves shows it.
func TestPrivateRepositoryByToken(t *testing.T) {
	t.Parallel()
	_, server, repository := private(t)
	bench := runnertest.Start(t, git.New(), with(connections{"acme/web": remoteOf(server, repository)}))
	result, log := bench.Run(t, through("acme/web", map[string]string{"Branch": "main"}))
	require.Nil(t, result.Failure, log)
	require.Equal(t, repository.Head("refs/heads/main"), result.Variables["CommitId"])
	require.Equal(t, server.URL(repository), result.Variables["RepositoryUrl"])
	_, texts := files(t, bench, result)
	require.Equal(t, map[string]string{"README": "web\n"}, texts)
	require.NotContains(t, log, token)
}

// TestWrongToken holds that a refused token is a PermissionError that names no credential.
func TestWrongToken(t *testing.T) {
	t.Parallel()
	_, server, repository := private(t)
	remote := remoteOf(server, repository)
	remote.Password = "sentinel-wrong-token"
	bench := runnertest.Start(t, git.New(), with(connections{"acme/web": remote}))
	result, log := bench.Run(t, through("acme/web", nil))
	require.NotNil(t, result.Failure)
	require.Equal(t, action.PermissionError, result.Failure.Code, result.Failure.Message)
	require.Contains(t, result.Failure.Message, "check the credentials of the connection")
	require.NotContains(t, result.Failure.Message+log, "sentinel")
}

// TestCertificateOfAConnection holds that a server with a certificate of its own is trusted
// through the connection only.
func TestCertificateOfAConnection(t *testing.T) {
	t.Parallel()
	host := gittest.NewHost(t)
	server := host.HTTPS()
	server.Allow(user, token)
	repository := host.Repository("acme/web")
	repository.Commit("main", nil)
	trusting, strict := remoteOf(server, repository), remoteOf(server, repository)
	trusting.CACertificate = string(server.CA())
	bench := runnertest.Start(t, git.New(), with(connections{"trusting": trusting, "strict": strict}))
	result, log := bench.Run(t, through("trusting", nil))
	require.Nil(t, result.Failure, log)
	again := through("strict", nil)
	again.ActionExecutionID = "action-2"
	result, _ = bench.Run(t, again)
	require.NotNil(t, result.Failure)
	require.Contains(t, result.Failure.Message, "certificate")
}

// TestPrivateRepositoryByKey holds that a connection's SSH key reads a private repository of a
// server whose key it pins, and that a server with another key or without a pin is refused.
func TestPrivateRepositoryByKey(t *testing.T) {
	t.Parallel()
	host := gittest.NewHost(t)
	server, impostor := host.SSH(), host.SSH()
	repository := host.Repository("acme/web")
	repository.Commit("main", map[string]string{"README": "web\n"})
	right := gitauth.Remote{URL: server.URL(repository), PrivateKey: string(server.Key()), KnownHosts: server.KnownHosts()}
	changed := right
	_, key, _ := strings.Cut(impostor.KnownHosts(), " ")
	address, _, _ := strings.Cut(server.KnownHosts(), " ")
	changed.KnownHosts = address + " " + key
	unknown := right
	unknown.KnownHosts = impostor.KnownHosts()
	unpinned := right
	unpinned.KnownHosts = ""
	wrongKey := right
	wrongKey.PrivateKey = string(impostor.Key())
	bench := runnertest.Start(t, git.New(), with(connections{
		"right": right, "changed": changed, "unknown": unknown, "unpinned": unpinned, "wrong key": wrongKey,
	}))
	for name, test := range map[string]struct {
		code action.FailureCode
		want string
	}{
		"right":     {},
		"changed":   {action.PermissionError, "its key has changed"},
		"unknown":   {action.PermissionError, "the host is unknown"},
		"unpinned":  {action.ConfigurationError, "pins no SSH host key"},
		"wrong key": {action.PermissionError, "check the credentials of the connection"},
	} {
		a := through(name, nil)
		a.ActionExecutionID = strings.ReplaceAll(name, " ", "-")
		result, log := bench.Run(t, a)
		for line := range strings.Lines(right.PrivateKey) {
			require.NotContains(t, log, strings.TrimSpace(line))
		}
		if test.code == "" {
			require.Nil(t, result.Failure, log)
			_, texts := files(t, bench, result)
			require.Equal(t, map[string]string{"README": "web\n"}, texts)
			continue
		}
		require.NotNil(t, result.Failure, name)
		require.Equal(t, test.code, result.Failure.Code, "%s: %s", name, result.Failure.Message)
		require.Contains(t, result.Failure.Message, test.want, name)
	}
}

// requireNoCredential looks for the token in every form, in every file.
func requireNoCredential(t *testing.T, texts map[string]string) {
	t.Helper()
	for path, text := range texts {
		for _, secret := range (gitauth.Remote{Username: user, Password: token}).Secrets() {
			require.NotContains(t, text, secret, path)
		}
		require.NotContains(t, text, user, path)
	}
}

// TestCloneRef holds that CODEBUILD_CLONE_REF is a repository that git can use, on the branch,
// with history and tags, whose origin is the address without a credential, and that nothing in
// it tells how it was fetched.
func TestCloneRef(t *testing.T) {
	t.Parallel()
	host, server, repository := private(t)
	library := host.Repository("acme/lib")
	library.Commit("main", map[string]string{"lib.txt": "lib\n"})
	repository.Make(gittest.Commit{
		Branch: "main", Files: map[string]string{".gitmodules": "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n"},
		Submodules: map[string]string{"vendor/lib": library.Head("refs/heads/main")},
	})
	repository.Git("tag", "v1", "main~1")
	bench := runnertest.Start(t, git.New(), with(connections{"acme/web": remoteOf(server, repository)}))
	for name, test := range map[string]struct {
		configuration map[string]string
		branch        string
		commits       string
	}{
		"whole history": {map[string]string{"Branch": "main"}, "main", "2"},
		"depth":         {map[string]string{"Branch": "main", "Depth": "1"}, "main", "1"},
		"default":       {nil, "main", "2"},
		"tag":           {map[string]string{"Tag": "v1"}, "", "1"},
		"commit":        {map[string]string{"Commit": repository.Head("refs/tags/v1")}, "", "1"},
		"submodules":    {map[string]string{"Branch": "main", "Submodules": "true"}, "main", "2"},
	} {
		a := through("acme/web", test.configuration)
		a.ActionExecutionID = strings.ReplaceAll(name, " ", "-")
		a.Action.Configuration["OutputArtifactFormat"] = "CODEBUILD_CLONE_REF"
		result, log := bench.Run(t, a)
		require.Nil(t, result.Failure, log)
		dir, texts := files(t, bench, result)
		requireNoCredential(t, texts)
		clone := &repo{t: t, dir: dir}
		require.Empty(t, clone.git("status", "--porcelain"), name)
		require.Equal(t, result.Variables["CommitId"], clone.git("rev-parse", "HEAD"), name)
		require.Equal(t, test.branch, clone.git("branch", "--show-current"), name)
		require.Equal(t, test.commits, clone.git("rev-list", "--count", "HEAD"), name)
		require.Equal(t, server.URL(repository), clone.git("config", "remote.origin.url"), name)
		require.Equal(t, server.URL(repository), clone.git("remote", "get-url", "origin"), name)
		if test.commits == "2" {
			require.Equal(t, "v1", clone.git("tag"), name)
			require.Equal(t, "origin/main", clone.git("rev-parse", "--abbrev-ref", "main@{upstream}"), name)
		}
		for path, text := range texts {
			require.NotContains(t, text, bench.WorkDir, path)
			if strings.HasSuffix(path, "/config") && strings.HasPrefix(path, ".git/") {
				for _, setting := range []string{"credential", "sshCommand", "http.", "[http", "helper", "insteadOf"} {
					require.NotContains(t, text, setting, path)
				}
			}
		}
		if test.configuration["Submodules"] == "true" {
			require.Equal(t, "lib\n", texts["vendor/lib/lib.txt"])
			inside := &repo{t: t, dir: filepath.Join(dir, "vendor", "lib")}
			require.Equal(t, library.Head("refs/heads/main"), inside.git("rev-parse", "HEAD"))
			require.Equal(t, server.URL(library), inside.git("config", "remote.origin.url"))
		}
	}
}

// TestSubmodules holds that submodules come from the connection's host with its credentials,
// from an allowed host without, and from nowhere else.
func TestSubmodules(t *testing.T) {
	t.Parallel()
	host, server, repository := private(t)
	elsewhere := gittest.NewHost(t)
	public, foreign := elsewhere.HTTP(), elsewhere.HTTP()
	tools := elsewhere.Repository("acme/tools")
	toolsCommit := tools.Commit("main", map[string]string{"tool": "tool\n"})
	deep := host.Repository("acme/deep")
	deepCommit := deep.Commit("main", map[string]string{"deep": "deep\n"})
	library := host.Repository("acme/lib")
	// The commit is not the tip of a branch any more.
	library.Make(gittest.Commit{Branch: "main", Files: map[string]string{
		"lib.txt": "lib\n", ".gitmodules": "[submodule \"deep\"]\n\tpath = deep\n\turl = ../deep.git\n",
	}, Submodules: map[string]string{"deep": deepCommit}})
	libraryCommit := library.Head("refs/heads/main")
	library.Commit("main", map[string]string{"lib.txt": "newer\n"})
	declare := func(branch, path, address, commit string) {
		repository.Make(gittest.Commit{
			Branch: branch, Onto: repository.Head("refs/heads/main"),
			Files:      map[string]string{".gitmodules": "[submodule \"x\"]\n\tpath = " + path + "\n\turl = " + address + "\n"},
			Submodules: map[string]string{path: commit},
		})
	}
	declare("relative", "lib", "../lib.git", libraryCommit)
	declare("absolute", "lib", server.URL(library), libraryCommit)
	declare("ssh", "lib", "ssh://git@127.0.0.1/acme/lib.git", libraryCommit)
	declare("allowed", "tools", public.URL(tools), toolsCommit)
	declare("foreign", "tools", foreign.URL(tools), toolsCommit)
	declare("file", "tools", tools.Dir, toolsCommit)
	declare("credentials", "tools", strings.Replace(server.URL(library), "://", "://ada:"+token+"@", 1), libraryCommit)
	declare("command", "tools", "ext::sh -c touch% "+t.TempDir(), toolsCommit)
	remote := remoteOf(server, repository)
	address, err := url.Parse(public.Base())
	require.NoError(t, err)
	remote.AllowedHosts = []string{address.Host}
	bench := runnertest.Start(t, git.New(), with(connections{"acme/web": remote}))
	for branch, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"relative":    {files: map[string]string{"lib/lib.txt": "lib\n", "lib/deep/deep": "deep\n"}},
		"absolute":    {files: map[string]string{"lib/lib.txt": "lib\n", "lib/deep/deep": "deep\n"}},
		"ssh":         {files: map[string]string{"lib/lib.txt": "lib\n", "lib/deep/deep": "deep\n"}},
		"allowed":     {files: map[string]string{"tools/tool": "tool\n"}},
		"foreign":     {want: `submodule "tools": the host ` + strings.TrimPrefix(foreign.Base(), "http://") + ` is not allowed; add ` + strings.TrimPrefix(foreign.Base(), "http://") + ` to allowed_hosts`},
		"file":        {want: `submodule "tools": it is a path on the runner; change the address in the repository to an https or ssh address`},
		"credentials": {want: `submodule "tools": it has credentials in it; change the address in the repository`},
		"command":     {want: `submodule "tools": it`},
	} {
		a := through("acme/web", map[string]string{"Branch": branch, "Submodules": "true"})
		a.ActionExecutionID = branch
		result, log := bench.Run(t, a)
		require.NotContains(t, log, token, branch)
		if test.want != "" {
			require.NotNil(t, result.Failure, branch)
			require.Equal(t, action.ConfigurationError, result.Failure.Code, result.Failure.Message)
			require.Contains(t, result.Failure.Message, test.want)
			require.NotContains(t, result.Failure.Message, token)
			continue
		}
		require.Nil(t, result.Failure, "%s: %s", branch, log)
		_, texts := files(t, bench, result)
		for _, path := range []string{"README", ".gitmodules"} {
			require.Contains(t, texts, path)
			delete(texts, path)
		}
		delete(texts, "lib/.gitmodules")
		require.Equal(t, test.files, texts, branch)
	}
	require.Zero(t, foreign.Total(), "nothing is asked of a host that is not allowed")
	require.NotZero(t, public.Total())
	for _, header := range public.Headers() {
		require.Empty(t, header.Get("Authorization"), "credentials are for the connection's host only")
	}
}

// TestWithoutSubmodules holds that they are fetched on request only.
func TestWithoutSubmodules(t *testing.T) {
	t.Parallel()
	_, server, repository := private(t)
	repository.Make(gittest.Commit{
		Branch: "main", Files: map[string]string{".gitmodules": "[submodule \"lib\"]\n\tpath = lib\n\turl = https://evil.example.org/lib\n"},
		Submodules: map[string]string{"lib": repository.Head("refs/heads/main")},
	})
	bench := runnertest.Start(t, git.New(), with(connections{"acme/web": remoteOf(server, repository)}))
	result, log := bench.Run(t, through("acme/web", nil))
	require.Nil(t, result.Failure, log)
}

// TestProcessesShowNoCredential looks at the arguments of every process of the machine while a
// clone waits for its server.
func TestProcessesShowNoCredential(t *testing.T) {
	t.Parallel()
	_, server, repository := private(t)
	server.Slow(300 * time.Millisecond)
	bench := runnertest.Start(t, git.New(), with(connections{"acme/web": remoteOf(server, repository)}))
	a := through("acme/web", map[string]string{"Branch": "main"})
	bench.Jobs.Give(a)
	seen := false
	for {
		select {
		case report := <-bench.Jobs.Reports:
			require.Nil(t, report.Result.Failure)
			require.True(t, seen, "no process of the clone was seen")
			return
		default:
		}
		paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
		require.NoError(t, err)
		for _, path := range paths {
			line, err := os.ReadFile(path)
			if err != nil {
				// It has ended.
				continue
			}
			seen = seen || bytes.Contains(line, []byte("git-remote-http")) && bytes.Contains(line, []byte(server.Base()))
			require.NotContains(t, string(line), token)
		}
	}
}

// TestUnknownConnection holds that the failure names it.
func TestUnknownConnection(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, git.New(), with(connections{}))
	result, _ := bench.Run(t, through("acme/web", nil))
	require.Equal(t, &action.Failure{Code: action.ConfigurationError, Message: "there is no connection forge"}, result.Failure)
}
