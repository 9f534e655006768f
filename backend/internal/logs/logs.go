// Package logs keeps what actions print, in chunks that are objects of a bucket,
// and lets readers follow it. It must never slow an action down because nobody
// reads, nor fail one because the bucket does, nor lose the order of what one action
// printed.
package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// DefaultLimit is the size in bytes that a log may reach where the configuration
// gives none.
const DefaultLimit = 64 << 20

const (
	// writersMemory is what all writers together hold in memory. Where they are
	// many, each begins a new chunk earlier, but none before leastChunk.
	writersMemory = 64 << 20
	leastChunk    = 16 << 10
	// turnChunk is how much of a log a turn takes over into its own chunk: an action that
	// prints a line in each of a thousand turns does not leave a thousand objects.
	turnChunk = 64 << 10
	// chunksRead is how many chunks readers keep in memory, all together.
	chunksRead = 16
	// marksKept is how many marks of chunks without an index are kept in memory: those of 16 GiB
	// of logs, in some MiB.
	marksKept = 16 << 10
	// pollEvery is how often a reader looks for what another process wrote.
	pollEvery = 500 * time.Millisecond
	// callTimeout bounds one call of the bucket for a writer.
	callTimeout = 10 * time.Second
	// maxFailures is how often in a row a writer waits for a bucket that fails,
	// retryPause how long it waits in between. It then drops what comes until the
	// bucket takes something again.
	maxFailures = 3
	retryPause  = time.Second
)

// Bucket is what logs need of a *blob.Store.
type Bucket interface {
	Put(ctx context.Context, name string, from io.Reader) error
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	List(ctx context.Context, prefix string) iter.Seq2[blob.Object, error]
	Delete(ctx context.Context, name string) error
	DeleteUnder(ctx context.Context, word string) error
}

// SmallLogs reads the logs that commits of results keep.
type SmallLogs interface {
	// SmallLogs returns those of an action or rule execution, by attempt.
	SmallLogs(ctx context.Context, executionID, actionExecutionID string) ([]action.SmallLog, error)
}

// Config is how a Store keeps logs.
type Config struct {
	// Limit is the number of bytes after which the log of an action takes no more; 0
	// means DefaultLimit.
	Limit int64
	// Remote says that a call of the bucket is a trip over a network: what was written
	// is put there within a second instead of a tenth.
	Remote bool
	// Small reads the logs of attempts that were small, which commits of results keep. Nil
	// means that the bucket has all logs.
	Small SmallLogs
	// Sealer seals small logs; nil if the bucket is not encrypted.
	Sealer blob.Sealer
}

// Store keeps logs in a bucket, that of each action execution as a row of chunks:
// objects <execution>/<action execution>.<attempt>.<place in the log>, which a line index follows
// (ADR 16). The log of an attempt
// that was small may be elsewhere instead (Config.Small). All methods
// may be called concurrently, and by several processes on one bucket.
//
// Readers in the same process see a write at once, others a moment later. A process
// that is killed loses that moment. How much a crash of the machine loses is up to
// the bucket.
type Store struct {
	bucket Bucket
	config Config
	// writers counts those that hold a chunk.
	writers atomic.Int64
	// read has the chunks that were read last, by the names of their objects.
	read *lru.Cache[string, object]
	// marks has what is before chunks whose names do not say it, by the names of their objects.
	marks *lru.Cache[string, mark]

	mu   sync.Mutex
	logs map[logID]*log
}

// log is what writers and readers of one log share in this process.
type log struct {
	id logID
	// users are its writers and readers, under the store's mu.
	users int

	mu sync.Mutex
	// writer is nil while nobody writes in this process.
	writer *writer
	// changed is closed, and replaced, at the next change.
	changed chan struct{}
	// removed says that nothing of it is kept any more.
	removed bool
}

// notify wakes all waiters. The caller holds mu.
func (l *log) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// New returns the logs in a bucket.
func New(bucket Bucket, config Config) *Store {
	if config.Limit <= 0 {
		config.Limit = DefaultLimit
	}
	// Its only error is a size that is none.
	read, _ := lru.New[string, object](chunksRead)
	marks, _ := lru.New[string, mark](marksKept)
	return &Store{bucket: bucket, config: config, read: read, marks: marks, logs: make(map[logID]*log)}
}

// Writer returns what appends to the log of the attempt's action execution. An
// action that writes nothing leaves nothing. Attempts after the first begin with
// a line that says so. Beyond the limit bytes are counted and dropped without an
// error, and Close adds a line that tells how many; so it is with those that the
// bucket did not take, which are an error of Write too. Close puts what is left
// before it returns. It is not safe for concurrent use.
func (s *Store) Writer(attempt *action.Attempt) action.Log {
	return &writer{
		store: s, execution: attempt.ExecutionID, action: attempt.ActionExecutionID, attempt: attempt.Number,
		putting: make(chan struct{}, 1),
	}
}

// TurnWriter returns what appends to the log of an action or rule that runs in turns, for
// one turn. It is as Writer's, but for the line of attempts. Of a turn that died what was
// put stays, and the turn that is done in its place appends.
func (s *Store) TurnWriter(of action.Scope) io.WriteCloser {
	return &writer{
		store: s, execution: of.ExecutionID, action: of.ActionExecutionID, turn: true,
		putting: make(chan struct{}, 1),
	}
}

// Open returns a reader of the log of an action execution. A log that nobody
// wrote to yet is empty, not an error.
func (s *Store) Open(ctx context.Context, executionID, actionExecutionID string) (*Reader, error) {
	l, err := s.acquire(executionID, actionExecutionID)
	if err != nil {
		return nil, err
	}
	r := &Reader{store: s, log: l}
	if _, err := r.refresh(ctx); err != nil {
		s.release(l)
		return nil, err
	}
	return r, nil
}

// Remove deletes the logs of an execution from the bucket. Who still writes one in this process goes
// on and leaves nothing. It is no error if there are none.
func (s *Store) Remove(ctx context.Context, executionID string) error {
	if !isName(executionID) {
		return fmt.Errorf("log: %q is not the id of an execution", executionID)
	}
	for _, w := range s.markRemoved(executionID) {
		w.awaitPut()
	}
	if err := s.bucket.DeleteUnder(ctx, executionID); err != nil {
		return fmt.Errorf("remove logs of execution %s: %w", executionID, err)
	}
	return nil
}

// markRemoved marks the logs of an execution that are in use as removed and returns their
// writers.
func (s *Store) markRemoved(executionID string) (writers []*writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.logs {
		if id.execution != executionID {
			continue
		}
		l.mu.Lock()
		l.removed = true
		if l.writer != nil {
			writers = append(writers, l.writer)
		}
		l.mu.Unlock()
	}
	return writers
}

// acquire returns a log, which has one more user.
func (s *Store) acquire(executionID, actionExecutionID string) (*log, error) {
	id, err := newLogID(executionID, actionExecutionID)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.logs[id]
	if l == nil {
		l = &log{id: id, changed: make(chan struct{})}
		s.logs[id] = l
	}
	l.users++
	return l, nil
}

func (s *Store) release(l *log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(s.logs, l.id)
	}
}

// list returns the chunks of a log, with their ends but that of the last one.
func (s *Store) list(ctx context.Context, id logID) ([]chunk, error) {
	small, err := s.small(ctx, id)
	if err != nil {
		return nil, err
	}
	var found []chunk
	for object, err := range s.bucket.List(ctx, id.prefix()) {
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		if c, ok := parseChunk(id, object.Name); ok {
			c.size, c.modTime = object.Size, object.ModTime
			found = append(found, c)
		}
	}
	return inLog(merge(found, small)), nil
}

// get returns what the object of a chunk holds. Readers share those that were read
// last: one that stands still, since nobody takes what it reads, holds nothing.
func (s *Store) get(ctx context.Context, id logID, c chunk) ([]byte, error) {
	if c.data != nil {
		return c.data, nil
	}
	name := c.name(id)
	if kept, ok := s.read.Get(name); ok && kept.holds(c) {
		return kept.data, nil
	}
	data, err := s.fetch(ctx, name, c)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	s.read.Add(name, object{c, data})
	return data, nil
}

// fetch reads the object of a chunk, as far as a chunk goes: no writer put what is
// beyond, and all that is read is held in memory.
func (s *Store) fetch(ctx context.Context, name string, c chunk) ([]byte, error) {
	from, err := s.bucket.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = from.Close() }()
	size := c.size
	if c.end != math.MaxInt64 {
		size = c.end - c.start
	}
	// A little more, so that it need not grow to see the end.
	read := bytes.NewBuffer(make([]byte, 0, int(min(size, ChunkSize))+bytes.MinRead))
	_, err = read.ReadFrom(io.LimitReader(from, ChunkSize))
	if errors.Is(err, blob.ErrDamaged) {
		// What is whole of it, as of one that is not encrypted: a crash of the machine
		// cuts the end off.
		err = nil
	}
	return read.Bytes(), err
}

// object is what was read of a chunk.
type object struct {
	chunk

	data []byte
}

// holds tells whether it is all of a chunk as somebody knows it.
func (o object) holds(c chunk) bool {
	return o.is(c) || c.end != math.MaxInt64 && int64(len(o.data)) >= c.end-c.start
}

// chunkSize is how large a chunk may grow now.
func (s *Store) chunkSize() int {
	return int(min(max(writersMemory/max(s.writers.Load(), 1), leastChunk), ChunkSize))
}

// delay is how long what was written may wait to be put, with a chunk of that size.
// All of a growing chunk is written each time, so a large one waits longer: that
// bounds what a slow and endless log costs to some MiB a second.
func (s *Store) delay(size int) time.Duration {
	if s.config.Remote {
		return time.Second
	}
	return 100*time.Millisecond + time.Duration(size)*900*time.Millisecond/ChunkSize
}
