package casetest

import (
	"archive/zip"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
)

// TestSecretIsNowhere gives a secret to real Terraform, a real server and commands that print
// it in many ways. It then looks for the value, in each form that a program may give it, in
// everything that is left: the state, plans, Terraform's own trace, logs, events, answers of
// the API, the server's log and every file of its data directory, which has the database. While
// all that runs, it looks at the arguments of every process.
func TestSecretIsNowhere(t *testing.T) {
	t.Parallel()
	programs := build(t)
	value := "sentinel/" + rand.Text() + "?&\"'é\nsecond line " + rand.Text()
	work, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.CopyFS(work, os.DirFS(filepath.Join("testdata", "sentinel"))))
	server := startServer(t, programs, data, nil)

	command := script(t, programs, work, server.endpoint, server.token(t), "run.sh")
	command.Env = append(command.Env, "TF_VAR_token="+value)
	processes := watchProcesses(observed{credentials: []string{value}})
	output, err := command.CombinedOutput()
	require.Empty(t, processes.stop().found, "arguments of processes")
	require.NoError(t, err, "%s", secret.Redact(string(output), value))
	server.stop(t)

	require.NotContains(t, read(t, filepath.Join(work, "plan.log")), "does not exist", "the plan creates the secret")
	// What was printed shows that the commands had the value.
	talk := read(t, filepath.Join(work, "talk.log"))
	require.Contains(t, talk, "talks\n****\n<****>\n")
	require.Regexp(t, `"LENGTH": "`+fmt.Sprint(len(value))+`"`, read(t, filepath.Join(work, "execution.json")))
	require.Contains(t, read(t, filepath.Join(work, "fail.log")), "published: ****\n")
	require.FileExists(t, filepath.Join(data, "secrets.key"))

	require.Greater(t, requireFilesWithout(t, []string{work, filepath.Dir(server.log), data}, value), 30)
	requireWithout(t, "the output of the script", string(output), value)
}

// requireFilesWithout looks for values in all files of directories, and returns how many there are.
func requireFilesWithout(t *testing.T, directories []string, values ...string) (files int) {
	t.Helper()
	for _, directory := range directories {
		require.NoError(t, filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			files++
			requireWithout(t, path, read(t, path), values...)
			if filepath.Base(path) == "plan.bin" {
				requirePlanWithout(t, path, values...)
			}
			return nil
		}))
	}
	return files
}

func requireWithout(t *testing.T, what, content string, values ...string) {
	t.Helper()
	for n, value := range values {
		// require.Equal would print the value.
		if content != secret.Redact(content, value) {
			require.FailNow(t, fmt.Sprintf("%s holds secret %d", what, n))
		}
	}
}

// requirePlanWithout looks into a saved plan, which is compressed.
func requirePlanWithout(t *testing.T, path string, values ...string) {
	t.Helper()
	plan, err := zip.OpenReader(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, plan.Close()) }()
	require.NotEmpty(t, plan.File)
	for _, file := range plan.File {
		opened, err := file.Open()
		require.NoError(t, err)
		content, err := io.ReadAll(opened)
		require.NoError(t, err)
		require.NoError(t, opened.Close())
		requireWithout(t, file.Name+" of the plan", string(content), values...)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// realServer is headraced as a program.
type realServer struct {
	command             *exec.Cmd
	endpoint, data, log string
}

func startServer(t *testing.T, programs, data string, environment []string, arguments ...string) *realServer {
	t.Helper()
	s := &realServer{data: data, log: filepath.Join(t.TempDir(), "headraced.log")}
	log, err := os.Create(s.log)
	require.NoError(t, err)
	s.command = exec.CommandContext(t.Context(), filepath.Join(programs, "headraced"), append([]string{
		"--data-dir", data, "--log-level", "trace", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
	}, arguments...)...)
	s.command.Stderr, s.command.Env = log, append(os.Environ(), environment...)
	require.NoError(t, s.command.Start())
	require.NoError(t, log.Close())
	t.Cleanup(func() {
		if s.command.ProcessState == nil {
			_ = s.command.Process.Kill()
			_ = s.command.Wait()
		}
	})
	ready := regexp.MustCompile(`Ready: grpc=(\S+)`)
	require.Eventually(t, func() bool {
		found := ready.FindStringSubmatch(read(t, s.log))
		if found != nil {
			s.endpoint = found[1]
		}
		return found != nil
	}, time.Minute, 10*time.Millisecond)
	return s
}

func (s *realServer) token(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(read(t, filepath.Join(s.data, "admin.token")))
}

func (s *realServer) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, s.command.Process.Signal(syscall.SIGTERM))
	require.NoError(t, s.command.Wait())
}
