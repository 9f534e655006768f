package gitwatch

import (
	"bytes"
	"io"
	"regexp"
)

// Messages takes what git prints to stderr and hands on the lines that are not reports of
// progress.
type Messages struct {
	watch *Watch
	to    io.Writer
	rest  []byte
}

// maxLine bounds a line that has not ended.
const maxLine = 64 << 10

// Messages returns a writer for the stderr of the command, whose lines go to another writer.
func (w *Watch) Messages(to io.Writer) *Messages { return &Messages{watch: w, to: to} }

// Write implements io.Writer.
func (m *Messages) Write(p []byte) (int, error) {
	m.watch.writes.Add(1)
	m.rest = append(m.rest, p...)
	for {
		line, whole := firstLine(m.rest)
		if !whole && len(m.rest) < maxLine {
			return len(p), nil
		}
		if err := m.print(line); err != nil {
			return 0, err
		}
		m.rest = m.rest[len(line):]
	}
}

// firstLine returns the text up to the end of its first line, and whether that has ended. A
// carriage return ends a line, and may have a line feed with it, as in what ssh prints.
func firstLine(text []byte) (line []byte, whole bool) {
	end := bytes.IndexAny(text, "\r\n")
	switch {
	case end < 0:
		return text, false
	case text[end] == '\n':
		return text[:end+1], true
	case end+1 == len(text):
		return text, false
	case text[end+1] == '\n':
		return text[:end+2], true
	}
	return text[:end+1], true
}

// Close hands on a line that did not end.
func (m *Messages) Close() error {
	defer func() { m.rest = nil }()
	return m.print(m.rest)
}

func (m *Messages) print(line []byte) error {
	// Git ends a report that it will write again with a carriage return.
	if len(line) == 0 || line[len(line)-1] == '\r' || report.Match(line) {
		return nil
	}
	_, err := m.to.Write(line)
	return err
}

// report is the last report of a step, by git or by the server, and a line on a ref or a submodule
// that was fetched.
var report = regexp.MustCompile(`^(?:` +
	`(?:remote: )?(?:[A-Z][A-Za-z ]*: +(?:[0-9]+% \([0-9]+/[0-9]+\)(?:, .*)?|[0-9]+, done\.)|Total [0-9]+ \(delta .*)` +
	`|From .*` +
	`| [ *+=t-] .* -> .*` +
	`|Cloning into '.*'\.\.\.` +
	`|Submodule (?:path )?'.*'(?: \(.*\) registered for path '.*'|: checked out '.*')` +
	`)\s*$`)
