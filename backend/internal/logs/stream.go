package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// most is how many bytes a log may hold in memory; its writer then waits for the
// disk.
const most = 256 << 10

// stream is a log that is in use. What is written goes to memory first and to
// the file by a goroutine of its own, at once: making a file can take longer than
// a short action, which need not wait for it.
type stream struct {
	store *Store
	key   key
	// users are writers, waiters and the flush, counted under store.mu; the last
	// one takes the stream out of the store.
	users int

	// writing is held by who writes to the file.
	writing sync.Mutex
	file    *os.File

	// mu guards what follows.
	mu       sync.Mutex
	stored   int64
	pending  []byte
	flushing bool
	err      error
	// changed is closed, and replaced, at the next change.
	changed chan struct{}
}

// append takes bytes over.
func (s *stream) append(p []byte) error {
	s.mu.Lock()
	if s.err != nil {
		defer s.mu.Unlock()
		return s.err
	}
	s.pending = append(s.pending, p...)
	full := len(s.pending) >= most
	start := !s.flushing && !full
	if start {
		s.flushing = true
	}
	s.announce()
	s.mu.Unlock()
	switch {
	case full:
		return s.flush()
	case start:
		s.store.background(s)
	}
	return nil
}

// flush writes what is pending to the file.
func (s *stream) flush() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	data := s.pending
	s.mu.Unlock()
	if len(data) == 0 {
		return nil
	}
	err := s.open()
	n := 0
	if err == nil {
		n, err = s.file.Write(data)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored += int64(n)
	s.pending = s.pending[n:]
	if err != nil {
		s.err = fmt.Errorf("write log: %w", err)
		s.pending = nil
	}
	if len(s.pending) == 0 {
		s.pending = nil
	}
	return s.err
}

// open opens the file where it is not. The caller holds writing.
func (s *stream) open() error {
	if s.file != nil {
		return nil
	}
	path, err := s.store.path(s.key)
	if err != nil {
		return err
	}
	const flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	s.file, err = os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		s.file, err = os.OpenFile(path, flags, 0o600)
	}
	return err
}

// size returns how much the log holds, in memory or not.
func (s *stream) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored + int64(len(s.pending))
}

// readAt reads from the file, then from memory.
func (s *stream) readAt(p []byte, offset int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if offset < s.stored {
		var err error
		n, err = s.store.readFile(s.key, p[:min(int64(len(p)), s.stored-offset)], offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
	}
	if at := offset + int64(n) - s.stored; at >= 0 && at < int64(len(s.pending)) {
		n += copy(p[n:], s.pending[at:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// announce wakes who waits. The caller holds mu.
func (s *stream) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// background starts to write what is pending.
func (s *Store) background(log *stream) {
	s.mu.Lock()
	log.users++
	s.mu.Unlock()
	s.flushes.Go(func() {
		defer s.release(log)
		for {
			// The error shows at the next write, or in Close.
			_ = log.flush()
			log.mu.Lock()
			done := len(log.pending) == 0
			if done {
				log.flushing = false
			}
			log.mu.Unlock()
			if done {
				return
			}
		}
	})
}

// use returns the stream of the log, with one more user.
func (s *Store) use(k key) (*stream, error) {
	path, err := s.path(k)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.streams[k]
	if log == nil {
		log = &stream{store: s, key: k, changed: make(chan struct{})}
		if log.stored, err = fileSize(path); err != nil {
			return nil, err
		}
		s.streams[k] = log
	}
	log.users++
	return log, nil
}

func (s *Store) release(log *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	log.users--
	if log.users > 0 {
		return
	}
	delete(s.streams, log.key)
	if log.file != nil {
		_ = log.file.Close()
	}
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read log: %w", err)
	}
	return info.Size(), nil
}
