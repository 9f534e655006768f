package runner_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// bubblewrap returns the isolation, and skips where the machine has none; it fails
// there where the environment says that it must have one, as the gate does.
func bubblewrap(t *testing.T) runner.Isolation {
	t.Helper()
	isolation, err := runner.Detect(t.Context(), runner.IsolationAuto)
	require.NoError(t, err)
	if isolation.Name() != runner.IsolationBubblewrap {
		if os.Getenv("HEADRACE_TEST_BUBBLEWRAP") == "required" {
			require.FailNow(t, "HEADRACE_TEST_BUBBLEWRAP is required, and bubblewrap does not work here", isolation.Detail)
		}
		t.Skip(isolation.Detail)
	}
	return isolation
}

func TestDetect(t *testing.T) {
	t.Parallel()
	isolation, err := runner.Detect(t.Context(), runner.IsolationNone)
	require.NoError(t, err)
	require.Equal(t, runner.IsolationNone, isolation.Name())
	_, err = runner.Detect(t.Context(), "chroot")
	require.ErrorContains(t, err, `isolation "chroot" is not known; use auto, bubblewrap or none`)
}

// Executors of all types are held to it, not only that of commands.
func TestProcessesThatCannotBeIsolatedAreRefused(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	isolation, err := runner.Detect(t.Context(), runner.IsolationAuto)
	require.NoError(t, err)
	require.Equal(t, runner.IsolationUnavailable, isolation.Name())
	for _, trusted := range []bool{false, true} {
		run := executor(func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
			code, err := workspace.Run(ctx, action.Process{Argv: []string{"/bin/sh", "-c", "exit 7"}, Dir: workspace.Dir, Trusted: trusted})
			if trusted {
				require.NoError(t, err)
				require.Equal(t, 7, code)
			} else {
				require.ErrorIs(t, err, action.ErrNotIsolated)
			}
			return action.Result{}
		})
		result, _ := runnertest.Start(t, run, func(c *runner.Config) { c.Isolation = isolation }).Run(t, runnertest.Attempt("a"))
		require.Nil(t, result.Failure)
	}
}

func TestBubblewrapHidesTheServer(t *testing.T) {
	t.Parallel()
	isolation := bubblewrap(t)
	data := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(data, "admin.token"), []byte("s3cret"), 0o600))
	visible := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(visible, "shown"), nil, 0o600))
	run := executor(func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
		script := `
set -e
test ! -e "$DATA/admin.token"
test "$(ls "$WORK")" = "${PWD##*/}"
ls /proc | grep -c '^[0-9]*$' | { read n; test "$n" -lt 10; }
! touch /etc/headrace-was-here
test -e "$VISIBLE/shown"
! touch "$VISIBLE/new"
touch here /tmp/there
echo passed`
		code, err := workspace.Run(ctx, action.Process{
			Argv: []string{"sh", "-c", script}, Dir: workspace.Dir,
			Env:     []string{"PATH=" + os.Getenv("PATH"), "DATA=" + data, "WORK=" + filepath.Dir(workspace.Dir), "VISIBLE=" + visible},
			Visible: []string{visible, data},
			Stdout:  workspace.Log, Stderr: workspace.Log,
		})
		if err != nil || code != 0 {
			return action.Failed(action.JobFailed, "%d %v", code, err)
		}
		if _, err := os.Stat(filepath.Join(workspace.Dir, "here")); err != nil {
			return action.Failed(action.JobFailed, "%v", err)
		}
		return action.Result{}
	})
	bench := runnertest.Start(t, run, func(c *runner.Config) {
		c.Isolation = isolation
		c.Hidden = []string{data}
	})
	result, log := bench.Run(t, runnertest.Attempt("a"))
	require.Nil(t, result.Failure, log)
	require.Contains(t, log, "passed\n")
}

// runIsolated runs a process under the isolation with paths hidden, and returns
// what it printed. Before is called when the runner has started.
func runIsolated(t *testing.T, hidden []string, before func(), process action.Process) string {
	t.Helper()
	isolation := bubblewrap(t)
	run := executor(func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
		process.Dir, process.Stdout, process.Stderr = workspace.Dir, workspace.Log, workspace.Log
		process.Env = append(process.Env, "PATH="+os.Getenv("PATH"))
		if before != nil {
			before()
		}
		code, err := workspace.Run(ctx, process)
		if err != nil || code != 0 {
			return action.Failed(action.JobFailed, "%d %v", code, err)
		}
		return action.Result{}
	})
	bench := runnertest.Start(t, run, func(c *runner.Config) {
		// The work directory of a server is in its data directory.
		c.Isolation, c.Hidden = isolation, slices.Concat(hidden, []string{filepath.Dir(c.WorkDir)})
	})
	result, log := bench.Run(t, runnertest.Attempt("a"))
	require.Nil(t, result.Failure, log)
	return log
}

// A variable that acts in every program must not act in bubblewrap itself, which
// runs before there is any isolation; nor may others read it among the arguments.
func TestBubblewrapItselfGetsNoVariables(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "ld")
	log := runIsolated(t, nil, nil, action.Process{
		Argv: []string{"sh", "-c", `unset LD_DEBUG; printf '<%s>' "$LD_DEBUG_OUTPUT" "$EMPTY" "$ODD"; echo; ls -l /proc/self/fd | grep memfd; cat /proc/1/cmdline`},
		Env:  []string{"LD_DEBUG=files", "LD_DEBUG_OUTPUT=" + outside, "EMPTY=", "ODD=a=b\n--bind", "SECRET=correct-horse"},
	})
	require.Contains(t, log, "<"+outside+"><><a=b\n--bind>\n")
	require.NotContains(t, log, "memfd:")
	require.NotContains(t, log, "correct-horse")
	left, err := filepath.Glob(outside + "*")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestBubblewrapHidesFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(dir, "key.1")
	require.NoError(t, os.WriteFile(key, []byte("s3cret"), 0o600))
	link := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.Symlink(key, link))
	gone := t.TempDir()
	remove := func() { require.NoError(t, os.Remove(gone)) }
	log := runIsolated(t, []string{link, gone}, remove, action.Process{
		Argv: []string{"sh", "-c", `ls "$DIR"; cat "$DIR/key.1" "$LINK" 2>&1 | grep s3cret; echo end`}, Env: []string{"DIR=" + dir, "LINK=" + link},
		Visible: []string{dir, filepath.Dir(link)},
	})
	require.Equal(t, "key.1\nend\n", log)
}

// What belongs to the user and to other services is covered, except what the
// process is there for; and names can still be looked up. Homes on another disk
// are symlinks.
func TestBubblewrapHidesWhatIsPrivate(t *testing.T) {
	// Not parallel: it changes the environment of the test.
	home := filepath.Join(t.TempDir(), "home")
	target := t.TempDir()
	require.NoError(t, os.Symlink(target, home))
	t.Setenv("HOME", home)
	for _, name := range []string{".ssh/id", ".config/gh/hosts.yml", ".config/bin/tool", "shared", ".netrc", "customers.csv"} {
		path := filepath.Join(home, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(name+"\n"), 0o700))
	}
	t.Setenv("PATH", os.Getenv("PATH")+":"+filepath.Join(home, ".config/bin"))
	resolv, err := os.ReadFile("/etc/resolv.conf")
	require.NoError(t, err)
	log := runIsolated(t, nil, nil, action.Process{
		Argv: []string{"sh", "-c", `
set -e
cd "$HOMEDIR"
cat .ssh/id shared .config/bin/tool
find . -type f | sort
test -z "$(ls /run | grep -v '^systemd$\|^resolvconf$\|^NetworkManager$')"
! grep -qs . /etc/shadow /etc/shadow- /etc/gshadow /etc/gshadow- /etc/ssh/*_key
cat /etc/resolv.conf`},
		// The home of the test is below /tmp, which is hidden too, the symlink with it.
		Env: []string{"HOMEDIR=" + target}, Visible: []string{filepath.Join(home, ".ssh"), filepath.Join(home, "shared")},
	})
	require.Contains(t, log, ".ssh/id\nshared\n.config/bin/tool\n./.config/bin/tool\n./.ssh/id\n./shared\n"+string(resolv))
}

// The data directory may lie in the home that is hidden, and the home of a user
// without one is the root directory.
func TestBubblewrapWorksWhereverTheHomeIs(t *testing.T) {
	for name, home := range map[string]string{"around the work": os.TempDir(), "the root directory": "/"} {
		t.Run(name, func(t *testing.T) {
			// Not parallel: it changes the environment of the test.
			t.Setenv("HOME", home)
			log := runIsolated(t, nil, nil, action.Process{Argv: []string{"sh", "-c", "touch made; ls made; test -e /etc/passwd && echo end"}})
			require.Equal(t, "made\nend\n", log)
		})
	}
}

func TestBubblewrapProtectsTheKernel(t *testing.T) {
	t.Parallel()
	// Nothing is written: to open the file for that is what must fail.
	log := runIsolated(t, nil, nil, action.Process{Argv: []string{"sh", "-c", `
for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/kernel/uevent_helper; do
	if (: >>"$f") 2>/dev/null; then echo "$f can be written"; fi
done
readlink /proc/self/ns/user; touch mine; echo end`}})
	require.NotContains(t, log, "can be written")
	require.Contains(t, log, "end\n")
	if !strings.Contains(bubblewrap(t).Detail, "without user namespaces") {
		own, err := os.Readlink("/proc/self/ns/user")
		require.NoError(t, err)
		require.NotContains(t, log, own)
	}
}

// Memory that is filled without a process would have the server killed instead of the
// command. Of what can be written to only shared memory is in memory, and that is bounded.
func TestBubblewrapLeavesNoMemoryToFill(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	log := runIsolated(t, []string{data}, nil, action.Process{Argv: []string{"sh", "-c", `
while read -r _ place type options _; do
	[ "$type" = tmpfs ] && [ -d "$place" ] && ( : >"$place/probe" ) 2>/dev/null && echo "$place $options"
done </proc/mounts
[ "$(head -c 200000000 /dev/zero 2>/dev/null | { cat >/dev/shm/big; } 2>&1 | grep -c 'No space left')" = 1 ] && echo bounded
for place in /dev /run "$DATA" "${PWD%/*}"; do touch "$place/x" 2>/dev/null && echo "$place can be written to"; done
echo end`}, Env: []string{"DATA=" + data}})
	// Of mounts on one place the last is what is there.
	filled := make(map[string]string)
	for line := range strings.Lines(log) {
		if place, options, found := strings.Cut(line, " "); found {
			filled[place] = options
		}
	}
	require.Len(t, filled, 1, log)
	require.Contains(t, filled["/dev/shm"], "size=65536k")
	require.Contains(t, log, "bounded\n")
	require.Contains(t, log, "end\n")
}

func TestWritableIsChecked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, hidden := filepath.Join(dir, "file"), filepath.Join(dir, "etc", "hid")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(hidden, "below"), 0o700))
	// The path to a hidden file can be in a directory that the file is not in.
	links := t.TempDir()
	require.NoError(t, os.Symlink(hidden, filepath.Join(links, "link")))
	work := filepath.Join(t.TempDir(), "of", "the", "server")
	for path, want := range map[string]string{
		filepath.Join(dir, "gone"):       "no such file or directory; create the directory or remove the setting",
		file:                             "not a directory",
		hidden:                           "it is in " + hidden + ", which commands must not see; use another directory",
		filepath.Join(hidden, "below"):   "it is in " + hidden + ", which commands must not see",
		filepath.Join(dir, "etc"):        hidden + " is in it, which commands must not see",
		dir:                              hidden + " is in it, which commands must not see",
		links:                            filepath.Join(links, "link") + " is in it, which commands must not see",
		filepath.Dir(filepath.Dir(work)): work + " is in it, which commands must not see",
		"/":                              "is in it, which commands must not see",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(work), 0o700))
		_, err := runner.New(runner.Config{
			ID: "r", Slots: 1, Lease: time.Second, WorkDir: work, Writable: []string{path}, Hidden: []string{hidden, filepath.Join(links, "link")},
		})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, path)
	}
}

func TestBubblewrapKillsEveryProcess(t *testing.T) {
	t.Parallel()
	isolation := bubblewrap(t)
	mark := filepath.Join(t.TempDir(), "headrace-test-sleeper")
	bench := runnertest.Start(t, shell("env -i setsid sh -c 'sleep 300 # "+mark+"' & wait"), func(c *runner.Config) { c.Isolation = isolation })
	attempt := runnertest.Attempt("a")
	attempt.Timeout = 300 * time.Millisecond
	result, _ := bench.Run(t, attempt)
	require.Equal(t, action.TimedOut, result.Failure.Code)
	require.Eventually(t, func() bool {
		names, err := filepath.Glob("/proc/[0-9]*/cmdline")
		require.NoError(t, err)
		for _, name := range names {
			if raw, err := os.ReadFile(name); err == nil && bytes.Contains(raw, []byte(mark)) {
				return false
			}
		}
		return true
	}, 10*time.Second, 10*time.Millisecond)
}
