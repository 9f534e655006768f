package action

import (
	"errors"
	"slices"
	"syscall"
)

// CodeOf returns RunnerFault for an error which says that this machine lacks something, such as
// room on its disk or processes, and SystemUnavailable for others.
func CodeOf(err error) FailureCode {
	var code syscall.Errno
	if errors.As(err, &code) && slices.Contains([]syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, syscall.EIO, syscall.EROFS,
	}, code) {
		return RunnerFault
	}
	return SystemUnavailable
}
