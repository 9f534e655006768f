// Package command runs the lines of Commands actions in one shell. It must never
// hand a process anything of the server's own environment, nor trust the files
// that the commands leave behind.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// maxArgument is how long a script may be to be given as an argument; Linux
	// allows 128 KiB.
	maxArgument = 96 << 10

	inputsDir = "inputs"
)

var shellName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Executor runs Commands actions:
//
//   - All lines run in one /bin/sh -e, so a directory changed or a variable set by
//     one holds for the next. The first that fails ends the action.
//   - The work directory is the tree of the first input artifact, or empty. Every
//     input artifact has its directory in HEADRACE_INPUT_<NAME>, in upper case
//     with _ for what is no letter or digit.
//   - The environment is PATH, HOME, TMPDIR, LANG, CI, HEADRACE_* (see
//     environment) and what the action declares; nothing else of the server's.
//   - Output artifacts are globs below the work directory. Output variables are
//     shell variables, read after the last line.
type Executor struct {
	path   string
	limits string
}

var _ action.AttemptExecutor = (*Executor)(nil)

// New returns an executor whose commands look for programs on the PATH of the
// calling process.
func New() *Executor {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	return &Executor{path: path, limits: limits()}
}

// Execute implements action.AttemptExecutor.
func (e *Executor) Execute(ctx context.Context, attempt action.Attempt, workspace action.Workspace) action.Result {
	a := &attempt.Action
	if failure := check(a); failure != nil {
		return action.Result{Failure: failure}
	}
	if workspace.Isolation == action.IsolationUnavailable {
		// The failure leads to the log.
		_, _ = fmt.Fprintf(workspace.Log, "--- %v ---\n", action.ErrNotIsolated)
		return action.Failed(action.ConfigurationError, "%v", action.ErrNotIsolated)
	}
	layout, failure := prepare(ctx, &attempt, workspace)
	if failure != nil {
		return action.Result{Failure: failure}
	}
	// Before anything runs: an action that lacks a secret does nothing.
	secrets, err := workspace.Secrets(ctx, pipeline.SecretNames(a.EnvironmentVariables))
	if err != nil {
		return action.CredentialsFailure(err)
	}
	env := e.environment(&attempt, workspace.Dir, layout, secrets)
	echoes := newEchoes(workspace.Log)
	output := &readOnlyFinder{to: echoes}
	argv, err := e.shell(a, workspace, echoes.format())
	if err != nil {
		return action.FailedByRunner("cannot write the script of the commands: %v", err)
	}
	_, _ = io.WriteString(workspace.Log, isolationLine(workspace))
	exitCode, err := workspace.Run(ctx, action.Process{
		Argv:   argv,
		Dir:    filepath.Join(workspace.Dir, action.FilesDir),
		Env:    env,
		Stdout: output,
		Stderr: output,
		Gated:  true,
	})
	_ = echoes.Close() // The log takes what it can; it fails no action.
	if err != nil {
		// No command began.
		return action.FailedByRunner("cannot run the commands: %v", err)
	}
	if exitCode != 0 {
		result := failedCommand(a.Commands, workspace.Root, exitCode)
		if hint := output.hint(); hint != "" && workspace.Isolation != action.IsolationNone {
			result.Failure.Message += ". " + hint
			note(workspace, hint)
		}
		return result
	}
	result := collect(ctx, a, workspace)
	if left := discarded(workspace); left != "" && result.Failure == nil {
		result.Summary += "; " + left
		note(workspace, left)
	}
	return result
}

// note adds a line of the runner to the log.
func note(workspace action.Workspace, text string) {
	_, _ = fmt.Fprintf(workspace.Log, "\n--- %s ---\n", text)
}

// check refuses what cannot run, by name.
func check(a *pipeline.Action) *action.Failure {
	fail := func(format string, args ...any) *action.Failure {
		return action.Failed(action.ConfigurationError, format, args...).Failure
	}
	if len(a.Commands) == 0 {
		return fail("the action has no commands; give at least one")
	}
	for i, line := range a.Commands {
		if strings.ContainsRune(line, 0) {
			return fail("command %d holds a NUL byte; remove it", i+1)
		}
	}
	for _, variable := range a.EnvironmentVariables {
		switch {
		case !shellName.MatchString(variable.Name):
			return fail("the environment variable %q has no name that a shell can use; use letters, digits and _", variable.Name)
		case strings.HasPrefix(variable.Name, "HEADRACE_"):
			return fail("the environment variable %s cannot be set: names that begin with HEADRACE_ are the runner's; choose another", variable.Name)
		case !slices.Contains([]pipeline.EnvironmentVariableType{"", pipeline.EnvironmentPlaintext, pipeline.EnvironmentSecret}, variable.Type):
			return fail("the environment variable %s has the type %s, which this runner cannot resolve; use PLAINTEXT or SECRET", variable.Name, variable.Type)
		case strings.ContainsRune(variable.Value, 0):
			return fail("the environment variable %s holds a NUL byte; remove it", variable.Name)
		}
	}
	for _, name := range a.OutputVariables {
		if !shellName.MatchString(name) {
			return fail("the output variable %q is not the name of a shell variable; use letters, digits and _", name)
		}
	}
	return nil
}

// prepare lays out the input artifacts and returns their directories.
func prepare(ctx context.Context, attempt *action.Attempt, workspace action.Workspace) ([]string, *action.Failure) {
	dirs := make([]string, len(attempt.Inputs))
	for i, input := range attempt.Inputs {
		dir := action.FilesDir
		if i > 0 {
			// By number: the name of an artifact need not be one of a file.
			dir = filepath.Join(inputsDir, strconv.Itoa(i))
			if err := workspace.Root.MkdirAll(dir, 0o700); err != nil {
				return nil, action.FailedByRunner("cannot prepare the work directory: %v", err).Failure
			}
		}
		if err := workspace.Artifacts.Fetch(ctx, input, workspace.Root, dir); err != nil {
			return nil, action.Failed(action.CodeOf(err), "cannot lay out the input artifact: %v", err).Failure
		}
		dirs[i] = filepath.Join(workspace.Dir, dir)
	}
	return dirs, nil
}

// environment returns all that the commands get, with the values of secrets.
func (e *Executor) environment(attempt *action.Attempt, dir string, inputs []string, secrets map[string]string) []string {
	a := &attempt.Action
	declared := make(map[string]bool, len(a.EnvironmentVariables))
	env := make([]string, 0, 14+len(inputs)+len(a.EnvironmentVariables))
	for _, variable := range a.EnvironmentVariables {
		declared[variable.Name] = true
		value := variable.Value
		if variable.Type == pipeline.EnvironmentSecret {
			value = secrets[value]
		}
		env = append(env, variable.Name+"="+value)
	}
	add := func(name, value string) {
		if !declared[name] {
			env = append(env, name+"="+value)
		}
	}
	add("PATH", e.path)
	add("HOME", filepath.Join(dir, action.HomeDir))
	add("TMPDIR", filepath.Join(dir, action.TempDir))
	add("LANG", "C.UTF-8")
	add("CI", "true")
	add("HEADRACE_ACCOUNT", attempt.Account)
	add("HEADRACE_PIPELINE", attempt.Pipeline)
	add("HEADRACE_PIPELINE_VERSION", strconv.FormatInt(attempt.PipelineVersion, 10))
	add("HEADRACE_EXECUTION_ID", attempt.ExecutionID)
	add("HEADRACE_STAGE", attempt.Stage)
	add("HEADRACE_ACTION", a.Name)
	add("HEADRACE_ACTION_EXECUTION_ID", attempt.ActionExecutionID)
	add("HEADRACE_ATTEMPT", strconv.Itoa(attempt.Number))
	for i, input := range attempt.Inputs {
		add(pipeline.InputVariable(input.Name), inputs[i])
	}
	return env
}

// failedCommand says which command failed, and how.
func failedCommand(commands []string, root *os.Root, exitCode int) action.Result {
	which, why, hint := "a command", "", ""
	raw, err := readBounded(root, failedFile, 16)
	// Commands that set an EXIT trap of their own leave no note.
	if line, convErr := strconv.Atoi(string(raw)); err == nil && convErr == nil && line >= 1 && line <= len(commands) {
		which = fmt.Sprintf("command %d of %d (`%s`)", line, len(commands), shorten(commands[line-1]))
		why, hint = cause(commands[line-1], root), unfinished(commands[:line-1])
	}
	switch {
	case why != "":
		return action.Failed(action.JobFailed, "%s exited with %d: %s", which, exitCode, why)
	case exitCode == 127:
		return action.Failed(action.JobFailed, "%s exited with 127: a program was not found; check its spelling, and that it is installed on the runner%s", which, hint)
	case exitCode == 126:
		return action.Failed(action.JobFailed, "%s exited with 126: a program could not be executed; check its permissions and format%s", which, hint)
	case exitCode == 137:
		return action.Failed(action.JobFailed, "%s was killed by signal 9 (SIGKILL); the machine may be out of memory", which)
	case exitCode > 128 && exitCode <= 128+64:
		return action.Failed(action.JobFailed, "%s was ended by signal %d (%s)", which, exitCode-128, signalName(exitCode-128))
	}
	return action.Failed(action.JobFailed, "%s exited with %d%s", which, exitCode, hint)
}

func shorten(command string) string {
	const most = 120
	if runes := []rune(command); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return command
}

// collect stores what the commands made.
func collect(ctx context.Context, a *pipeline.Action, workspace action.Workspace) action.Result {
	result := action.Result{Summary: fmt.Sprintf("ran %d commands", len(a.Commands))}
	if len(a.Commands) == 1 {
		result.Summary = "ran 1 command"
	}
	if len(a.OutputVariables) > 0 {
		variables, failure := readVariables(workspace.Root, a.OutputVariables)
		if failure != nil {
			return action.Result{Failure: failure}
		}
		result.Variables = variables
	}
	for _, output := range a.OutputArtifacts {
		stored, err := workspace.Artifacts.Store(ctx, output.Name, workspace.Root, action.Files{Dir: action.FilesDir, Globs: output.Files})
		if errors.Is(err, action.ErrUnstorable) {
			return action.Failed(action.JobFailed, "%v", err)
		}
		if err != nil {
			return action.Failed(action.SystemUnavailable, "%v", err)
		}
		result.Artifacts = append(result.Artifacts, stored.Artifact)
		for _, remark := range stored.Remarks {
			_, _ = fmt.Fprintf(workspace.Log, "Warning: %s\n", remark)
			result.Summary += "; " + remark
		}
	}
	return result
}

// readVariables reads what the end of the script wrote: NAME=value or NAME for
// one that is not set, each ended by a NUL byte, which no value can hold.
func readVariables(root *os.Root, names []string) (map[string]string, *action.Failure) {
	// The names and separators may come on top of the limit, which the sum says.
	raw, err := readBounded(root, variablesFile, action.MaxOutputBytes+maxArgument)
	if errors.Is(err, errTooLong) {
		return nil, tooLarge(len(raw))
	}
	if err != nil {
		return nil, action.Failed(action.JobFailed,
			"the commands succeeded, but their output variables cannot be read (%v); leave the directory above the work directory alone, and do not exit early", err).Failure
	}
	variables := make(map[string]string, len(names))
	size := 0
	for record := range strings.SplitSeq(string(raw), "\x00") {
		name, value, set := strings.Cut(record, "=")
		if set && slices.Contains(names, name) {
			variables[name] = value
			size += len(name) + len(value)
		}
	}
	if size > action.MaxOutputBytes {
		return nil, tooLarge(size)
	}
	for _, name := range names {
		if _, ok := variables[name]; !ok {
			return nil, action.Failed(action.JobFailed,
				"the output variable %s is not set after the last command; set it (%s=value) in the commands, or remove it from output_variables", name, name).Failure
		}
	}
	return variables, nil
}

func tooLarge(size int) *action.Failure {
	return action.Failed(action.OutputTooLarge,
		"the output variables take %d bytes or more; all of an action together may take %d. Pass large data in an artifact", size, action.MaxOutputBytes).Failure
}
