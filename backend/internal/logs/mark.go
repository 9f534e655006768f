package logs

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// mark is what is known of the text before a place in a log.
type mark struct {
	// lines are the ends of lines.
	lines  int64
	traits Traits
	terminal
}

// Traits are what a viewer of a log should expect in it.
type Traits uint8

// The traits of logs.
const (
	// Escapes are sequences for terminals, such as colors.
	Escapes Traits = 1 << iota
	// Rewrites are carriage returns that do not end a line: programs that show their progress
	// rewrite a line by them.
	Rewrites
	// Zeros are bytes of the value 0.
	Zeros
	// NotUTF8 are bytes that are not UTF-8. A wrong sequence over the end of a chunk
	// is not noticed.
	NotUTF8
	allTraits = Escapes | Rewrites | Zeros | NotUTF8
)

// advance follows the next part of the log.
func (m *mark) advance(text []byte) {
	m.lines += int64(bytes.Count(text, []byte{'\n'}))
	m.write(text)
	// What is known already is not looked for again.
	for trait := Escapes; trait <= NotUTF8; trait <<= 1 {
		if m.traits&trait == 0 && trait.in(text) {
			m.traits |= trait
		}
	}
}

// in looks for one trait in a text.
func (t Traits) in(text []byte) bool {
	switch t {
	case Escapes:
		return bytes.IndexByte(text, escape) >= 0
	case Rewrites:
		return rewrites(text)
	case Zeros:
		return bytes.IndexByte(text, 0) >= 0
	default:
		return !utf8.Valid(wholeRunes(text))
	}
}

// rewrites tells whether a text has carriage returns that do not end a line.
func rewrites(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '\r')
		if i < 0 || i == len(text)-1 {
			return false
		}
		if text[i+1] != '\n' {
			return true
		}
		text = text[i+1:]
	}
}

// wholeRunes leaves out what may be parts of characters at both ends of a text.
func wholeRunes(text []byte) []byte {
	for range utf8.UTFMax - 1 {
		if len(text) == 0 || utf8.RuneStart(text[0]) {
			break
		}
		text = text[1:]
	}
	for i := 1; i <= min(len(text), utf8.UTFMax-1); i++ {
		if last := text[len(text)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				text = text[:len(text)-i]
			}
			break
		}
	}
	return text
}

// indexed is the mark of a chunk, which is in the name of its object.
type indexed struct {
	mark
	// began is when the first byte of the chunk was written, in milliseconds since 1970.
	began int64
}

// text returns the mark as a part of a name.
func (x indexed) text() string {
	style := x.style.String()
	if style == "" {
		style = "0"
	}
	if x.cut != "" {
		style += "e" + strings.TrimPrefix(x.cut[1:], "[")
		if x.cut[1:] != "" {
			style = strings.Replace(style, "e", "c", 1)
		}
	}
	return fmt.Sprintf("%x.%x.%x.%s", x.lines, x.began, uint8(x.traits), strings.NewReplacer(";", "-", ":", "_").Replace(style))
}

// parseIndexed reads the mark of a chunk that begins at a place in a log. What no writer
// wrote gives false.
func parseIndexed(text string, start int64) (x indexed, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return x, false
	}
	var numbers [3]int64
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.ParseInt(parts[i], 16, 64); err != nil {
			return x, false
		}
	}
	x.lines, x.began, x.traits = numbers[0], numbers[1], Traits(numbers[2]&int64(allTraits))
	codes := strings.NewReplacer("-", ";", "_", ":").Replace(parts[3])
	if at := strings.IndexAny(codes, "ec"); at >= 0 {
		x.cut = "\x1b"
		if codes[at] == 'c' {
			x.cut += "[" + codes[at+1:]
		}
		codes = codes[:at]
	}
	for _, numbers := range []string{codes, strings.TrimPrefix(x.cut, "\x1b[")} {
		if numbers != "\x1b" && (len(numbers) > maxParameters || strings.Trim(numbers, "0123456789:;") != "") {
			return x, false
		}
	}
	x.style.apply([]byte(codes))
	// A name that reads as another one would be looked for under that.
	return x, x.lines >= 0 && x.lines <= start && x.text() == text
}

// time returns when the first byte of the chunk was written; zero if that is not known.
func (x indexed) time() time.Time {
	if x.began == 0 {
		return time.Time{}
	}
	return time.UnixMilli(x.began)
}
