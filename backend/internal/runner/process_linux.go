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
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// attemptMarker names the attempt in the environment of its processes. The work
// directory alone would not: it may be another attempt's by now.
const attemptMarker = "HEADRACE_ATTEMPT_ID"

// marker is the environment variable that every process of an attempt gets. Its
// value is the attempt's work directory, so it also tells whose runner's process
// one is.
const marker = "HEADRACE_WORKSPACE"

const (
	outputBuffer = 64 << 10
	// drainTime is how long the output of killed processes may take to end.
	drainTime = 200 * time.Millisecond
	// slowKill is how long killed processes may take to end before the log says so.
	slowKill = 10 * time.Second
)

// processes starts the processes of one slot, one at a time. It does without
// os/exec because that costs two goroutines a process and cannot tell the end of
// a process from the end of its output.
type processes struct {
	workDir   string
	isolation Isolation
	view      view
	grace     time.Duration
	log       hclog.Logger
	null      *os.File
	// record holds the process group that the slot started last.
	record  *os.File
	loadavg *os.File
	// wake is an eventfd that ends the wait of copy.
	wake   int
	bootID string
	buffer []byte
	starts *atomic.Uint64
	// oomScore is what processes get, 0 if they inherit enough.
	oomScore string
	limits   processLimits

	attempt string
	hard    context.Context
	output  io.Writer
	ended   []string
}

func newProcesses(r *Runner, slot int) (_ *processes, err error) {
	p := &processes{
		workDir: r.config.WorkDir, isolation: r.config.Isolation, grace: r.config.StopGrace, log: r.config.Log,
		view:   view{hidden: append([]string{r.config.WorkDir}, r.config.Hidden...), writable: r.config.Writable},
		buffer: make([]byte, outputBuffer), wake: -1, starts: &r.starts, oomScore: ownOOMScore(),
		limits: r.limits,
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.bootID, err = readBootID(); err != nil {
		return nil, err
	}
	if p.null, err = os.Open(os.DevNull); err != nil {
		return nil, err
	}
	if p.loadavg, err = os.Open("/proc/loadavg"); err != nil {
		return nil, err
	}
	if p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	p.record, err = os.OpenFile(filepath.Join(r.config.WorkDir, control, "slot-"+strconv.Itoa(slot)), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	return p, err
}

func (p *processes) close() {
	for _, file := range []*os.File{p.null, p.record, p.loadavg} {
		_ = file.Close()
	}
	if p.wake >= 0 {
		_ = unix.Close(p.wake)
	}
}

// ownOOMScore returns the score to write for processes, empty if they inherit one that is
// not lower.
func ownOOMScore() string {
	raw, err := os.ReadFile("/proc/self/oom_score_adj")
	if own, convErr := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil && convErr == nil && own >= oomScore {
		return ""
	}
	return strconv.Itoa(oomScore)
}

// begin says whose processes come next. Hard is the context at whose end they are killed
// without a warning; output takes what the user shall read of their end.
func (p *processes) begin(hard context.Context, attempt, dir string, output io.Writer) {
	p.hard, p.attempt, p.view.dir, p.output, p.ended = hard, attempt, dir, output, nil
}

// gate returns the beginning of a shell script of a Process that is gated.
func (p *processes) gate() string {
	if p.isolation.bwrap != "" {
		return "echo >&4; read -r _headrace_n <&4 || :; exec 4>&-\n"
	}
	return "read -r _headrace_n <&3 || :; exec 3<&-\n"
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
	process.Env = append(process.Env[:len(process.Env):len(process.Env)], marker+"="+p.view.dir, attemptMarker+"="+p.attempt)
	start := command{program: program, argv: process.Argv, dir: process.Dir, env: process.Env, options: -1, optionsTo: -1}
	if p.isolation.bwrap != "" {
		if start, err = p.isolate(process); err != nil {
			return 0, fmt.Errorf("start process: %w", err)
		}
		defer start.close()
	}
	outputs, err := openOutputs(process.Stdout, process.Stderr, p.null)
	if err != nil {
		return 0, fmt.Errorf("start process: %w", err)
	}
	defer outputs.close()
	gate := gate{ours: -1, theirs: -1}
	if process.Gated {
		if gate, err = openGate(p.isolation.bwrap != ""); err != nil {
			outputs.closeChildEnds()
			return 0, fmt.Errorf("start process: %w", err)
		}
	}
	defer gate.close()

	f := &family{
		mark: newMark(p.workDir, p.starts.Add(1)), isolated: p.isolation.bwrap != "", grace: p.grace, loadavg: p.loadavg, wake: p.wake,
		started: time.Now(), variable: marker + "=" + p.view.dir,
	}
	before := bootTime()
	files := []uintptr{p.null.Fd(), outputs.stdout, outputs.stderr}
	if start.options >= 0 {
		files = append(files, uintptr(start.options))
	}
	if gate.theirs >= 0 {
		files = append(files, uintptr(gate.theirs))
	}
	f.leader, err = syscall.ForkExec(start.program, start.argv, &syscall.ProcAttr{
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
			PidFD:     &f.pidfd,
		},
	})
	outputs.closeChildEnds()
	gate.closeChildEnd()
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", process.Argv[0], err)
	}
	if !process.Trusted {
		// Before bubblewrap makes the user namespace, which keeps this limit for all that is in it.
		limitProcesses(f.leader, p.limits.user)
	}
	start.giveOptions()
	// Under bubblewrap it is only when the shell has the mark.
	f.exact = f.mark.set(f.leader) == nil && process.Gated && !f.isolated
	if !f.isolated || !process.Gated {
		p.scoreOOM(f.leader)
	}
	p.remember(f.leader, before)
	stop := context.AfterFunc(ctx, func() {
		if p.hard.Err() != nil {
			f.kill()
			return
		}
		f.stop()
	})
	defer stop()
	stopHard := context.AfterFunc(p.hard, func() {
		if errors.Is(context.Cause(p.hard), errStopped) {
			// The last part of the runner's grace is the grace of the processes.
			f.expire()
		}
		f.kill()
	})
	defer stopHard()

	shell, begun := -1, true
	switch {
	case !process.Gated:
	case !f.isolated:
		gate.open()
	case outputs.copy(p.buffer, -1, f.pidfd, gate.ours) == gate.ours && gate.reached():
		shell = p.holdShell(f)
		defer func() { closeFD(shell) }()
		gate.open()
	default:
		begun = false
	}
	p.await(ctx, f, outputs, shell)
	status := f.reap()
	outputs.copy(p.buffer, drainTime)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if !begun {
		// It had no processes or no memory left, for instance. What it printed is in the log.
		return 0, fmt.Errorf("bubblewrap ended with %d before it started %s", status.ExitStatus(), process.Argv[0])
	}
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// holdShell prepares the processes under bubblewrap before the first command, and returns
// the handle of the shell, or -1 if bubblewrap could not be held.
func (p *processes) holdShell(f *family) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase != running || !f.hold() {
		return -1
	}
	p.scoreOOM(f.shell)
	limitProcesses(f.init, p.limits.action)
	limitProcesses(f.shell, p.limits.action)
	f.exact = errors.Join(f.mark.set(f.init), f.mark.set(f.shell)) == nil
	handle, err := unix.PidfdOpen(f.shell, 0)
	if err != nil {
		_ = syscall.Kill(f.leader, syscall.SIGCONT)
		return -1
	}
	return handle
}

func (p *processes) scoreOOM(pid int) {
	if p.oomScore == "" {
		return
	}
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // It has ended.
	}
	_, _ = unix.Write(fd, []byte(p.oomScore))
	_ = unix.Close(fd)
}

// await copies the output until every process has ended, by itself or otherwise. Shell is the
// handle of the shell inside bubblewrap, which is held, or -1.
func (p *processes) await(ctx context.Context, f *family, outputs *outputs, shell int) {
	first := f.pidfd
	if shell >= 0 {
		first = shell
	}
	if outputs.copy(p.buffer, -1, first, p.wake) == first && f.finish() {
		switch {
		case shell >= 0:
			p.nameBackground(f)
			_ = syscall.Kill(f.leader, syscall.SIGCONT)
			outputs.copy(p.buffer, -1, f.pidfd)
		case f.isolated:
			// With bubblewrap all others are about to end.
		case !p.nameBackground(f):
			return
		}
		f.kill()
	}
	if f.now() == stopping {
		p.say("%v: sent SIGTERM to its processes, SIGKILL follows in %s", context.Cause(ctx), p.grace)
	}
	p.awaitAll(f, outputs)
	if late, names := f.overdue(); late > 0 {
		p.say("its processes did not end within %s and were killed%s", late, listed(names))
	}
	// It would wake the next.
	p.drainWake()
}

// nameBackground says which processes still run after the last command, and tells whether
// there are any.
func (p *processes) nameBackground(f *family) bool {
	members := f.members()
	closeAll(members)
	names := f.names(members)
	if len(names) > 0 {
		p.ended = append(p.ended, names...)
		p.say("%s", endedBackground(names))
	}
	return len(members) > 0
}

// endedBackground says which processes were ended since the commands were done.
func endedBackground(names []string) string {
	if len(names) == 1 {
		return "ended 1 background process" + listed(names)
	}
	return fmt.Sprintf("ended %d background processes%s", len(names), listed(names))
}

// listed returns the first of some names, after a colon.
func listed(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ": " + firstOf(names)
}

// awaitAll returns when all processes have ended. While they may, it waits; from when they
// are killed it kills what turns up.
func (p *processes) awaitAll(f *family, outputs *outputs) {
	// Programs that became another user's, as with sudo, cannot be killed.
	foreign := make(map[int]bool)
	for waited := false; ; {
		p.drainWake()
		killed := f.now() >= killing
		members := f.members()
		watch := []int{p.wake}
		// While bubblewrap is held it does not end.
		if (killed || !f.isolated) && !hasEnded(f.pidfd) {
			watch = append(watch, f.pidfd)
		}
		for _, m := range members {
			if killed && errors.Is(unix.PidfdSendSignal(m.handle, unix.SIGKILL, nil, 0), unix.EPERM) {
				foreign[m.pid] = true
			}
			if !foreign[m.pid] && len(watch) < mostWatched {
				watch = append(watch, m.handle)
			}
		}
		switch {
		case len(watch) > 1:
			limit := time.Duration(-1)
			if killed && !waited {
				limit = slowKill
			}
			if outputs.copy(p.buffer, limit, watch...) < 0 && !waited {
				waited = true
				p.log.Warn("Processes of an attempt were killed and have not ended; its slot stays taken", "attempt", p.attempt, "processes", f.names(members))
			}
		case killed || !f.isolated:
			closeAll(members)
			return
		default:
			f.kill()
		}
		closeAll(members)
	}
}

// drainWake forgets what woke the slot.
func (p *processes) drainWake() {
	var count [8]byte
	_, _ = unix.Read(p.wake, count[:])
}

// say adds a line of the runner to the log of the action.
func (p *processes) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.output, "\n--- "+format+" ---\n", args...)
}

// gate lets a shell begin when the runner is ready for it.
type gate struct{ ours, theirs int }

// openGate returns a gate by which, where both is set, the shell also says that it is there.
func openGate(both bool) (gate, error) {
	var ends [2]int
	var err error
	if both {
		ends, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	} else {
		err = syscall.Pipe2(ends[:], syscall.O_CLOEXEC)
	}
	return gate{theirs: ends[0], ours: ends[1]}, err
}

// reached tells whether the shell is at the gate, which can be read: from a shell that waits
// comes a byte, and from a bubblewrap that ended only the end of the socket.
func (g *gate) reached() bool {
	var said [1]byte
	for {
		n, err := syscall.Read(g.ours, said[:])
		if !errors.Is(err, syscall.EINTR) {
			return n > 0
		}
	}
}

// open lets the shell begin.
func (g *gate) open() {
	_, _ = syscall.Write(g.ours, []byte("\n"))
	g.close()
}

func (g *gate) closeChildEnd() {
	closeFD(g.theirs)
	g.theirs = -1
}

func (g *gate) close() {
	closeFD(g.ours)
	g.ours = -1
	g.closeChildEnd()
}

func closeFD(fd int) {
	if fd >= 0 {
		_ = syscall.Close(fd)
	}
}

// command is what to execute.
type command struct {
	program string
	argv    []string
	dir     string
	env     []string
	// options and optionsTo are the ends of the pipe that bubblewrap reads its options from, or
	// -1, and text is the options.
	options, optionsTo int
	text               []byte
}

// giveOptions lets bubblewrap begin, once it was started.
func (c *command) giveOptions() {
	closeFD(c.options)
	c.options = -1
	for left := c.text; len(left) > 0; {
		n, err := syscall.Write(c.optionsTo, left)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			break // It has ended, and its output says why.
		}
		left = left[max(n, 0):]
	}
	c.close()
}

func (c *command) close() {
	closeFD(c.options)
	closeFD(c.optionsTo)
	c.options, c.optionsTo = -1, -1
}

// isolate returns what runs the process under bubblewrap. The caller closes it.
func (p *processes) isolate(process action.Process) (command, error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return command{}, fmt.Errorf("hand over the options of bubblewrap: %w", err)
	}
	// From outside no directory of the attempt is entered, which may have become
	// a symlink.
	return command{
		program: p.isolation.bwrap, argv: p.isolation.command(process.Argv), dir: "/",
		options: ends[0], optionsTo: ends[1], text: p.isolation.options(p.view, process),
	}, nil
}

// remember writes down what was started, for the next runner should this one be
// killed. It costs one write; the process's start time is left to be compared.
func (p *processes) remember(pid int, before time.Duration) {
	line := fmt.Sprintf("%s %d %d %d %s", p.bootID, pid, before, bootTime(), p.attempt)
	// Padded, so that nothing of a longer line before stays.
	_, _ = p.record.WriteAt([]byte(line+strings.Repeat(" ", max(1, 255-len(line)))+"\n"), 0)
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

// copy hands on what the process writes, in the calling goroutine. With files to watch it
// returns the first that can be read, such as the handle of a process that ended, which may
// leave output to copy; without, it returns -1 when all pipes ended. It also returns -1 when
// the time has passed; a negative time sets no limit.
func (o *outputs) copy(buffer []byte, limit time.Duration, watch ...int) int {
	deadline := time.Now().Add(limit)
	var array [8]unix.PollFd
	for len(watch) > 0 || len(o.pipes) > 0 {
		wait := -1
		if limit >= 0 {
			left := time.Until(deadline)
			if left <= 0 {
				return -1
			}
			wait = int(left.Milliseconds()) + 1
		}
		fds := array[:0]
		for _, pipe := range o.pipes {
			fds = append(fds, unix.PollFd{Fd: int32(pipe.fd), Events: unix.POLLIN})
		}
		for _, fd := range watch {
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
		if _, err := unix.Poll(fds, wait); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return -1
		}
		for i, fd := range watch {
			if fds[len(o.pipes)+i].Revents != 0 {
				return fd
			}
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
	return -1
}

// hasEnded tells whether the process of a handle has ended.
func hasEnded(handle int) bool {
	fds := []unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
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
