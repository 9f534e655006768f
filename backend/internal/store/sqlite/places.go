package sqlite

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// places are the arguments of a statement in the order that it takes them in; nil for the
// order that they are given in.
type places []int

// positional returns a statement with ? instead of $1, $2 and so on, and which argument each
// takes. To SQLite $1 is a name: for each run of a statement the driver looks up and copies
// the name of every parameter, which was a fifth of the allocations of a hop. A statement
// that takes an argument twice keeps its names.
func positional(query string) (string, places) {
	var text strings.Builder
	var taken places
	for rest := query; rest != ""; {
		at := strings.IndexAny(rest, `$'"`)
		if at < 0 {
			text.WriteString(rest)
			break
		}
		end := at + 1
		if rest[at] != '$' {
			// A quote that is doubled within quotes ends them and begins them again.
			closed := strings.IndexByte(rest[end:], rest[at])
			if closed < 0 {
				return query, nil
			}
			end += closed + 1
			text.WriteString(rest[:end])
			rest = rest[end:]
			continue
		}
		for end < len(rest) && '0' <= rest[end] && rest[end] <= '9' {
			end++
		}
		number, err := strconv.Atoi(rest[at+1 : end])
		if err != nil || number < 1 || slices.Contains(taken, number-1) {
			return query, nil
		}
		taken = append(taken, number-1)
		text.WriteString(rest[:at])
		text.WriteByte('?')
		rest = rest[end:]
	}
	if len(taken) > 0 && slices.Max(taken) != len(taken)-1 {
		return query, nil
	}
	return text.String(), taken
}

// arrange returns the arguments in the order that the statement takes them in.
func (p places) arrange(args []any) ([]any, error) {
	if err := p.check(args); err != nil || p == nil || slices.IsSorted(p) {
		return args, err
	}
	arranged := make([]any, len(args))
	for i, place := range p {
		arranged[i] = args[place]
	}
	return arranged, nil
}

// check returns an error unless there is an argument for each place.
func (p places) check(args []any) error {
	if p != nil && len(p) != len(args) {
		return fmt.Errorf("the statement takes %d arguments, got %d", len(p), len(args))
	}
	return nil
}
