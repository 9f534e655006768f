package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Files in the attempt's directory, beside the work directory of the commands.
const (
	// failedFile gets the number of the command that failed.
	failedFile = "failed"
	// variablesFile gets the output variables.
	variablesFile = "variables"
	scriptFile    = "script"
)

// maxOpenFiles is more than builds need; some programs go through all that they
// could have open.
const maxOpenFiles = 65536

// limits returns the lines that limit the shell and so all that it starts: no core
// files, which would hold what the environment held, and a bound on open files. The
// rest is as the runner's own limits are. They only ever lower a limit, which
// cannot fail.
func limits() string {
	lines := "ulimit -c 0 || :\n"
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && files.Max > maxOpenFiles {
		lines += fmt.Sprintf("ulimit -n %d || :\n", maxOpenFiles)
	}
	return lines
}

// shell returns the arguments that run the commands. Each is shown, noted and
// evaluated on its own, so that an open quote in one does not swallow the next.
// Nothing here starts a process beside the shell, and only a failure writes a
// file. mark is printed before each command is shown, for echoes.
func (e *Executor) shell(a *pipeline.Action, workspace action.Workspace, mark string) ([]string, error) {
	dir := workspace.Dir
	var script strings.Builder
	script.WriteString(workspace.Gate)
	script.WriteString(e.limits)
	fmt.Fprintf(&script, "trap '[ $? -eq 0 ] || { printf %%s \"$_headrace_n\" >%s; } 2>/dev/null || :' EXIT\n",
		// Quoted twice: for the script, and within the trap's own quotes.
		strings.ReplaceAll(quote(filepath.Join(dir, failedFile)), "'", `'\''`))
	for i, line := range a.Commands {
		fmt.Fprintf(&script, "_headrace_n=%d _headrace_c=%s\nprintf '%s$ %%s\\n' \"$_headrace_c\"\neval \"$_headrace_c\"\n", i+1, quote(line), mark)
	}
	if len(a.OutputVariables) > 0 {
		script.WriteString("{\n")
		for _, name := range a.OutputVariables {
			fmt.Fprintf(&script, "[ -z \"${%s+x}\" ] || printf '%s=%%s\\000' \"$%s\"\n", name, name, name)
		}
		fmt.Fprintf(&script, "} >%s\n", quote(filepath.Join(dir, variablesFile)))
	}
	if script.Len() <= maxArgument {
		return []string{"/bin/sh", "-e", "-c", script.String(), "sh"}, nil
	}
	if err := workspace.Root.WriteFile(scriptFile, []byte(script.String()), 0o600); err != nil {
		return nil, err
	}
	return []string{"/bin/sh", "-e", filepath.Join(dir, scriptFile)}, nil
}

// quote makes a word of a POSIX shell of any text.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

var errTooLong = errors.New("it is too long")

// readBounded reads a file that the shell wrote. The commands had the directory
// in hand: what they made of the file is never followed out of the directory, nor
// waited for.
func readBounded(root *os.Root, name string, limit int64) ([]byte, error) {
	raw, err := readStart(root, name, limit+1)
	if err == nil && int64(len(raw)) > limit {
		err = errTooLong
	}
	return raw, err
}

// readStart reads the first bytes of a file that the commands may have made.
func readStart(root *os.Root, name string, most int64) ([]byte, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file any more", name)
	}
	return io.ReadAll(io.LimitReader(file, most))
}

func signalName(number int) string {
	if name := unix.SignalName(syscall.Signal(number)); name != "" {
		return name
	}
	return "unknown"
}
