package pathglob

import "unicode/utf8"

// short is the automaton of a pattern with fewer than 64 tokens, whose positions fit into
// one word. Most patterns are short, and a push may change many files.
type short struct {
	ascii                [utf8.RuneSelf]uint64
	star, globStar, last uint64
	// all holds the position of a ** at the end, which matches whatever comes.
	all uint64
	// jumping are the positions of jumps.
	jumping uint64
	jumps   []shortJump
	// start are the positions after the prefix, which Match has compared.
	start uint64
}

type shortJump struct{ from, to, skip uint64 }

// shorten derives the automaton of one word, if that is enough.
func (g *Glob) shorten() {
	if len(g.tokens) >= 64 {
		return
	}
	s := &short{star: g.star[0], globStar: g.globStar[0], last: 1 << len(g.tokens)}
	for c := range g.ascii {
		s.ascii[c] = g.ascii[c][0]
	}
	if end := len(g.tokens) - 1; g.tokens[end].kind == tokenGlobStar {
		s.all = 1 << end
	}
	for i := range g.jumps {
		j := shortJump{1 << g.jumps[i].from, g.jumps[i].to[0], g.jumps[i].skip[0]}
		s.jumping |= j.from
		s.jumps = append(s.jumps, j)
	}
	segment := len(g.prefix) == 0 || g.prefix[len(g.prefix)-1] == '/'
	s.start = s.follow(1<<utf8.RuneCount(g.prefix), segment)
	g.ascii = nil
	g.short = s
}

// match matches a name that begins with the prefix of the pattern.
func (s *short) match(g *Glob, name []byte) bool {
	now := s.start
	for at := len(g.prefix); at < len(name); {
		if now&s.all != 0 {
			return true
		}
		var consuming uint64
		loops, slash := s.star|s.globStar, false
		if c := name[at]; c < utf8.RuneSelf {
			at++
			consuming = s.ascii[c]
			if c == '/' {
				loops, slash = s.globStar, true
			}
		} else {
			r, width := utf8.DecodeRune(name[at:])
			at += width
			wide := g.wide(set{now}, r, r == utf8.RuneError && width == 1)
			consuming = wide[0]
		}
		now = now&consuming<<1 | now&loops
		if now&s.jumping != 0 {
			now = s.follow(now, slash)
		}
		if now == 0 {
			return false
		}
	}
	return now&s.last != 0
}

// follow adds the positions that are reached without a character, as Glob.follow.
func (s *short) follow(now uint64, segment bool) uint64 {
	for i := range s.jumps {
		if j := &s.jumps[i]; now&j.from != 0 {
			now |= j.to
			if segment {
				now |= j.skip
			}
		}
	}
	return now
}
