// Package logs keeps what actions print, one append-only file for each action
// execution, and lets readers follow it. It must never keep a secret that it was
// told of, and never slow an action down because nobody reads.
package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// DefaultLimit is the size in bytes that a log may reach where Open is given
// none.
const DefaultLimit = 64 << 20

// Store is a directory of logs, <execution>/<action execution>.log. All methods
// may be called concurrently. Logs are not synced to disk: a crash of the
// machine may lose their last seconds, never more than that.
type Store struct {
	dir   string
	limit int64

	mu sync.Mutex
	// live holds the logs that somebody waits for.
	live map[key]*live
}

type key struct{ execution, action string }

type live struct {
	waiters int
	// changed is closed, and replaced, at the next change.
	changed chan struct{}
}

// Open makes the directory where there is none. The limit is the number of bytes
// after which a log takes no more; 0 means DefaultLimit.
func Open(dir string, limit int64) (*Store, error) {
	if limit <= 0 {
		limit = DefaultLimit
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open log store: %w", err)
	}
	return &Store{dir: dir, limit: limit, live: make(map[key]*live)}, nil
}

// Writer returns what appends to the log of the attempt's action execution. The
// file is made by the first write, so a silent action has none. Attempts after
// the first begin with a line that says so. Beyond the limit bytes are counted
// and dropped without an error, and Close adds a line that tells how many. It is
// not safe for concurrent use.
func (s *Store) Writer(attempt *action.Attempt) io.WriteCloser {
	return &writer{store: s, key: key{attempt.ExecutionID, attempt.ActionExecutionID}, attempt: attempt.Number}
}

// ReadAt reads from the log at an offset, as io.ReaderAt does: it returns io.EOF
// at the end of what was written so far, and for a log that holds nothing.
func (s *Store) ReadAt(executionID, actionExecutionID string, p []byte, offset int64) (int, error) {
	path, err := s.path(key{executionID, actionExecutionID})
	if err != nil {
		return 0, err
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, io.EOF
	}
	if err != nil {
		return 0, fmt.Errorf("read log: %w", err)
	}
	defer func() { _ = file.Close() }()
	return file.ReadAt(p, offset)
}

// Size returns how many bytes the log holds; 0 where nothing was written.
func (s *Store) Size(executionID, actionExecutionID string) (int64, error) {
	path, err := s.path(key{executionID, actionExecutionID})
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read log: %w", err)
	}
	return info.Size(), nil
}

// Wait returns when the log holds data past the offset, or when a writer closed
// it since the call; it returns the context's error when the context ends first.
// A log that nobody writes to may still get a writer: end the context when the
// action ended, then read what is left.
func (s *Store) Wait(ctx context.Context, executionID, actionExecutionID string, offset int64) error {
	k := key{executionID, actionExecutionID}
	changed := s.watch(k)
	defer s.unwatch(k)
	// What is written from here on closes the channel.
	size, err := s.Size(executionID, actionExecutionID)
	if err != nil || size > offset {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
		return nil
	}
}

// Remove deletes the logs of an execution. It is no error if there are none.
func (s *Store) Remove(executionID string) error {
	if !isName(executionID) {
		return fmt.Errorf("remove logs: %q is not an execution id", executionID)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, executionID)); err != nil {
		return fmt.Errorf("remove logs: %w", err)
	}
	return nil
}

func (s *Store) path(k key) (string, error) {
	if !isName(k.execution) || !isName(k.action) {
		return "", fmt.Errorf("log of %q/%q: not ids of an execution and an action execution", k.execution, k.action)
	}
	return filepath.Join(s.dir, k.execution, k.action+".log"), nil
}

// isName tells whether an id is one plain file name.
func isName(id string) bool {
	return id != "" && id[0] != '.' && !strings.ContainsAny(id, "/\\\x00")
}

func (s *Store) watch(k key) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.live[k]
	if log == nil {
		log = &live{changed: make(chan struct{})}
		s.live[k] = log
	}
	log.waiters++
	return log.changed
}

func (s *Store) unwatch(k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.live[k]
	log.waiters--
	if log.waiters == 0 {
		delete(s.live, k)
	}
}

// announce wakes who waits for the log.
func (s *Store) announce(k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if log := s.live[k]; log != nil {
		close(log.changed)
		log.changed = make(chan struct{})
	}
}
