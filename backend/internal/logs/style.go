package logs

import (
	"bytes"
	"strconv"
)

// style is what the sequences of a log have set so far by SGR (ESC [ … m): how a terminal shows
// the next character. The zero value is the default.
type style struct {
	// attributes has a bit for each of attributeCodes.
	attributes                        uint16
	foreground, background, underline color
}

// attributeCodes returns the codes of SGR that are on or off: bold, faint, italic, underlined, slow
// and fast blink, inverse, hidden, crossed out, doubly underlined, overlined.
func attributeCodes() [11]int { return [...]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 21, 53} }

// endedBy returns the attributes that a code of SGR ends.
func endedBy(code int) []int {
	switch code {
	case 22:
		return []int{1, 2}
	case 24:
		return []int{4, 21}
	case 25:
		return []int{5, 6}
	case 23, 27, 28, 29:
		return []int{code - 20}
	case 55:
		return []int{53}
	}
	return nil
}

// color is a color of a palette or a direct one; 0 is the default.
type color uint32

// Kinds of colors, above their 24 bits.
const (
	basicColor   color = 1 << 24
	indexedColor color = 2 << 24
	directColor  color = 3 << 24
	colorKind    color = 0xff << 24
)

const (
	escape = 0x1b
	// maxParameters is how long the parameters of a sequence may be: all that a style can have
	// is shorter. Longer ones are ignored.
	maxParameters = 80
)

// parameter is a number of a sequence.
type parameter struct {
	value uint16
	// sub is set after a colon, which begins a part of the parameter before.
	sub bool
}

// apply sets what the parameters of SGR say. They consist of digits, semicolons and colons.
func (s *style) apply(text []byte) {
	var list [maxParameters + 1]parameter
	n, digits := 1, uint16(0)
	for _, c := range text {
		if c != ';' && c != ':' {
			digits = min(digits, 999)*10 + uint16(c-'0')
			list[n-1].value = digits
			continue
		}
		list[n].sub = c == ':'
		n, digits = n+1, 0
	}
	for rest := list[:n]; len(rest) > 0; {
		subs := 1
		for subs < len(rest) && rest[subs].sub {
			subs++
		}
		rest = s.applyOne(rest[0].value, rest[1:subs], rest[subs:])
	}
}

// applyOne sets what one parameter says, and returns those that are left.
func (s *style) applyOne(code uint16, subs, rest []parameter) []parameter {
	switch n := int(code); {
	case n == 0:
		*s = style{}
	case n == 38 || n == 48 || n == 58:
		c, left, ok := parseColor(subs, rest)
		if into := s.colorOf(n); ok {
			*into = c
		}
		return left
	case n == 39 || n == 49 || n == 59:
		*s.colorOf(n - 1) = 0
	case n >= 30 && n <= 37:
		s.foreground = basicColor | color(n-30)
	case n >= 90 && n <= 97:
		s.foreground = basicColor | color(n-90+8)
	case n >= 40 && n <= 47:
		s.background = basicColor | color(n-40)
	case n >= 100 && n <= 107:
		s.background = basicColor | color(n-100+8)
	case n == 4 && len(subs) > 0 && subs[0].value == 0:
		s.set(false, 4, 21)
	default:
		s.set(true, n)
		s.set(false, endedBy(n)...)
	}
	return rest
}

// set switches attributes. Other codes are ignored.
func (s *style) set(on bool, codes ...int) {
	for _, code := range codes {
		for bit, known := range attributeCodes() {
			switch {
			case known != code:
			case on:
				s.attributes |= 1 << bit
			default:
				s.attributes &^= 1 << bit
			}
		}
	}
}

// colorOf returns the color that a code of SGR sets.
func (s *style) colorOf(code int) *color {
	switch code {
	case 38:
		return &s.foreground
	case 48:
		return &s.background
	}
	return &s.underline
}

// parseColor reads what follows a code that sets a color: parts after colons, or the next
// parameters. It returns the parameters that are left; none after what it cannot read.
func parseColor(subs, rest []parameter) (c color, left []parameter, ok bool) {
	from := subs
	if len(subs) == 0 {
		from, left = rest, nil
	} else {
		left = rest
		if len(subs) > 4 && subs[0].value == 2 {
			// With colons, the number of a color space comes before the color.
			from = append([]parameter{subs[0]}, subs[2:]...)
		}
	}
	switch {
	case len(from) >= 2 && from[0].value == 5 && from[1].value <= 255:
		c, from = indexedColor|color(from[1].value), from[2:]
	case len(from) >= 4 && from[0].value == 2 && max(from[1].value, from[2].value, from[3].value) <= 255:
		c, from = directColor|color(from[1].value)<<16|color(from[2].value)<<8|color(from[3].value), from[4:]
	default:
		return 0, left, false
	}
	if len(subs) == 0 {
		left = from
	}
	return c, left, true
}

// String returns the parameters of the sequence that sets the style, such as 1;38;5;196; empty
// for the default.
func (s style) String() string {
	var text []byte
	add := func(codes ...int) {
		for _, code := range codes {
			if len(text) > 0 {
				text = append(text, ';')
			}
			text = strconv.AppendInt(text, int64(code), 10)
		}
	}
	for bit, code := range attributeCodes() {
		if s.attributes&(1<<bit) != 0 {
			add(code)
		}
	}
	for _, of := range []struct {
		color
		basic, bright, other int
	}{{s.foreground, 30, 90, 38}, {s.background, 40, 100, 48}, {s.underline, 0, 0, 58}} {
		n, kind := int(of.color&^colorKind), of.color&colorKind
		switch {
		case kind == basicColor && n < 8:
			add(of.basic + n)
		case kind == basicColor:
			add(of.bright + n - 8)
		case kind == indexedColor:
			add(of.other, 5, n)
		case kind == directColor:
			add(of.other, 2, n>>16, n>>8&0xff, n&0xff)
		}
	}
	return string(text)
}

// terminal follows the sequences in a text that comes in parts: what it is in after a text
// does not depend on the parts.
type terminal struct {
	style style
	// cut is the begin of a sequence that the text ended in, if it may be SGR.
	cut string
}

// write follows the next part of the text.
func (t *terminal) write(text []byte) {
	if t.cut != "" && len(text) > 0 {
		text = t.finish(text)
	}
	for {
		i := bytes.IndexByte(text, escape)
		if i < 0 {
			return
		}
		text = text[i:]
		n, whole := t.sequence(text)
		if !whole {
			t.cut = string(text)
			return
		}
		text = text[n:]
	}
}

// finish follows the rest of the sequence that was cut, and returns what comes after it.
func (t *terminal) finish(text []byte) []byte {
	before := len(t.cut)
	joined := append([]byte(t.cut), text[:min(len(text), maxParameters+2)]...)
	t.cut = ""
	n, whole := t.sequence(joined)
	if !whole {
		// The parameters end before a sequence is as long as that.
		t.cut = string(joined)
		return nil
	}
	return text[n-before:]
}

// sequence follows the sequence that a text begins with, and returns how long it is, or
// that it may be SGR whose end is not in the text. Of other sequences it is a part
// without an escape.
func (t *terminal) sequence(text []byte) (length int, whole bool) {
	if len(text) == 1 {
		return 0, false
	}
	if text[1] == 'c' {
		t.style = style{}
		return 2, true
	}
	if text[1] != '[' {
		return 1, true
	}
	const begin = 2
	for i := begin; i < len(text); i++ {
		c := text[i]
		if c == 'm' {
			t.style.apply(text[begin:i])
			return i + 1, true
		}
		if c < '0' || c > ';' || i-begin == maxParameters {
			return i, true
		}
	}
	return 0, false
}
