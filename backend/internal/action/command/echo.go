package command

import (
	"bytes"
	"crypto/rand"
	"io"
	"slices"
)

// echoes writes what a script prints and begins the echo of each command on a line of its
// own. The script prints a mark before each echo, which only the script and echoes hold.
type echoes struct {
	to   io.Writer
	mark []byte
	// held is the beginning of what may become the mark.
	held []byte
	// midline tells that the last line written has no end yet.
	midline bool
}

func newEchoes(to io.Writer) *echoes {
	return &echoes{to: to, mark: []byte("\x01" + rand.Text())}
}

// format returns the mark for a format of printf, where it shows no byte that cannot be
// seen if the commands trace themselves.
func (e *echoes) format() string { return `\001` + string(e.mark[1:]) }

// Write implements io.Writer.
func (e *echoes) Write(p []byte) (int, error) {
	data := p
	if len(e.held) > 0 {
		data = slices.Concat(e.held, p)
		e.held = nil
	}
	for {
		before, after, found := bytes.Cut(data, e.mark)
		if !found {
			break
		}
		if err := e.write(before); err != nil {
			return 0, err
		}
		if e.midline {
			if err := e.write([]byte("\n")); err != nil {
				return 0, err
			}
		}
		data = after
	}
	open := e.beginning(data)
	e.held = bytes.Clone(data[len(data)-open:])
	if err := e.write(data[:len(data)-open]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what was held. It does not close the writer below.
func (e *echoes) Close() error {
	held := e.held
	e.held = nil
	return e.write(held)
}

// beginning returns how many bytes at the end of data may be the beginning of the mark.
func (e *echoes) beginning(data []byte) int {
	for n := min(len(e.mark)-1, len(data)); n > 0; n-- {
		if bytes.HasSuffix(data, e.mark[:n]) {
			return n
		}
	}
	return 0
}

func (e *echoes) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	e.midline = p[len(p)-1] != '\n'
	_, err := e.to.Write(p)
	return err
}
