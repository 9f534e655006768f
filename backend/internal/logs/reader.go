package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// Reader reads one log, also while it is written, here or in another process. It is
// safe for concurrent use.
type Reader struct {
	store *Store
	log   *log

	mu sync.Mutex
	// writer is this process's as it was at the last refresh, nil where there was none.
	writer *writer
	chunks []chunk
	// active is the chunk that the writer has in memory. It is not one of chunks.
	active chunk
	size   int64
}

// Size returns how many bytes the log held at the last refresh: when it was opened, and
// when Read or Wait came to its end.
func (r *Reader) Size() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.size
}

// Read reads from a place in the log, at most to the end of a chunk. It returns io.EOF
// and no bytes at the end of what was written so far.
func (r *Reader) Read(ctx context.Context, p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, errors.New("read log: negative offset")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if offset >= r.size {
		if _, err := r.refresh(ctx); err != nil {
			return 0, err
		}
		if offset >= r.size {
			return 0, io.EOF
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	for try := 0; ; try++ {
		n, err := r.readChunk(ctx, p, offset)
		if !errors.Is(err, blob.ErrNotFound) && !errors.Is(err, io.EOF) {
			return n, err
		}
		// A later turn took the chunk over since the last refresh, or the writer began another
		// one. If that is not all, the execution was removed meanwhile.
		if try == 1 {
			return 0, io.EOF
		}
		if _, err := r.refresh(ctx); err != nil {
			return 0, err
		}
	}
}

// readChunk reads from the chunk of a place in the log. It returns io.EOF or blob.ErrNotFound
// if what is known of the log is not true any more.
func (r *Reader) readChunk(ctx context.Context, p []byte, offset int64) (int, error) {
	if r.writer != nil {
		if n := r.writer.read(p, offset); n > 0 {
			return n, nil
		}
	}
	c, data, err := r.chunkAt(ctx, offset)
	if err != nil {
		return 0, err
	}
	data = data[:min(int64(len(data)), c.end-c.start)]
	at, length := offset-c.start, c.end-c.start-int64(len(data))
	if at < int64(len(data)) {
		return copy(p, data[at:]), nil
	}
	return readMissing(p, length, at-int64(len(data))), nil
}

// chunkAt returns the chunk of a place in the log and what its object holds; io.EOF if
// there is none.
func (r *Reader) chunkAt(ctx context.Context, offset int64) (chunk, []byte, error) {
	i := sort.Search(len(r.chunks), func(i int) bool { return r.chunks[i].end > offset })
	if i == len(r.chunks) {
		return chunk{}, nil, io.EOF
	}
	data, err := r.store.get(ctx, r.log.id, r.chunks[i])
	return r.chunks[i], data, err
}

// linesBefore returns how many lines end before a place in the log, if a chunk with an index
// begins there.
func (r *Reader) linesBefore(offset int64) (int64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := sort.Search(len(r.chunks), func(i int) bool { return r.chunks[i].start >= offset })
	if i == len(r.chunks) || r.chunks[i].start != offset || r.chunks[i].index == nil {
		return 0, false
	}
	return r.chunks[i].index.lines, true
}

// readMissing reads what stands for bytes that a crash of the machine took from the
// bucket, so that all others keep their places: that many, from a place among them. It
// holds none of them, since they may be more than there is memory.
func readMissing(p []byte, length, at int64) int {
	p = p[:min(int64(len(p)), length-at)]
	clear(p)
	text := fmt.Appendf(nil, "\n--- %d bytes of the log were lost ---\n", length)
	begin := length - int64(len(text))
	switch {
	case begin < 0 || begin >= at+int64(len(p)):
	case begin >= at:
		copy(p[begin-at:], text)
	default:
		copy(p, text[at-begin:])
	}
	return len(p)
}

// refresh finds how long the log is now, and returns what is closed at the next
// change in this process. The caller holds mu, or alone has the reader.
func (r *Reader) refresh(ctx context.Context) (changed <-chan struct{}, err error) {
	r.log.mu.Lock()
	changed, r.writer = r.log.changed, r.log.writer
	if r.writer != nil {
		r.chunks, r.active, r.size = r.writer.chunks, r.writer.chunk(), r.writer.size()
	}
	r.log.mu.Unlock()
	if r.writer != nil {
		return changed, nil
	}
	for range maxRefreshes {
		var chunks []chunk
		if chunks, err = r.store.list(ctx, r.log.id); err != nil {
			return nil, err
		}
		if len(chunks) == 0 {
			break
		}
		last := &chunks[len(chunks)-1]
		var data []byte
		if data, err = r.store.get(ctx, r.log.id, *last); err == nil {
			last.end = last.start + int64(len(data))
			r.chunks, r.size = chunks, last.end
			return changed, nil
		}
		if !errors.Is(err, blob.ErrNotFound) {
			return nil, err
		}
		// A later turn took it over, or the execution was removed meanwhile.
	}
	r.chunks, r.size = nil, 0
	return changed, nil
}

// maxRefreshes bounds how often a log is listed whose last chunk went in between.
const maxRefreshes = 3

// Wait returns nil when the log holds data past the offset, or when something else
// about it changes in this process; it returns the context's error when the context
// ends first. A log that nobody writes to may still get a writer: end the context
// when the action ended, then read what is left.
func (r *Reader) Wait(ctx context.Context, offset int64) error {
	for {
		r.mu.Lock()
		changed, err := r.refresh(ctx)
		more, here := r.size > offset, r.writer != nil
		r.mu.Unlock()
		if err != nil || more {
			return err
		}
		if again, err := await(ctx, changed, here); !again || err != nil {
			return err
		}
	}
}

// await waits for a change in this process, and where the writer is not in it, for
// the time to look again.
func await(ctx context.Context, changed <-chan struct{}, here bool) (again bool, err error) {
	var poll <-chan time.Time
	if !here {
		timer := time.NewTimer(pollEvery)
		defer timer.Stop()
		poll = timer.C
	}
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-changed:
		return false, nil
	case <-poll:
		return true, nil
	}
}

// Close lets go of the log. It is called once.
func (r *Reader) Close() { r.store.release(r.log) }
