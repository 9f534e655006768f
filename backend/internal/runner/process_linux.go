package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// marker is the environment variable that every process of an attempt gets. Its
// value is the attempt's work directory, so it also tells whose runner's process
// one is.
const marker = "HEADRACE_WORKSPACE"

const (
	outputBuffer = 64 << 10
	// drainTime is how long the output of killed processes may take to end.
	drainTime = 200 * time.Millisecond
)

// processes starts the processes of one slot, one at a time. It does without
// os/exec because that costs two goroutines a process and cannot tell the end of
// a process from the end of its output.
type processes struct {
	workDir   string
	isolation Isolation
	hidden    []string
	null      *os.File
	// record holds the process group that the slot started last.
	record *os.File
	bootID string
	buffer []byte

	attempt string
	dir     string
}

func newProcesses(r *Runner, slot int) (*processes, error) {
	bootID, err := readBootID()
	if err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	record, err := os.OpenFile(filepath.Join(r.WorkDir, control, "slot-"+strconv.Itoa(slot)), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		_ = null.Close()
		return nil, err
	}
	return &processes{
		workDir: r.WorkDir, isolation: r.Isolation, hidden: append([]string{r.WorkDir}, r.Hidden...),
		null: null, record: record, bootID: bootID, buffer: make([]byte, outputBuffer),
	}, nil
}

func (p *processes) close() {
	_ = p.null.Close()
	_ = p.record.Close()
}

// begin says whose processes come next.
func (p *processes) begin(attempt, dir string) {
	p.attempt, p.dir = attempt, dir
}

// run is the action.ProcessFunc of the slot.
func (p *processes) run(ctx context.Context, process action.Process) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if len(process.Argv) == 0 {
		return 0, errors.New("start process: no program given")
	}
	// Under isolation it is looked up too, to tell a program that is missing.
	program, err := exec.LookPath(process.Argv[0])
	if err != nil {
		return 0, fmt.Errorf("start process: %w", err)
	}
	process.Env = append(process.Env[:len(process.Env):len(process.Env)], marker+"="+p.dir, attemptMarker+"="+p.attempt)
	start := command{program: program, argv: process.Argv, dir: process.Dir, env: process.Env, options: -1}
	if p.isolation.bwrap != "" {
		if start, err = p.isolate(process); err != nil {
			return 0, fmt.Errorf("start process: %w", err)
		}
		defer func() { _ = syscall.Close(start.options) }()
	}
	outputs, err := openOutputs(process.Stdout, process.Stderr, p.null)
	if err != nil {
		return 0, fmt.Errorf("start process: %w", err)
	}
	defer outputs.close()

	pidfd := -1
	before := bootTime()
	files := []uintptr{p.null.Fd(), outputs.stdout, outputs.stderr}
	if start.options >= 0 {
		files = append(files, uintptr(start.options))
	}
	pid, err := syscall.ForkExec(start.program, start.argv, &syscall.ProcAttr{
		Dir:   start.dir,
		Env:   start.env,
		Files: files,
		Sys: &syscall.SysProcAttr{
			// A session is a process group too, and it has no terminal that a
			// command could read from or type into.
			Setsid: true,
			// The kernel sends it when the thread that forked ends. Go ends no
			// thread that a goroutine is not locked to.
			Pdeathsig: syscall.SIGKILL,
			PidFD:     &pidfd,
		},
	})
	outputs.closeChildEnds()
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", process.Argv[0], err)
	}
	g := &group{pid: pid, pidfd: pidfd}
	p.remember(pid, before)
	stop := context.AfterFunc(ctx, g.kill)
	defer stop()

	outputs.copy(pidfd, p.buffer, -1)
	// The leader has ended. It is not reaped yet, so the group's id cannot have
	// become another's.
	g.kill()
	if ctx.Err() != nil || !outputs.copy(-1, p.buffer, drainTime) {
		// Something left the group and keeps the output open, or may have left
		// it in an attempt that must end. Looking for it is too slow to do always.
		if err := killMarked(p.dir); err != nil {
			return 0, err
		}
		outputs.copy(-1, p.buffer, drainTime)
	}
	status := g.reap()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// command is what to execute.
type command struct {
	program string
	argv    []string
	dir     string
	env     []string
	// options is the file descriptor of bubblewrap's options, or -1.
	options int
}

// isolate returns what runs the process under bubblewrap. The caller closes the
// options.
func (p *processes) isolate(process action.Process) (command, error) {
	fd, err := unix.MemfdCreate("bubblewrap-options", unix.MFD_CLOEXEC)
	if err != nil {
		return command{}, fmt.Errorf("keep the options of bubblewrap: %w", err)
	}
	// It reads from the beginning, where this leaves the file.
	if _, err := unix.Pwrite(fd, p.isolation.options(p.dir, p.hidden, process), 0); err != nil {
		_ = syscall.Close(fd)
		return command{}, fmt.Errorf("keep the options of bubblewrap: %w", err)
	}
	// From outside no directory of the attempt is entered, which may have become
	// a symlink.
	return command{program: p.isolation.bwrap, argv: p.isolation.command(process.Argv), dir: "/", options: fd}, nil
}

// remember writes down what was started, for the next runner should this one be
// killed. It costs one write; the process's start time is left to be compared.
func (p *processes) remember(pid int, before time.Duration) {
	line := fmt.Sprintf("%s %d %d %d %s", p.bootID, pid, before, bootTime(), p.attempt)
	// Padded, so that nothing of a longer line before stays.
	_, _ = p.record.WriteAt([]byte(line+strings.Repeat(" ", max(1, 255-len(line)))+"\n"), 0)
}

// group is a process group that the runner started.
type group struct {
	pid, pidfd int
	mu         sync.Mutex
	reaped     bool
}

func (g *group) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.reaped {
		_ = syscall.Kill(-g.pid, syscall.SIGKILL)
	}
}

func (g *group) reap() syscall.WaitStatus {
	var status syscall.WaitStatus
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		if _, err := syscall.Wait4(g.pid, &status, 0, nil); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	g.reaped = true
	_ = syscall.Close(g.pidfd)
	return status
}

// outputs are the pipes that a process writes to.
type outputs struct {
	stdout, stderr uintptr
	// ends are the child's ends, open until it has them.
	ends  []int
	pipes []pipe
}

type pipe struct {
	fd int
	to io.Writer
}

func openOutputs(stdout, stderr io.Writer, null *os.File) (*outputs, error) {
	o := &outputs{stdout: null.Fd(), stderr: null.Fd()}
	var err error
	if stdout != nil {
		if o.stdout, err = o.open(stdout); err != nil {
			return nil, err
		}
	}
	switch stderr {
	case nil:
	case stdout:
		o.stderr = o.stdout
	default:
		if o.stderr, err = o.open(stderr); err != nil {
			o.closeChildEnds()
			o.close()
			return nil, err
		}
	}
	return o, nil
}

func (o *outputs) open(to io.Writer) (uintptr, error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return 0, err
	}
	o.pipes = append(o.pipes, pipe{ends[0], to})
	o.ends = append(o.ends, ends[1])
	return uintptr(ends[1]), nil
}

func (o *outputs) closeChildEnds() {
	for _, fd := range o.ends {
		_ = syscall.Close(fd)
	}
	o.ends = nil
}

func (o *outputs) close() {
	for _, pipe := range o.pipes {
		_ = syscall.Close(pipe.fd)
	}
	o.pipes = nil
}

// copy hands on what the process writes, in the calling goroutine. With a pidfd
// it returns when that process has ended, which may leave output to copy; without,
// when all pipes ended (true) or the time is over (false). A negative time has no
// end.
func (o *outputs) copy(pidfd int, buffer []byte, limit time.Duration) (ended bool) {
	deadline := time.Now().Add(limit)
	for pidfd >= 0 || len(o.pipes) > 0 {
		wait := -1
		if limit >= 0 {
			left := time.Until(deadline)
			if left <= 0 {
				return false
			}
			wait = int(left.Milliseconds()) + 1
		}
		var array [3]unix.PollFd
		fds := array[:0]
		for _, pipe := range o.pipes {
			fds = append(fds, unix.PollFd{Fd: int32(pipe.fd), Events: unix.POLLIN})
		}
		if pidfd >= 0 {
			fds = append(fds, unix.PollFd{Fd: int32(pidfd), Events: unix.POLLIN})
		}
		if _, err := unix.Poll(fds, wait); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return false
		}
		if pidfd >= 0 && fds[len(fds)-1].Revents != 0 {
			return false
		}
		open := o.pipes[:0]
		for i, pipe := range o.pipes {
			if fds[i].Revents == 0 || pipe.read(buffer) {
				open = append(open, pipe)
				continue
			}
			_ = syscall.Close(pipe.fd)
		}
		o.pipes = open
	}
	return true
}

// read copies what is in the pipe, and returns false at its end. An error of the
// writer is its owner's business: the process goes on.
func (p pipe) read(buffer []byte) bool {
	for {
		n, err := syscall.Read(p.fd, buffer)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return false
		}
		_, _ = p.to.Write(buffer[:n])
		return true
	}
}

// bootTime returns the time since the machine started, the clock that the kernel
// notes the start of processes by.
func bootTime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

func readBootID() (string, error) {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("identify this boot of the machine: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}
