package runner

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// The modes that Detect takes, and the names of isolations.
const (
	IsolationAuto       = "auto"
	IsolationNone       = "none"
	IsolationBubblewrap = "bubblewrap"
)

// Isolation is what keeps the processes of attempts from the machine they run
// on. The zero value is none: they run as the server's user and see what that
// user sees, other attempts and the server's data included.
type Isolation struct {
	// Detail says in a few words why it is what it is.
	Detail string
	bwrap  string
}

// Name returns IsolationNone or IsolationBubblewrap.
func (i Isolation) Name() string {
	if i.bwrap == "" {
		return IsolationNone
	}
	return IsolationBubblewrap
}

// Detect returns the isolation of a mode. Auto is bubblewrap where it works on
// this machine, else none; bubblewrap is an error where it does not work.
func Detect(ctx context.Context, mode string) (Isolation, error) {
	switch mode {
	case IsolationNone:
		return Isolation{Detail: "chosen by configuration"}, nil
	case IsolationAuto, IsolationBubblewrap:
	default:
		return Isolation{}, fmt.Errorf("isolation %q is not known; use %s, %s or %s", mode, IsolationAuto, IsolationBubblewrap, IsolationNone)
	}
	isolation, err := probe(ctx)
	if err == nil {
		return isolation, nil
	}
	if mode == IsolationBubblewrap {
		return Isolation{}, fmt.Errorf("isolation by bubblewrap does not work here: %w; install bubblewrap, allow unprivileged user namespaces, or choose %s", err, IsolationNone)
	}
	return Isolation{Detail: fmt.Sprintf("bubblewrap does not work here: %v", err)}, nil
}

// probe runs a process under bubblewrap as attempts do.
func probe(ctx context.Context) (Isolation, error) {
	bwrap, err := exec.LookPath("bwrap")
	if err != nil {
		return Isolation{}, err
	}
	isolation := Isolation{Detail: bwrap, bwrap: bwrap}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	argv := isolation.wrap("", nil, action.Process{Argv: []string{"/bin/sh", "-c", ":"}, Dir: "/"})
	output, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return Isolation{}, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(output)))
	}
	return isolation, nil
}

// wrap returns the arguments that run the process in its own view of the
// machine: the file system read-only, without /tmp and what is hidden, but with
// the attempt's directory; no other processes, no capabilities. The network
// stays, since builds need it. Later mounts cover earlier ones.
func (i Isolation) wrap(dir string, hidden []string, process action.Process) []string {
	argv := []string{
		i.bwrap, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--cap-drop", "ALL",
		"--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp",
	}
	for _, path := range process.Visible {
		argv = append(argv, "--ro-bind-try", path, path)
	}
	for _, path := range hidden {
		argv = append(argv, "--tmpfs", path)
	}
	if dir != "" {
		argv = append(argv, "--bind", dir, dir)
	}
	argv = append(argv, "--chdir", process.Dir, "--")
	return append(argv, process.Argv...)
}
