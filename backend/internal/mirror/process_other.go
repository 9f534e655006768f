//go:build !linux

package mirror

import "syscall"

// attributes put git in a process group of its own.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
