// Package secret keeps secret values out of what is stored and shown. It must
// never keep, log or return a secret itself.
package secret

import (
	"bytes"
	"cmp"
	"io"
	"slices"
)

// Mask is what stands for a secret.
const Mask = "****"

// MinLength is the length in bytes below which a value is not redacted: masking
// every "1" or "dev" would make a log unreadable and tell the value besides.
const MinLength = 6

// Redact returns text with every one of the secrets replaced by Mask.
func Redact(text string, secrets ...string) string {
	var out bytes.Buffer
	w := NewWriter(&out, secrets...)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.String()
}

// Writer replaces secrets in what is written through it, also those that come in
// pieces. It keeps back the end of a write only where that could be the start of
// a secret, until the next write or Close. It is not safe for concurrent use.
type Writer struct {
	to      io.Writer
	secrets [][]byte
	held    []byte
}

// NewWriter returns a writer that masks the secrets; those shorter than
// MinLength are left as they are.
func NewWriter(to io.Writer, secrets ...string) *Writer {
	w := &Writer{to: to}
	for _, s := range secrets {
		if len(s) >= MinLength {
			w.secrets = append(w.secrets, []byte(s))
		}
	}
	// Where one secret begins with another, the longer one is masked as a whole.
	slices.SortFunc(w.secrets, func(a, b []byte) int { return cmp.Compare(len(b), len(a)) })
	return w
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	if len(w.secrets) == 0 {
		return w.to.Write(p)
	}
	data := p
	if len(w.held) > 0 {
		data = slices.Concat(w.held, p)
		w.held = nil
	}
	clean, rest := w.mask(data, false)
	w.held = bytes.Clone(rest)
	if len(clean) > 0 {
		if _, err := w.to.Write(clean); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Close writes what was kept back. It does not close the writer below.
func (w *Writer) Close() error {
	if len(w.held) == 0 {
		return nil
	}
	clean, _ := w.mask(w.held, true)
	w.held = nil
	_, err := w.to.Write(clean)
	return err
}

// mask returns data without secrets, and the rest of it that has to wait because
// more bytes could make it a secret.
func (w *Writer) mask(data []byte, end bool) (clean, rest []byte) {
	for len(data) > 0 {
		at, secret := w.find(data)
		// A secret that might begin before the one found takes precedence.
		if !end {
			if wait := w.pending(data); wait >= 0 && (at < 0 || wait <= at) {
				return append(clean, data[:wait]...), data[wait:]
			}
		}
		if at < 0 {
			return append(clean, data...), nil
		}
		clean = append(append(clean, data[:at]...), Mask...)
		data = data[at+len(secret):]
	}
	return clean, nil
}

// find returns the first secret in data, of those at one place the longest.
func (w *Writer) find(data []byte) (at int, secret []byte) {
	at = -1
	for _, s := range w.secrets {
		window := data
		if at >= 0 && at+len(s) < len(data) {
			window = data[:at+len(s)]
		}
		if i := bytes.Index(window, s); i >= 0 && (at < 0 || i < at) {
			at, secret = i, s
		}
	}
	return at, secret
}

// pending returns where a secret begins that data ends in the middle of, or -1.
func (w *Writer) pending(data []byte) int {
	first := -1
	for _, s := range w.secrets {
		start := max(0, len(data)-len(s)+1)
		for i := start; i < len(data) && (first < 0 || i < first); i++ {
			next := bytes.IndexByte(data[i:], s[0])
			if next < 0 {
				break
			}
			i += next
			if bytes.HasPrefix(s, data[i:]) && (first < 0 || i < first) {
				first = i
				break
			}
		}
	}
	return first
}

var _ io.WriteCloser = (*Writer)(nil)
