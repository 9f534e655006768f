package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"strconv"
	"sync"
)

// maxPending is how many bytes an execution may hold in memory; its writers then
// wait for the disk.
const maxPending = 256 << 10

// execution is the file of one execution. It is a sequence of pieces, each a line
// "=== <action execution> <length>" and that many bytes of the action's log.
type execution struct {
	store *Store
	id    string
	path  string
	// users are its readers, writers and the flush; removed says that the file
	// goes when they have gone. Both are under the store's mu.
	users   int
	removed bool

	// writing is held by who writes to the file.
	writing sync.Mutex

	// mu guards what follows.
	mu     sync.Mutex
	loaded bool
	// file is nil until there is something in it.
	file     *os.File
	end      int64
	logs     map[string]*actionLog
	dirty    []*actionLog
	pending  int
	flushing bool
	err      error
}

// actionLog is where the bytes of one action's log are.
type actionLog struct {
	id      string
	pieces  []piece
	stored  int64
	pending []byte
	// changed is closed, and replaced, at the next change.
	changed chan struct{}
}

// piece says that the log's bytes from start on are at a place in the file.
type piece struct {
	start, at, length int64
}

func (l *actionLog) size() int64 {
	return l.stored + int64(len(l.pending))
}

func (l *actionLog) announce() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *actionLog) add(at, length int64) {
	l.pieces = append(l.pieces, piece{start: l.stored, at: at, length: length})
	l.stored += length
}

// open returns the action's log, and reads where the pieces are at first.
func (e *execution) open(id string) (*actionLog, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.loaded {
		if err := e.load(); err != nil {
			return nil, fmt.Errorf("read log of execution %s: %w", e.id, err)
		}
		e.loaded = true
	}
	return e.log(id), nil
}

func (e *execution) log(id string) *actionLog {
	log := e.logs[id]
	if log == nil {
		log = &actionLog{id: id, changed: make(chan struct{})}
		e.logs[id] = log
	}
	return log
}

// load finds the pieces in the file. It ends at the first that is not whole,
// where a crash of the machine cut it: the next piece goes there.
func (e *execution) load() error {
	file, err := os.OpenFile(e.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	buffer := make([]byte, 512)
	for e.end < info.Size() {
		n, err := file.ReadAt(buffer, e.end)
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(err, file.Close())
		}
		id, head, length, ok := parseHead(buffer[:n])
		if !ok || length > info.Size()-e.end-head {
			break
		}
		e.log(id).add(e.end+head, length)
		e.end += head + length
	}
	if e.end < info.Size() {
		if err := file.Truncate(e.end); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	e.file = file
	return nil
}

func parseHead(text []byte) (id string, head, length int64, ok bool) {
	line, _, found := bytes.Cut(text, []byte{'\n'})
	fields := bytes.Split(line, []byte{' '})
	if !found || len(fields) != 3 || string(fields[0]) != "===" || !isName(string(fields[1])) {
		return "", 0, 0, false
	}
	length, err := strconv.ParseInt(string(fields[2]), 10, 64)
	return string(fields[1]), int64(len(line)) + 1, length, err == nil && length > 0
}

// append takes bytes over. They go to memory first and to the file by a goroutine
// of its own, at once.
func (e *execution) append(log *actionLog, p []byte) error {
	e.mu.Lock()
	if e.err != nil {
		defer e.mu.Unlock()
		return e.err
	}
	if len(log.pending) == 0 {
		e.dirty = append(e.dirty, log)
	}
	log.pending = append(log.pending, p...)
	e.pending += len(p)
	log.announce()
	full := e.pending >= maxPending
	start := !e.flushing && !full
	if start {
		e.flushing = true
	}
	e.mu.Unlock()
	switch {
	case full:
		return e.flush()
	case start:
		e.flushInBackground()
	}
	return nil
}

func (e *execution) flushInBackground() {
	s := e.store
	s.mu.Lock()
	e.users++
	s.mu.Unlock()
	s.flushes.Go(func() {
		defer func() { _ = s.release(e) }()
		for {
			// The error shows at the next write, or when the writer closes.
			_ = e.flush()
			e.mu.Lock()
			done := len(e.dirty) == 0
			if done {
				e.flushing = false
			}
			e.mu.Unlock()
			if done {
				return
			}
		}
	})
}

// flush writes what is pending as one piece for each log, in one write.
func (e *execution) flush() error {
	e.writing.Lock()
	defer e.writing.Unlock()
	e.mu.Lock()
	dirty, at, file := e.dirty, e.end, e.file
	e.dirty, e.pending = nil, 0
	lengths := make([]int, len(dirty))
	var data bytes.Buffer
	places := make([]int64, len(dirty))
	for i, log := range dirty {
		lengths[i] = len(log.pending)
		fmt.Fprintf(&data, "=== %s %d\n", log.id, lengths[i])
		places[i] = at + int64(data.Len())
		data.Write(log.pending)
	}
	e.mu.Unlock()
	if len(dirty) == 0 {
		return nil
	}

	var err error
	if file == nil {
		file, err = os.OpenFile(e.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err == nil {
		_, err = file.WriteAt(data.Bytes(), at)
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	e.file = file
	if err != nil {
		// Nothing is kept in memory for a disk that takes nothing.
		e.err = fmt.Errorf("write log of execution %s: %w", e.id, err)
		for _, log := range e.logs {
			log.pending = nil
		}
		e.dirty = nil
		return e.err
	}
	e.end = at + int64(data.Len())
	for i, log := range dirty {
		log.add(places[i], int64(lengths[i]))
		log.pending = log.pending[lengths[i]:]
		switch {
		case len(log.pending) == 0:
			log.pending = nil
		default:
			// More came while the file was written.
			e.dirty = append(e.dirty, log)
		}
	}
	return nil
}

// readAt reads from the file, then from memory.
func (e *execution) readAt(log *actionLog, p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, errors.New("read log: negative offset")
	}
	e.mu.Lock()
	// Pieces are never changed, only added.
	pieces, stored, file := log.pieces, log.stored, e.file
	tail := 0
	if last := offset + int64(len(p)); last > stored {
		from := max(0, offset-stored)
		if from < int64(len(log.pending)) {
			tail = copy(p[max(0, stored-offset):], log.pending[from:])
		}
	}
	e.mu.Unlock()

	n := 0
	first := sort.Search(len(pieces), func(i int) bool { return pieces[i].start+pieces[i].length > offset })
	for _, piece := range pieces[first:] {
		if n == len(p) {
			break
		}
		skip := offset + int64(n) - piece.start
		part := p[n:min(int64(len(p)), int64(n)+piece.length-skip)]
		if _, err := file.ReadAt(part, piece.at+skip); err != nil {
			return n, fmt.Errorf("read log of execution %s: %w", e.id, err)
		}
		n += len(part)
	}
	n += tail
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
