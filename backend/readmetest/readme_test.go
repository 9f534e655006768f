// Package readmetest runs README's tour word for word, with the real programs,
// Terraform and git, so that it stays true.
package readmetest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long anything may take before the test fails, a build from nothing included.
const patience = 5 * time.Minute

// TestTour types what README says into two terminals.
func TestTour(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	_, tour, found := strings.Cut(string(readme), "\n## Tour\n")
	require.True(t, found)
	tour, _, _ = strings.Cut(tour, "\n## ")
	shell := blocks(tour, "sh")
	require.Len(t, shell, 8)
	server, client, apply, start, explain, refused, approve, watch := shell[0], shell[1], shell[2], shell[3], shell[4], shell[5], shell[6], shell[7]

	home := t.TempDir()
	clone := filepath.Join(home, "clone")
	cloneOf(t, root, clone)
	env := environment(t, root, home)
	lines := strings.Split(strings.TrimSpace(server), "\n")
	prepare, serve := strings.Join(lines[:len(lines)-1], "\n"), lines[len(lines)-1]
	require.Contains(t, prepare, "make build\n")
	first := terminal{dir: clone, env: env}
	first.run(t, prepare)
	first.start(t, serve, filepath.Join(home, "headrace-tour", "data", "admin.token"))

	second := terminal{dir: clone, env: env}
	// The server has created its token, and may listen a moment later.
	require.Contains(t, second.run(t, client), "Isolation")
	require.Contains(t, second.run(t, "./setup.sh"), "kept the git repository", "a second time")
	applied := second.run(t, apply)
	require.Contains(t, applied, "2 added")
	require.NotContains(t, applied, "approval rule", "no warning: the group of the rule has a token by then")
	require.Contains(t, second.run(t, start), "started web#1")
	token, err := os.Stat(filepath.Join(home, "headrace-tour", "alice.token"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), token.Mode().Perm())
	require.Eventually(t, func() bool {
		output := second.run(t, explain)
		require.NotContains(t, output, "Failed", output)
		return strings.Contains(output, "approve with: headrace approve web#1")
	}, patience, 100*time.Millisecond)
	require.Contains(t, second.fail(t, refused), "admin may not decide")
	approved := second.run(t, approve)
	require.Contains(t, approved, "approved Production/Approve of web#1")
	watched := second.run(t, watch)
	require.Contains(t, watched, "by alice  checked the change")
	require.Contains(t, watched, "web#1  Succeeded in ")
	require.Regexp(t, `Hello from commit [0-9a-f]{40}\n`, watched)
}

// cloneOf makes a directory with what the tour needs of a clone. Its Makefile builds
// the programs of this tree there instead of in the tree's own bin.
func cloneOf(t *testing.T, root, clone string) {
	t.Helper()
	require.NoError(t, os.CopyFS(filepath.Join(clone, "examples", "tour"), os.DirFS(filepath.Join(root, "examples", "tour"))))
	require.NoError(t, os.WriteFile(filepath.Join(clone, "Makefile"), []byte(fmt.Sprintf(
		"build: ; cd '%s' && go build -o '%s/bin/' . ./backend/cmd/headraced ./backend/cmd/headrace\n", root, clone)), 0o600))
}

// blocks returns the fenced blocks of a language, in their order.
func blocks(text, language string) []string {
	var found []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)\n```$").FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// environment returns that of a user with a fresh home, whose server listens on
// free ports and who says yes to Terraform.
func environment(t *testing.T, root, home string) []string {
	t.Helper()
	grpc := freePort(t)
	env := []string{
		"HOME=" + home, "PATH=" + filepath.Join(home, "tools") + ":" + os.Getenv("PATH"), "LANG=C.UTF-8",
		"HEADRACE_GRPC_LISTEN=" + grpc, "HEADRACE_HTTP_LISTEN=" + freePort(t), "HEADRACE_SHUTDOWN_GRACE=0s",
		"HEADRACE_ENDPOINT=" + grpc,
		"TF_CLI_ARGS_apply=-auto-approve -no-color", "TF_INPUT=0", "CHECKPOINT_DISABLE=1", "CGO_ENABLED=0",
	}
	// The caches of Go are below the home that the test hides.
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOFLAGS", "GOPROXY", "GOTOOLCHAIN"} {
		command := exec.CommandContext(t.Context(), "go", "env", name)
		command.Dir = root
		value, err := command.Output()
		require.NoError(t, err)
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	// README says terraform; a machine may have OpenTofu only.
	tools := filepath.Join(home, "tools")
	require.NoError(t, os.Mkdir(tools, 0o700))
	if _, err := exec.LookPath("terraform"); err != nil {
		tofu, err := exec.LookPath("tofu")
		require.NoError(t, err, "the tour needs Terraform or OpenTofu on PATH")
		require.NoError(t, os.Symlink(tofu, filepath.Join(tools, "terraform")))
	}
	return env
}

func freePort(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

// terminal is a shell that keeps its directory and its environment from one block
// of README to the next.
type terminal struct {
	dir string
	env []string
}

// run types a block and returns what it showed. Every command has to succeed.
func (s *terminal) run(t *testing.T, block string) string {
	t.Helper()
	output, err := s.enter(t, block)
	require.NoErrorf(t, err, "%s\n---\n%s", block, output)
	return output
}

// fail types a block of one command that has to fail.
func (s *terminal) fail(t *testing.T, block string) string {
	t.Helper()
	output, err := s.enter(t, block)
	require.Errorf(t, err, "%s\n---\n%s", block, output)
	return output
}

// enter types a block up to the first command that fails.
func (s *terminal) enter(t *testing.T, block string) (string, error) {
	t.Helper()
	state := filepath.Join(t.TempDir(), "state")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := s.command(ctx, "set -e\n"+block+"\npwd > '"+state+"'\nenv -0 >> '"+state+"'\n")
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), err
	}
	after, err := os.ReadFile(state)
	require.NoError(t, err)
	dir, env, _ := strings.Cut(string(after), "\n")
	s.dir, s.env = dir, strings.Split(strings.TrimSuffix(env, "\x00"), "\x00")
	return string(output), nil
}

// start types a block that stays, waits for a file that it makes, and ends it by
// Ctrl-C with the test.
func (s *terminal) start(t *testing.T, block, file string) {
	t.Helper()
	var output bytes.Buffer
	// Not the test's context, which ends before the cleanup.
	command := s.command(context.Background(), "exec "+block)
	command.Stdout, command.Stderr = &output, &output
	require.NoError(t, command.Start())
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		// How it ended tells more than that it had.
		_ = command.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			require.NoError(t, err, "%s", output.String())
		case <-time.After(patience):
			_ = command.Process.Signal(syscall.SIGKILL)
			t.Errorf("the server does not end: %v\n%s", <-ended, output.String())
		}
	})
	require.Eventually(t, func() bool {
		_, err := os.Stat(file)
		return err == nil
	}, patience, 20*time.Millisecond)
}

func (s *terminal) command(ctx context.Context, script string) *exec.Cmd {
	command := exec.CommandContext(ctx, "bash", "-c", script)
	command.Dir, command.Env = s.dir, s.env
	return command
}
