package pipeline

import (
	"fmt"
	"strconv"
	"strings"
)

// Step is one step of a Path: a field, then optionally an index or a map key.
type Step struct {
	Field string
	// Index is the place in a list, or -1.
	Index int
	// Key is the key in a map, where HasKey is set.
	Key    string
	HasKey bool
}

// Path names a place in a definition, in the names of its JSON form:
// stages[1].actions[0].configuration["RepositoryUrl"].
type Path []Step

// Field returns the path with one more field.
func (p Path) Field(name string) Path {
	return append(p[:len(p):len(p)], Step{Field: name, Index: -1})
}

// At returns the path with one more field and an index into it.
func (p Path) At(name string, index int) Path {
	return append(p[:len(p):len(p)], Step{Field: name, Index: index})
}

// Entry returns the path with one more field and a key into it.
func (p Path) Entry(name, key string) Path {
	return append(p[:len(p):len(p)], Step{Field: name, Index: -1, Key: key, HasKey: true})
}

// String returns the path as text, which ParsePath reads back.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.Field)
		switch {
		case s.HasKey:
			b.WriteString("[" + strconv.Quote(s.Key) + "]")
		case s.Index >= 0:
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
		}
	}
	return b.String()
}

// ParsePath reads a path from its text.
func ParsePath(text string) (Path, error) {
	var path Path
	rest := text
	for rest != "" {
		end := strings.IndexAny(rest, ".[")
		if end == 0 {
			return nil, fmt.Errorf("field path %q: a field name is missing before %q", text, rest)
		}
		if end < 0 {
			return append(path, Step{Field: rest, Index: -1}), nil
		}
		step := Step{Field: rest[:end], Index: -1}
		if rest[end] == '[' {
			inside := rest[end+1:]
			if strings.HasPrefix(inside, `"`) {
				quoted, err := strconv.QuotedPrefix(inside)
				if err != nil {
					return nil, fmt.Errorf("field path %q: bad key: %w", text, err)
				}
				step.Key, err = strconv.Unquote(quoted)
				if err != nil {
					return nil, fmt.Errorf("field path %q: bad key: %w", text, err)
				}
				step.HasKey = true
				inside = inside[len(quoted):]
			} else {
				digits := strings.IndexByte(inside, ']')
				if digits < 0 {
					return nil, fmt.Errorf("field path %q: no closing bracket", text)
				}
				index, err := strconv.Atoi(inside[:digits])
				if err != nil || index < 0 {
					return nil, fmt.Errorf("field path %q: bad index %q", text, inside[:digits])
				}
				step.Index = index
				inside = inside[digits:]
			}
			if !strings.HasPrefix(inside, "]") {
				return nil, fmt.Errorf("field path %q: no closing bracket", text)
			}
			rest = inside[1:]
		} else {
			rest = rest[end:]
		}
		path = append(path, step)
		if rest == "" {
			break
		}
		if rest[0] != '.' {
			return nil, fmt.Errorf("field path %q: expected a dot before %q", text, rest)
		}
		rest = rest[1:]
		if rest == "" {
			return nil, fmt.Errorf("field path %q: a field name is missing at the end", text)
		}
	}
	return path, nil
}

// Violation is one broken rule of a definition.
type Violation struct {
	Path Path
	// Message says where in a definition it is, what is wrong and what to do. A path
	// counts, and Terraform underlines another block where a dynamic one is to blame, so
	// the words have to suffice.
	Message string
	// UnknownKind marks an action or rule whose kind the catalog does not hold, and whose
	// name is not close to a kind that it holds. Another catalog may hold it.
	UnknownKind bool
}

// ValidationError is a definition that breaks rules; it holds at least one.
type ValidationError struct {
	Violations []Violation
}

// Error returns all violations, one a line.
func (e *ValidationError) Error() string {
	lines := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		if len(v.Path) == 0 {
			lines[i] = v.Message
			continue
		}
		lines[i] = v.Path.String() + ": " + v.Message
	}
	return strings.Join(lines, "\n")
}
