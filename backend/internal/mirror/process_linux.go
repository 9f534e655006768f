package mirror

import "syscall"

// attributes put git in a process group of its own, and end it with this process. The kernel
// does that when the thread that forked ends, and Go ends no thread that a goroutine is not
// locked to.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
