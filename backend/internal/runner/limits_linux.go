package runner

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// reservedProcesses and reservedPerSlot are how many processes and threads are left for the
	// server itself: Go ends a program that cannot start a thread. Each slot needs a thread,
	// bubblewrap, or git with what that starts.
	reservedProcesses = 128
	reservedPerSlot   = 16
	// fewProcesses is what a large build may need. No action gets less.
	fewProcesses = 512
	// unlimited is the kernel's number for no limit.
	unlimited = math.MaxUint64
)

// processLimits bound the processes and threads of actions, so that one that forks without an
// end leaves what the server and other actions need. 0 means no limit.
type processLimits struct {
	// user is how many there may be of the server's user when an action starts another one.
	// The kernel counts all that the user runs on this machine.
	user uint64
	// action is how many one action may have under isolation. The kernel counts them in the
	// user namespace of the action.
	action uint64
}

// readProcessLimits returns the limits for the actions of a runner. For root the kernel
// enforces none.
func readProcessLimits(config Config) processLimits {
	var own unix.Rlimit
	if os.Geteuid() == 0 || unix.Getrlimit(unix.RLIMIT_NPROC, &own) != nil {
		return processLimits{}
	}
	group := uint64(unlimited)
	if file, err := os.Open("/proc/self/cgroup"); err == nil {
		group = cgroupLimit(file, "/sys/fs/cgroup")
		_ = file.Close()
	}
	limits, scarce := newProcessLimits(own.Cur, group, config.Slots, config.Isolation.users && countsByNamespace())
	if scarce {
		config.Log.Warn("A few actions at once can use up all processes that the server may have: raise its limit (TasksMax=), "+
			"set LimitNPROC= to the same value, or run fewer actions at once (--runner-slots)",
			"limit", group, "limit_of_an_action", limits.action, "slots", config.Slots)
	}
	return limits
}

// newProcessLimits returns the limits of actions from those of the server's user and of its
// cgroup. Apart is set if the kernel counts the processes of each action. Scarce tells that
// actions in all slots together may reach the limit of the cgroup.
func newProcessLimits(user, group uint64, slots int, apart bool) (limits processLimits, scarce bool) {
	left := func(total uint64) uint64 {
		return total - min(reservedProcesses+reservedPerSlot*uint64(slots), total/2)
	}
	if user != unlimited {
		limits.user = left(user)
	}
	total := min(user, group)
	if !apart || total == unlimited {
		return limits, false
	}
	share := left(total) / uint64(slots)
	limits.action = max(share, min(fewProcesses, left(total)/2))
	return limits, limits.action > share && group < user
}

// cgroupLimit returns how many processes and threads the cgroups of a process may have, by its
// file in /proc and the directory that cgroups are mounted in.
func cgroupLimit(file io.Reader, mount string) uint64 {
	limit := uint64(unlimited)
	// What cannot be read does not bound.
	text, _ := io.ReadAll(file)
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		dir := mount
		if controllers := fields[1]; controllers != "" {
			if !slices.Contains(strings.Split(controllers, ","), "pids") {
				continue
			}
			dir = filepath.Join(mount, "pids")
		}
		for path := filepath.Join("/", fields[2]); ; path = filepath.Dir(path) {
			raw, err := os.ReadFile(filepath.Join(dir, path, "pids.max"))
			if most, parseErr := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64); errors.Join(err, parseErr) == nil {
				limit = min(limit, most)
			}
			if path == "/" {
				break
			}
		}
	}
	return limit
}

// countsByNamespace tells whether the kernel counts the processes of a user in each user
// namespace, as it does from 5.14 on.
func countsByNamespace() bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	return atLeast(unix.ByteSliceToString(name.Release[:]), 5, 14)
}

// atLeast tells whether the release of a kernel is of a version or newer.
func atLeast(release string, major, minor int) bool {
	first, rest, _ := strings.Cut(release, ".")
	second := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	a, errA := strconv.Atoi(first)
	b, errB := strconv.Atoi(second)
	return errors.Join(errA, errB) == nil && (a > major || a == major && b >= minor)
}

// limitProcesses gives a limit to a process, which all that it starts inherits and cannot
// raise. It fails if the process has ended.
func limitProcesses(pid int, most uint64) {
	if most > 0 {
		_ = unix.Prlimit(pid, unix.RLIMIT_NPROC, &unix.Rlimit{Cur: most, Max: most}, nil)
	}
}
