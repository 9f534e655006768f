package secret

// patterns finds any of many texts in a stream, in a time that does not depend on how many
// there are: the automaton of Aho and Corasick, in front of which what cannot be the start
// of a text is skipped, by Wu and Manber's table.
type patterns struct {
	// A state stands for the longest start of a pattern that the stream ends with. The
	// states along a pattern are numbers in a row: after state s the pattern goes on with
	// label[s+1] if follows is set for s. Where patterns part, parts is set, and the others
	// are in branches.
	label    []byte
	flags    []uint8
	branches map[state][]branch
	first    [256]state
	// fallback is the state of the longest end of the start that is the start of another.
	fallback []state
	depth    []int32
	// longest is the length of the longest pattern that ends in the state, 0 for none.
	longest []int32
	// shift says by the last two of MinLength bytes how far the next pattern begins at least.
	shift [shiftSize]uint8
}

type state int32

// root is the state in which no pattern may have begun.
const root state = 0

const (
	follows uint8 = 1 << iota
	parts
)

type branch struct {
	label byte
	to    state
}

const shiftSize = 1 << 12

// pair returns the place of two bytes in the table of shifts. Two pairs may share one, which
// then has the shorter shift.
func pair(a, b byte) int { return (int(a)<<4 ^ int(b)) & (shiftSize - 1) }

// newPatterns returns the automaton of texts of MinLength or more bytes.
func newPatterns(all [][]byte) *patterns {
	size := 1
	for _, text := range all {
		size += len(text)
	}
	p := &patterns{
		label: make([]byte, 1, size), flags: make([]uint8, 1, size), branches: make(map[state][]branch),
		depth: make([]int32, 1, size), longest: make([]int32, 1, size),
	}
	for i := range p.shift {
		p.shift[i] = MinLength - 1
	}
	for _, text := range all {
		p.insert(text)
		for i := range MinLength - 1 {
			at := pair(text[i], text[i+1])
			p.shift[at] = min(p.shift[at], uint8(MinLength-2-i))
		}
	}
	p.link()
	return p
}

func (p *patterns) insert(text []byte) {
	at := root
	for i, b := range text {
		next := p.child(at, b)
		if next == root {
			next = state(len(p.label))
			switch {
			case at == root:
				p.first[b] = next
			case next == at+1:
				p.flags[at] |= follows
			default:
				p.flags[at] |= parts
				p.branches[at] = append(p.branches[at], branch{b, next})
			}
			p.label, p.flags = append(p.label, b), append(p.flags, 0)
			p.depth, p.longest = append(p.depth, int32(i+1)), append(p.longest, 0)
		}
		at = next
	}
	p.longest[at] = int32(len(text))
}

// child returns the state after a byte along the patterns, root for none.
func (p *patterns) child(at state, b byte) state {
	if at == root {
		return p.first[b]
	}
	flags := p.flags[at]
	if flags&follows != 0 && p.label[at+1] == b {
		return at + 1
	}
	if flags&parts == 0 {
		return root
	}
	for _, branch := range p.branches[at] {
		if branch.label == b {
			return branch.to
		}
	}
	return root
}

// link finds the fallbacks, by the depth of the states.
func (p *patterns) link() {
	p.fallback = make([]state, len(p.label))
	queue := make([]state, 0, len(p.label))
	for _, s := range p.first {
		if s != root {
			queue = append(queue, s)
		}
	}
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		p.longest[at] = max(p.longest[at], p.longest[p.fallback[at]])
		enqueue := func(b byte, next state) {
			p.fallback[next] = p.next(p.fallback[at], b)
			queue = append(queue, next)
		}
		if p.flags[at]&follows != 0 {
			enqueue(p.label[at+1], at+1)
		}
		for _, branch := range p.branches[at] {
			enqueue(branch.label, branch.to)
		}
	}
}

// next returns the state after one more byte of the stream.
func (p *patterns) next(at state, b byte) state {
	for {
		if next := p.child(at, b); next != root || at == root {
			return next
		}
		at = p.fallback[at]
	}
}

// skip returns how many bytes at the start of data begin no pattern.
func (p *patterns) skip(data []byte) int {
	at := 0
	for at+MinLength <= len(data) {
		shift := p.shift[pair(data[at+MinLength-2], data[at+MinLength-1])]
		if shift == 0 {
			return at
		}
		at += int(shift)
	}
	// The table says nothing of the last bytes.
	for at < len(data) && p.first[data[at]] == root {
		at++
	}
	return at
}
