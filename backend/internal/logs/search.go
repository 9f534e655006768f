package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// maxPiece is how much of a line is looked at at once: a longer one is searched
	// piece by piece. Each begins with the end of the one before, which is more than
	// most matches are long.
	maxPiece = 16 << 10
	overlap  = 1 << 10
	// MaxLine is how many bytes of a line a match holds at most.
	MaxLine = 4 << 10
)

// Match is a line that matched.
type Match struct {
	// Line counts from 1, Offset is the place of the line in the log.
	Line, Offset int64
	// Text is without the end of the line. It is cut to MaxLine bytes around the match.
	Text []byte
	Cut  bool
	// Before and After are the lines around it that no match before it held.
	Before, After [][]byte
}

// Search gives the lines of the log that match, or those that do not if the pattern is inverted, each with that many lines around it,
// and returns how many bytes it looked at. It ends at the end of what was written
// so far, with the error of emit, or with the context.
func (r *Reader) Search(ctx context.Context, pattern Pattern, around int, emit func(Match) error) (searched int64, err error) {
	s := &search{pattern: pattern, around: around, emit: emit}
	buffer := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return searched, err
		}
		n, err := r.Read(ctx, buffer, searched)
		if errors.Is(err, io.EOF) {
			return searched, s.end()
		}
		if err != nil {
			return searched, err
		}
		if lines, ok := r.linesBefore(searched); ok {
			s.line = lines
		}
		searched += int64(n)
		if err := s.scan(buffer[:n]); err != nil {
			return searched, err
		}
	}
}

// search is the state of a search: the line that it is in, and the lines before it.
type search struct {
	pattern Pattern
	around  int
	emit    func(Match) error

	// line and offset are those of the line that piece is of. Piece is what is not
	// searched yet of it; begin is how the line begins, for what is around others.
	line, offset, length int64
	piece, begin         []byte
	// inner is set if the line began before piece.
	inner  bool
	found  *Match
	before [][]byte
	// pending is a match that still takes lines after it.
	pending *Match
	// lower is the data in lower case.
	lower []byte
}

// scan searches the next bytes of the log.
func (s *search) scan(data []byte) error {
	folded := data
	if s.pattern.folded {
		s.lower = append(s.lower[:0], data...)
		folded = s.lower
		lower(folded, data)
	}
	for len(data) > 0 {
		if n := s.skip(data, folded[len(folded)-len(data):]); n > 0 {
			data = data[n:]
			continue
		}
		end := bytes.IndexByte(data, '\n')
		part := data
		if end >= 0 {
			part = data[:end]
		}
		if end >= 0 && s.length == 0 && len(part) <= maxPiece {
			// Most lines are searched where they are.
			s.count(part)
			s.searchPiece(part, true)
		} else {
			s.addPart(part)
		}
		if end < 0 {
			return nil
		}
		data = data[end+1:]
		if err := s.endLine(); err != nil {
			return err
		}
	}
	return nil
}

// skip passes lines that cannot match, and returns how many bytes they are. Most lines of most
// searches are such lines, and are not looked at one by one.
func (s *search) skip(data, folded []byte) int {
	required := s.pattern.required
	if len(required) == 0 || s.pattern.options.Invert || s.length > 0 || s.pending != nil {
		return 0
	}
	end := len(data)
	if i := bytes.Index(folded, required); i >= 0 {
		end = i
	}
	end = bytes.LastIndexByte(data[:end], '\n') + 1
	if end == 0 {
		return 0
	}
	lines := bytes.Count(data[:end], []byte{'\n'})
	s.keep(data[:end], lines)
	s.line += int64(lines)
	s.offset += int64(end)
	return end
}

// keep keeps the last of lines that are skipped, for the next match.
func (s *search) keep(data []byte, lines int) {
	if s.around == 0 {
		return
	}
	var last [][]byte
	for range min(lines, s.around) {
		data = data[:len(data)-1]
		begin := bytes.LastIndexByte(data, '\n') + 1
		last = append(last, bytes.Clone(data[begin:min(len(data), begin+MaxLine)]))
		data = data[:begin]
	}
	for _, line := range slices.Backward(last) {
		s.keepLine(line)
	}
}

// keepLine keeps a line for the next match.
func (s *search) keepLine(line []byte) {
	if len(s.before) == s.around {
		s.before = append(s.before[:0:0], s.before[1:]...)
	}
	s.before = append(s.before, line)
}

// count counts a part of a line and keeps the line's begin.
func (s *search) count(part []byte) {
	s.length += int64(len(part))
	if room := MaxLine - len(s.begin); room > 0 && (s.around > 0 || s.pattern.options.Invert) {
		s.begin = append(s.begin, part[:min(room, len(part))]...)
	}
}

// addPart takes a part of a line that may be long.
func (s *search) addPart(part []byte) {
	s.count(part)
	for len(part) > 0 {
		n := min(maxPiece-len(s.piece), len(part))
		s.piece = append(s.piece, part[:n]...)
		part = part[n:]
		if len(s.piece) == maxPiece {
			s.searchPiece(s.piece, false)
			s.piece, s.inner = append(s.piece[:0], s.piece[maxPiece-overlap:]...), true
		}
	}
}

// searchPiece searches a piece of a line, which may be its end.
func (s *search) searchPiece(piece []byte, ends bool) {
	if s.found == nil {
		if at := s.pattern.find(piece, !s.inner, ends); at != nil {
			from := max(0, min(at[0]-MaxLine/4, len(piece)-MaxLine))
			text := piece[from:min(from+MaxLine, len(piece))]
			s.found = &Match{Line: s.line + 1, Offset: s.offset, Text: bytes.Clone(text)}
		}
	}
}

// endLine ends a line.
func (s *search) endLine() error {
	if len(s.piece) > 0 {
		s.searchPiece(s.piece, true)
	}
	if s.pattern.options.Invert {
		s.invert()
	}
	var err error
	switch {
	case s.found != nil:
		err = s.emitPending()
		s.found.Cut = int64(len(s.found.Text)) < s.length
		s.found.Before, s.before = s.before, nil
		s.pending = s.found
	case s.pending != nil && len(s.pending.After) < s.around:
		s.pending.After = append(s.pending.After, bytes.Clone(s.begin))
	case s.around > 0:
		s.keepLine(bytes.Clone(s.begin))
	}
	if s.pending != nil && len(s.pending.After) == s.around {
		err = errors.Join(err, s.emitPending())
	}
	s.line++
	s.offset += s.length + 1
	s.length, s.piece, s.inner, s.begin, s.found = 0, s.piece[:0], false, s.begin[:0], nil
	return err
}

// invert makes a match of a line that has none, and none of others.
func (s *search) invert() {
	if s.found != nil {
		s.found = nil
		return
	}
	s.found = &Match{Line: s.line + 1, Offset: s.offset, Text: bytes.Clone(s.begin)}
}

func (s *search) emitPending() error {
	if s.pending == nil {
		return nil
	}
	match := *s.pending
	s.pending = nil
	return s.emit(match)
}

// end ends the log, also in the middle of a line.
func (s *search) end() error {
	if s.length > 0 {
		if err := s.endLine(); err != nil {
			return err
		}
	}
	return s.emitPending()
}

// lastLines is how much of the end of a log LastLines looks at.
const lastLines = 16 << 20

// LastLines returns where the last lines of the log begin, that many of them; where
// they are longer than 16 MiB, a place that far before the end.
func (r *Reader) LastLines(ctx context.Context, lines int) (int64, error) {
	size := r.Size()
	first := max(0, size-lastLines)
	buffer := make([]byte, 64<<10)
	for end := size; end > first; {
		start := max(first, end-int64(len(buffer)))
		piece := buffer[:end-start]
		if err := r.readFull(ctx, piece, start); err != nil {
			return 0, fmt.Errorf("read the end of the log: %w", err)
		}
		for i := len(piece) - 1; i >= 0; i-- {
			// The end of the last line begins no other.
			if piece[i] != '\n' || start+int64(i) == size-1 {
				continue
			}
			if lines--; lines == 0 {
				return start + int64(i) + 1, nil
			}
		}
		end = start
	}
	return first, nil
}

func (r *Reader) readFull(ctx context.Context, p []byte, offset int64) error {
	for len(p) > 0 {
		n, err := r.Read(ctx, p, offset)
		if err != nil {
			return err
		}
		p, offset = p[n:], offset+int64(n)
	}
	return nil
}
