package cli

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// hidden tells whether a character shows as nothing and yet changes what is
// seen: controls of the terminal, and format characters such as those that turn
// the direction of text.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// oneLine returns text that cannot break a line or command a terminal: commit
// messages, comments and names of branches come from anybody. Format characters, which make a
// name look like another one, are written out; joiners stay out of the way where scripts use
// them. Runs of white space become one space, since
// enough of them fill up a row and so look like the beginning of a line.
func oneLine(text string) string {
	var line strings.Builder
	var before rune
	for _, r := range text {
		switch {
		case unicode.IsSpace(r), blank(r):
			line.WriteByte(' ')
		case unicode.IsControl(r), joins(r) && before > unicode.MaxLatin1:
		case hidden(r):
			_, _ = fmt.Fprintf(&line, "\\u%04x", r)
		default:
			line.WriteRune(r)
		}
		before = r
	}
	return strings.Join(strings.Fields(line.String()), " ")
}

// joins tells whether a character joins or parts its neighbours, as emoji and some scripts need.
func joins(r rune) bool { return r == '\u200c' || r == '\u200d' }

// blank tells whether a character looks like a space and is a letter or symbol by its
// class: the empty Braille pattern and the Hangul fillers.
func blank(r rune) bool {
	return strings.ContainsRune("\u2800\u3164\u115f\u1160\uffa0", r)
}

// cells returns how many columns of a terminal a character takes, at most.
func cells(r rune) int {
	const firstWide = 0x1100
	if r >= firstWide && (r < 0x2000 || r > 0x2bff) {
		return 2
	}
	return 1
}

// foldMark begins each row that continues a line.
const foldMark = "| "

// fold breaks a line into rows of a width, so that the terminal does not break it where
// its author wants. Rows after the first have a mark. A width of 0 means no limit.
func fold(line string, width int) []string {
	const narrowest = 20
	if width <= 0 {
		return []string{line}
	}
	width = max(width, narrowest)
	var rows []string
	var row strings.Builder
	used := 0
	for _, word := range strings.SplitAfter(line, " ") {
		length := 0
		for _, r := range word {
			length += cells(r)
		}
		if used > len(foldMark) && used+length > width && length <= width-len(foldMark) {
			rows = append(rows, strings.TrimRight(row.String(), " "))
			row.Reset()
			row.WriteString(foldMark)
			used = len(foldMark)
		}
		for _, r := range word {
			if used+cells(r) > width {
				rows = append(rows, row.String())
				row.Reset()
				row.WriteString(foldMark)
				used = len(foldMark)
			}
			row.WriteRune(r)
			used += cells(r)
		}
	}
	return append(rows, strings.TrimRight(row.String(), " "))
}

// harmless returns text of several lines that cannot command a terminal.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if hidden(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
}

// escapeHidden returns a JSON document in which no character can command a
// terminal, and which reads the same: JSON leaves all but the ASCII controls as
// they are.
func escapeHidden(document []byte) []byte {
	escaped := make([]byte, 0, len(document))
	for _, r := range string(document) {
		if !hidden(r) {
			escaped = utf8.AppendRune(escaped, r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			escaped = fmt.Appendf(escaped, `\u%04x`, unit)
		}
	}
	return escaped
}

// The states of a cleaner: what the last character began.
const (
	ground = iota
	escaped
	// sequence is a control sequence (CSI), text a string for the terminal (OSC,
	// DCS and their like), textEnd such a string after an escape character.
	sequence
	text
	textEnd
)

// cleaner takes from a log what would command the terminal that it is shown on:
// moving the cursor over other lines, setting the title or the clipboard, turning
// the direction of text. New lines, tabs and, where wanted, colors stay. It is fed
// piece by piece: sequences and characters may be cut anywhere.
type cleaner struct {
	// colors keeps select graphic rendition.
	colors bool

	state int
	// params is the sequence so far.
	params []byte
	// rest is a character of which the end has not come yet.
	rest []byte
	// returned is set after a carriage return. What follows it would go over the
	// line that is there already, so it begins a new one.
	returned bool
	// colored is set once a color was shown.
	colored bool
}

const escape = '\x1b'

// clean returns what to show of the next piece.
func (c *cleaner) clean(piece []byte) string {
	data := slices.Concat(c.rest, piece)
	c.rest = nil
	var shown strings.Builder
	for len(data) > 0 {
		if !utf8.FullRune(data) {
			c.rest = append([]byte(nil), data...)
			break
		}
		r, size := utf8.DecodeRune(data)
		data = data[size:]
		c.next(r, &shown)
	}
	return shown.String()
}

// end returns what brings the terminal's color back.
func (c *cleaner) end() string {
	if !c.colored {
		return ""
	}
	return "\x1b[0m"
}

func (c *cleaner) next(r rune, shown *strings.Builder) {
	switch c.state {
	case ground:
		c.plain(r, shown)
	case escaped:
		c.escape(r)
	case sequence:
		c.sequence(r, shown)
	case text, textEnd:
		switch {
		case r == '\n':
			// One that is never ended must not hide the rest of the log.
			c.state = ground
			c.plain(r, shown)
		case r == '\a', c.state == textEnd && r == '\\':
			c.state = ground
		case r == escape:
			c.state = textEnd
		default:
			c.state = text
		}
	}
}

func (c *cleaner) plain(r rune, shown *strings.Builder) {
	switch {
	case r == escape:
		c.state = escaped
	case r == '\r':
		c.returned = true
	case r == '\n', r == '\t', !hidden(r):
		if c.returned && r != '\n' {
			shown.WriteByte('\n')
		}
		c.returned = false
		shown.WriteRune(r)
	}
}

// escape takes the character after an escape character.
func (c *cleaner) escape(r rune) {
	switch {
	case r == '[':
		c.state, c.params = sequence, c.params[:0]
	case strings.ContainsRune("]PX^_", r):
		c.state = text
	case r >= 0x20 && r <= 0x2f, r == escape:
		// An intermediate character: the final one is still to come.
	default:
		c.state = ground
	}
}

func (c *cleaner) sequence(r rune, shown *strings.Builder) {
	// Longer than any color.
	const most = 64
	switch {
	case r == escape:
		c.state = escaped
	case r >= 0x20 && r <= 0x3f:
		if len(c.params) < most {
			c.params = append(c.params, byte(r))
		}
	case r >= 0x40 && r <= 0x7e:
		c.state = ground
		if r == 'm' && c.colors && len(c.params) < most && len(strings.Trim(string(c.params), "0123456789;:")) == 0 {
			c.colored = true
			shown.WriteString("\x1b[" + string(c.params) + "m")
		}
	default:
		c.state = ground
		c.plain(r, shown)
	}
}
