package git_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/git"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// lfsServer serves repositories and their LFS objects: the batch API on the repository's own
// server, and the objects from another one, as forges do. It is a fake of few lines, since no
// LFS server can be had that runs without a database or a forge around it; the client is the
// real git-lfs.
type lfsServer struct {
	git     *gittest.HTTPServer
	own     *httptest.Server
	storage *httptest.Server
	objects map[string]string

	mu sync.Mutex
	// shown are the Authorization headers that the storage got.
	shown []string
	// batches counts the calls of the batch API.
	batches int
}

// needLFS skips the test without git-lfs.
func needLFS(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git-lfs"); err != nil {
		if os.Getenv("HEADRACE_TEST_GIT_LFS") != "" {
			t.Fatal("HEADRACE_TEST_GIT_LFS is set and there is no git-lfs")
		}
		t.Skip("there is no git-lfs")
	}
}

func newLFSServer(t *testing.T, host *gittest.Host, objects ...string) *lfsServer {
	t.Helper()
	s := &lfsServer{git: host.HTTP(), objects: make(map[string]string)}
	s.git.Allow(user, token)
	for _, text := range objects {
		s.objects[oid(text)] = text
	}
	s.storage = httptest.NewServer(http.HandlerFunc(s.download))
	t.Cleanup(s.storage.Close)
	s.own = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info/lfs/objects/batch") {
			s.batch(w, r)
			return
		}
		s.git.ServeHTTP(w, r)
	}))
	t.Cleanup(s.own.Close)
	return s
}

func oid(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// pointer returns what a repository holds instead of the text.
func pointer(text string) string {
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid(text), len(text))
}

func (s *lfsServer) batch(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.batches++
	s.mu.Unlock()
	if name, password, _ := r.BasicAuth(); name != user || password != token {
		w.Header().Set("WWW-Authenticate", `Basic realm="lfs"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var request struct {
		Objects []struct {
			OID  string `json:"oid"`
			Size int64  `json:"size"`
		} `json:"objects"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	type link struct {
		Href string `json:"href"`
	}
	type object struct {
		OID     string          `json:"oid"`
		Size    int64           `json:"size"`
		Actions map[string]link `json:"actions"`
	}
	var objects []object
	for _, o := range request.Objects {
		objects = append(objects, object{o.OID, o.Size, map[string]link{"download": {s.storage.URL + "/" + o.OID}}})
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	_ = json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": objects})
}

func (s *lfsServer) download(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.shown = append(s.shown, r.Header.Get("Authorization"))
	s.mu.Unlock()
	text, found := s.objects[strings.TrimPrefix(r.URL.Path, "/")]
	if !found {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write([]byte(text))
}

func (s *lfsServer) remote(repository *gittest.Repository) gitauth.Remote {
	return gitauth.Remote{URL: s.own.URL + "/" + repository.Name + ".git", Username: user, Password: token}
}

const attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"

// TestLFS holds that objects replace their pointers on request only, in submodules too, that
// the server of the connection gets its credentials, and the storage of objects does not.
func TestLFS(t *testing.T) {
	t.Parallel()
	needLFS(t)
	host := gittest.NewHost(t)
	const big, deep = "a big object\n", "a big object of a library\n"
	server := newLFSServer(t, host, big, deep)
	library := host.Repository("acme/lib")
	library.Commit("main", map[string]string{".gitattributes": attributes, "deep.bin": pointer(deep)})
	repository := host.Repository("acme/web")
	repository.Make(gittest.Commit{Branch: "main", Files: map[string]string{
		".gitattributes": attributes, "big.bin": pointer(big),
		".gitmodules": "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib.git\n",
	}, Submodules: map[string]string{"lib": library.Head("refs/heads/main")}})
	bench := runnertest.Start(t, git.New(), with(connections{"acme/web": server.remote(repository)}))
	for name, test := range map[string]struct {
		configuration map[string]string
		big, deep     string
	}{
		"without":         {nil, pointer(big), ""},
		"with":            {map[string]string{"LFS": "true"}, big, ""},
		"with submodules": {map[string]string{"LFS": "true", "Submodules": "true"}, big, deep},
		"clone":           {map[string]string{"LFS": "true", "Submodules": "true", "OutputArtifactFormat": "CODEBUILD_CLONE_REF"}, big, deep},
	} {
		a := through("acme/web", test.configuration)
		a.ActionExecutionID = strings.ReplaceAll(name, " ", "-")
		result, log := bench.Run(t, a)
		require.Nil(t, result.Failure, "%s: %s", name, log)
		dir, texts := files(t, bench, result)
		require.Equal(t, test.big, texts["big.bin"], name)
		require.Equal(t, test.deep, texts["lib/deep.bin"], name)
		requireNoCredential(t, texts)
		if name == "clone" {
			clone := &repo{t: t, dir: dir}
			require.Empty(t, clone.git("status", "--porcelain"))
			require.NotContains(t, texts[".git/config"], server.own.URL+"/acme/web.git/info/lfs")
			require.NotContains(t, texts[".git/config"], "access")
			require.NotContains(t, texts[".git/modules/lib/config"], "access")
		}
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	require.NotEmpty(t, server.shown)
	for _, authorization := range server.shown {
		require.Empty(t, authorization)
	}
}

// TestLFSOfAnotherServer holds that a repository cannot send git-lfs to a server that the
// connection does not allow.
func TestLFSOfAnotherServer(t *testing.T) {
	t.Parallel()
	needLFS(t)
	host := gittest.NewHost(t)
	const big = "a big object\n"
	server, foreign := newLFSServer(t, host, big), newLFSServer(t, gittest.NewHost(t), big)
	repository := host.Repository("acme/web")
	for branch, setting := range map[string]string{
		"url":    "[lfs]\n\turl = " + foreign.own.URL + "/acme/web.git/info/lfs\n",
		"remote": "[remote \"origin\"]\n\tlfsurl = " + foreign.own.URL + "/acme/web.git/info/lfs\n",
		"file":   "[lfs]\n\turl = file:///srv/lfs\n",
	} {
		repository.Commit(branch, map[string]string{".gitattributes": attributes, "big.bin": pointer(big), ".lfsconfig": setting})
	}
	bench := runnertest.Start(t, git.New(), with(connections{"acme/web": server.remote(repository)}))
	for _, branch := range []string{"url", "remote", "file"} {
		a := through("acme/web", map[string]string{"Branch": branch, "LFS": "true"})
		a.ActionExecutionID = branch
		result, log := bench.Run(t, a)
		require.NotNil(t, result.Failure, log)
		require.Equal(t, action.ConfigurationError, result.Failure.Code, result.Failure.Message)
		require.Contains(t, result.Failure.Message, "in .lfsconfig: ")
	}
	// Another remote with an address of its own is not used.
	repository.Commit("default", map[string]string{
		".gitattributes": attributes, "big.bin": pointer(big),
		".lfsconfig": "[remote \"other\"]\n\tlfsurl = " + foreign.own.URL + "/acme/web.git/info/lfs\n[remote]\n\tlfsdefault = other\n",
	})
	a := through("acme/web", map[string]string{"Branch": "default", "LFS": "true"})
	a.ActionExecutionID = "default"
	result, log := bench.Run(t, a)
	require.Nil(t, result.Failure, log)
	require.Zero(t, foreign.batches)
}

// TestLFSOnThisMachine holds that a repository that is a path on the server has its objects
// beside it.
func TestLFSOnThisMachine(t *testing.T) {
	t.Parallel()
	needLFS(t)
	const big = "a big object\n"
	r := newRepo(t)
	r.write(".gitattributes", attributes, 0o644)
	r.write("big.bin", pointer(big), 0o644)
	r.git("add", ".")
	r.git("commit", "--quiet", "-m", "Big")
	sum := oid(big)
	dir := filepath.Join(r.dir, ".git", "lfs", "objects", sum[:2], sum[2:4])
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, sum), []byte(big), 0o600))
	bench := runnertest.Start(t, git.New(), nil)
	result, log := bench.Run(t, attempt("file://"+r.dir, map[string]string{"LFS": "true"}))
	require.Nil(t, result.Failure, log)
	_, texts := files(t, bench, result)
	require.Equal(t, big, texts["big.bin"])
}

// TestExcludedByLFS holds that objects are named which .lfsconfig excludes from a fetch.
func TestExcludedByLFS(t *testing.T) {
	t.Parallel()
	needLFS(t)
	host := gittest.NewHost(t)
	server := newLFSServer(t, host, "taken\n", "left\n")
	repository := host.Repository("acme/web")
	repository.Commit("main", map[string]string{
		".gitattributes": attributes, "taken.bin": pointer("taken\n"), "left.bin": pointer("left\n"),
		".lfsconfig": "[lfs]\n\tfetchexclude = left.bin\n",
	})
	bench := runnertest.Start(t, git.New(), with(connections{"acme/web": server.remote(repository)}))
	result, log := bench.Run(t, through("acme/web", map[string]string{"LFS": "true"}))
	require.Nil(t, result.Failure, log)
	_, texts := files(t, bench, result)
	require.Equal(t, "taken\n", texts["taken.bin"])
	require.Contains(t, log, `Warning: 1 file is a Git LFS pointer without the content: "left.bin"; git-lfs left them out`)
	require.Contains(t, result.Summary, `; 1 file is a Git LFS pointer without the content: "left.bin"`)
}
