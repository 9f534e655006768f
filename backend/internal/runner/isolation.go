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
	IsolationNone       = action.IsolationNone
	IsolationBubblewrap = action.IsolationBubblewrap
	// IsolationUnavailable is the name where auto finds no isolation. It refuses commands.
	IsolationUnavailable = action.IsolationUnavailable
)

// Isolation is what keeps the processes of attempts from the machine they run
// on. The zero value is none: they run as the server's user and see what that
// user sees, other attempts and the server's data included.
type Isolation struct {
	// Detail says in a few words why it is what it is.
	Detail string
	bwrap  string
	// unavailable is set where an isolation is wanted and none works.
	unavailable bool
	// users tells that a user namespace works, without which root keeps more of
	// its power than bubblewrap takes away.
	users bool
	// private are paths that commands have no business in; Process.Visible may
	// uncover parts of them.
	private []string
	// programs are directories of PATH that lie in private.
	programs []string
	// sizes tells that this bubblewrap limits a tmpfs, as it does from version 0.7 on.
	sizes bool
}

// view is what the processes of an attempt see of the machine, beside what all see.
type view struct {
	// dir is the attempt's own directory.
	dir string
	// hidden are files and directories that are not there.
	hidden []string
	// writable are directories of the machine that can be written to.
	writable []string
}

// Where processes under bubblewrap find memory that programs share by name, and its size,
// which is Docker's too.
const (
	sharedMemory     = "/dev/shm"
	sharedMemorySize = "67108864"
)

// Name returns IsolationNone, IsolationBubblewrap or IsolationUnavailable.
func (i Isolation) Name() string {
	switch {
	case i.unavailable:
		return IsolationUnavailable
	case i.bwrap == "":
		return IsolationNone
	}
	return IsolationBubblewrap
}

// Detect returns the isolation of a mode. Auto is bubblewrap, and refuses commands where that
// does not work on this machine: only the mode none runs them without isolation. The mode
// bubblewrap is an error where it does not work.
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
		return Isolation{}, fmt.Errorf("isolation by bubblewrap does not work here: %w; install bubblewrap, allow unprivileged user namespaces, or set --isolation %s", err, IsolationNone)
	}
	return Isolation{Detail: fmt.Sprintf("bubblewrap does not work here: %v", err), unavailable: true}, nil
}

// probe runs a process under bubblewrap as attempts do.
func probe(ctx context.Context) (Isolation, error) {
	bwrap, err := exec.LookPath("bwrap")
	if err != nil {
		return Isolation{}, err
	}
	isolation := Isolation{Detail: bwrap, bwrap: bwrap, users: true, private: privatePaths(), sizes: true}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if dir = mountPath(dir); isBelow(dir, isolation.private) {
			isolation.programs = append(isolation.programs, dir)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// Root can do without user namespaces, where they are forbidden.
	for _, users := range []bool{true, false} {
		for _, sizes := range []bool{true, false} {
			isolation.users, isolation.sizes = users, sizes
			again := isolation.try(ctx)
			if again == nil {
				if !users {
					isolation.Detail += ", without user namespaces"
				}
				return isolation, nil
			}
			if err == nil {
				err = again
			}
		}
	}
	return isolation, err
}

func (i Isolation) try(ctx context.Context) error {
	options := i.options(view{}, action.Process{Dir: "/"})
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

// privatePaths returns the paths below which the server's user and the system keep
// secrets, and sockets of services that do what they are asked by that user, such
// as Docker's. Of the system they are those that only root can read, for a server
// that runs as root.
func privatePaths() []string {
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

// mountPath returns a path by which bubblewrap can mount there: it does not follow a
// symlink on the way, as to a home directory on another disk.
func mountPath(path string) string {
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
// read-only, without what is private and what is hidden, but with the attempt's
// directory, of which /tmp is a part, and what the operator opens; no other processes,
// no capabilities, no settings of the kernel to change. The network stays, since builds
// need it. Later mounts cover earlier ones: what is visible or writable uncovers what is
// private, never what is hidden. No memory can be filled that belongs to no process: what
// covers a directory is made read-only when all that is below it is there.
func (i Isolation) options(view view, process action.Process) []byte {
	argv := make([]string, 0, 128)
	argv = append(argv, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
	if i.users {
		argv = append(argv, "--unshare-user")
	}
	// Files in /proc/sys check for root by its user id, not by capabilities.
	argv = append(argv, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")
	covered := []string{"/dev"}
	temp := filepath.Join(view.dir, action.TempDir)
	if view.dir == "" {
		argv = append(argv, "--tmpfs", "/tmp")
		covered = append(covered, "/tmp")
	} else {
		argv = append(argv, "--bind", temp, "/tmp")
	}
	switch {
	case i.sizes:
		argv = append(argv, "--size", sharedMemorySize, "--tmpfs", sharedMemory)
	case view.dir != "":
		argv = append(argv, "--bind", temp, sharedMemory)
	}
	argv, covered = hidePaths(argv, covered, i.private)
	// Names are looked up as resolv.conf says, which often links into /run.
	if path, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil && isBelow(path, i.private) {
		argv = append(argv, "--ro-bind-try", path, path)
	}
	for _, path := range i.programs {
		argv = append(argv, "--ro-bind-try", path, path)
	}
	for _, path := range process.Visible {
		path = mountPath(path)
		argv = append(argv, "--ro-bind-try", path, path)
	}
	for _, path := range view.writable {
		argv = append(argv, "--bind-try", path, path)
		// Covers at and below it are not there any more. What is private below it stays so.
		below := func(cover string) bool { return isBelow(cover, []string{path}) }
		covered = slices.DeleteFunc(covered, func(cover string) bool { return cover == path || below(cover) })
		argv, covered = hidePaths(argv, covered, slices.DeleteFunc(slices.Clone(i.private), func(private string) bool { return !below(private) }))
	}
	argv, covered = hidePaths(argv, covered, view.hidden)
	if view.dir != "" {
		argv = append(argv, "--bind", view.dir, view.dir)
	}
	for _, path := range covered {
		argv = append(argv, "--remount-ro", path)
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

// hidePaths adds what hides files and directories, and returns the directories too. It
// looks at them each time: keys are renewed behind symlinks, and a mount on a path that is
// gone would fail.
func hidePaths(argv, covered, paths []string) (_, _ []string) {
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
			// What was covered below it is not there any more.
			covered = slices.DeleteFunc(covered, func(cover string) bool { return isBelow(cover, []string{target}) })
			argv, covered = append(argv, "--tmpfs", target), append(covered, target)
		case info.Mode().IsRegular():
			argv = append(argv, "--ro-bind", os.DevNull, target)
		}
	}
	return argv, covered
}
