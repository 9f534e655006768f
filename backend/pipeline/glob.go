package pipeline

import (
	"fmt"

	"github.com/bmatcuk/doublestar/v4"
)

// maxAlternatives bounds how many patterns without braces one pattern stands for.
// Matching tries them all, and 31 times {,a} in one pattern would keep it busy for
// hours.
const maxAlternatives = 64

// CheckGlob returns an error for a pattern that is not one in doublestar's
// syntax, or whose braces stand for more than 64 patterns, which takes too long to
// match.
func CheckGlob(pattern string) error {
	if !doublestar.ValidatePattern(pattern) {
		return fmt.Errorf("%q is not a valid pattern; check its brackets and braces", pattern)
	}
	if alternatives(pattern) > maxAlternatives {
		return fmt.Errorf("the braces of %q stand for more than %d patterns; use * or fewer braces", pattern, maxAlternatives)
	}
	return nil
}

// MatchGlob reports whether a pattern that CheckGlob accepts matches a name.
func MatchGlob(pattern, name string) bool {
	glob, err := ParseGlob(pattern)
	if err != nil {
		return false
	}
	ok, _ := glob.Match(name)
	return ok
}

// alternatives counts the patterns without braces that a valid pattern stands
// for, up to one more than is allowed.
func alternatives(pattern string) int {
	// A group stands for the sum of its alternatives, each of which stands for the
	// product of the groups in it.
	type group struct{ sum, product int }
	var outer []group
	current := group{product: 1}
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '[':
			for i++; i < len(pattern) && pattern[i] != ']'; i++ {
				if pattern[i] == '\\' {
					i++
				}
			}
		case '{':
			outer = append(outer, current)
			current = group{product: 1}
		case ',':
			if len(outer) > 0 {
				current = group{sum: min(current.sum+current.product, maxAlternatives+1), product: 1}
			}
		case '}':
			inner := current.sum + current.product
			current, outer = outer[len(outer)-1], outer[:len(outer)-1]
			current.product = min(current.product*inner, maxAlternatives+1)
		}
	}
	return current.product
}
