package logs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"
)

const (
	// MaxLineText is how many bytes of a line Lines returns at most.
	MaxLineText = 8 << 10
	// lineOverhead is what a line counts beside its text in the size of a page.
	lineOverhead = 48
	// pieceSize is how much of a log is looked at at once.
	pieceSize = 64 << 10
	// readForIndex is how much of a log the writer of a later attempt reads to continue its index:
	// small logs of attempts before, but not a large log that an older version wrote.
	readForIndex = 4 << 20
)

// Stat is what is known of a whole log.
type Stat struct {
	// Size is in bytes. Lines counts the last one also if it does not end yet.
	Size, Lines int64
	Traits      Traits
}

// Place is what is before a byte of a log.
type Place struct {
	Offset int64
	// Line is the number of the line that holds the byte, from 1.
	Line int64
	// SGR is what colors and the like are set to: the parameters of the sequence that sets them,
	// such as 1;38;5;196; empty for the default.
	SGR string
	// Written is about when the byte was written: when the chunk of the log that holds it was
	// begun; zero if that is not known.
	Written time.Time
}

// Line is a line of a log.
type Line struct {
	// Place is of the first byte of the line.
	Place

	// Length is in bytes, without the end of the line.
	Length int64
	// Text is at most MaxLineText bytes of the line.
	Text []byte
}

// view is a log as it was at one moment. It is not safe for concurrent use.
type view struct {
	reader *Reader
	chunks []chunk
	size   int64
	buffer []byte
}

func (r *Reader) view() *view {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := &view{reader: r, chunks: r.chunks, size: r.size}
	if r.writer != nil && r.active.end > r.active.start {
		v.chunks = append(slices.Clip(r.chunks), r.active)
	}
	return v
}

// Unindexed returns how many bytes of the log have to be read to know the numbers of all
// its lines, besides a few chunks.
func (r *Reader) Unindexed() int64 {
	v := r.view()
	var unknown int64
	for i := 1; i < len(v.chunks); i++ {
		if _, ok := v.known(i); !ok {
			unknown += v.chunks[i].start - v.chunks[i-1].start
		}
	}
	return unknown
}

// Stat tells how long the log is.
func (r *Reader) Stat(ctx context.Context) (Stat, error) {
	v := r.view()
	m, err := v.markAt(ctx, v.size)
	if err != nil {
		return Stat{}, err
	}
	lines, err := v.countLines(ctx, m)
	return Stat{Size: v.size, Lines: lines, Traits: m.traits}, err
}

// PlaceAt tells what is before a byte of the log, or before its end.
func (r *Reader) PlaceAt(ctx context.Context, offset int64) (Place, error) {
	v := r.view()
	offset = max(0, min(offset, v.size))
	m, err := v.markAt(ctx, offset)
	if err != nil {
		return Place{}, err
	}
	return v.place(offset, m), nil
}

// Lines returns lines of the log from a number on, at most that many and at most that many
// bytes of them, but at least one if there is one. A number below 0 counts from the end: -1
// is the last line. Numbers of lines that a crash took are left out. It also returns
// the place after the last line returned.
func (r *Reader) Lines(ctx context.Context, first int64, most, room int) ([]Line, Place, error) {
	v := r.view()
	if first < 0 {
		m, err := v.markAt(ctx, v.size)
		if err != nil {
			return nil, Place{}, err
		}
		last, err := v.countLines(ctx, m)
		if err != nil {
			return nil, Place{}, err
		}
		first += last + 1
	}
	at, m, err := v.lineStart(ctx, max(first, 1))
	if err != nil {
		return nil, Place{}, err
	}
	l := &lineReader{view: v, at: at, mark: m}
	var lines []Line
	for len(lines) < most && l.at < v.size {
		before, beforeMark := l.at, l.mark
		line, err := l.next(ctx)
		if err != nil {
			return nil, Place{}, err
		}
		if room -= len(line.Text) + len(line.SGR) + lineOverhead; room < 0 && len(lines) > 0 {
			l.at, l.mark = before, beforeMark
			break
		}
		lines = append(lines, line)
	}
	return lines, v.place(l.at, l.mark), nil
}

// indexAt returns the index of a chunk of that number, which may be one that does not
// exist yet; nil if only reading much of the log can tell.
func (r *Reader) indexAt(ctx context.Context, i int) (*indexed, error) {
	v := r.view()
	if i < len(v.chunks) {
		if v.chunks[i].start == 0 {
			return &indexed{}, nil
		}
		return v.chunks[i].index, nil
	}
	if i == 0 {
		return &indexed{}, nil
	}
	known := i - 1
	for _, ok := v.known(known); !ok; _, ok = v.known(known) {
		known--
	}
	if v.chunks[i-1].start-v.chunks[known].start > readForIndex {
		return nil, nil
	}
	m, err := v.markAt(ctx, v.size)
	return &indexed{mark: m, began: time.Now().UnixMilli()}, err
}

// chunkOf returns the number of the chunk that holds a byte, or the last one at the end of
// the log; -1 for an empty log.
func (v *view) chunkOf(offset int64) int {
	i, _ := slices.BinarySearchFunc(v.chunks, offset, func(c chunk, offset int64) int {
		if c.end <= offset {
			return -1
		}
		return 1
	})
	return min(i, len(v.chunks)-1)
}

// known returns the mark of a chunk if it is known without reading.
func (v *view) known(i int) (mark, bool) {
	if m, ok := v.chunks[i].mark(); ok || i == 0 {
		return m, true
	}
	return v.reader.store.marks.Get(v.chunks[i].name(v.reader.log.id))
}

// mark returns the mark of a chunk. It reads what is between that and the nearest one before
// that is known, and remembers what it finds.
func (v *view) mark(ctx context.Context, i int) (mark, error) {
	from := i
	m, ok := v.known(from)
	for !ok {
		from--
		m, ok = v.known(from)
	}
	for ; from < i; from++ {
		next := v.chunks[from+1]
		if err := v.advance(ctx, &m, v.chunks[from].start, next.start); err != nil {
			return m, err
		}
		v.reader.store.marks.Add(next.name(v.reader.log.id), m)
	}
	return m, nil
}

// markAt returns what is before a byte of the log.
func (v *view) markAt(ctx context.Context, offset int64) (mark, error) {
	i := v.chunkOf(offset)
	if i < 0 {
		return mark{}, nil
	}
	m, err := v.mark(ctx, i)
	if err != nil {
		return m, err
	}
	return m, v.advance(ctx, &m, v.chunks[i].start, offset)
}

// advance follows a part of the log.
func (v *view) advance(ctx context.Context, m *mark, from, to int64) error {
	for from < to {
		piece, err := v.piece(ctx, from, to)
		if err != nil {
			return err
		}
		m.advance(piece)
		from += int64(len(piece))
	}
	return nil
}

// piece returns some bytes of the log, at least one and at most to the end of a chunk.
func (v *view) piece(ctx context.Context, from, to int64) ([]byte, error) {
	if v.buffer == nil {
		v.buffer = make([]byte, pieceSize)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, err := v.reader.Read(ctx, v.buffer[:min(int64(len(v.buffer)), to-from)], from)
	if errors.Is(err, io.EOF) {
		// What was there is gone.
		err = io.ErrUnexpectedEOF
	}
	return v.buffer[:n], err
}

// countLines returns the number of the last line, with the mark of the end of the log.
func (v *view) countLines(ctx context.Context, end mark) (int64, error) {
	if v.size == 0 {
		return 0, nil
	}
	last, err := v.piece(ctx, v.size-1, v.size)
	if err != nil || last[0] == '\n' {
		return end.lines, err
	}
	return end.lines + 1, nil
}

// lineStart returns where a line begins, or the end of the log if it has fewer lines.
func (v *view) lineStart(ctx context.Context, number int64) (at int64, m mark, err error) {
	if number == 1 || len(v.chunks) == 0 {
		return 0, mark{}, nil
	}
	ends := number - 1
	chunk := 0
	for i := range v.chunks {
		if known, ok := v.known(i); ok && known.lines < ends {
			chunk, m = i, known
		}
	}
	for ; chunk < len(v.chunks); chunk++ {
		if m, err = v.mark(ctx, chunk); err != nil {
			return 0, m, err
		}
		if m.lines >= ends && chunk > 0 {
			// The line is missing. This is the first one after it.
			return v.chunks[chunk].start, m, nil
		}
		at, found, err := v.lineIn(ctx, &m, chunk, ends)
		if found || err != nil {
			return at, m, err
		}
	}
	return v.size, m, nil
}

// lineIn looks for the byte after the end of a line in a chunk, with the mark of the chunk.
func (v *view) lineIn(ctx context.Context, m *mark, chunk int, ends int64) (at int64, found bool, err error) {
	at, end := v.chunks[chunk].start, min(v.chunks[chunk].end, v.size)
	for at < end {
		piece, err := v.piece(ctx, at, end)
		if err != nil {
			return 0, false, err
		}
		if m.lines+int64(bytes.Count(piece, []byte{'\n'})) >= ends {
			length := 0
			for left := ends - m.lines; left > 0; left-- {
				length += bytes.IndexByte(piece[length:], '\n') + 1
			}
			piece, found = piece[:length], true
		}
		m.advance(piece)
		at += int64(len(piece))
		if found {
			return at, true, nil
		}
	}
	return at, false, nil
}

func (v *view) place(offset int64, m mark) Place {
	p := Place{Offset: offset, Line: m.lines + 1, SGR: m.style.String()}
	if i := v.chunkOf(offset); i >= 0 && v.chunks[i].index != nil {
		p.Written = v.chunks[i].index.time()
	}
	return p
}

// lineReader reads one line after the other.
type lineReader struct {
	*view

	// at is where the next line begins, and mark what is before it.
	at   int64
	mark mark
	// ahead is what was read already, from at on.
	ahead []byte
}

// next returns the next line, which exists.
func (l *lineReader) next(ctx context.Context) (Line, error) {
	l.sync(l.at)
	line := Line{Place: l.place(l.at, l.mark)}
	for at := l.at; ; {
		if len(l.ahead) == 0 {
			if at == l.size {
				line.Length = at - l.at
				l.at = at
				return line, nil
			}
			var err error
			if at, err = l.read(ctx, at, len(line.Text) == MaxLineText); err != nil {
				return line, err
			}
		}
		part := l.ahead
		end := bytes.IndexByte(part, '\n')
		if end >= 0 {
			part = part[:end+1]
		}
		l.ahead = l.ahead[len(part):]
		l.mark.advance(part)
		at += int64(len(part))
		shown := bytes.TrimSuffix(part, []byte{'\n'})
		line.Text = append(line.Text, shown[:min(len(shown), MaxLineText-len(line.Text))]...)
		if end >= 0 {
			line.Length = at - l.at - 1
			l.at = at
			return line, nil
		}
	}
}

// read reads the next part of the log, and returns where it begins. It leaves out chunks without
// the end of a line if only that is wanted.
func (l *lineReader) read(ctx context.Context, at int64, onlyEnd bool) (int64, error) {
	l.sync(at)
	for next := l.chunkOf(at) + 1; onlyEnd && next < len(l.chunks); next++ {
		known, ok := l.known(next)
		if !ok || known.lines != l.mark.lines {
			break
		}
		at, l.mark = l.chunks[next].start, known
	}
	piece, err := l.piece(ctx, at, l.size)
	l.ahead = piece
	return at, err
}

// sync takes over what the index says at the begin of a chunk. That differs from what was read
// where a crash took lines before.
func (l *lineReader) sync(at int64) {
	if i := l.chunkOf(at); i > 0 && l.chunks[i].start == at {
		if known, ok := l.known(i); ok {
			l.mark = known
		}
	}
}
