package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
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
	// users tells that a user namespace works, without which root keeps more of
	// its power than bubblewrap takes away.
	users bool
	// private are paths that commands have no business in; Process.Visible may
	// uncover parts of them.
	private []string
	// programs are directories of PATH that lie in private.
	programs []string
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
	isolation := Isolation{Detail: bwrap, bwrap: bwrap, users: true, private: private()}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if dir = place(dir); isBelow(dir, isolation.private) {
			isolation.programs = append(isolation.programs, dir)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = isolation.try(ctx)
	if err != nil {
		// Root can do without, where user namespaces are forbidden.
		isolation.users = false
		if isolation.try(ctx) == nil {
			isolation.Detail += ", without user namespaces"
			return isolation, nil
		}
	}
	return isolation, err
}

func (i Isolation) try(ctx context.Context) error {
	options := i.options("", nil, action.Process{Dir: "/"})
	argv := i.command([]string{"/bin/sh", "-c", ":"})
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{reader}
	// It is far less than what a pipe holds.
	_, err = writer.Write(options)
	err = errors.Join(err, writer.Close())
	if err == nil {
		var output []byte
		if output, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(output)))
		}
	}
	return errors.Join(err, reader.Close())
}

// private returns the paths below which the server's user and the system keep
// secrets, and sockets of services that do what they are asked by that user, such
// as Docker's. Of the system they are those that only root can read, for a server
// that runs as root.
func private() []string {
	paths := []string{"/run", "/var/run", "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-"}
	// The pattern is well formed, which is the only error there is.
	hostKeys, _ := filepath.Glob("/etc/ssh/*_key")
	paths = append(paths, hostKeys...)
	if home, err := os.UserHomeDir(); err == nil {
		paths = append(paths, home)
	}
	if current, err := user.Current(); err == nil {
		paths = append(paths, current.HomeDir)
	}
	for i, path := range paths {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			paths[i] = target
		}
	}
	slices.Sort(paths)
	// The home of some service users is the root directory.
	return slices.DeleteFunc(slices.Compact(paths), func(path string) bool { return !filepath.IsAbs(path) || filepath.Clean(path) == "/" })
}

// place returns a path by which bubblewrap can mount there: it does not follow a
// symlink on the way, as to a home directory on another disk.
func place(path string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return path
	}
	return filepath.Join(dir, filepath.Base(path))
}

func isBelow(path string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		return strings.HasPrefix(filepath.Clean(path), dir+string(filepath.Separator))
	})
}

// optionsFD is the file that bubblewrap reads its options from.
const optionsFD = "3"

// command returns the arguments of bubblewrap, which must have what options
// returned in optionsFD and an empty environment: a variable such as LD_PRELOAD
// would act in bubblewrap itself, before it isolates anything. Options are in a
// file since everybody on the machine can read arguments.
func (i Isolation) command(argv []string) []string {
	return append([]string{i.bwrap, "--args", optionsFD, "--"}, argv...)
}

// options describes the process's own view of the machine: the file system
// read-only, without /tmp, what is private and what is hidden, but with the
// attempt's directory; no other processes, no capabilities, no settings of the
// kernel to change. The network stays, since builds need it. Later mounts cover
// earlier ones: what is visible uncovers what is private, never what is hidden.
func (i Isolation) options(dir string, hidden []string, process action.Process) []byte {
	argv := make([]string, 0, 128)
	argv = append(argv, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--cap-drop", "ALL")
	if i.users {
		argv = append(argv, "--unshare-user")
	}
	// Files in /proc/sys check for root by its user id, not by capabilities.
	argv = append(argv, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--tmpfs", "/tmp")
	argv = cover(argv, i.private)
	// Names are looked up as resolv.conf says, which often links into /run.
	if path, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil && isBelow(path, i.private) {
		argv = append(argv, "--ro-bind-try", path, path)
	}
	for _, path := range i.programs {
		argv = append(argv, "--ro-bind-try", path, path)
	}
	for _, path := range process.Visible {
		path = place(path)
		argv = append(argv, "--ro-bind-try", path, path)
	}
	argv = cover(argv, hidden)
	if dir != "" {
		argv = append(argv, "--bind", dir, dir)
	}
	for _, variable := range process.Env {
		name, value, _ := strings.Cut(variable, "=")
		argv = append(argv, "--setenv", name, value)
	}
	argv = append(argv, "--chdir", process.Dir)
	var options bytes.Buffer
	for _, arg := range argv {
		options.WriteString(arg)
		options.WriteByte(0)
	}
	return options.Bytes()
}

// cover adds what hides files and directories. It looks at them each time: keys
// are renewed behind symlinks, and a mount on a path that is gone would fail.
func cover(argv, paths []string) []string {
	for _, path := range paths {
		// What the server's user cannot reach, its processes cannot either.
		target, err := filepath.EvalSymlinks(path)
		if err != nil {
			continue
		}
		info, err := os.Lstat(target)
		switch {
		case err != nil:
		case info.IsDir():
			argv = append(argv, "--tmpfs", target)
		case info.Mode().IsRegular():
			argv = append(argv, "--ro-bind", os.DevNull, target)
		}
	}
	return argv
}
