package runner

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of start times in /proc: USER_HZ is 100 on every Linux that
// Go runs on.
const tick = 10 * time.Millisecond

// stat is what /proc/<pid>/stat tells.
type stat struct {
	name                   string
	parent, group, session int
	started                time.Duration
	zombie                 bool
}

// started is the process group that a slot started last.
type started struct {
	pid           int
	before, after time.Duration
}

// killLeftovers ends the processes of an earlier runner in the same work
// directory: those that carry its marker or its mark, and those in a group whose leader
// is provably the one that a slot started. It returns their names, sorted.
func killLeftovers(workDir string) ([]string, error) {
	bootID, err := readBootID()
	if err != nil {
		return nil, err
	}
	records, err := filepath.Glob(filepath.Join(workDir, control, "slot-*"))
	if err != nil {
		return nil, err
	}
	groups := make(map[int]bool)
	for _, path := range records {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if s, ok := parseStarted(string(raw), bootID); ok && s.alive() {
			groups[s.pid] = true
		}
	}
	prefix := marker + "=" + workDir + string(filepath.Separator)
	return killAll(func(pid int, s stat) bool {
		return groups[s.group] || markOf(pid).from(workDir) || hasVariable(pid, func(variable string) bool { return strings.HasPrefix(variable, prefix) })
	})
}

// killAll kills the processes that match, until there are none: some may have
// forked meanwhile. It returns their names, sorted.
func killAll(match func(pid int, s stat) bool) (names []string, err error) {
	const rounds = 10
	for range rounds {
		killed, err := killOnce(match)
		if err != nil || len(killed) == 0 {
			slices.Sort(names)
			return names, err
		}
		names = append(names, killed...)
	}
	return names, errors.New("processes of an attempt still run after SIGKILL")
}

func killOnce(match func(pid int, s stat) bool) (names []string, err error) {
	pids, err := allProcesses()
	if err != nil {
		return nil, err
	}
	for _, pid := range pids {
		if pid == os.Getpid() {
			continue
		}
		if name, ok := killMatching(pid, match); ok {
			names = append(names, strings.Map(printable, name))
		}
	}
	return names, nil
}

// allProcesses returns the ids of all processes of this machine.
func allProcesses() ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	names, err := proc.Readdirnames(-1)
	if err := errors.Join(err, proc.Close()); err != nil {
		return nil, err
	}
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// killMatching looks at the process and kills it through one handle, so that a
// pid that is another's by now is never hit. It returns the name of the process.
func killMatching(pid int, match func(pid int, s stat) bool) (name string, killed bool) {
	s, ok := readStat(pid)
	if !ok || s.zombie || !match(pid, s) {
		return "", false
	}
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return "", false
	}
	defer func() { _ = unix.Close(handle) }()
	// Again, now that the handle holds on to who it is.
	again, ok := readStat(pid)
	if !ok || again.started != s.started || !match(pid, again) {
		return "", false
	}
	if unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0) != nil {
		return "", false
	}
	const longest = 2000
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, longest)
	return s.name, true
}

func hasVariable(pid int, match func(variable string) bool) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for variable := range bytes.SplitSeq(raw, []byte{0}) {
		if match(string(variable)) {
			return true
		}
	}
	return false
}

func readStat(pid int) (stat, bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, false
	}
	// The name in parentheses may hold anything; the state, field 3, follows it.
	open, end := bytes.IndexByte(raw, '('), bytes.LastIndexByte(raw, ')')
	if open < 0 || end < open {
		return stat{}, false
	}
	fields := strings.Fields(string(raw[end+1:]))
	const state, parent, group, session, start = 0, 1, 2, 3, 19
	if len(fields) <= start {
		return stat{}, false
	}
	s := stat{name: string(raw[open+1 : end]), zombie: fields[state] == "Z" || fields[state] == "X"}
	for field, to := range map[int]*int{parent: &s.parent, group: &s.group, session: &s.session} {
		if *to, err = strconv.Atoi(fields[field]); err != nil {
			return stat{}, false
		}
	}
	ticks, err := strconv.ParseInt(fields[start], 10, 64)
	if err != nil {
		return stat{}, false
	}
	s.started = time.Duration(ticks) * tick
	return s, true
}

// parseStarted reads a slot's record; one of an earlier boot tells nothing.
func parseStarted(line, bootID string) (started, bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || fields[0] != bootID {
		return started{}, false
	}
	pid, err1 := strconv.Atoi(fields[1])
	before, err2 := strconv.ParseInt(fields[2], 10, 64)
	after, err3 := strconv.ParseInt(fields[3], 10, 64)
	if errors.Join(err1, err2, err3) != nil || pid <= 1 {
		return started{}, false
	}
	return started{pid: pid, before: time.Duration(before), after: time.Duration(after)}, true
}

// alive tells whether the process of that id is the one that was started: it
// began when it was started. The leader may be gone while others of its group
// live; then only their marker tells whose they are.
func (s started) alive() bool {
	now, ok := readStat(s.pid)
	return ok && now.group == s.pid && now.started > s.before-2*tick && now.started < s.after+2*tick
}
