package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// closeInherited keeps the files that the program was started with from the
// commands that it runs: a careless parent leaves pipes and files open, and no
// isolation takes an open file away. Standard input and outputs are given to every
// command anew.
func closeInherited() error {
	const fds = "/dev/fd"
	entries, err := os.ReadDir(fds)
	if err != nil {
		return fmt.Errorf("keep open files from commands: %w; mount /proc and link %s to /proc/self/fd", err, fds)
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > syscall.Stderr {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}
