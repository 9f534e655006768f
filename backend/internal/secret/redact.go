// Package secret keeps secret values out of what is stored and shown. It must
// never log or return a secret itself, nor keep one beyond the life of what hides it.
package secret

import (
	"bytes"
	"io"
	"slices"
	"sync"
)

// Mask is what stands for a secret, and for several that touch or overlap.
const Mask = "****"

// MinLength is the length in bytes below which a value is not redacted: masking
// every "1" or "dev" would make a log unreadable and tell the value besides.
const MinLength = 6

// Redact returns text with every one of the secrets replaced by Mask, in each of its forms.
func Redact(text string, secrets ...string) string {
	return NewWriter(io.Discard, secrets...).Redact(text)
}

// Writer replaces secrets in what is written through it, in each of their forms, also if
// they come in pieces. It keeps back the end of a write only if that could be the start of
// a secret, until the next write or Close. Its methods may be called concurrently.
type Writer struct {
	to io.Writer

	mu      sync.Mutex
	secrets []string
	// patterns are nil while there is nothing to hide.
	patterns *patterns
	scanner  scanner
	// clean is what the last write let through, to be used again.
	clean []byte
}

// NewWriter returns a writer that masks the secrets; those shorter than
// MinLength are left as they are.
func NewWriter(to io.Writer, secrets ...string) *Writer {
	w := &Writer{to: to}
	w.Add(secrets...)
	return w
}

// Add makes the writer mask more secrets, from what it keeps back on.
func (w *Writer) Add(secrets ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := len(w.secrets)
	for _, s := range secrets {
		if len(s) >= MinLength && !slices.Contains(w.secrets, s) {
			w.secrets = append(w.secrets, s)
		}
	}
	if len(w.secrets) == known {
		return
	}
	w.patterns = compile(w.secrets)
	w.scanner = w.scanner.restart(w.patterns)
}

// Redact returns a text without the secrets of the writer.
func (w *Writer) Redact(text string) string {
	w.mu.Lock()
	patterns := w.patterns
	w.mu.Unlock()
	if patterns == nil || text == "" {
		return text
	}
	s := scanner{patterns: patterns}
	clean := s.scan(nil, []byte(text))
	return string(s.end(clean))
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.patterns == nil {
		return w.to.Write(p)
	}
	clean := p
	if !w.scanner.clean(p) {
		w.clean = w.scanner.scan(w.clean[:0], p)
		clean = w.clean
	}
	if len(clean) > 0 {
		if _, err := w.to.Write(clean); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Close writes what was kept back. It does not close the writer below.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.scanner.held) == 0 {
		return nil
	}
	_, err := w.to.Write(w.scanner.end(nil))
	return err
}

var _ io.WriteCloser = (*Writer)(nil)

// scanner is the place in a stream.
type scanner struct {
	patterns *patterns
	state    state
	// held is the end of what was scanned that may be the start of a secret. Its first
	// masked ranges are covered by secrets.
	held   []byte
	ranges []span
	// masked is set if the last byte before held was part of a secret, whose mask is written.
	masked bool
}

// span is a range of held that is part of a secret.
type span struct{ from, to int }

// restart returns the scanner with other patterns, which have seen nothing but what is held.
func (s *scanner) restart(patterns *patterns) scanner {
	next := scanner{patterns: patterns, ranges: s.ranges, masked: s.masked}
	// Nothing of it leaves: what the patterns of before held back stays held until the next
	// write.
	for _, b := range s.held {
		next.held = append(next.held, b)
		next.step(b)
	}
	return next
}

// clean tells whether all of p can be written as it is, and nothing is held.
func (s *scanner) clean(p []byte) bool {
	if len(s.held) > 0 || s.state != root || s.patterns.skip(p) < len(p) {
		return false
	}
	s.masked = false
	return true
}

// step takes the last byte of held.
func (s *scanner) step(b byte) {
	s.state = s.patterns.next(s.state, b)
	length := s.patterns.longest[s.state]
	if length == 0 {
		return
	}
	at := span{len(s.held) - int(length), len(s.held)}
	// The ends of matches ascend, so only the last ranges can touch this one. After a restart
	// there are later ones; then what is between is hidden too.
	for len(s.ranges) > 0 && s.ranges[len(s.ranges)-1].to >= at.from {
		at.from, at.to = min(at.from, s.ranges[len(s.ranges)-1].from), max(at.to, s.ranges[len(s.ranges)-1].to)
		s.ranges = s.ranges[:len(s.ranges)-1]
	}
	s.ranges = append(s.ranges, at)
}

// scan appends what is certain of the stream after p.
func (s *scanner) scan(clean, p []byte) []byte {
	for len(p) > 0 {
		if s.state == root {
			clean = s.release(clean, len(s.held))
			n := s.patterns.skip(p)
			if n > 0 {
				clean, s.masked = append(clean, p[:n]...), false
				p = p[n:]
				continue
			}
		}
		// Until no secret may have begun.
		for len(p) > 0 {
			s.held = append(s.held, p[0])
			s.step(p[0])
			p = p[1:]
			if s.state == root {
				break
			}
		}
	}
	return s.release(clean, len(s.held)-int(s.patterns.depth[s.state]))
}

// end appends the rest of the stream.
func (s *scanner) end(clean []byte) []byte {
	clean = s.release(clean, len(s.held))
	s.state = root
	return clean
}

// release appends the first n bytes of held without what is secret. No secret that is not
// found yet begins in them.
func (s *scanner) release(clean []byte, n int) []byte {
	at, done := 0, 0
	for _, r := range s.ranges {
		if r.from >= n {
			break
		}
		if r.from > at {
			clean, s.masked = append(clean, s.held[at:r.from]...), false
		}
		if !s.masked {
			clean, s.masked = append(clean, Mask...), true
		}
		at = min(r.to, n)
		if r.to <= n {
			done++
		}
	}
	if at < n {
		clean, s.masked = append(clean, s.held[at:n]...), false
	}
	s.ranges = slices.Delete(s.ranges, 0, done)
	for i := range s.ranges {
		s.ranges[i] = span{max(0, s.ranges[i].from-n), s.ranges[i].to - n}
	}
	s.held = append(s.held[:0], s.held[n:]...)
	return clean
}

// compile returns the patterns of secrets.
func compile(secrets []string) *patterns {
	var all [][]byte
	for _, s := range secrets {
		for _, form := range forms(s) {
			if len(form) >= MinLength {
				all = append(all, []byte(form))
			}
		}
	}
	// Equal ones come together, and those that begin alike share their start.
	slices.SortFunc(all, bytes.Compare)
	return newPatterns(slices.CompactFunc(all, bytes.Equal))
}
