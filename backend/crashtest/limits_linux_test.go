package crashtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
)

// bubblewrap skips a test where bubblewrap does not work, or fails it where it has to.
func bubblewrap(t *testing.T) {
	t.Helper()
	if _, err := runner.Detect(t.Context(), runner.IsolationBubblewrap); err != nil {
		if os.Getenv("HEADRACE_TEST_BUBBLEWRAP") == "required" {
			require.NoError(t, err)
		}
		t.Skip(err)
	}
}

// runAs has the server run as an unprivileged user who runs nothing else, with a limit of
// processes. The kernel does not count those of root.
func (s *server) runAs(uid, processes int) {
	s.t.Helper()
	if os.Geteuid() != 0 {
		s.t.Skip("only root can run a server as another user")
	}
	all := filepath.Dir(s.dir)
	for _, dir := range []string{filepath.Dir(all), filepath.Dir(s.binary)} {
		require.NoError(s.t, os.Chmod(dir, 0o755))
	}
	require.NoError(s.t, filepath.WalkDir(all, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, uid))
	}))
	id := strconv.Itoa(uid)
	s.wrap = []string{
		"setpriv", "--reuid", id, "--regid", id, "--clear-groups", "prlimit", fmt.Sprintf("--nproc=%d:%d", processes, processes),
		// What is on root's path may be for root alone.
		"env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + s.repo,
	}
	for _, program := range []string{"setpriv", "prlimit"} {
		if _, err := exec.LookPath(program); err != nil {
			s.t.Skip(err)
		}
	}
}

// signals makes a directory in which commands can say how far they are.
func (s *server) signals() string {
	s.t.Helper()
	dir := filepath.Join(filepath.Dir(s.dir), "signals")
	require.NoError(s.t, os.Mkdir(dir, 0o700))
	return dir
}

// commands defines a pipeline that fetches the source and runs commands.
func (s *server) commands(name string, lines ...string) {
	s.t.Helper()
	s.define(name, []*headracev1.Stage{s.source(), {Name: "Build", Actions: []*headracev1.Action{{
		Name: "Run", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", InputArtifacts: []string{"source"}, Commands: lines,
	}}}})
}

// An action that forks until it cannot ended the server, since Go ends a program that cannot
// start a thread, and failed the actions of all other pipelines.
func TestAForkBomb(t *testing.T) {
	t.Parallel()
	for i, isolation := range []string{runner.IsolationNone, runner.IsolationBubblewrap} {
		t.Run(isolation, func(t *testing.T) {
			t.Parallel()
			if isolation == runner.IsolationBubblewrap {
				bubblewrap(t)
			}
			s := newServer(t)
			signals := s.signals()
			s.runAs(61_000+i, 500)
			s.flags = []string{"--isolation", isolation, "--runner-slots", "4", "--writable", signals}
			s.start()
			s.commands("web", "test -s file", "/bin/true")
			s.commands("bomb", "mkfifo wait", "(while :; do sleep 300 & done) || :", "echo full > "+filepath.Join(signals, "full"), "read -r line <>wait")
			require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, s.finish(s.run("web")).GetStatus())

			bomb := s.run("bomb")
			require.Eventually(t, func() bool {
				_, err := os.Stat(filepath.Join(signals, "full"))
				return err == nil
			}, patience, 10*time.Millisecond, "the bomb got all processes that it can get")
			failed := 0
			for range 8 {
				if s.finish(s.run("web")).GetStatus() != headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED {
					failed++
				}
			}
			t.Logf("%d of 8 executions of another pipeline failed meanwhile", failed)
			if isolation == runner.IsolationBubblewrap {
				require.Zero(t, failed)
			}
			_, err := s.client.Executions.StopExecution(t.Context(), &headracev1.StopExecutionRequest{Name: bomb, Abandon: true})
			require.NoError(t, err)
			// Without isolation it may still take what there is for a moment.
			require.Eventually(t, func() bool {
				return s.finish(s.run("web")).GetStatus() == headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED
			}, patience, 10*time.Millisecond)
			s.stop()
		})
	}
}

// memoryCgroup makes a cgroup whose processes have an amount of memory together, and returns its
// directory and what counts the processes that the kernel ended for it.
func memoryCgroup(t *testing.T, bytes int) (dir string, killed func() int) {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	var why []error
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		mount, limit, counter := "/sys/fs/cgroup", "memory.max", "memory.events"
		switch {
		case len(fields) != 3:
			continue
		case slices.Contains(strings.Split(fields[1], ","), "memory"):
			mount, limit, counter = "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"
		case fields[1] != "":
			continue
		}
		// A cgroup that has processes can have no others with limits below it in version 2.
		for path := fields[2]; ; path = filepath.Dir(path) {
			dir := filepath.Join(mount, path, "headrace-test-"+rand.Text())
			if err := os.Mkdir(dir, 0o755); err != nil {
				why = append(why, err)
			} else {
				err := os.WriteFile(filepath.Join(dir, limit), []byte(strconv.Itoa(bytes)), 0o600)
				if err == nil {
					t.Cleanup(func() {
						require.Eventually(t, func() bool { return os.Remove(dir) == nil }, patience, 10*time.Millisecond)
					})
					return dir, func() int { return countOOM(t, filepath.Join(dir, counter)) }
				}
				why = append(why, err, os.Remove(dir))
			}
			if path == "/" || path == "." {
				break
			}
		}
	}
	t.Skipf("a cgroup with a limit of memory cannot be made here: %v", errors.Join(why...))
	return "", nil
}

// countOOM reads how many processes of a cgroup the kernel ended for lack of memory.
func countOOM(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			n, err := strconv.Atoi(count)
			require.NoError(t, err)
			return n
		}
	}
	require.FailNow(t, "the kernel does not count", "%s: %s", file, text)
	return 0
}

// A server in a unit with MemoryMax= was ended by the kernel when a command filled /tmp, and with
// it all actions of all accounts.
func TestMemoryThatIsShort(t *testing.T) {
	t.Parallel()
	bubblewrap(t)
	s := newServer(t)
	signals := s.signals()
	group, killed := memoryCgroup(t, 256<<20)
	s.wrap = []string{"sh", "-c", `echo $$ >"$0"/cgroup.procs && exec "$@"`, group}
	s.flags = []string{"--isolation", "bubblewrap", "--runner-slots", "4", "--writable", signals}
	s.start()
	process, done := s.process.Process.Pid, filepath.Join(signals, "done")
	s.commands("steady", "until test -e "+done+"; do sleep 0.05; done")
	steady := s.run("steady")

	for _, attack := range []struct{ name, command, failure string }{
		// Both are more than the memory. The directory is on the disk.
		{"tmp", "dd if=/dev/zero of=/tmp/x bs=1M count=600", ""},
		{"shm", "dd if=/dev/zero of=/dev/shm/x bs=1M count=600", "exited with 1"},
		{"process", "dd if=/dev/zero of=/dev/null bs=600M count=1", "was killed by signal 9 (SIGKILL); the machine may be out of memory"},
	} {
		s.commands(attack.name, attack.command)
		e := s.finish(s.run(attack.name))
		got := e.GetStages()[1].GetActions()[0]
		t.Logf("%s: %s %s; the kernel ended %d processes", attack.command, got.GetStatus(), got.GetError().GetMessage(), killed())
		if attack.failure == "" {
			require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, got.GetStatus(), "%v", got)
		} else {
			require.Contains(t, got.GetError().GetMessage(), attack.failure)
		}
	}
	require.Equal(t, 1, killed(), "the command is ended, and nothing else")
	status, _ := s.readyz()
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, process, s.process.Process.Pid)
	require.NoError(t, os.WriteFile(done, nil, 0o600))
	require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, s.finish(steady).GetStatus())
	s.stop()
}
