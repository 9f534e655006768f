package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// writer appends to one log in the name of one attempt or turn. It holds the newest chunk in
// memory and puts it, under the same name, as it grows: a moment after a write, when
// it is full, and when the writer closes.
type writer struct {
	store             *Store
	execution, action string
	// attempt is the number of the attempt. A turn takes the next that is free when it
	// opens the log.
	attempt int
	// turn says that this is the writer of a turn.
	turn bool
	// begin is where the attempt begins in the log.
	begin int64

	// log is set by the first write.
	log *log
	// endsLine tells whether the last byte written ended a line.
	endsLine bool
	// dropped counts the bytes beyond the limit, lost those since the bucket failed.
	dropped, lost int64
	// full says that the log was beyond its limit before, and says so.
	full bool

	// putting has a token while somebody puts, and guards what follows. It is no mutex
	// so that tests of time see who waits for it.
	putting  chan struct{}
	closed   bool
	failures int
	failure  error
	// replaces is the object whose bytes the chunk begins with, which goes when the chunk
	// was put; empty for none.
	replaces string

	// The log's mu guards what follows. Chunks are full, and never changed, only added.
	chunks []chunk
	start  int64
	buffer []byte
	// index is of the chunk that is in memory; nil if it is not known what is before it.
	index *indexed
	// most is how large the chunk may grow, stored how much of it was put.
	most, stored int
	// flushing is the next put, nil where there is nothing to put.
	flushing *time.Timer
}

// size is that of the log. The caller holds the log's mu.
func (w *writer) size() int64 { return w.start + int64(len(w.buffer)) }

// read copies what is in memory of a place in the log.
func (w *writer) read(p []byte, offset int64) int {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	if offset < w.start || offset >= w.size() {
		return 0
	}
	return copy(p, w.buffer[offset-w.start:])
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if w.log == nil {
		if err := w.open(); err != nil {
			w.lost += int64(len(p))
			return 0, err
		}
	}
	// Only this goroutine adds to the log.
	room := max(0, w.store.config.Limit-w.size())
	keep := p[:min(int64(len(p)), room)]
	w.dropped += int64(len(p) - len(keep))
	if err := w.append(keep); err != nil {
		return 0, err
	}
	return len(p), nil
}

// append takes bytes over.
func (w *writer) append(p []byte) error {
	for len(p) > 0 {
		if len(w.buffer) >= w.most {
			if err := w.seal(); err != nil {
				w.lost += int64(len(p))
				return err
			}
			if w.lost > 0 {
				p = slices.Concat(w.lossNotice(), p)
			}
		}
		p = p[w.fill(p):]
	}
	return nil
}

// fill adds to the chunk what it has room for.
func (w *writer) fill(p []byte) int {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	n := min(len(p), w.most-len(w.buffer))
	w.buffer = append(w.buffer, p[:n]...)
	w.endsLine = p[n-1] == '\n'
	if w.flushing == nil {
		w.flushing = time.AfterFunc(w.store.delay(len(w.buffer)), w.flush)
	}
	w.log.notify()
	return n
}

// seal puts the chunk, which is full, and begins the next one. It waits some time for
// a bucket that fails, but only once until it takes something again.
func (w *writer) seal() error {
	w.putting <- struct{}{}
	defer func() { <-w.putting }()
	if w.failures >= maxFailures {
		return w.failure
	}
	// The chunk does not change meanwhile, since only this goroutine adds to it.
	indexing := make(chan *indexed, 1)
	go func() { indexing <- w.nextIndex() }()
	err := w.putWithRetries()
	next := <-indexing
	if err != nil {
		return err
	}
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	end := w.size()
	w.chunks = append(w.chunks, w.chunk())
	// A new one, since a put that was given up may still read the old one.
	w.start, w.index, w.stored, w.most = end, next, 0, w.store.chunkSize()
	w.buffer = make([]byte, 0, w.most)
	return nil
}

// nextIndex returns the index of the chunk that begins where this one ends now.
func (w *writer) nextIndex() *indexed {
	if w.index == nil {
		return nil
	}
	next := &indexed{mark: w.index.mark, began: time.Now().UnixMilli()}
	next.advance(w.buffer)
	return next
}

// chunk returns the chunk that is in memory. The caller holds the log's mu, or alone writes.
func (w *writer) chunk() chunk {
	return chunk{attempt: w.attempt, start: w.start, end: w.size(), index: w.index}
}

// putWithRetries tries until the bucket failed too often. The caller holds putting.
func (w *writer) putWithRetries() error {
	for {
		if w.failures >= maxFailures {
			return w.failure
		}
		if err := w.put(); err == nil {
			return nil
		}
		if w.failures < maxFailures {
			<-time.After(retryPause)
		}
	}
}

// put puts the chunk as it is now. The caller holds putting.
func (w *writer) put() error {
	w.log.mu.Lock()
	data := w.buffer[:len(w.buffer):len(w.buffer)]
	name := w.chunk().name(w.log.id)
	nothing := w.log.removed || len(data) == w.stored
	if nothing {
		w.stored = len(data)
	}
	w.log.mu.Unlock()
	if nothing {
		w.failures = 0
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if err := w.store.bucket.Put(ctx, name, bytes.NewReader(data)); err != nil {
		w.failures++
		w.failure = fmt.Errorf("write log: %w", err)
		return w.failure
	}
	w.failures = 0
	if w.replaces != "" && w.replaces != name {
		// If it stays, it does not count: the chunk is newer and begins at the same place.
		_ = w.store.bucket.Delete(ctx, w.replaces)
		w.replaces = ""
	}
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.stored = len(data)
	return nil
}

// flush puts what came in the last moment, and comes back while there is more.
func (w *writer) flush() {
	w.putting <- struct{}{}
	defer func() { <-w.putting }()
	if w.closed {
		return
	}
	// The error shows when the chunk is full, or when the writer closes.
	err := w.put()
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	switch {
	case err != nil:
		w.flushing = time.AfterFunc(retryPause, w.flush)
	case len(w.buffer) > w.stored:
		w.flushing = time.AfterFunc(w.store.delay(len(w.buffer)), w.flush)
	default:
		w.flushing = nil
	}
}

// awaitPut returns when no put is under way that began before.
func (w *writer) awaitPut() {
	w.putting <- struct{}{}
	defer func() { <-w.putting }()
}

// open finds where the log ends. The first attempt does not look: nothing can be
// there, and a short action should not pay for it.
func (w *writer) open() error {
	l, err := w.store.acquire(w.execution, w.action)
	if err != nil {
		return err
	}
	chunks, last, index, err := w.loadEarlier(l)
	if err != nil {
		w.store.release(l)
		return err
	}
	w.store.writers.Add(1)
	l.mu.Lock()
	w.log = l
	w.chunks, w.most = chunks, w.store.chunkSize()
	if len(chunks) > 0 {
		w.start = chunks[len(chunks)-1].end
	}
	w.begin = w.start
	w.buffer, w.index = last, index
	w.full = w.size() > w.store.config.Limit
	w.endsLine = len(last) > 0 && last[len(last)-1] == '\n'
	l.writer = w
	l.notify()
	l.mu.Unlock()
	if w.turn || w.attempt == 1 {
		return nil
	}
	// Past the limit too: it is a line an attempt.
	err = w.append(fmt.Appendf(nil, "--- attempt %d ---\n", w.attempt))
	if w.lost > 0 {
		err = errors.Join(err, w.append(w.lossNotice()))
	}
	return err
}

// loadEarlier returns the chunks of the attempts or turns before, and for a turn the bytes of
// the last one if it is small: the turn takes them over. The index is of the writer's own
// chunk, nil if only reading much of the log can tell. A bucket that fails too often is not
// asked again.
func (w *writer) loadEarlier(l *log) (chunks []chunk, last []byte, index *indexed, err error) {
	if w.attempt == 1 {
		return nil, nil, &indexed{}, nil
	}
	if w.failures >= maxFailures {
		return nil, nil, nil, w.failure
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	r := &Reader{store: w.store, log: &log{id: l.id, changed: make(chan struct{})}}
	_, err = r.refresh(ctx)
	chunks = r.chunks
	if w.turn && err == nil {
		chunks, last, err = w.takeOver(ctx, l.id, chunks)
	}
	if err == nil {
		index, err = r.indexAt(ctx, len(chunks))
	}
	if err != nil {
		w.failures++
		w.failure = err
		return nil, nil, nil, err
	}
	w.failures = 0
	return chunks, last, index, nil
}

// takeOver gives a turn the number after the last, and returns the chunks that stay as
// they are and the bytes of the last one if the turn's own begins with them.
func (w *writer) takeOver(ctx context.Context, id logID, chunks []chunk) ([]chunk, []byte, error) {
	w.attempt = 1
	if len(chunks) == 0 {
		return nil, nil, nil
	}
	at := len(chunks) - 1
	last := chunks[at]
	w.attempt = min(last.attempt+1, maxAttempt)
	if last.end-last.start >= turnChunk {
		return chunks, nil, nil
	}
	data, err := w.store.get(ctx, id, last)
	if err != nil {
		return nil, nil, err
	}
	w.replaces = last.name(id)
	return chunks[:at], bytes.Clone(data), nil
}

// lossNotice says how many bytes were lost, and forgets it.
func (w *writer) lossNotice() []byte {
	text := w.line("--- %d bytes of the log are missing here: the server could not store them ---\n", w.lost)
	w.lost = 0
	return text
}

// line returns a line of our own, on a line of its own.
func (w *writer) line(format string, args ...any) []byte {
	text := fmt.Appendf(nil, format, args...)
	if !w.endsLine {
		return append([]byte{'\n'}, text...)
	}
	return text
}

// Close ends the log for this attempt. All of it is in the bucket then, unless it
// returns an error.
func (w *writer) Close() error {
	if w.log == nil || w.closed {
		return nil
	}
	// A bucket that failed gets one more try.
	w.putting <- struct{}{}
	w.failures = min(w.failures, maxFailures-1)
	<-w.putting
	err := w.finish()
	w.putting <- struct{}{}
	err = errors.Join(err, w.putWithRetries())
	w.closed = true
	<-w.putting
	w.leave()
	return err
}

// finish writes the lines that end the log.
func (w *writer) finish() error {
	var err error
	if w.lost > 0 {
		err = w.append(w.lossNotice())
	}
	if w.dropped > 0 && !w.full {
		err = errors.Join(err, w.append(w.line("--- the log reached its limit of %d bytes; %d more bytes were dropped ---\n", w.store.config.Limit, w.dropped)))
	}
	w.dropped = 0
	return err
}

// leave is the last that the writer does with the log.
func (w *writer) leave() {
	w.log.mu.Lock()
	if w.flushing != nil {
		w.flushing.Stop()
	}
	if w.log.writer == w {
		w.log.writer = nil
	}
	w.log.notify()
	w.log.mu.Unlock()
	w.store.writers.Add(-1)
	w.store.release(w.log)
}
