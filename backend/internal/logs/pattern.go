package logs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxProgram bounds the compiled expression: the time that it may take for a byte.
const maxProgram = 2000

// Pattern is what a line must hold. The zero value matches nothing.
type Pattern struct {
	// text is of plain text, otherwise there is an expression.
	text       []byte
	expression *regexp.Regexp
	options    Options
	// required is in all that the pattern matches, in lower case if folded is set. Empty if that
	// is not known.
	required []byte
	folded   bool
}

// Options say what a pattern means.
type Options struct {
	// Expression means a regular expression in RE2's syntax, instead of plain text.
	Expression bool
	IgnoreCase bool
	// WholeWord means that letters, digits and underscores are not next to the match.
	WholeWord bool
	// Invert means the lines that do not match.
	Invert bool
}

// NewPattern returns a pattern. Its errors are for the caller of the search.
func NewPattern(pattern string, options Options) (Pattern, error) {
	p := Pattern{options: options}
	if !options.Expression && !options.IgnoreCase {
		p.text, p.required = []byte(pattern), []byte(pattern)
		return p, nil
	}
	if !options.Expression {
		pattern = regexp.QuoteMeta(pattern)
	}
	// Alone, so that it cannot end the groups around it.
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil {
		return Pattern{}, err
	}
	if options.IgnoreCase {
		pattern = "(?i:" + pattern + ")"
	}
	if options.WholeWord {
		pattern = `(?:^|[^\pL\pN_])(?:` + pattern + `)(?:[^\pL\pN_]|$)`
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return Pattern{}, err
	}
	p.required, p.folded = required(parsed)
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return Pattern{}, err
	}
	if len(program.Inst) > maxProgram {
		return Pattern{}, errors.New("the regular expression is too large: repeat less, or search for a part of it")
	}
	p.expression, err = regexp.Compile(pattern)
	return p, err
}

// find returns where the pattern is in a piece of a line, nil where it is not. The line begins or
// ends with the piece if that is set.
func (p Pattern) find(piece []byte, begins, ends bool) []int {
	switch {
	case p.expression == nil:
		return p.findText(piece, begins, ends)
	case !p.options.WholeWord || begins && ends:
		return p.expression.FindIndex(piece)
	}
	for _, at := range p.expression.FindAllIndex(piece, -1) {
		// The next piece has what is at the end of this one, with what comes after it.
		if (at[0] > 0 || begins) && (at[1] < len(piece) || ends) {
			return at
		}
	}
	return nil
}

func (p Pattern) findText(piece []byte, begins, ends bool) []int {
	for from := 0; ; from++ {
		i := bytes.Index(piece[from:], p.text)
		if i < 0 {
			return nil
		}
		from += i
		to := from + len(p.text)
		if !p.options.WholeWord || apart(piece[:from], begins, utf8.DecodeLastRune) && apart(piece[to:], ends, utf8.DecodeRune) {
			return []int{from, to}
		}
	}
}

// apart tells whether what is next to a match is not of the same word. An empty text is apart
// if the line ends there.
func apart(text []byte, ends bool, next func([]byte) (rune, int)) bool {
	if len(text) == 0 {
		return ends
	}
	r, _ := next(text)
	return !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != '_'
}

// required returns the longest text that an expression is known to need, and whether that is in lower
// case and may be there in any case.
func required(re *syntax.Regexp) (text []byte, folded bool) {
	switch {
	case re.Op == syntax.OpLiteral:
		return requiredLiteral(re)
	case re.Op == syntax.OpCapture || re.Op == syntax.OpPlus || re.Op == syntax.OpRepeat && re.Min > 0:
		return required(re.Sub[0])
	case re.Op == syntax.OpConcat:
		for _, sub := range re.Sub {
			if of, fold := required(sub); len(of) > len(text) {
				text, folded = of, fold
			}
		}
	}
	return text, folded
}

// requiredLiteral returns the longest part of a literal that is the same bytes in any text that
// matches, but for the case of letters of ASCII.
func requiredLiteral(re *syntax.Regexp) (text []byte, folded bool) {
	folded = re.Flags&syntax.FoldCase != 0
	for part := range strings.FieldsFuncSeq(string(re.Rune), func(r rune) bool {
		// Invalid bytes match the replacement character. The Kelvin sign is a K and the long s an S,
		// if case does not count.
		return r == utf8.RuneError || folded && (r >= utf8.RuneSelf || strings.ContainsRune("ksKS", r))
	}) {
		if len(part) > len(text) {
			text = []byte(part)
		}
	}
	if folded {
		lower(text, text)
	}
	return text, folded
}

// lower copies a text with the letters of ASCII in lower case. It looks at eight bytes at a time,
// since it is what a search that ignores case does with all of a log.
func lower(to, from []byte) {
	const ones = 0x0101010101010101
	for len(from) >= 8 {
		word := binary.LittleEndian.Uint64(from)
		low := word & (0x7f * ones)
		// The high bit of each byte that is from A to Z and not above 127.
		letters := (low + (0x80-'A')*ones) &^ (low + (0x80-'Z'-1)*ones) &^ word & (0x80 * ones)
		binary.LittleEndian.PutUint64(to, word|letters>>2)
		to, from = to[8:], from[8:]
	}
	for i, c := range from {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		to[i] = c
	}
}
