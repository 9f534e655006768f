// Package logs keeps what actions print and lets readers follow it. It must never
// slow an action down because nobody reads, nor lose the order of what one action
// printed.
package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// DefaultLimit is the size in bytes that a log may reach where Open is given
// none.
const DefaultLimit = 64 << 20

// maxIdle is how many executions nobody writes or reads stay open: the next
// action of a chain comes at once.
const maxIdle = 64

// Store is a directory of logs, one file for each execution, in which the pieces
// of its actions' logs follow each other (see execution). One for each action
// would cost more than a short action takes: making a file is a journaled write.
// All methods may be called concurrently, in one process.
//
// Readers see a write at once; it reaches the file a moment later and is not
// synced to disk, so a killed process may lose the last milliseconds of a log,
// and a crash of the machine the last seconds.
type Store struct {
	dir   string
	limit int64
	// flushes are the goroutines that write to files.
	flushes sync.WaitGroup

	mu         sync.Mutex
	executions map[string]*execution
	// idle are the executions in the map without users, the oldest first.
	idle []*execution
}

// Open makes the directory where there is none. The limit is the number of bytes
// after which the log of an action takes no more; 0 means DefaultLimit.
func Open(dir string, limit int64) (*Store, error) {
	if limit <= 0 {
		limit = DefaultLimit
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open log store: %w", err)
	}
	return &Store{dir: dir, limit: limit, executions: make(map[string]*execution)}, nil
}

// Close waits until all that was written is in the files. Writers and readers
// must be closed before.
func (s *Store) Close() error {
	s.flushes.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, e := range s.idle {
		errs = append(errs, s.evict(e))
	}
	s.idle = nil
	return errors.Join(errs...)
}

// Writer returns what appends to the log of the attempt's action execution. An
// action that writes nothing leaves nothing. Attempts after the first begin with
// a line that says so. Beyond the limit bytes are counted and dropped without an
// error, and Close adds a line that tells how many. It is not safe for concurrent
// use, and a log has one writer at a time.
func (s *Store) Writer(attempt *action.Attempt) io.WriteCloser {
	return &writer{store: s, execution: attempt.ExecutionID, action: attempt.ActionExecutionID, attempt: attempt.Number}
}

// Open returns a reader of the log of an action execution. A log that nobody
// wrote to yet is empty, not an error.
func (s *Store) Open(executionID, actionExecutionID string) (*Reader, error) {
	e, log, err := s.use(executionID, actionExecutionID)
	if err != nil {
		return nil, err
	}
	return &Reader{execution: e, log: log}, nil
}

// Reader reads one log, also while it is written. It is safe for concurrent use.
type Reader struct {
	execution *execution
	log       *actionLog
}

// ReadAt implements io.ReaderAt. It returns io.EOF at the end of what was written
// so far.
func (r *Reader) ReadAt(p []byte, offset int64) (int, error) {
	return r.execution.readAt(r.log, p, offset)
}

// Size returns how many bytes the log holds by now.
func (r *Reader) Size() int64 {
	r.execution.mu.Lock()
	defer r.execution.mu.Unlock()
	return r.log.size()
}

// Wait returns nil when the log holds data past the offset, or when a writer
// closes it after the call; it returns the context's error when the context ends
// first. A log that nobody writes to may still get a writer: end the context when
// the action ended, then read what is left.
func (r *Reader) Wait(ctx context.Context, offset int64) error {
	r.execution.mu.Lock()
	changed, size := r.log.changed, r.log.size()
	r.execution.mu.Unlock()
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

// Close lets go of the log. It is called once.
func (r *Reader) Close() error {
	return r.execution.store.release(r.execution)
}

// Remove deletes the logs of an execution: at once, or when the last who writes or
// reads them lets go. It is no error if there are none.
func (s *Store) Remove(executionID string) error {
	path, err := s.path(executionID)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.executions[executionID]; e != nil {
		if e.users > 0 {
			e.removed = true
			return nil
		}
		s.idle = slices.DeleteFunc(s.idle, func(other *execution) bool { return other == e })
		if err := s.evict(e); err != nil {
			return fmt.Errorf("remove logs: %w", err)
		}
	}
	return remove(path)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove logs: %w", err)
	}
	return nil
}

func (s *Store) path(executionID string) (string, error) {
	if !isName(executionID) {
		return "", fmt.Errorf("log: %q is not the id of an execution", executionID)
	}
	return filepath.Join(s.dir, executionID+".log"), nil
}

// isName tells whether an id is a plain file name and one word.
func isName(id string) bool {
	return id != "" && id[0] != '.' && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r == '/' || r == '\\' || r == 0x7f })
}

// use returns the log of an action, whose execution has one more user.
func (s *Store) use(executionID, actionExecutionID string) (*execution, *actionLog, error) {
	path, err := s.path(executionID)
	if err != nil {
		return nil, nil, err
	}
	if !isName(actionExecutionID) {
		return nil, nil, fmt.Errorf("log: %q is not the id of an action execution", actionExecutionID)
	}
	s.mu.Lock()
	e := s.executions[executionID]
	if e == nil {
		e = &execution{store: s, id: executionID, path: path, logs: make(map[string]*actionLog)}
		s.executions[executionID] = e
	} else if e.users == 0 {
		s.idle = slices.DeleteFunc(s.idle, func(other *execution) bool { return other == e })
	}
	e.users++
	s.mu.Unlock()

	// Not under the store's lock: it reads the file.
	log, err := e.open(actionExecutionID)
	if err != nil {
		return nil, nil, errors.Join(err, s.release(e))
	}
	return e, log, nil
}

func (s *Store) release(e *execution) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.users--
	if e.users > 0 {
		return nil
	}
	if e.removed {
		return errors.Join(s.evict(e), remove(e.path))
	}
	s.idle = append(s.idle, e)
	if len(s.idle) <= maxIdle {
		return nil
	}
	oldest := s.idle[0]
	s.idle = slices.Delete(s.idle, 0, 1)
	return s.evict(oldest)
}

// evict forgets an execution without users. The caller holds mu and takes it out
// of idle.
func (s *Store) evict(e *execution) error {
	delete(s.executions, e.id)
	if e.file == nil {
		return nil
	}
	return e.file.Close()
}
