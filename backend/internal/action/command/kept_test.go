package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
)

// bubblewrap returns the isolation, and skips where the machine has none, unless it must.
func bubblewrap(t *testing.T) runner.Isolation {
	t.Helper()
	isolation, err := runner.Detect(t.Context(), runner.IsolationAuto)
	require.NoError(t, err)
	if isolation.Name() != runner.IsolationBubblewrap {
		require.NotEqual(t, "required", os.Getenv("HEADRACE_TEST_BUBBLEWRAP"), isolation.Detail)
		t.Skip(isolation.Detail)
	}
	return isolation
}

// A deployment to a directory that is thrown away must not look like one that worked.
func TestDiscardedFilesAreNamed(t *testing.T) {
	t.Parallel()
	isolated := func(c *runner.Config) { c.Isolation = bubblewrap(t) }
	for name, test := range map[string]struct {
		commands []string
		change   func(*runner.Config)
		want     string
	}{
		"to /tmp": {[]string{"mkdir /tmp/site", "echo hi >/tmp/site/index.html"}, isolated, "discarded 1 file outside the work directory: /tmp/site/index.html"},
		"to TMPDIR and HOME": {
			[]string{
				`touch "$TMPDIR/b" "$TMPDIR/a"`, `mkdir -p "$HOME/.cache" "$HOME/www"; touch "$HOME/.cache/x" "$HOME/.profile" "$HOME/www/c" "$HOME/www/d"`,
			},
			nil,
			"discarded 4 files outside the work directory: $TMPDIR/a, $TMPDIR/b, $HOME/www/c and 1 more",
		},
		"more than are counted": {
			[]string{`cd "$TMPDIR"; i=0; while [ $i -lt 11 ]; do mkdir $i; j=0; while [ $j -lt 100 ]; do : >$i/$j; j=$((j+1)); done; i=$((i+1)); done`},
			nil,
			"discarded more than 1000 files outside the work directory, among them $TMPDIR/0/0, $TMPDIR/0/1, $TMPDIR/0/10",
		},
		"a name with a line end": {[]string{`touch "$TMPDIR/a` + "'\n'" + `b"`}, nil, "discarded 1 file outside the work directory: $TMPDIR/a'?'b"},
		"a pipe that nobody writes to": {
			[]string{`rmdir "$TMPDIR"; mkfifo "$TMPDIR"`}, nil, "discarded 1 file outside the work directory: $TMPDIR/",
		},
		"nothing":           {[]string{"touch here", `mkdir "$TMPDIR/empty"`, `touch "$HOME/.bash_history"`}, nil, ""},
		"nothing, isolated": {[]string{"touch here", "mkdir /tmp/empty"}, isolated, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, log := runWith(t, attempt(test.commands...), test.change)
			require.Nil(t, result.Failure, log)
			_, left, _ := strings.Cut(result.Summary, "; ")
			require.Equal(t, test.want, left)
			if test.want == "" {
				require.NotContains(t, log, "discarded 1")
				return
			}
			require.True(t, strings.HasSuffix(log, "\n--- "+test.want+" ---\n"), log)
		})
	}
}

// What is in /tmp is on the disk, in the attempt's own directory.
func TestPrivateTemporaryDirectory(t *testing.T) {
	t.Parallel()
	result, log := runWith(t, attempt(
		`echo x >/tmp/x`, `cmp /tmp/x "$TMPDIR/x"`, `test "$(stat -f -c %T /tmp)" = "$(stat -f -c %T "$HOME")"`, `rm /tmp/x`,
	), func(c *runner.Config) { c.Isolation = bubblewrap(t) })
	require.Nil(t, result.Failure, log)
	require.Equal(t, "ran 4 commands", result.Summary)
}

func TestFirstLineSaysWhatIsKept(t *testing.T) {
	t.Parallel()
	open := t.TempDir()
	_, log := run(t, attempt("true"))
	require.Equal(t, "--- not isolated: output artifacts, output variables and files elsewhere on this machine are kept ---\n$ true\n", log)
	_, log = runWith(t, attempt("true"), func(c *runner.Config) { c.Isolation = bubblewrap(t) })
	require.Equal(t, "--- isolated by bubblewrap: output artifacts and output variables are kept, other files are discarded ---\n$ true\n", log)
	_, log = runWith(t, attempt("true"), func(c *runner.Config) { c.Isolation, c.Writable = bubblewrap(t), []string{open} })
	require.Equal(t, "--- isolated by bubblewrap: output artifacts, output variables and files in "+open+" are kept, other files are discarded ---\n$ true\n", log)
}

// The failure leads to the log, which was empty.
func TestLogSaysThatCommandsCannotBeIsolated(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	isolation, err := runner.Detect(t.Context(), runner.IsolationAuto)
	require.NoError(t, err)
	result, log := runWith(t, attempt("true"), func(c *runner.Config) { c.Isolation = isolation })
	require.Equal(t, action.ConfigurationError, result.Failure.Code)
	require.Equal(t, "--- "+result.Failure.Message+" ---\n", log)
}

func TestReadOnlyPathGetsAHint(t *testing.T) {
	t.Parallel()
	isolated := func(c *runner.Config) { c.Isolation = bubblewrap(t) }
	const advice = "To let the commands of all pipelines write to a directory, start headraced with --writable DIR"
	for name, test := range map[string]struct{ command, want string }{
		"a program":          {"touch /usr/headrace-was-here", "/usr/headrace-was-here is read-only for commands. " + advice},
		"the shell":          {"echo x >/usr/headrace-was-here", "/usr/headrace-was-here is read-only for commands. " + advice},
		"Python's order":     {"echo \"OSError: [Errno 30] Read-only file system: '/srv/app/x'\"; false", "/srv/app/x is read-only for commands. " + advice},
		"Go's words":         {"echo 'open /srv/x: read-only file system'; false", "/srv/x is read-only for commands. " + advice},
		"quotes and spaces":  {`echo "mkdir: cannot create directory ‘/srv/a b’: Read-only file system"; false`, "/srv/a b is read-only for commands. " + advice},
		"a relative path":    {"cd /usr && touch headrace-was-here", "Commands can write only to the work directory, HOME and /tmp. " + advice},
		"in pieces":          {"printf 'rm: /srv/x: Read-only f'; sleep 0.2; echo 'ile system'; false", "/srv/x is read-only for commands. " + advice},
		"in a lot of output": {"seq 20000; echo 'rm: /srv/x: Read-only file system'; seq 20000; false", "/srv/x is read-only for commands. " + advice},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, log := runWith(t, attempt(test.command), isolated)
			require.Equal(t, action.JobFailed, result.Failure.Code)
			require.True(t, strings.HasSuffix(result.Failure.Message, ". "+test.want), result.Failure.Message)
			require.True(t, strings.HasSuffix(log, "\n--- "+test.want+" ---\n"), log)
		})
	}
	result, _ := run(t, attempt("echo '/srv/x: Read-only file system'; false"))
	require.NotContains(t, result.Failure.Message, "--writable", "nothing to open without isolation")
	result, _ = runWith(t, attempt("touch /usr/x || true"), isolated)
	require.Nil(t, result.Failure)
}

func TestWritableDirectory(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	open, link, secret := filepath.Join(base, "open"), filepath.Join(base, "link"), filepath.Join(base, "secret")
	require.NoError(t, os.MkdirAll(open, 0o700))
	require.NoError(t, os.MkdirAll(secret, 0o700))
	require.NoError(t, os.Symlink("open", link))
	require.NoError(t, os.WriteFile(filepath.Join(secret, "token"), nil, 0o600))
	result, log := runWith(t, attempt("echo hi >"+open+"/index.html", "test ! -e "+secret+"/token"), func(c *runner.Config) {
		c.Isolation, c.Writable, c.Hidden = bubblewrap(t), []string{link}, []string{secret}
	})
	require.Nil(t, result.Failure, log)
	require.Equal(t, "ran 2 commands", result.Summary)
	require.FileExists(t, filepath.Join(open, "index.html"))
}
