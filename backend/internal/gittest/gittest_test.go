package gittest_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
)

// git runs git as a user would, and returns what it printed and its error.
func git(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_AUTHOR_NAME=A",
		"GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func withUser(address, user, password string) string {
	return strings.Replace(address, "://", "://"+user+":"+password+"@", 1)
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	host := gittest.NewHost(t)
	repo := host.Repository("acme/web")
	first := repo.Commit("main", map[string]string{"a b": "text\n", "\xff\"": "bytes\n"})
	server := host.HTTP()
	server.Allow("x-access-token", "ghs_test")
	server.Allow("ann", "other")

	_, err := git(t, nil, "ls-remote", server.URL(repo))
	require.Error(t, err, "nobody is let in without a token")
	out, err := git(t, nil, "ls-remote", withUser(server.URL(repo), "x-access-token", "ghs_test"))
	require.NoError(t, err, out)
	require.Contains(t, out, first+"\trefs/heads/main")
	require.NotZero(t, server.Requests()["refs git-upload-pack"])

	dir := filepath.Join(t.TempDir(), "clone")
	out, err = git(t, nil, "clone", "--filter=blob:none", withUser(server.URL(repo), "x-access-token", "ghs_test"), dir)
	require.NoError(t, err, out)
	require.NotContains(t, out, "filtering not recognized")
	out, err = git(t, nil, "-C", dir, "commit", "--allow-empty", "-m", "Mine")
	require.NoError(t, err, out)
	out, err = git(t, nil, "-C", dir, "push", "origin", "HEAD:refs/heads/mine")
	require.NoError(t, err, out)
	require.NotEmpty(t, repo.Head("refs/heads/mine"))

	server.NoPartialClone()
	out, err = git(t, nil, "clone", "--bare", "--filter=blob:none", withUser(server.URL(repo), "ann", "other"), filepath.Join(t.TempDir(), "full"))
	require.NoError(t, err, out)
	require.Contains(t, out, "filtering not recognized")

	server.Revoke("ann")
	_, err = git(t, nil, "ls-remote", withUser(server.URL(repo), "ann", "other"))
	require.Error(t, err)
	server.Refuse(http.StatusServiceUnavailable)
	out, err = git(t, nil, "ls-remote", withUser(server.URL(repo), "x-access-token", "ghs_test"))
	require.Error(t, err)
	require.Contains(t, out, "503")
	server.Refuse(0)
	server.Slow(time.Hour)
	cmd := exec.CommandContext(t.Context(), "git", "ls-remote", server.URL(repo))
	before := server.Total()
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return server.Total() > before }, time.Minute, time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	host := gittest.NewHost(t)
	repo := host.Repository("web")
	repo.Commit("main", nil)
	server := host.HTTPS()
	_, err := git(t, nil, "ls-remote", server.URL(repo))
	require.Error(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, server.CA(), 0o600))
	out, err := git(t, []string{"GIT_SSL_CAINFO=" + file}, "ls-remote", server.URL(repo))
	require.NoError(t, err, out)
}

func TestSSH(t *testing.T) {
	t.Parallel()
	host := gittest.NewHost(t)
	repo := host.Repository("acme/web")
	head := repo.Commit("main", nil)
	server := host.SSH()
	dir := t.TempDir()
	key, known := filepath.Join(dir, "key"), filepath.Join(dir, "known")
	require.NoError(t, os.WriteFile(key, server.Key(), 0o600))
	require.NoError(t, os.WriteFile(known, []byte(server.KnownHosts()), 0o600))
	command := func(known string) []string {
		return []string{"GIT_SSH_COMMAND=ssh -F none -oBatchMode=yes -oIdentitiesOnly=yes -oStrictHostKeyChecking=yes -i " + key + " -oUserKnownHostsFile=" + known}
	}
	out, err := git(t, command(known), "ls-remote", server.URL(repo))
	require.NoError(t, err, out)
	require.Contains(t, out, head)
	require.Equal(t, 1, server.Connections())
	_, err = git(t, command(os.DevNull), "ls-remote", server.URL(repo))
	require.Error(t, err, "an unknown host key")
	server.Refuse(true)
	_, err = git(t, command(known), "ls-remote", server.URL(repo))
	require.Error(t, err)
}

func TestRepository(t *testing.T) {
	t.Parallel()
	host := gittest.NewHost(t)
	repo := host.Repository("web")
	first := repo.Commit("main", map[string]string{"a": "1\n", "b": "1\n"})
	second := repo.Commit("main", map[string]string{"a": "2\n"})
	side := repo.Make(gittest.Commit{Branch: "side", Onto: first, Files: map[string]string{"c": "1\n"}, Remove: []string{"b"}})
	merge := repo.Merge("main", "side")
	require.Equal(t, second+" "+side, repo.Git("log", "-1", "--format=%P", merge))
	require.Equal(t, "a\nb\nc", repo.Git("ls-tree", "-r", "--name-only", merge))
	tag := repo.AnnotatedTag("v1", second, "Version 1")
	repo.Tag("v2", merge)
	require.NotEqual(t, tag, second)
	require.Equal(t, map[string]string{
		"refs/heads/main": merge, "refs/heads/side": side, "refs/tags/v1": second, "refs/tags/v2": merge,
	}, repo.Refs())
	forced := repo.Make(gittest.Commit{Branch: "main", Onto: first})
	require.Equal(t, forced, repo.Head("refs/heads/main"))
	repo.Delete("refs/heads/side")
	require.Empty(t, repo.Head("refs/heads/side"))
	repo.Make(gittest.Commit{Branch: "main", Submodules: map[string]string{"lib": first}})
	require.Contains(t, repo.Git("ls-tree", "main"), "160000 commit "+first+"\tlib")
	repo.Git("fsck", "--strict")
}

func TestManyFilesAndCommits(t *testing.T) {
	t.Parallel()
	repo := gittest.NewHost(t).Repository("mono")
	base := repo.Fill("main", 50_000)
	head := repo.Grow("main", 5000, 50_000)
	require.Equal(t, "5000", repo.Git("rev-list", "--count", base+".."+head))
	changed := strings.Split(repo.Git("diff-tree", "-r", "--no-renames", "--name-only", base, head), "\n")
	require.Len(t, changed, 50_000)
	require.Contains(t, changed, gittest.Path(49_999))
}
