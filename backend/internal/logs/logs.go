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
// may be called concurrently. Readers see a write at once; it reaches the file a
// moment later and is not synced to disk, so a killed process may lose the last
// milliseconds of a log, and a crash of the machine the last seconds.
type Store struct {
	dir   string
	limit int64
	// flushes are the goroutines that write to files.
	flushes sync.WaitGroup

	mu sync.Mutex
	// streams are the logs in use.
	streams map[key]*stream
}

type key struct{ execution, action string }

// Open makes the directory where there is none. The limit is the number of bytes
// after which a log takes no more; 0 means DefaultLimit.
func Open(dir string, limit int64) (*Store, error) {
	if limit <= 0 {
		limit = DefaultLimit
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open log store: %w", err)
	}
	return &Store{dir: dir, limit: limit, streams: make(map[key]*stream)}, nil
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
	k := key{executionID, actionExecutionID}
	if log := s.find(k); log != nil {
		defer s.release(log)
		return log.readAt(p, offset)
	}
	return s.readFile(k, p, offset)
}

func (s *Store) readFile(k key, p []byte, offset int64) (int, error) {
	path, err := s.path(k)
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
	k := key{executionID, actionExecutionID}
	if log := s.find(k); log != nil {
		defer s.release(log)
		return log.size(), nil
	}
	path, err := s.path(k)
	if err != nil {
		return 0, err
	}
	return fileSize(path)
}

// Wait returns when the log holds data past the offset, or when a writer closed
// it since the call; it returns the context's error when the context ends first.
// A log that nobody writes to may still get a writer: end the context when the
// action ended, then read what is left.
func (s *Store) Wait(ctx context.Context, executionID, actionExecutionID string, offset int64) error {
	log, err := s.use(key{executionID, actionExecutionID})
	if err != nil {
		return err
	}
	defer s.release(log)
	log.mu.Lock()
	changed, size := log.changed, log.stored+int64(len(log.pending))
	log.mu.Unlock()
	if size > offset {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
		return nil
	}
}

// Close waits until all that was written is in the files. Writers must be closed
// before.
func (s *Store) Close() error {
	s.flushes.Wait()
	return nil
}

// Remove deletes the logs of an execution, which must not be
// running. It is no error if there are none.
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

// find returns the stream of a log in use, with one more user, or nil.
func (s *Store) find(k key) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.streams[k]
	if log != nil {
		log.users++
	}
	return log
}
