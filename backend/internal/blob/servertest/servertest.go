// Package servertest runs a server of another program for tests. It must never be used
// outside of tests.
package servertest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to answer at first.
const patience = 2 * time.Minute

// Process is a server that runs.
type Process struct {
	tb      testing.TB
	command *exec.Cmd
	exited  chan struct{}
	// Log is what it wrote; to be read once it has ended.
	Log *bytes.Buffer
}

// FreeAddress returns a host and port of this machine that nobody listens on.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// Start starts a program and waits until it answers at an address. Stop must follow: the
// end of the test's context does not end it, so that cleanups still can use it.
func Start(tb testing.TB, address, program string, args ...string) *Process {
	tb.Helper()
	p := &Process{tb: tb, Log: &bytes.Buffer{}, exited: make(chan struct{})}
	p.command = exec.CommandContext(context.WithoutCancel(tb.Context()), program, args...)
	p.command.Stdout, p.command.Stderr = p.Log, p.Log
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.command.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.command.Wait()
	}()
	limited, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for {
		connection, err := (&net.Dialer{}).DialContext(limited, "tcp", address)
		if err == nil {
			_ = connection.Close()
			return p
		}
		select {
		case <-p.exited:
			tb.Fatalf("%s ended: %s", program, p.Log)
		case <-limited.Done():
			p.Stop()
			tb.Fatalf("%s does not answer: %v", program, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stop kills the server and what it started.
func (p *Process) Stop() {
	p.tb.Helper()
	if err := syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.tb.Errorf("stop %s: %v", p.command.Path, err)
	}
	<-p.exited
}
