package acctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

const (
	// olderCommit is the last one before the contract had revisions: its programs report
	// and send none. Their contract is the second revision.
	olderCommit = "41e870c5e1de43b1e999cb6bd7cf920927677eea"
	// OlderVersion is what the programs of that commit say of themselves.
	OlderVersion = "0.0.0-older"
	// startTimeout is how long an older server may take to answer.
	startTimeout = 30 * time.Second
)

// Older is the directory of headraced and terraform-provider-headrace as they were before
// the contract had revisions, built from the history of this repository: once, into build.
// Without the history the test is skipped, or fails if HEADRACE_TEST_OLDER is required.
func Older(t *testing.T) string {
	t.Helper()
	root, err := git(t.Context(), ".", "rev-parse", "--show-toplevel")
	if err == nil {
		_, err = git(t.Context(), root, "cat-file", "-e", olderCommit+"^{commit}")
	}
	if err != nil {
		reason := fmt.Sprintf("no history of this repository that holds commit %s, from which the older programs are built: %v", olderCommit, err)
		if os.Getenv("HEADRACE_TEST_OLDER") == "required" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	programs := filepath.Join(root, "build", "older-"+olderCommit)
	require.NoError(t, os.MkdirAll(filepath.Dir(programs), 0o750))
	// Tests of several packages may want them at once.
	lock, err := os.OpenFile(programs+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	require.NoError(t, err)
	defer func() { require.NoError(t, lock.Close()) }()
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	if _, err := os.Stat(programs); errors.Is(err, os.ErrNotExist) {
		buildOlder(t, root, programs)
	}
	return programs
}

// buildOlder builds the programs of the older commit. They are there whole or not at all.
func buildOlder(t *testing.T, root, programs string) {
	t.Helper()
	source, archive := t.TempDir(), filepath.Join(t.TempDir(), "source.tar")
	// A build that was killed may have left it.
	built := programs + ".part"
	require.NoError(t, os.RemoveAll(built))
	_, err := git(t.Context(), root, "archive", "--output", archive, olderCommit)
	require.NoError(t, err)
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-f", archive, "-C", source)
	output, err := unpack.CombinedOutput()
	require.NoError(t, err, "%s", output)
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-X main.version="+OlderVersion,
		"-o", built+string(filepath.Separator), ".", "./backend/cmd/headraced")
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	output, err = build.CombinedOutput()
	require.NoError(t, err, "build commit %s: %s", olderCommit, output)
	require.NoError(t, os.Rename(built, programs))
}

// StartOlder starts a server as it was before the contract had revisions.
func StartOlder(t *testing.T) (endpoint, token string) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	endpoint = freeAddress(t)
	var output bytes.Buffer
	// Not the test's context: the server is stopped below, and its data removed after.
	server := exec.CommandContext(context.Background(), filepath.Join(Older(t), "headraced"), "--data-dir", data, "--grpc-listen", endpoint,
		"--http-listen", freeAddress(t), "--isolation", "none", "--shutdown-grace", "0s")
	server.Stdout, server.Stderr = &output, &output
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt)
		require.NoError(t, server.Wait(), "%s", &output)
	})
	require.Eventually(t, func() bool {
		secret, err := os.ReadFile(filepath.Join(data, "admin.token"))
		if err != nil {
			return false
		}
		token = strings.TrimSpace(string(secret))
		c, err := client.Dial(client.Config{Endpoint: endpoint, Token: token}, "acctest")
		if err != nil {
			return false
		}
		defer func() { _ = c.Close() }()
		_, err = c.Server.WhoAmI(t.Context(), &headracev1.WhoAmIRequest{})
		return err == nil
	}, startTimeout, 20*time.Millisecond, "the older server does not answer")
	return endpoint, token
}

func freeAddress(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}

// git runs git in a directory and returns what it prints.
func git(ctx context.Context, dir string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, arguments...)...)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(arguments, " "), err, bytes.TrimSpace(output))
	}
	return strings.TrimSpace(string(output)), nil
}
