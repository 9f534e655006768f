package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// writer appends to one log.
type writer struct {
	store   *Store
	key     key
	attempt int

	file *os.File
	size int64
	// endsLine tells whether the last byte written ended a line.
	endsLine bool
	dropped  int64
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if w.file == nil {
		if err := w.open(); err != nil {
			return 0, err
		}
	}
	keep := p
	if room := max(0, w.store.limit-w.size); int64(len(keep)) > room {
		keep = keep[:room]
	}
	w.dropped += int64(len(p) - len(keep))
	if err := w.append(keep); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *writer) append(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	n, err := w.file.Write(p)
	w.size += int64(n)
	if err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	w.endsLine = p[len(p)-1] == '\n'
	w.store.announce(w.key)
	return nil
}

func (w *writer) open() error {
	path, err := w.store.path(w.key)
	if err != nil {
		return err
	}
	const flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	file, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("open log: %w", err)
		}
		file, err = os.OpenFile(path, flags, 0o600)
	}
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	w.file = file
	if w.attempt <= 1 {
		return nil
	}
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	w.size = info.Size()
	// Past the limit too: it is a line an attempt.
	return w.append(fmt.Appendf(nil, "--- attempt %d ---\n", w.attempt))
}

// Close ends the log for this attempt.
func (w *writer) Close() error {
	if w.file == nil {
		return nil
	}
	var err error
	if w.dropped > 0 {
		newline := ""
		if !w.endsLine {
			newline = "\n"
		}
		err = w.append(fmt.Appendf(nil, "%s--- the log reached its limit of %d bytes; %d more bytes were dropped ---\n", newline, w.store.limit, w.dropped))
	}
	err = errors.Join(err, w.file.Close())
	w.file = nil
	w.store.announce(w.key)
	return err
}
