// Package giteatest runs a real Gitea for tests. It must never be used outside of tests.
package giteatest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/servertest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/forgetest"
)

const (
	// Username is the administrator of every server.
	Username = "owner"
	// Password is the administrator's.
	Password = "correct-horse-battery"
	// required makes a machine without Gitea a failure.
	required = "HEADRACE_TEST_GITEA"
	patience = time.Minute
)

// Server is a Gitea that runs until the end of its test.
type Server struct {
	// URL is its base, without a slash at the end.
	URL string
	// Token has every scope.
	Token string

	tb testing.TB
}

// Start starts one. It skips the test if build/parts has no gitea, which scripts/parts.sh builds;
// HEADRACE_TEST_GITEA=required fails it.
func Start(tb testing.TB) *Server {
	tb.Helper()
	program := forgetest.Part(tb, required, "gitea")
	module := exec.CommandContext(tb.Context(), "go", "mod", "download", "-json", "code.gitea.io/gitea")
	module.Dir = filepath.Join(forgetest.Root(tb), "tools", "gitea")
	module.Env = append(os.Environ(), "GOFLAGS=")
	told, err := module.Output()
	if err != nil {
		tb.Fatalf("find Gitea's files: %v: %s", err, told)
	}
	var files struct{ Dir string }
	if err := json.Unmarshal(told, &files); err != nil {
		tb.Fatal(err)
	}
	address := servertest.FreeAddress(tb)
	dir := tb.TempDir()
	config := filepath.Join(dir, "app.ini")
	if err := os.WriteFile(config, []byte(settings(tb, dir, files.Dir, address)), 0o600); err != nil {
		tb.Fatal(err)
	}
	s := &Server{URL: "http://" + address, tb: tb}
	run := func(args ...string) string {
		command := exec.CommandContext(tb.Context(), program, append(args, "--config", config)...)
		var problems bytes.Buffer
		command.Stderr = &problems
		out, err := command.Output()
		if err != nil {
			tb.Fatalf("gitea %s: %v\n%s%s", args[0], err, out, &problems)
		}
		return strings.TrimSpace(string(out))
	}
	run("migrate")
	run("admin", "user", "create", "--username", Username, "--password", Password, "--email", Username+"@example.com",
		"--admin", "--must-change-password=false")
	out := run("admin", "user", "generate-access-token", "--username", Username, "--scopes", "all", "--raw")
	// Gitea's log comes before or after it.
	if s.Token = regexp.MustCompile(`(?m)^[0-9a-f]{40}$`).FindString(out); s.Token == "" {
		tb.Fatalf("gitea made no token: %s", out)
	}
	process := servertest.Start(tb, address, program, "web", "--config", config)
	tb.Cleanup(process.Stop)
	s.await()
	return s
}

// settings returns the app.ini. Nothing of it reaches beyond this machine. On a busy machine
// Gitea's default of half a second for a lock of the database is not enough.
func settings(tb testing.TB, dir, files, address string) string {
	tb.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		tb.Fatal(err)
	}
	account, err := user.Current()
	if err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprintf(`
RUN_USER = %[5]s
RUN_MODE = prod
WORK_PATH = %[1]s
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = %[3]s
HTTP_PORT = %[4]s
ROOT_URL = http://%[3]s:%[4]s/
STATIC_ROOT_PATH = %[2]s
APP_DATA_PATH = %[1]s/data
OFFLINE_MODE = true
DISABLE_SSH = true
LFS_START_SERVER = true
[database]
DB_TYPE = sqlite3
PATH = %[1]s/gitea.db
SQLITE_JOURNAL_MODE = WAL
SQLITE_TIMEOUT = 60000
[repository]
ROOT = %[1]s/repositories
DEFAULT_BRANCH = main
[security]
INSTALL_LOCK = true
[service]
DISABLE_REGISTRATION = true
[webhook]
ALLOWED_HOST_LIST = loopback
DELIVER_TIMEOUT = 60
[actions]
ENABLED = false
[cron]
ENABLED = false
[cron.update_checker]
ENABLED = false
[log]
MODE = console
LEVEL = Warn
`, dir, files, host, port, account.Username)
}

// await waits until it serves, which is later than when it listens.
func (s *Server) await() {
	s.tb.Helper()
	limit := time.After(patience)
	for {
		// It takes a token, so that it is this server which answers.
		err := s.Try(http.MethodGet, "/user", nil, nil)
		if err == nil {
			return
		}
		select {
		case <-limit:
			s.tb.Fatalf("Gitea does not answer: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// With returns the server for a part of the test.
func (s *Server) With(tb testing.TB) *Server {
	tb.Helper()
	other := *s
	other.tb = tb
	return &other
}

// Call is Try that fails the test.
func (s *Server) Call(method, path string, body, answer any) {
	s.tb.Helper()
	if err := s.Try(method, path, body, answer); err != nil {
		s.tb.Fatal(err)
	}
}

// CallAs is Call with the password of the administrator, which some calls want.
func (s *Server) CallAs(method, path string, body, answer any) {
	s.tb.Helper()
	err := s.try(method, path, body, answer, func(request *http.Request) { request.SetBasicAuth(Username, Password) })
	if err != nil {
		s.tb.Fatal(err)
	}
}

// NewToken returns a new token of the administrator with some scopes.
func (s *Server) NewToken(name string, scopes ...string) string {
	s.tb.Helper()
	var made struct {
		SHA1 string `json:"sha1"`
	}
	s.CallAs(http.MethodPost, "/users/"+Username+"/tokens", map[string]any{"name": name, "scopes": scopes}, &made)
	return made.SHA1
}

// Try calls the API with the token: a path below /api/v1, a body to send as JSON or nil, and
// where to put the answer or nil.
func (s *Server) Try(method, path string, body, answer any) error {
	return s.try(method, path, body, answer, func(request *http.Request) { request.Header.Set("Authorization", "token "+s.Token) })
}

func (s *Server) try(method, path string, body, answer any, authorize func(*http.Request)) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(s.tb.Context(), method, s.URL+"/api/v1"+path, content)
	if err != nil {
		return err
	}
	authorize(request)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// Repository is a repository of the administrator.
type Repository struct {
	ID            int64  `json:"id"`
	FullName      string `json:"full_name"`
	CloneURL      string `json:"clone_url"`
	DefaultBranch string `json:"default_branch"`
}

// Create makes a private repository with one commit on its branch main.
func (s *Server) Create(name string) Repository {
	s.tb.Helper()
	var made Repository
	s.Call(http.MethodPost, "/user/repos", map[string]any{
		"name": name, "auto_init": true, "private": true, "default_branch": "main",
	}, &made)
	return made
}

// Authorized returns the URL to clone a repository with the token in it, for git commands of
// a test.
func (s *Server) Authorized(repository Repository) string {
	s.tb.Helper()
	parsed, err := url.Parse(repository.CloneURL)
	if err != nil {
		s.tb.Fatal(err)
	}
	parsed.User = url.UserPassword(Username, s.Token)
	return parsed.String()
}

// Hook adds a webhook to a repository. The content type is json or form.
func (s *Server) Hook(repository Repository, target, secret, contentType string, events ...string) int64 {
	s.tb.Helper()
	var made struct{ ID int64 }
	s.Call(http.MethodPost, "/repos/"+repository.FullName+"/hooks", map[string]any{
		"type": "gitea", "active": true, "events": events,
		"config": map[string]string{"url": target, "secret": secret, "content_type": contentType},
	}, &made)
	return made.ID
}

// Clone is a working copy of a repository, from which a user pushes.
type Clone struct {
	tb  testing.TB
	dir string
}

// Clone clones a repository with the token.
func (s *Server) Clone(repository Repository) *Clone {
	s.tb.Helper()
	c := &Clone{s.tb, s.tb.TempDir()}
	c.Git("clone", "-q", s.Authorized(repository), ".")
	return c
}

// Git runs git in the working copy and returns what it printed.
func (c *Clone) Git(args ...string) string {
	c.tb.Helper()
	command := exec.CommandContext(c.tb.Context(), "git", args...)
	command.Dir = c.dir
	command.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com")
	out, err := command.CombinedOutput()
	if err != nil {
		c.tb.Fatalf("git %s: %v: %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out))
}

// Commit writes a file, whose content is the message, commits it and returns the id of the commit.
func (c *Clone) Commit(message, path string) string {
	c.tb.Helper()
	path = filepath.Join(c.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		c.tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(message), 0o600); err != nil {
		c.tb.Fatal(err)
	}
	c.Git("add", ".")
	c.Git("commit", "-q", "-m", message)
	return c.Git("rev-parse", "HEAD")
}
