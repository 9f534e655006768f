// Package gitwatch ends git commands that make no progress, and keeps what they report of their
// progress out of messages. It must never start a process or decide what a failure means.
package gitwatch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Silence is how long a server may send nothing. Git has no timeout of its own for that: a server
// that accepts a connection and never answers would hold a command for hours.
const Silence = time.Minute

// checks is how often progress is looked for within the time of silence.
const checks = 12

// ErrSilent is in the chain of errors of a command that made no progress.
var ErrSilent = errors.New("git made no progress")

// Watch watches one command that reaches a remote. The command makes progress when it writes
// to Messages, so it should run with --progress, or when files appear or grow in a directory.
type Watch struct {
	silence  time.Duration
	dir      string
	context  context.Context //nolint:containedctx // It is for the command alone.
	end      context.CancelCauseFunc
	writes   atomic.Int64
	watching sync.WaitGroup
}

// Start watches a command that writes files below dir.
func Start(ctx context.Context, silence time.Duration, dir string) *Watch {
	ticker := time.NewTicker(silence / checks)
	w := start(ctx, silence, dir, ticker.C)
	context.AfterFunc(w.context, ticker.Stop)
	return w
}

func start(ctx context.Context, silence time.Duration, dir string, ticks <-chan time.Time) *Watch {
	w := &Watch{silence: silence, dir: dir}
	w.context, w.end = context.WithCancelCause(ctx)
	w.watching.Go(func() { w.watch(ticks) })
	return w
}

// Context ends when the command makes no progress. The command runs with it.
func (w *Watch) Context() context.Context { return w.context }

// Stop ends the watch. It returns an error that wraps ErrSilent if the watch ended the command,
// and otherwise how the command itself ended.
func (w *Watch) Stop(ended error) error {
	w.end(nil)
	w.watching.Wait()
	if err := context.Cause(w.context); ended != nil && errors.Is(err, ErrSilent) {
		return err
	}
	return ended
}

// watch counts checks without progress instead of time, since a machine that was suspended has
// seen no silence.
func (w *Watch) watch(ticks <-chan time.Time) {
	var last state
	for quiet := 0; ; {
		select {
		case <-w.context.Done():
			return
		case <-ticks:
		}
		now := state{writes: w.writes.Load()}
		if now.writes == last.writes {
			now.files, now.bytes = measure(w.dir)
		}
		if now != last {
			quiet, last = 0, now
			continue
		}
		if quiet++; quiet >= checks {
			w.end(fmt.Errorf("%w for %s: the server sent nothing", ErrSilent, w.silence))
			return
		}
	}
}

// state is what differs after progress.
type state struct{ writes, files, bytes int64 }

// measure counts files and bytes in a directory. What cannot be read counts nothing: git removes
// files at any time.
func measure(dir string) (files, bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // See above.
		}
		if info, err := entry.Info(); err == nil {
			files++
			bytes += info.Size()
		}
		return nil
	})
	return files, bytes
}
