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
// messages and comments come from anybody.
func oneLine(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\u2028' || r == '\u2029':
			return ' '
		case hidden(r):
			return -1
		}
		return r
	}, text))
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
