package command_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/command"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func attempt(commands ...string) action.Attempt {
	a := runnertest.Attempt("action-1")
	a.Action.Commands = commands
	return a
}

func run(t *testing.T, a action.Attempt) (action.Result, string) {
	t.Helper()
	return runWith(t, a, nil)
}

func runWith(t *testing.T, a action.Attempt, change func(*runner.Config)) (action.Result, string) {
	t.Helper()
	return runnertest.Start(t, command.New(), change).Run(t, a)
}

func TestCommandsShareOneShell(t *testing.T) {
	t.Parallel()
	result, log := run(t, attempt("mkdir deep && cd deep", "greeting='it'\"'\"'s me'", `echo "$greeting in ${PWD##*/}"`))
	require.Nil(t, result.Failure)
	require.Equal(t, "ran 3 commands", result.Summary)
	_, log, _ = strings.Cut(log, "\n")
	require.Equal(t, "$ mkdir deep && cd deep\n$ greeting='it'\"'\"'s me'\n$ echo \"$greeting in ${PWD##*/}\"\nit's me in deep\n", log)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		commands []string
		want     string
		log      string
	}{
		"a command fails": {
			[]string{"true", "sh -c 'exit 2'", "echo never"},
			"command 2 of 3 (`sh -c 'exit 2'`) exited with 2", "$ true\n$ sh -c 'exit 2'\n",
		},
		"the left side of && fails": {
			[]string{"false && true", "echo never"},
			"command 1 of 2 (`false && true`) exited with 1", "$ false && true\n",
		},
		"exit": {[]string{"exit 3"}, "command 1 of 1 (`exit 3`) exited with 3", ""},
		"not found": {
			[]string{"no-such-program-here"},
			"command 1 of 1 (`no-such-program-here`) exited with 127: a program was not found; check its spelling, and that it is installed on the runner",
			"not found\n",
		},
		"not executable": {
			[]string{"echo x > f", "./f"},
			"command 2 of 2 (`./f`) exited with 126: a program could not be executed; check its permissions and format", "",
		},
		"killed child": {
			[]string{"sh -c 'kill -9 $$'"},
			"command 1 of 1 (`sh -c 'kill -9 $$'`) was killed by signal 9 (SIGKILL); the machine may be out of memory", "",
		},
		"the shell kills itself": {[]string{"kill -TERM $$"}, "a command was ended by signal 15 (SIGTERM)", ""},
		"an open quote is its own": {[]string{"echo 'a", "echo 'b"}, "command 1 of 2 (`echo 'a`) exited with 2: it is not complete by itself " +
			"(reached EOF without closing quote `'`), and the shell reads each command on its own; write it on one line, for example if a; then b; fi, " +
			"or in a script in the repository", ""},
		"if over several commands": {[]string{"echo start", "if true; then", "echo yes", "fi"}, "command 2 of 4 (`if true; then`) exited with 2: it is not complete by itself " +
			"(`then` must be followed by a statement list), and the shell reads each command on its own; write it on one line, for example if a; then b; fi, " +
			"or in a script in the repository", ""},
		"here-document": {[]string{"cat > values <<EOF", "key: value", "EOF"}, "command 2 of 3 (`key: value`) exited with 127: a program was not found; check its spelling, and that it is installed on the runner. Command 1 (`cat > values <<EOF`) is not complete by itself " +
			"(unclosed here-document `EOF`), and the shell reads each command on its own; write it on one line, for example if a; then b; fi, " +
			"or in a script in the repository", ""},
		"Windows line endings": {[]string{`printf '#!/bin/sh\r\necho hi\r\n' > build && chmod +x build`, "./build"}, "command 2 of 2 (`./build`) exited with 127: " +
			"the script ./build has Windows line endings, which the shell reads as part of each line; " +
			"commit it with Unix line endings, for example with *.sh text eol=lf in .gitattributes", ""},
		"Windows line endings without a first line": {[]string{`printf 'set -e\r\n' > build.sh`, `sh "build.sh"`}, "command 2 of 2 (`sh \"build.sh\"`) exited with 2: " +
			"the script build.sh has Windows line endings, which the shell reads as part of each line; " +
			"commit it with Unix line endings, for example with *.sh text eol=lf in .gitattributes", ""},
		"no line ends before the echo": {[]string{"printf 50%%", "false"}, "command 2 of 2 (`false`) exited with 1", "$ printf 50%%\n50%\n$ false\n"},
		"a trap of its own":            {[]string{"trap 'echo bye' EXIT", "false"}, "a command exited with 1", "bye\n"},
		"its work directory is gone":   {[]string{`rm -rf "$HEADRACE_WORKSPACE"`, "false"}, "a command exited with 1", ""},
		"the note is not a file":       {[]string{`mkfifo "$HOME/../failed"; false`}, "", ""},
		"long commands are shortened":  {[]string{"false " + strings.Repeat("x", 500)}, "command 1 of 1 (`false " + strings.Repeat("x", 114) + "…`) exited with 1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := attempt(test.commands...)
			a.Timeout = time.Minute
			if name == "the note is not a file" {
				// The shell waits for a reader of the pipe: the timeout ends it.
				a.Timeout = 200 * time.Millisecond
				result, _ := run(t, a)
				require.Equal(t, action.TimedOut, result.Failure.Code)
				return
			}
			result, log := run(t, a)
			require.NotNil(t, result.Failure)
			require.Equal(t, action.Failure{Code: action.JobFailed, Message: test.want}, *result.Failure)
			require.Contains(t, log, test.log)
			require.NotContains(t, log, "never\n$")
		})
	}
}

func TestRefusedConfiguration(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*pipeline.Action)
		want   string
	}{
		"no commands": {func(a *pipeline.Action) { a.Commands = nil }, "no commands"},
		"reserved name": {func(a *pipeline.Action) {
			a.EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "HEADRACE_STAGE"}}
		}, "HEADRACE_STAGE cannot be set"},
		"name": {func(a *pipeline.Action) { a.EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "1a"}} }, `"1a"`},
		"type": {func(a *pipeline.Action) {
			a.EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "A", Type: "SECRETS_MANAGER"}}
		}, "SECRETS_MANAGER"},
		"output variable": {func(a *pipeline.Action) { a.OutputVariables = []string{"x};reboot"} }, `"x};reboot"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := attempt("true")
			test.change(&a.Action)
			result, _ := run(t, a)
			require.NotNil(t, result.Failure)
			require.Equal(t, action.ConfigurationError, result.Failure.Code)
			require.Contains(t, result.Failure.Message, test.want)
		})
	}
}

// TestSecretsAreInTheEnvironmentAlone holds that the value reaches the processes, and that no
// argument on the machine shows it.
func TestSecretsAreInTheEnvironmentAlone(t *testing.T) {
	t.Parallel()
	value := "sentinel " + rand.Text() + "\nof two lines"
	a := attempt(
		`[ "$(printf %s "$TOKEN" | wc -l)" = 1 ]`, `export LENGTH=${#TOKEN}`, `echo "$TOKEN" | sed s/^/-/`,
		// The pattern must not find itself.
		`if grep -al "$(printf %s "$TOKEN" | head -n 1 | sed 's/^./[s]/')" /proc/[0-9]*/cmdline 2>&-; then false; fi`)
	a.Action.EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "TOKEN", Value: "token", Type: pipeline.EnvironmentSecret}}
	a.Action.OutputVariables = []string{"LENGTH", "TOKEN"}
	result, log := runWith(t, a, func(c *runner.Config) {
		c.Secrets = func(_ context.Context, _ action.Scope, _ []string) (map[string]string, error) {
			return map[string]string{"token": value}, nil
		}
	})
	require.Nil(t, result.Failure, log)
	require.Equal(t, map[string]string{"LENGTH": fmt.Sprint(len(value)), "TOKEN": secret.Mask}, result.Variables)
	require.Contains(t, log, "\n-****\n-****\n")
	require.NotContains(t, log, value[:20])

	missing := &action.CredentialsError{Code: action.ConfigurationError, Err: errors.New("secret \"token\" does not exist")}
	result, log = runWith(t, a, func(c *runner.Config) {
		c.Secrets = func(context.Context, action.Scope, []string) (map[string]string, error) { return nil, missing }
	})
	require.Equal(t, &action.Failure{Code: action.ConfigurationError, Message: missing.Error()}, result.Failure)
	require.Empty(t, log, "nothing runs")
}

func TestEnvironmentHoldsNothingOfTheServer(t *testing.T) {
	// Not parallel: it changes the environment of the test.
	t.Setenv("HEADRACE_TEST_SECRET", "of-the-server")
	a := attempt("env | sort", `case "$TMPDIR$HOME" in "$HEADRACE_WORKSPACE/tmp$HEADRACE_WORKSPACE/home") ;; *) false;; esac`)
	a.Action.EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "COLOR", Value: "blue = green"}, {Name: "LANG", Value: "de_DE"}}
	result, log := run(t, a)
	require.Nil(t, result.Failure)
	var names []string
	for line := range strings.Lines(log) {
		if name, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "$") {
			names = append(names, name)
		}
	}
	require.Equal(t, []string{
		"CI", "COLOR", "HEADRACE_ACCOUNT", "HEADRACE_ACTION", "HEADRACE_ACTION_EXECUTION_ID", "HEADRACE_ATTEMPT", "HEADRACE_ATTEMPT_ID",
		"HEADRACE_EXECUTION_ID", "HEADRACE_PIPELINE", "HEADRACE_PIPELINE_VERSION", "HEADRACE_STAGE", "HEADRACE_WORKSPACE",
		"HOME", "LANG", "PATH", "PWD", "TMPDIR",
	}, names)
	require.Contains(t, log, "COLOR=blue = green\n")
	require.Contains(t, log, "LANG=de_DE\n")
}

func TestArtifacts(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, command.New(), nil)
	first := attempt("mkdir -p out/empty", "echo hi > out/tool", "chmod 755 out/tool", "ln -s tool out/link", "echo no > other")
	first.Action.OutputArtifacts = []pipeline.OutputArtifact{{Name: "Built", Files: []string{"out"}}, {Name: "All"}}
	result, _ := bench.Run(t, first)
	require.Nil(t, result.Failure)
	require.Len(t, result.Artifacts, 2)

	second := attempt(
		"test -x out/tool", `test "$(readlink out/link)" = tool`, "test -d out/empty", "test ! -e other",
		`test "$PWD" = "$HEADRACE_INPUT_BUILT"`, `cat "$HEADRACE_INPUT_MY_ALL_2/other"`)
	second.ActionExecutionID = "action-2"
	second.Inputs = result.Artifacts
	second.Inputs[1].Name = "my-all.2"
	result, log := bench.Run(t, second)
	require.Nil(t, result.Failure, log)
	require.True(t, strings.HasSuffix(log, "\nno\n"), log)

	third := attempt("mkdir dist", "touch dist/a b")
	third.ActionExecutionID = "action-3"
	third.Action.OutputArtifacts = []pipeline.OutputArtifact{{Name: "Built", Files: []string{"bin/**"}}}
	result, _ = bench.Run(t, third)
	require.Equal(t, action.JobFailed, result.Failure.Code)
	require.Equal(t, `store artifact "Built": these files cannot be stored: no file matches "bin/**"; the work directory holds "b", "dist"`, result.Failure.Message)
}

// What a later action builds on is as old as the action before left it.
func TestModificationTimes(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, command.New(), nil)
	first := attempt("touch -d '2026-01-01 00:00:00.5Z' built", "touch -d '2026-01-01 00:00:00.25Z' source")
	first.Action.OutputArtifacts = []pipeline.OutputArtifact{{Name: "All"}}
	result, log := bench.Run(t, first)
	require.Nil(t, result.Failure, log)
	second := attempt("stat -c '%n %.2Y' built source")
	second.ActionExecutionID = "action-2"
	second.Inputs = result.Artifacts
	result, log = bench.Run(t, second)
	require.Nil(t, result.Failure, log)
	require.Contains(t, log, "built 1767225600.50\nsource 1767225600.25\n")
}

// A link that leads out of the artifact is in the log and the summary, where people look.
func TestLinkOutOfTheArtifact(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, command.New(), nil)
	a := attempt("ln -s /usr/bin/env env", "mkdir -p \"$HOME/bin\"", "ln -s \"$HOME/bin\" bin")
	a.Action.OutputArtifacts = []pipeline.OutputArtifact{{Name: "All", Files: []string{"e*"}}}
	result, log := bench.Run(t, a)
	require.Nil(t, result.Failure, log)
	const remark = `artifact "All": the symbolic link "env" leads to "/usr/bin/env", which is not in the artifact`
	require.Equal(t, "ran 3 commands; "+remark, result.Summary)
	require.True(t, strings.HasSuffix(log, "Warning: "+remark+"\n"), log)
	for file, want := range map[string]string{"bin": `"bin" is a symbolic link to "`, "bin/tool": `no file matches "bin/tool": "bin" is a symbolic link`} {
		a.ActionExecutionID = "action-" + strings.ReplaceAll(file, "/", "-")
		a.Action.OutputArtifacts[0].Files = []string{file}
		result, _ = bench.Run(t, a)
		require.NotNil(t, result.Failure)
		require.Equal(t, action.JobFailed, result.Failure.Code)
		require.Contains(t, result.Failure.Message, want)
	}
}

// TestInputsOfOneVariable runs an action of a version that was stored when two inputs
// could share a variable: it goes on as it did.
func TestInputsOfOneVariable(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, command.New(), nil)
	first := attempt("touch dash", "touch score")
	first.Action.OutputArtifacts = []pipeline.OutputArtifact{{Name: "web-app", Files: []string{"dash"}}, {Name: "web_app", Files: []string{"score"}}}
	result, _ := bench.Run(t, first)
	require.Nil(t, result.Failure)

	second := attempt("ls; ls \"$HEADRACE_INPUT_WEB_APP\"")
	second.ActionExecutionID = "action-2"
	second.Inputs = result.Artifacts
	result, log := bench.Run(t, second)
	require.Nil(t, result.Failure, log)
	require.True(t, strings.HasSuffix(log, "\ndash\nscore\n"), log)
}

// The server stores what the commands leave: they must not make it store files of
// its own that they cannot read under isolation.
func TestArtifactOfADirectoryThatWasReplaced(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(data, "admin.token"), []byte("s3cret"), 0o600))
	for _, target := range []string{data, "../../../" + filepath.Base(data), filepath.Join(data, "admin.token"), "/proc/self/root" + data} {
		a := attempt("cd ..", "mv src src.old", "ln -s "+target+" src")
		a.Action.OutputArtifacts = []pipeline.OutputArtifact{{Name: "Loot", Files: []string{"admin.token"}}}
		result, _ := run(t, a)
		require.Empty(t, result.Artifacts)
		require.Equal(t, action.JobFailed, result.Failure.Code)
		require.Contains(t, result.Failure.Message, "the directory to keep is gone or became something else")
	}
}

func TestOutputVariables(t *testing.T) {
	t.Parallel()
	a := attempt("A='two\nlines = \"x\" '", "export B=", "C=$(printf '\\303\\244')")
	a.Action.OutputVariables = []string{"A", "B", "C"}
	result, _ := run(t, a)
	require.Nil(t, result.Failure)
	require.Equal(t, map[string]string{"A": "two\nlines = \"x\" ", "B": "", "C": "ä"}, result.Variables)
}

func TestOutputVariablesThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		command string
		code    action.FailureCode
		want    string
	}{
		"unset":         {"true", action.JobFailed, "the output variable A is not set"},
		"too large":     {"A=$(head -c 122880 /dev/zero | tr '\\0' x)", action.OutputTooLarge, "122880"},
		"far too large": {"A=$(head -c 1000000 /dev/zero | tr '\\0' x)", action.OutputTooLarge, "122880"},
		"exit":          {"A=1; exit 0", action.JobFailed, "do not exit early"},
		// What the commands make of the file must not show another to them.
		"a symlink out": {`A=1; ln -s /etc/hostname "$HOME/../variables"; exit 0`, action.JobFailed, "escapes"},
		"a pipe":        {`A=1; mkfifo "$HOME/../variables"; exit 0`, action.JobFailed, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := attempt(test.command)
			a.Action.OutputVariables = []string{"A"}
			result, _ := run(t, a)
			require.NotNil(t, result.Failure)
			require.Equal(t, test.code, result.Failure.Code)
			require.Contains(t, result.Failure.Message, test.want)
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	result, log := run(t, attempt("set -- $(ulimit -Hc) $(ulimit -Hn)", `test "$1" = 0`, `test "$2" -le 65536`))
	require.Nil(t, result.Failure, log)
}

func TestLongScript(t *testing.T) {
	t.Parallel()
	var commands []string
	for i := range 50 {
		commands = append(commands, fmt.Sprintf("x='%s'; n%d=1", strings.Repeat("\"'\"'\"", 600), i))
	}
	commands = append(commands, `test "$n0$n49" = 11`)
	result, _ := run(t, attempt(commands...))
	require.Nil(t, result.Failure)
}

func TestFloodIsBounded(t *testing.T) {
	t.Parallel()
	result, log := run(t, attempt("head -c 100000000 /dev/zero", "echo end > done", "test -f done"))
	require.Nil(t, result.Failure)
	require.Less(t, len(log), 64<<20+200)
	require.Regexp(t, `\n--- the log reached its limit of 67108864 bytes; 3289\d{4} more bytes were dropped ---\n$`, log[len(log)-200:])
}

func TestInputThatIsMissing(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, command.New(), nil)
	input := action.Artifact{Name: "In", Digest: strings.Repeat("0", 64), Size: 1}
	a := attempt("true")
	a.Inputs = []action.Artifact{input}
	result, log := bench.Run(t, a)
	require.Equal(t, action.SystemUnavailable, result.Failure.Code)
	require.Contains(t, result.Failure.Message, `fetch artifact "In": the store holds no artifact`)
	require.Empty(t, log)
}
