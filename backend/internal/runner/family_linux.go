package runner

import (
	"errors"
	"hash/fnv"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// mark identifies the processes of one start. It is their RLIMIT_RTTIME, which a program
// inherits whatever it does to its environment, its session and its parents. It limits
// nothing: the value is more than a hundred thousand years, and only processes with
// real-time scheduling have this limit at all.
type mark uint64

// Bit 62 says that it is one, then follow 32 bits of the work directory and 28 that count.
const (
	markBit     mark = 1 << 62
	markCounter mark = 1<<28 - 1
)

// newMark returns the mark of the nth start in a work directory.
func newMark(workDir string, n uint64) mark {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(workDir))
	return markBit | mark(hash.Sum32())<<28 | mark(n)&markCounter
}

// from tells whether a runner with that work directory set the mark.
func (m mark) from(workDir string) bool {
	return m&^markCounter == newMark(workDir, 0)
}

// set gives the mark to a process. What it starts from then on inherits it.
func (m mark) set(pid int) error {
	limit := unix.Rlimit{Cur: uint64(m), Max: uint64(m)}
	return unix.Prlimit(pid, unix.RLIMIT_RTTIME, &limit, nil)
}

// markOf returns the mark of a process, 0 if there is none.
func markOf(pid int) mark {
	var limit unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_RTTIME, nil, &limit) != nil || mark(limit.Max)>>62 != 1 {
		return 0
	}
	return mark(limit.Max)
}

const (
	// oomScore makes the kernel choose processes of actions when memory is short, and not
	// the server: like half of the memory on top of what they use.
	oomScore = 500
	// recent bounds how long after its start the processes that a leader started are looked
	// for among the ids after its own. Later, ids may have been used up and begun anew.
	recent = 500 * time.Millisecond
	// fewIDs is how many ids are looked at one by one.
	fewIDs = 256
	// mostWatched is how many processes are waited for at once.
	mostWatched = 128
)

// family is the program that the runner started, the leader, and every process that comes
// from it, wherever that goes.
type family struct {
	leader, pidfd int
	mark          mark
	// variable is in the environment of every process that did not clear it.
	variable string
	// exact is set if the mark was there before the first command, so that every process of
	// the family but the leader has it.
	exact    bool
	isolated bool
	started  time.Time
	grace    time.Duration
	// loadavg is /proc/loadavg, which ends with the id that was given last.
	loadavg *os.File
	// wake makes the slot look at what stop did.
	wake int

	mu    sync.Mutex
	phase phase
	// init is the first process inside bubblewrap, shell the one that it runs, and group the
	// process group of both; 0 if they are not known.
	init, shell, group int
	timer              *time.Timer
	// warned is when SIGTERM was sent.
	warned time.Time
	// late is how long processes had that did not end in the grace, 0 if all did, and killed
	// are the names of those that are known by one.
	late   time.Duration
	killed []string
}

// phase is how far a family is.
type phase int

const (
	running phase = iota
	// stopping: SIGTERM was sent.
	stopping
	// ending: the leader, or the shell, ended by itself.
	ending
	// killing: SIGKILL was sent, and is sent to what appears.
	killing
	// reaped: the id of the leader may be another's.
	reaped
)

// member is a living process of a family. Its handle keeps its id from being another's.
type member struct {
	stat
	pid, handle int
}

func closeAll(members []member) {
	for _, m := range members {
		_ = unix.Close(m.handle)
	}
}

// members returns the living processes beside the leader. The caller closes them.
func (f *family) members() []member {
	pids, ok := f.recentIDs()
	if !ok {
		// Without /proc nothing could be found at all.
		pids, _ = allProcesses()
	}
	slices.Sort(pids)
	var members []member
	family := map[int]bool{f.leader: true}
	for _, pid := range pids {
		if pid == f.leader || !f.maybe(pid) {
			continue
		}
		// An id that is a thread's has no handle.
		handle, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		s, ok := readStat(pid)
		if !ok || !f.has(pid, s, family) || hasEnded(handle) {
			_ = unix.Close(handle)
			continue
		}
		family[pid] = true
		members = append(members, member{stat: s, pid: pid, handle: handle})
	}
	return members
}

// maybe tells quickly of most processes that they are not of the family.
func (f *family) maybe(pid int) bool {
	marked := markOf(pid)
	return marked == f.mark || marked == 0 && !f.exact && pid != os.Getpid()
}

// has tells whether a process is of the family. One that was started before there was a mark
// is in the session, or has a parent in the family, or the marker in its environment.
func (f *family) has(pid int, s stat, family map[int]bool) bool {
	return markOf(pid) == f.mark || !f.exact && (s.session == f.leader || family[s.parent] ||
		hasVariable(pid, func(variable string) bool { return variable == f.variable }))
}

// recentIDs returns the ids that were given since the leader got its own, if these are few:
// to look at all processes takes longer than a short action.
func (f *family) recentIDs() ([]int, bool) {
	if time.Since(f.started) > recent {
		return nil, false
	}
	var line [128]byte
	n, err := unix.Pread(int(f.loadavg.Fd()), line[:], 0)
	if err != nil {
		return nil, false
	}
	text := strings.TrimSpace(string(line[:n]))
	last, err := strconv.Atoi(text[strings.LastIndexByte(text, ' ')+1:])
	if err != nil || last < f.leader || last-f.leader > fewIDs {
		return nil, false
	}
	pids := make([]int, last-f.leader)
	for i := range pids {
		pids[i] = f.leader + 1 + i
	}
	return pids, true
}

// hold finds the processes inside bubblewrap and stops bubblewrap's own process outside,
// which would end with the shell and take all others with it. Nothing but it is stopped.
func (f *family) hold() bool {
	members := f.members()
	defer closeAll(members)
	for _, m := range members {
		switch {
		case m.parent == f.leader:
			f.init = m.pid
		case f.init != 0 && m.parent == f.init:
			f.shell, f.group = m.pid, m.group
		}
	}
	// A group that bubblewrap itself is in would take the signals for the others.
	return f.shell != 0 && f.group != f.leader && syscall.Kill(f.leader, syscall.SIGSTOP) == nil
}

// stop asks every process to end, and kills what is left after the grace.
func (f *family) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase != running {
		return
	}
	// Under bubblewrap there may be nothing yet that could be asked.
	if f.grace <= 0 || f.isolated && f.shell == 0 && !f.hold() {
		f.killLocked()
		return
	}
	f.phase, f.warned = stopping, time.Now()
	group := f.leader
	if f.isolated {
		group = f.group
	}
	// A group gets it as a whole, also a process that is being forked. Init is in it, which a
	// signal without a handler does not end.
	_ = syscall.Kill(-group, syscall.SIGTERM)
	members := f.members()
	for _, m := range members {
		if m.group != group && m.pid != f.init {
			_ = unix.PidfdSendSignal(m.handle, unix.SIGTERM, nil, 0)
		}
	}
	closeAll(members)
	f.timer = time.AfterFunc(f.grace, f.expire)
	f.wakeSlot()
}

// kill ends every process at once.
func (f *family) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase < killing {
		f.killLocked()
	}
}

// expire kills what did not end in the grace. A runner that stops may end it early.
func (f *family) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase != stopping {
		return
	}
	members := f.members()
	late := members
	if s, ok := readStat(f.leader); ok && !f.isolated && !hasEnded(f.pidfd) {
		late = append(slices.Clone(members), member{stat: s, pid: f.leader})
	}
	// The timer of the runner may fire before the grace has passed here, so this is the time that they had.
	f.late, f.killed = min(f.grace, time.Since(f.warned).Round(100*time.Millisecond)), f.names(late)
	closeAll(members)
	f.killLocked()
}

// overdue returns how long processes had that did not end in the grace, 0 if all did, and
// which these are.
func (f *family) overdue() (time.Duration, []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.late, f.killed
}

func (f *family) killLocked() {
	f.phase = killing
	_ = syscall.Kill(-f.leader, syscall.SIGKILL)
	members := f.members()
	for _, m := range members {
		_ = unix.PidfdSendSignal(m.handle, unix.SIGKILL, nil, 0)
	}
	closeAll(members)
	f.wakeSlot()
}

// wakeSlot lets the slot go on that waits for the family. The write fails only if it is
// awake already.
func (f *family) wakeSlot() {
	_, _ = unix.Write(f.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// now returns the phase.
func (f *family) now() phase {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.phase
}

// names returns what the programs of the commands are called, sorted.
func (f *family) names(members []member) []string {
	var names []string
	for _, m := range members {
		// Programs choose their names, and may choose line ends.
		if m.pid != f.init {
			names = append(names, strings.Map(printable, m.name))
		}
	}
	slices.Sort(names)
	return names
}

func printable(r rune) rune {
	if strconv.IsPrint(r) {
		return r
	}
	return '?'
}

// finish tells whether the end of the leader, or the shell, counts: neither stop nor kill
// was faster. From then on stop does nothing.
func (f *family) finish() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase != running {
		return false
	}
	f.phase = ending
	return true
}

// reap returns how the leader ended. From then on nothing is sent to it.
func (f *family) reap() syscall.WaitStatus {
	var status syscall.WaitStatus
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
	}
	_ = syscall.Kill(-f.leader, syscall.SIGKILL)
	for {
		if _, err := syscall.Wait4(f.leader, &status, 0, nil); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	f.phase = reaped
	_ = syscall.Close(f.pidfd)
	return status
}
