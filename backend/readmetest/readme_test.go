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

// patience is how long anything may take before the test calls it stuck.
const patience = 2 * time.Minute

// TestTour types what README says into two terminals.
func TestTour(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	_, tour, found := strings.Cut(string(readme), "\n## Five minutes\n")
	require.True(t, found)
	tour, _, _ = strings.Cut(tour, "\n## ")
	shell := blocks(tour, "sh")
	require.Len(t, shell, 7)
	server, client, repository, apply, start, explain, approve := shell[0], shell[1], shell[2], shell[3], shell[4], shell[5], shell[6]
	configuration := blocks(tour, "hcl")
	require.Len(t, configuration, 1)

	home := t.TempDir()
	env := environment(t, root, home)
	build, serve, found := strings.Cut(server, "\n")
	require.True(t, found)
	require.Equal(t, "make build", build)
	clone := filepath.Join(home, "clone")
	require.NoError(t, os.Mkdir(clone, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(clone, "Makefile"), []byte(fmt.Sprintf(
		"build: ; cd '%s' && go build -o '%s/bin/' . ./backend/cmd/headraced ./backend/cmd/headrace\n", root, clone)), 0o600))
	first := terminal{dir: clone, env: env}
	first.run(t, build)
	first.start(t, serve, filepath.Join(home, "headrace-tour", "data", "admin.token"))

	second := terminal{dir: clone, env: env}
	// The server has made its token by now, and may listen a moment later.
	info := second.run(t, client)
	require.Contains(t, info, "Isolation")
	second.run(t, repository)
	tourDir := filepath.Join(home, "headrace-tour")
	require.NoError(t, os.WriteFile(filepath.Join(tourDir, "main.tf"), []byte(configuration[0]), 0o600))

	require.Contains(t, second.run(t, apply), "2 added")
	require.Contains(t, second.run(t, start), "started web#1")
	token, err := os.Stat(filepath.Join(tourDir, "alice.token"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), token.Mode().Perm())
	require.Eventually(t, func() bool {
		said := second.run(t, explain)
		require.NotContains(t, said, "Failed", said)
		return strings.Contains(said, "approve with: headrace approve web#1")
	}, patience, 100*time.Millisecond)
	approved := second.run(t, approve)
	require.Contains(t, approved, "approved Production/Approve of web#1")
	require.Contains(t, approved, "by alice  checked the change")
	require.Contains(t, approved, "web#1  Succeeded in ")
	require.Regexp(t, `Hello from commit [0-9a-f]{40}\n`, approved)
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
	// README says terraform; who has OpenTofu alone types tofu.
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
	state := filepath.Join(t.TempDir(), "state")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := s.command(ctx, "set -e\n"+block+"\npwd > '"+state+"'\nenv -0 >> '"+state+"'\n")
	output, err := command.CombinedOutput()
	require.NoErrorf(t, err, "%s\n---\n%s", block, output)
	after, err := os.ReadFile(state)
	require.NoError(t, err)
	dir, env, _ := strings.Cut(string(after), "\n")
	s.dir, s.env = dir, strings.Split(strings.TrimSuffix(env, "\x00"), "\x00")
	return string(output)
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
