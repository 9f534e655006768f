package trigger

import (
	"errors"
	"fmt"
	"strings"

	"github.com/theory/jsonpath"
)

// The bounds of a JSONPath. A path of 150 characters could visit every value of a body
// millions of times: each .. visits what is below each value, and each further selector of
// a segment visits the same values again.
const (
	maxPath          = 150
	maxPathSelectors = 4
)

// parsePath returns a JSONPath of RFC 9535 whose evaluation is bounded.
func parsePath(text string) (*jsonpath.Path, error) {
	path, err := jsonpath.Parse(text)
	if err != nil {
		if strings.Contains(text, "[(") {
			return nil, fmt.Errorf("%s has a script in brackets, which JSONPath (RFC 9535) does not have; "+
				"write [-1] for [(@.length-1)], and [?@.key == 'value'] for a filter", text)
		}
		return nil, fmt.Errorf("%q is not a JSONPath of RFC 9535, such as $.ref: %s", text, strings.TrimPrefix(err.Error(), "jsonpath: "))
	}
	return path, checkPath(path.String())
}

// checkPath bounds a path by its normalized text, in which names are in double quotes.
func checkPath(text string) error {
	plain := unquoted(text)
	switch {
	case strings.Count(plain, "..") > 1:
		return errors.New("a JSONPath may have .. only once")
	case strings.Count(plain, "?") > 1:
		return errors.New("a JSONPath may have only one filter")
	case strings.Count(plain, ",") > maxPathSelectors:
		return fmt.Errorf("a JSONPath may have at most %d commas", maxPathSelectors)
	case strings.Count(plain, "$") > 1:
		return errors.New("the filter of a JSONPath may look only at @, the value that it is applied to")
	case strings.Contains(plain, "match(") || strings.Contains(plain, "search("):
		return errors.New("a JSONPath may not use match or search; write a condition in when, such as body.ref.matches(\"^refs/heads/\")")
	}
	return nil
}

// unquoted returns a text without what is in quotes.
func unquoted(text string) string {
	var b strings.Builder
	quote, escaped := byte(0), false
	for _, c := range []byte(text) {
		switch {
		case escaped:
			escaped = false
		case quote != 0:
			escaped = c == '\\'
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
