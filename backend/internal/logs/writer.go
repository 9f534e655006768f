package logs

import (
	"errors"
	"fmt"
)

// writer appends to one log in the name of one attempt.
type writer struct {
	store             *Store
	execution, action string
	attempt           int

	// file and log are set by the first write.
	file *execution
	log  *actionLog
	// size is that of the log, which has one writer at a time.
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
	if w.log == nil {
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
	w.size += int64(len(p))
	w.endsLine = p[len(p)-1] == '\n'
	return w.file.append(w.log, p)
}

func (w *writer) open() error {
	file, log, err := w.store.use(w.execution, w.action)
	if err != nil {
		return err
	}
	w.file, w.log = file, log
	file.mu.Lock()
	w.size = log.size()
	file.mu.Unlock()
	if w.attempt > 1 {
		// Past the limit too: it is a line an attempt.
		return w.append(fmt.Appendf(nil, "--- attempt %d ---\n", w.attempt))
	}
	return nil
}

// Close ends the log for this attempt.
func (w *writer) Close() error {
	if w.log == nil {
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
	w.file.mu.Lock()
	err = errors.Join(err, w.file.err)
	w.log.announce()
	w.file.mu.Unlock()
	err = errors.Join(err, w.store.release(w.file))
	w.file, w.log = nil, nil
	return err
}
