// Package pathglob matches names of branches and tags, and paths of files, with the
// patterns of CodePipeline's trigger filters:
//
//   - * stands for any characters but a slash, none too;
//   - ** stands for any characters, slashes too; **/ at the start of a segment also stands
//     for nothing, so that **/README.md matches README.md, as "any number of
//     subdirectories" in CodePipeline's guide says;
//   - ? stands for one character but a slash;
//   - [abc], [a-z] and [!a] stand for one character but a slash; a hyphen stands for itself
//     as the first or last of the set, and *, ? and \ stand for themselves in it;
//   - {a,b} stands for either; groups are not nested;
//   - \ takes the special meaning from the character after it.
//
// Case matters, and a pattern matches whole names. Names are bytes: a byte that is not part
// of a valid UTF-8 character counts as a character of its own. Matching takes time in
// proportion to the length of the name, whatever the pattern.
//
// Approval rules have patterns of their own (pipeline.Glob): they match names without
// slashes, nest groups, and are stored by users already.
package pathglob

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxLength bounds a pattern, in characters without those that escape others. It is
// CodePipeline's bound.
const MaxLength = 255

// Glob is a compiled pattern. It is safe for concurrent use.
type Glob struct {
	text string
	// prefix and suffix are what every name starts and ends with, run is a text that every
	// name contains. They answer for most names without the automaton.
	prefix, suffix, run []byte
	// exact is set if the pattern has no special character: prefix is the only name.
	exact bool
	// tokens are the positions of a nondeterministic automaton: in position i the tokens
	// before i are matched.
	tokens []token
	// ascii holds the positions that consume a character, by the character.
	ascii []set
	// star and globStar hold the positions that stay where they are on a character.
	star, globStar set
	// jumps are positions that lead to others without a character, ascending.
	jumps []jump
	// short is set if all positions fit into one word.
	short *short
}

// set is a set of positions. There are at most MaxLength tokens, so at most that and one
// more positions.
type set [(MaxLength + 1) / 64]uint64

func (s *set) add(position int)      { s[position>>6] |= 1 << (position & 63) }
func (s *set) has(position int) bool { return s[position>>6]&(1<<(position&63)) != 0 }

// jump leads from a position to later ones. Since jumps are ascending and lead forward,
// following each once is enough.
type jump struct {
	from int
	to   set
	// skip is where it leads, too, at the start of a segment.
	skip set
}

type tokenKind uint8

const (
	tokenLiteral tokenKind = iota
	tokenAny
	tokenClass
	tokenStar
	tokenGlobStar
	// tokenDirectories comes before ** and /.
	tokenDirectories
	tokenOpen
	tokenComma
	tokenClose
)

type token struct {
	kind    tokenKind
	literal rune
	// ranges are the first and the last character of each range of a class.
	ranges  []rune
	negated bool
}

// consumes reports whether the token stands for exactly one character, and this is one.
// Invalid bytes are passed as utf8.RuneError with invalid set.
func (t *token) consumes(r rune, invalid bool) bool {
	switch t.kind {
	case tokenLiteral:
		return t.literal == r && !invalid
	case tokenAny:
		return r != '/'
	case tokenClass:
		if r == '/' {
			return false
		}
		in := false
		for i := 0; i < len(t.ranges) && !in; i += 2 {
			in = !invalid && t.ranges[i] <= r && r <= t.ranges[i+1]
		}
		return in != t.negated
	default:
		return false
	}
}

// Compile returns the matcher of a pattern, or an error that says what is wrong with it.
func Compile(pattern string) (*Glob, error) {
	p := parser{text: pattern, rest: pattern}
	tokens, err := p.parse()
	if err != nil {
		return nil, fmt.Errorf("%q is not a valid pattern: %w", pattern, err)
	}
	g := &Glob{text: pattern, tokens: tokens}
	g.literals()
	if !g.exact {
		g.automaton()
		g.shorten()
	}
	return g, nil
}

// Check says what is wrong with a pattern.
func Check(pattern string) error {
	_, err := Compile(pattern)
	return err
}

// Quote returns a pattern that matches just the name.
func Quote(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if strings.IndexByte(special, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// special are the characters with a meaning outside of classes.
const special = `*?[]{},\`

// String returns the pattern.
func (g *Glob) String() string { return g.text }

// Literal returns the only name that the pattern matches, if it has no special characters.
func (g *Glob) Literal() (string, bool) { return string(g.prefix), g.exact }

// CrossesSlash reports whether the pattern can match a name with a slash in it.
func (g *Glob) CrossesSlash() bool {
	return slices.ContainsFunc(g.tokens, func(t token) bool {
		return t.kind == tokenGlobStar || t.kind == tokenLiteral && t.literal == '/'
	})
}

// MatchString reports whether the pattern matches a name.
func (g *Glob) MatchString(name string) bool { return g.Match([]byte(name)) }

// Match reports whether the pattern matches a name.
func (g *Glob) Match(name []byte) bool {
	switch {
	case g.exact:
		return bytes.Equal(name, g.prefix)
	case !bytes.HasPrefix(name, g.prefix), !bytes.HasSuffix(name, g.suffix), !bytes.Contains(name, g.run):
		return false
	case g.short != nil:
		return g.short.match(g, name)
	}
	return g.matchLong(name)
}

func (g *Glob) matchLong(name []byte) bool {
	now := g.follow(set{1}, true)
	for at := 0; at < len(name) && now != (set{}); {
		var consuming set
		slash := false
		if c := name[at]; c < utf8.RuneSelf {
			at++
			consuming, slash = g.ascii[c], c == '/'
		} else {
			r, width := utf8.DecodeRune(name[at:])
			at += width
			consuming = g.wide(now, r, r == utf8.RuneError && width == 1)
		}
		var next set
		carry := uint64(0)
		for i, word := range now {
			moved := word & consuming[i]
			next[i] = moved<<1 | carry | word&g.globStar[i]
			if !slash {
				next[i] |= word & g.star[i]
			}
			carry = moved >> 63
		}
		now = g.follow(next, slash)
	}
	return now.has(len(g.tokens))
}

// wide returns those of the positions that consume a character beyond ASCII.
func (g *Glob) wide(positions set, r rune, invalid bool) (consuming set) {
	for i, word := range positions {
		for ; word != 0; word &= word - 1 {
			position := i<<6 + bits.TrailingZeros64(word)
			if position < len(g.tokens) && g.tokens[position].consumes(r, invalid) {
				consuming.add(position)
			}
		}
	}
	return consuming
}

// follow adds the positions that are reached without a character. segment tells whether a
// segment starts here.
func (g *Glob) follow(positions set, segment bool) set {
	for i := range g.jumps {
		if j := &g.jumps[i]; positions.has(j.from) {
			for word := range positions {
				positions[word] |= j.to[word]
				if segment {
					positions[word] |= j.skip[word]
				}
			}
		}
	}
	return positions
}

// literals finds what every name has in common.
func (g *Glob) literals() {
	var runs [][]byte
	var run []byte
	depth, starts, ends := 0, true, false
	flush := func() {
		if starts {
			g.prefix = run
		}
		runs, run, starts = append(runs, run), nil, false
	}
	g.exact = true
	for i := range g.tokens {
		t := &g.tokens[i]
		if t.kind == tokenLiteral && depth == 0 && !g.optional(i) {
			run = utf8.AppendRune(run, t.literal)
			ends = true
			continue
		}
		g.exact, ends = false, false
		flush()
		switch t.kind {
		case tokenOpen:
			depth++
		case tokenClose:
			depth--
		default:
			// Stands for characters, or is in a group.
		}
	}
	if ends || g.exact {
		g.suffix = run
	}
	flush()
	for _, run := range runs {
		if len(run) > len(g.run) {
			g.run = run
		}
	}
}

// optional reports whether the slash at a position belongs to a **/ that may stand for
// nothing.
func (g *Glob) optional(position int) bool {
	return position > 1 && g.tokens[position-2].kind == tokenDirectories
}

// automaton derives the positions from the tokens.
func (g *Glob) automaton() {
	g.ascii = make([]set, utf8.RuneSelf)
	open := 0
	var ends []int
	for i := range g.tokens {
		t := &g.tokens[i]
		to := set{}
		switch t.kind {
		case tokenStar:
			g.star.add(i)
			to.add(i + 1)
		case tokenGlobStar:
			g.globStar.add(i)
			to.add(i + 1)
		case tokenDirectories:
			to.add(i + 1)
			g.jumps = append(g.jumps, jump{from: i, to: to})
			g.jumps[len(g.jumps)-1].skip.add(i + 3)
			continue
		case tokenOpen:
			open, ends = len(g.jumps), nil
			to.add(i + 1)
		case tokenComma:
			// The group leads to each alternative, and each alternative to what is after
			// the group.
			g.jumps[open].to.add(i + 1)
			ends = append(ends, len(g.jumps))
		case tokenClose:
			to.add(i + 1)
			for _, end := range ends {
				g.jumps[end].to.add(i + 1)
			}
		case tokenLiteral, tokenAny, tokenClass:
			for c := range rune(utf8.RuneSelf) {
				if t.consumes(c, false) {
					g.ascii[c].add(i)
				}
			}
			continue
		}
		g.jumps = append(g.jumps, jump{from: i, to: to})
	}
}

var errTooLong = fmt.Errorf("it has more than %d characters", MaxLength)

// parser reads a pattern.
type parser struct {
	text, rest string
	tokens     []token
	inGroup    bool
}

func (p *parser) parse() ([]token, error) {
	switch {
	case p.text == "":
		return nil, errors.New("it is empty")
	case !utf8.ValidString(p.text):
		return nil, errors.New("it is not valid UTF-8")
	case utf8.RuneCountInString(p.text) > 2*MaxLength:
		return nil, errTooLong
	}
	for p.rest != "" {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	if len(p.tokens) > MaxLength {
		return nil, errTooLong
	}
	if p.inGroup {
		return nil, errors.New("a { has no closing }")
	}
	return p.tokens, nil
}

func (p *parser) next() error {
	switch r := p.rune(); r {
	case '*':
		kind := tokenStar
		for strings.HasPrefix(p.rest, "*") {
			// More than two are no more than two.
			kind, p.rest = tokenGlobStar, p.rest[1:]
		}
		if kind == tokenGlobStar && strings.HasPrefix(p.rest, "/") {
			p.add(tokenDirectories)
		}
		p.add(kind)
	case '?':
		p.add(tokenAny)
	case '[':
		return p.class()
	case '{':
		if p.inGroup {
			return errors.New("groups in braces cannot be nested; list all alternatives in one group")
		}
		p.inGroup = true
		p.add(tokenOpen)
	case '}':
		if !p.inGroup {
			return errors.New(`a } has no opening {; write \} for the character`)
		}
		p.inGroup = false
		p.add(tokenClose)
	case ',':
		if p.inGroup {
			p.add(tokenComma)
			return nil
		}
		p.literal(r)
	case '\\':
		if p.rest == "" {
			return errors.New(`it ends with \; write \\ for the character`)
		}
		p.literal(p.rune())
	default:
		p.literal(r)
	}
	return nil
}

func (p *parser) add(kind tokenKind) { p.tokens = append(p.tokens, token{kind: kind}) }

func (p *parser) literal(r rune) {
	p.tokens = append(p.tokens, token{kind: tokenLiteral, literal: r})
}

func (p *parser) rune() rune {
	r, width := utf8.DecodeRuneInString(p.rest)
	p.rest = p.rest[width:]
	return r
}

// class reads a set after its opening bracket.
func (p *parser) class() error {
	t := token{kind: tokenClass}
	if strings.HasPrefix(p.rest, "!") {
		t.negated, p.rest = true, p.rest[1:]
	}
	for first := true; ; first = false {
		if p.rest == "" {
			return errors.New("a [ has no closing ]")
		}
		r := p.rune()
		switch {
		case r == ']' && first:
			return errors.New(`a set in brackets is empty; write \[ for the character`)
		case r == ']':
			p.tokens = append(p.tokens, t)
			return nil
		case r == '/':
			return errors.New("a set in brackets holds a slash, which it never matches")
		}
		last := r
		if strings.HasPrefix(p.rest, "-") && !strings.HasPrefix(p.rest, "-]") && p.rest != "-" {
			p.rest = p.rest[1:]
			if last = p.rune(); last == '/' || last < r {
				return fmt.Errorf("%c-%c is not a range of characters", r, last)
			}
		}
		t.ranges = append(t.ranges, r, last)
	}
}
