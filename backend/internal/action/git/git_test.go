package git_test

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/git"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// repo is a repository made for a test: main has two commits, the first one
// tagged v1, and feature/x is on the first.
type repo struct {
	t             *testing.T
	dir           string
	first, second string
}

func (r *repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ada Löve", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_AUTHOR_DATE=2026-03-04T05:06:07+02:00",
		"GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@example.com")
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, string(out))
	return strings.TrimSpace(string(out))
}

func (r *repo) write(name, text string, mode os.FileMode) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, name), []byte(text), mode))
}

func newRepo(t *testing.T, initArgs ...string) *repo {
	t.Helper()
	r := &repo{t: t, dir: t.TempDir()}
	r.git(append([]string{"init", "--quiet", "--initial-branch=main"}, initArgs...)...)
	r.write("run.sh", "#!/bin/sh\n", 0o755)
	require.NoError(t, os.Symlink("run.sh", filepath.Join(r.dir, "link")))
	r.git("add", ".")
	r.git("commit", "--quiet", "-m", "First\n\nWhy it was done.")
	r.git("tag", "-a", "v1", "-m", "Version 1")
	r.git("branch", "feature/x")
	r.first = r.git("rev-parse", "HEAD")
	r.write("new", "new\n", 0o644)
	r.git("add", ".")
	r.git("commit", "--quiet", "-m", "Second")
	r.second = r.git("rev-parse", "HEAD")
	return r
}

func attempt(url string, configuration map[string]string) action.Attempt {
	a := runnertest.Attempt("action-1")
	a.Action.Configuration = map[string]string{"RepositoryUrl": url}
	for key, value := range configuration {
		a.Action.Configuration[key] = value
	}
	a.Action.OutputArtifacts = []pipeline.OutputArtifact{{Name: "Source"}}
	return a
}

func TestFetch(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	for name, test := range map[string]struct {
		url           string
		configuration map[string]string
		commit        string
		branch, tag   string
	}{
		"default branch": {r.dir, nil, r.second, "main", ""},
		"file URL":       {"file://" + r.dir, map[string]string{"Branch": "main"}, r.second, "main", ""},
		"other branch":   {r.dir, map[string]string{"Branch": "feature/x"}, r.first, "feature/x", ""},
		"annotated tag":  {r.dir, map[string]string{"Tag": "v1"}, r.first, "", "v1"},
		"commit":         {r.dir, map[string]string{"Commit": strings.ToUpper(r.first)}, r.first, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bench := runnertest.Start(t, git.New(), nil)
			result, log := bench.Run(t, attempt(test.url, test.configuration))
			require.Nil(t, result.Failure, log)
			require.Equal(t, test.commit, result.Revision.ID)
			variables := map[string]string{
				"CommitId": test.commit, "CommitMessage": "Second",
				"AuthorDisplayName": "Ada Löve", "AuthorEmail": "ada@example.com", "AuthorDate": "2026-03-04T05:06:07+02:00",
				"BranchName": test.branch, "TagName": test.tag, "RepositoryUrl": test.url,
				"PullRequestId": "", "PullRequestTitle": "", "SourceBranchName": "", "DestinationBranchName": "",
			}
			if test.commit == r.first {
				variables["CommitMessage"] = "First\n\nWhy it was done."
				require.Equal(t, "First", result.Revision.Summary)
				require.Equal(t, result.Variables["AuthorDisplayName"]+" <"+result.Variables["AuthorEmail"]+">", result.Revision.Author)
			}
			require.Equal(t, variables, result.Variables)

			dir := t.TempDir()
			root, err := os.OpenRoot(dir)
			require.NoError(t, err)
			defer func() { _ = root.Close() }()
			require.Len(t, result.Artifacts, 1)
			require.NoError(t, bench.Artifacts.Fetch(t.Context(), result.Artifacts[0], root, "."))
			info, err := os.Stat(filepath.Join(dir, "run.sh"))
			require.NoError(t, err)
			require.NotZero(t, info.Mode()&0o100)
			target, err := os.Readlink(filepath.Join(dir, "link"))
			require.NoError(t, err)
			require.Equal(t, "run.sh", target)
			require.NoDirExists(t, filepath.Join(dir, ".git"))
			if test.commit == r.first {
				require.NoFileExists(t, filepath.Join(dir, "new"))
			} else {
				require.FileExists(t, filepath.Join(dir, "new"))
			}
		})
	}
}

// The files of a commit are as old as the commit, and it makes the same artifact each time.
func TestCommitKeepsItsDigest(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("sub", "sub\n", 0o644)
	r.git("add", ".")
	r.git("commit", "--quiet", "-m", "Third")
	committed, err := strconv.ParseInt(r.git("log", "-1", "--format=%ct"), 10, 64)
	require.NoError(t, err)
	var digests []string
	for range 2 {
		// Each fetch has a machine of its own.
		bench := runnertest.Start(t, git.New(), nil)
		result, log := bench.Run(t, attempt(r.dir, nil))
		require.Nil(t, result.Failure, log)
		digests = append(digests, result.Artifacts[0].Digest)
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		require.NoError(t, err)
		require.NoError(t, bench.Artifacts.Fetch(t.Context(), result.Artifacts[0], root, "."))
		require.NoError(t, root.Close())
		for _, name := range []string{"run.sh", "new", "sub"} {
			info, err := os.Stat(filepath.Join(dir, name))
			require.NoError(t, err)
			require.Equal(t, time.Unix(committed, 0).UTC(), info.ModTime().UTC(), name)
		}
	}
	require.Equal(t, digests[0], digests[1])
}

// Repositories have links that lead nowhere, which are stored, but not without a word.
func TestLinkOutOfTheRepository(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(r.dir, "host")))
	r.git("add", ".")
	r.git("commit", "--quiet", "-m", "Link")
	result, log := runnertest.Start(t, git.New(), nil).Run(t, attempt(r.dir, nil))
	require.Nil(t, result.Failure, log)
	const remark = `artifact "Source": the symbolic link "host" leads to "/etc/hostname", which is not in the artifact`
	require.Contains(t, log, "Warning: "+remark+"\n")
	require.Contains(t, result.Summary, "; "+remark)
	require.Equal(t, "Link", result.Revision.Summary)
}

func TestFetchSHA256Repository(t *testing.T) {
	t.Parallel()
	r := newRepo(t, "--object-format=sha256")
	for _, configuration := range []map[string]string{{"Branch": "main"}, {"Commit": r.second}} {
		result, log := runnertest.Start(t, git.New(), nil).Run(t, attempt(r.dir, configuration))
		require.Nil(t, result.Failure, log)
		require.Equal(t, r.second, result.Revision.ID)
	}
}

// What a repository says must not make git run anything.
func TestFetchRunsNothingOfTheRepository(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	ran := filepath.Join(t.TempDir(), "ran")
	r.write(".gitattributes", "* filter=evil\n", 0o644)
	r.write(".gitconfig", "[filter \"evil\"]\n\tsmudge = touch "+ran+"\n", 0o644)
	r.write(".gitmodules", "[submodule \"s\"]\n\tpath = s\n\turl = ext::touch "+ran+"\n", 0o644)
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, ".git/hooks/post-checkout"), []byte("#!/bin/sh\ntouch "+ran+"\n"), 0o755))
	r.git("add", ".")
	r.git("commit", "--quiet", "-m", "Evil")
	result, log := runnertest.Start(t, git.New(), nil).Run(t, attempt(r.dir, nil))
	require.Nil(t, result.Failure, log)
	require.NoFileExists(t, ran)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	empty := t.TempDir()
	(&repo{t: t, dir: empty}).git("init", "--quiet")
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	refused := "https://ada:correct-horse@" + listener.Addr().String() + "/web.git"
	require.NoError(t, listener.Close())
	unknown := strings.Repeat("0123456789", 4)

	for name, test := range map[string]struct {
		url           string
		configuration map[string]string
		code          action.FailureCode
		want          []string
	}{
		"no repository":   {nowhere, nil, action.RevisionUnavailable, []string{"the default branch from " + nowhere, "does not appear to be a git repository", "check the address"}},
		"empty":           {empty, nil, action.RevisionUnavailable, []string{"no default branch", "push a commit"}},
		"no branch":       {r.dir, map[string]string{"Branch": "nope"}, action.RevisionUnavailable, []string{`branch "nope" from ` + r.dir, "couldn't find remote ref refs/heads/nope", "check its spelling"}},
		"no tag":          {r.dir, map[string]string{"Tag": "v9"}, action.RevisionUnavailable, []string{`tag "v9"`}},
		"no commit":       {r.dir, map[string]string{"Commit": unknown}, action.RevisionUnavailable, []string{"commit " + unknown, "check its spelling"}},
		"refused":         {refused, nil, action.RevisionUnavailable, []string{"https://127.0.0.1:", "can be reached"}},
		"short commit":    {r.dir, map[string]string{"Commit": "abc1234"}, action.ConfigurationError, []string{"40 or 64", "git rev-parse abc1234"}},
		"two targets":     {r.dir, map[string]string{"Commit": unknown, "Tag": "v1"}, action.ConfigurationError, []string{"at most one"}},
		"refspec":         {r.dir, map[string]string{"Branch": "main:refs/heads/x"}, action.ConfigurationError, []string{"not a valid name of a branch"}},
		"option":          {"--upload-pack=touch /tmp/x", nil, action.ConfigurationError, []string{"not the address"}},
		"ext":             {"ext::sh -c id", nil, action.ConfigurationError, []string{"not the address"}},
		"relative":        {"../web", nil, action.ConfigurationError, []string{"absolute path"}},
		"scheme":          {"git://example.com/web", nil, action.ConfigurationError, []string{`"git" is not supported`}},
		"password by ssh": {"ssh://git:correct-horse@example.com/web", nil, action.ConfigurationError, []string{"ssh takes no password"}},
		"password by scp": {"git:correct-horse@127.0.0.1:web", nil, action.ConfigurationError, []string{"a : before the @", "use a key"}},
		"bad URL":         {"https://ada:correct-horse@exa mple/%zz", nil, action.ConfigurationError, []string{"not a valid URL"}},
		"none":            {"", nil, action.ConfigurationError, []string{"empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, log := runnertest.Start(t, git.New(), nil).Run(t, attempt(test.url, test.configuration))
			require.NotNil(t, result.Failure, log)
			for _, want := range test.want {
				require.Contains(t, result.Failure.Message, want)
			}
			require.Equal(t, test.code, result.Failure.Code, result.Failure.Message)
			require.NotContains(t, result.Failure.Message+log, "correct-horse")
		})
	}
}

// A server over HTTP that wants credentials gets them, and nobody else sees them.
func TestCredentials(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.git("commit", "--quiet", "--allow-empty", "-m", "Third")
	r.git("update-server-info")
	files := http.FileServer(http.Dir(filepath.Join(r.dir, ".git")))
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("ada:correct/horse"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Header.Get("Authorization") != want {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			// A server may repeat what it was given.
			_, _ = fmt.Fprintf(w, "refused %s\n", request.URL)
			return
		}
		files.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")

	t.Run("wrong", func(t *testing.T) {
		t.Parallel()
		result, log := runnertest.Start(t, git.New(), nil).Run(t, attempt("http://ada:wrong-horse@"+address, nil))
		require.NotNil(t, result.Failure)
		require.Equal(t, action.PermissionError, result.Failure.Code, result.Failure.Message)
		require.Contains(t, result.Failure.Message, "check the credentials")
		require.NotContains(t, result.Failure.Message+log, "wrong-horse")
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		result, _ := runnertest.Start(t, git.New(), nil).Run(t, attempt("http://"+address, nil))
		require.NotNil(t, result.Failure)
		require.Equal(t, action.PermissionError, result.Failure.Code, result.Failure.Message)
	})
	t.Run("right", func(t *testing.T) {
		t.Parallel()
		// A server of mere files gives no shallow history: first a branch, then a
		// commit that is no tip.
		for _, configuration := range []map[string]string{{"Branch": "feature/x"}, {"Commit": r.second}} {
			result, log := runnertest.Start(t, git.New(), nil).Run(t, attempt("http://ada:correct%2Fhorse@"+address, configuration))
			require.Nil(t, result.Failure, log)
			require.Contains(t, []string{r.first, r.second}, result.Revision.ID)
			require.Equal(t, "http://"+address, result.Variables["RepositoryUrl"])
			require.NotContains(t, fmt.Sprint(result)+log, "horse")
		}
	})
}
