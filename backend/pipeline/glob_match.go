package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxGlobSize bounds what a new pattern over names stands for, so that a match takes
// microseconds. A pattern without braces is never longer.
const maxGlobSize = maxRulePattern

// Glob matches names, which have no slash, with a pattern in doublestar's syntax. In the
// worst case a match takes as many steps as the pattern is long, braces expanded, times the
// length of the name.
type Glob struct {
	alternatives []globAlternative
	classes      []globClasses
}

// globAlternative is a pattern without braces.
type globAlternative struct {
	// tokens are characters, globAny, globMany, and globClass less the index of a class.
	tokens []rune
	// run is the longest run of characters, which is a quick search away.
	run string
}

func newGlobAlternative(tokens []rune) globAlternative {
	best := tokens[:0]
	for begin := 0; begin < len(tokens); {
		end := begin
		for end < len(tokens) && tokens[end] >= 0 {
			end++
		}
		if end-begin > len(best) {
			best = tokens[begin:end]
		}
		begin = end + 1
	}
	return globAlternative{tokens, string(best)}
}

const (
	globAny rune = -1 - iota
	globMany
	globClass
)

// globClasses are the first and the last character of each range of a class.
type globClasses struct {
	ranges  []rune
	negated bool
}

// ParseGlob returns the matcher of a pattern, or the error of CheckGlob.
func ParseGlob(pattern string) (*Glob, error) {
	if !strings.ContainsAny(pattern, `*?[]{}\/`) {
		return &Glob{alternatives: []globAlternative{newGlobAlternative([]rune(pattern))}}, nil
	}
	if err := CheckGlob(pattern); err != nil {
		return nil, err
	}
	p := globParser{rest: pattern}
	var kept []globAlternative
	for _, tokens := range p.sequence(false) {
		if tokens, ok := withoutSlash(tokens); ok {
			kept = append(kept, newGlobAlternative(tokens))
		}
	}
	return &Glob{kept, p.classes}, nil
}

// checkNameGlob is CheckGlob of a pattern over names, all of which is matched in
// microseconds.
func checkNameGlob(pattern string) error {
	glob, err := ParseGlob(pattern)
	if err == nil && glob.size() > maxGlobSize {
		return fmt.Errorf("the patterns that the braces of %q stand for have more than %d characters in all; use * or fewer braces",
			pattern, maxGlobSize)
	}
	return err
}

// Literal returns the only name that the glob matches, if it matches just one.
func (g *Glob) Literal() (string, bool) {
	if len(g.alternatives) != 1 || slices.ContainsFunc(g.alternatives[0].tokens, func(token rune) bool { return token < 0 }) {
		return "", false
	}
	return g.alternatives[0].run, true
}

// Match reports whether the glob matches a name, and the steps that this took.
func (g *Glob) Match(name string) (ok bool, steps int) {
	for i := range g.alternatives {
		if steps += 2; !strings.Contains(name, g.alternatives[i].run) {
			continue
		}
		matched, took := g.match(g.alternatives[i].tokens, name)
		steps += took
		if matched {
			return true, steps
		}
	}
	return false, steps
}

func (g *Glob) size() (size int) {
	for i := range g.alternatives {
		size += len(g.alternatives[i].tokens)
		for _, token := range g.alternatives[i].tokens {
			if token <= globClass {
				size += len(g.classes[globClass-token].ranges) / 2
			}
		}
	}
	return size
}

// match lets a run of any characters take as few as possible, and goes back to the last
// run only: what matched before it needs no second try.
func (g *Glob) match(tokens []rune, name string) (ok bool, steps int) {
	at, next, many, mark := 0, 0, -1, 0
	for steps = 1; at < len(name); steps++ {
		if next < len(tokens) {
			token := tokens[next]
			if token == globMany {
				many, mark = next, at
				if next++; next == len(tokens) {
					return true, steps
				}
				continue
			}
			r, width := runeAt(name, at)
			matched := token == r || token == globAny
			if token <= globClass {
				class := &g.classes[globClass-token]
				steps += len(class.ranges) / 2
				matched = class.has(r) != class.negated
			}
			if matched {
				next++
				at += width
				continue
			}
		}
		if many < 0 {
			return false, steps
		}
		_, width := runeAt(name, mark)
		mark += width
		next = many + 1
		if token := tokens[next]; 0 <= token && token < utf8.RuneSelf {
			ahead := strings.IndexByte(name[mark:], byte(token))
			if ahead < 0 {
				return false, steps
			}
			mark += ahead
		}
		at = mark
	}
	for next < len(tokens) && tokens[next] == globMany {
		next++
	}
	return next == len(tokens), steps
}

func runeAt(name string, at int) (rune, int) {
	if c := name[at]; c < utf8.RuneSelf {
		return rune(c), 1
	}
	return utf8.DecodeRuneInString(name[at:])
}

func (c *globClasses) has(r rune) bool {
	for i := 0; i < len(c.ranges); i += 2 {
		if c.ranges[i] <= r && r <= c.ranges[i+1] {
			return true
		}
	}
	return false
}

// withoutSlash returns tokens for names without a slash, or false if they match none: only
// **/ before a name and /** after it match nothing.
func withoutSlash(tokens []rune) ([]rune, bool) {
	if slices.Contains(tokens, '/') {
		for len(tokens) >= 3 && slices.Equal(tokens[:3], []rune{globMany, globMany, '/'}) {
			tokens = tokens[3:]
		}
		for _, end := range [][]rune{{'/', globMany, globMany, '/'}, {'/', globMany, globMany}} {
			if at := len(tokens) - len(end); at >= 0 && slices.Equal(tokens[at:], end) {
				tokens = tokens[:at]
				break
			}
		}
	}
	if slices.Contains(tokens, '/') {
		return nil, false
	}
	return slices.CompactFunc(tokens, func(a, b rune) bool { return a == globMany && b == globMany }), true
}

// globParser reads a valid pattern.
type globParser struct {
	rest    string
	classes []globClasses
}

func (p *globParser) rune() rune {
	r, width := utf8.DecodeRuneInString(p.rest)
	p.rest = p.rest[width:]
	return r
}

// sequence reads up to the end, or in braces up to a comma or the closing one, and returns
// the patterns without braces that it stands for.
func (p *globParser) sequence(inBraces bool) [][]rune {
	all := [][]rune{make([]rune, 0, len(p.rest))}
	for p.rest != "" {
		if inBraces && (p.rest[0] == ',' || p.rest[0] == '}') {
			break
		}
		switch r := p.rune(); r {
		case '{':
			all = joined(all, p.braces())
		case '*':
			all = joined(all, [][]rune{{globMany}})
		case '?':
			all = joined(all, [][]rune{{globAny}})
		case '[':
			all = joined(all, [][]rune{{p.class()}})
		case '\\':
			r = p.rune()
			fallthrough
		default:
			all = joined(all, [][]rune{{r}})
		}
	}
	return all
}

// joined returns each of the first followed by each of the second.
func joined(first, second [][]rune) [][]rune {
	if len(second) == 1 {
		for i := range first {
			first[i] = append(first[i], second[0]...)
		}
		return first
	}
	all := make([][]rune, 0, len(first)*len(second))
	for _, a := range first {
		for _, b := range second {
			all = append(all, slices.Concat(a, b))
		}
	}
	return all
}

// braces reads alternatives after the opening brace.
func (p *globParser) braces() (all [][]rune) {
	for {
		all = append(all, p.sequence(true)...)
		if p.rest == "" || p.rune() == '}' {
			return all
		}
	}
}

// class reads a character class after the opening bracket.
func (p *globParser) class() rune {
	var class globClasses
	if p.rest != "" && (p.rest[0] == '!' || p.rest[0] == '^') {
		class.negated = true
		p.rest = p.rest[1:]
	}
	last := rune(-1)
	for p.rest != "" && p.rest[0] != ']' {
		r := p.rune()
		if r == '-' && last >= 0 && p.rest != "" && p.rest[0] != ']' {
			if p.rest[0] == '\\' {
				p.rune()
			}
			class.ranges = append(class.ranges, last, p.rune())
			last = -1
			continue
		}
		if r == '\\' {
			r = p.rune()
		}
		class.ranges = append(class.ranges, r, r)
		last = r
	}
	if p.rest != "" {
		p.rest = p.rest[1:]
	}
	p.classes = append(p.classes, class)
	return globClass - rune(len(p.classes)-1)
}
