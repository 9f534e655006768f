package crashtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// spent is CPU time that was used.
type spent struct {
	// server is that of a server, git of the git processes that it ran, and test of the test and the git
	// server in it.
	server, git, test time.Duration
}

func (s spent) less(before spent) spent {
	return spent{s.server - before.server, s.git - before.git, s.test - before.test}
}

func (s spent) String() string {
	return fmt.Sprintf("server %.1f s, its git processes %.1f s, forge %.1f s", s.server.Seconds(), s.git.Seconds(), s.test.Seconds())
}

// spent is the CPU time that the server and this test have used.
func (s *server) spent() spent {
	s.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	require.NoError(s.t, err)
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	// The kernel counts hundredths of a second: of the process and of its children, as a user and for the system.
	const first, tick = 11, 10 * time.Millisecond
	var ticks [4]time.Duration
	for n := range ticks {
		count, err := strconv.ParseInt(fields[first+n], 10, 64)
		require.NoError(s.t, err)
		ticks[n] = time.Duration(count) * tick
	}
	used := spent{server: ticks[0] + ticks[1], git: ticks[2] + ticks[3]}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		require.NoError(s.t, syscall.Getrusage(who, &usage))
		used.test += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return used
}
