package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/gitwatch"
)

const (
	// stderrLimit bounds what is kept of git's messages.
	stderrLimit = 16 << 10
	// drainTime is how long outputs may stay open after a process group was killed.
	drainTime = 5 * time.Second
)

// process is a git command.
type process struct {
	args  []string
	env   []string
	stdin string
	// read takes the output. If it returns an error the process is killed.
	read func(io.Reader) error
	// silence is how long a server may send nothing while git writes to dir, 0 for a command
	// that is not watched.
	silence time.Duration
	dir     string
	// lock is inherited by all processes of git, so that the mirror stays locked until the
	// last one has ended, also if this process is killed.
	lock *os.File
}

// gitError is a git command that failed.
type gitError struct {
	exitCode int
	stderr   string
}

func (e *gitError) Error() string {
	lines := strings.Split(strings.TrimSpace(e.stderr), "\n")
	for _, line := range lines {
		// What follows a fatal line is advice for people at a terminal.
		for _, prefix := range []string{"fatal: ", "ERROR: ", "error: "} {
			if text, ok := strings.CutPrefix(line, prefix); ok {
				return text
			}
		}
	}
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return fmt.Sprintf("git exited with %d", e.exitCode)
}

// run runs git in a process group of its own, which is killed when the context ends.
func (p process) run(ctx context.Context) error {
	stderr := &bounded{most: stderrLimit}
	if p.silence == 0 {
		return p.runWith(ctx, stderr, func() error { return nil }, stderr)
	}
	watch := gitwatch.Start(ctx, p.silence, p.dir)
	messages := watch.Messages(stderr)
	return watch.Stop(p.runWith(watch.Context(), messages, messages.Close, stderr))
}

// runWith runs git, whose messages go to a writer that has filled stderr after flush.
func (p process) runWith(ctx context.Context, messages io.Writer, flush func() error, stderr *bounded) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", p.args...)
	cmd.Env = p.env
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = drainTime
	if p.stdin != "" {
		cmd.Stdin = strings.NewReader(p.stdin)
	}
	if p.lock != nil {
		cmd.ExtraFiles = []*os.File{p.lock}
	}
	cmd.Stderr = messages
	if p.read == nil {
		err := cmd.Run()
		return p.ended(ctx, errors.Join(err, flush()), stderr)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return p.ended(ctx, err, stderr)
	}
	readErr := p.read(stdout)
	if readErr != nil {
		cancel()
	}
	err = cmd.Wait()
	if readErr != nil {
		return readErr
	}
	return p.ended(ctx, errors.Join(err, flush()), stderr)
}

// ended makes an error of how a command ended.
func (process) ended(ctx context.Context, err error, stderr *bounded) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit):
		return &gitError{exitCode: exit.ExitCode(), stderr: stderr.buffer.String()}
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("git is not installed on this server; install it and see that it is on PATH")
	}
	return fmt.Errorf("run git: %w", err)
}

// output runs git and returns what it printed, up to a bound.
func (p process) output(ctx context.Context, most int) (string, error) {
	var out string
	p.read = func(r io.Reader) error {
		data, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
		if err == nil && len(data) > most {
			err = fmt.Errorf("git printed more than %d bytes", most)
		}
		out = string(data)
		return err
	}
	err := p.run(ctx)
	return out, err
}

// bounded keeps the first bytes of what is written.
type bounded struct {
	buffer bytes.Buffer
	most   int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.buffer.Write(p[:min(len(p), b.most-b.buffer.Len())])
	return len(p), nil
}

// acquire takes a lock that the kernel releases when the process has ended, and those that
// inherited it.
func acquire(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errInUse
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

var errInUse = errors.New("another process uses it")

// acquireSoon is acquire that waits for processes which are about to end.
func acquireSoon(ctx context.Context, path string) (*os.File, error) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		file, err := acquire(path)
		if !errors.Is(err, errInUse) {
			return file, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		case <-ticker.C:
		}
	}
}
