package artifact

import (
	"fmt"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// glob is one pattern, and what it met so far.
type glob struct {
	text    string
	pattern string
	// literal is set for a pattern without wildcards, or with no others than brackets, which
	// names of files hold too: of a directory of that name it means everything below.
	literal bool
	// brackets is the pattern with its brackets taken as they are, empty if that is the same pattern.
	brackets string
	matched  bool
	// link is the first symlink that the pattern leads through.
	link string
}

func parseGlobs(texts []string) ([]glob, error) {
	globs := make([]glob, 0, len(texts))
	for _, text := range texts {
		if text == "" || path.IsAbs(text) {
			return nil, fmt.Errorf("%w: %q is not a glob relative to the work directory", action.ErrUnstorable, text)
		}
		// Definitions that were stored before there was this bound are not checked.
		if err := pipeline.CheckGlob(text); err != nil {
			return nil, fmt.Errorf("%w: %w", action.ErrUnstorable, err)
		}
		pattern := path.Clean(text)
		if pattern == ".." || strings.HasPrefix(pattern, "../") {
			return nil, fmt.Errorf("%w: the glob %q leaves the work directory", action.ErrUnstorable, text)
		}
		g := glob{text: text, pattern: pattern, literal: !strings.ContainsAny(pattern, `*?{\`)}
		if strings.Contains(pattern, "[") && !strings.Contains(pattern, `\`) {
			g.brackets = strings.NewReplacer("[", `\[`, "]", `\]`).Replace(pattern)
		}
		globs = append(globs, g)
	}
	return globs, nil
}

func (g *glob) match(name string) bool {
	if g.literal && (name == g.pattern || g.pattern == "." || strings.HasPrefix(name, g.pattern+"/")) {
		return true
	}
	return doublestar.MatchUnvalidated(g.pattern, name) || g.brackets != "" && doublestar.MatchUnvalidated(g.brackets, name)
}

// names tells whether the pattern is the name of a file, which may have brackets.
func (g *glob) names(name string) bool { return g.literal && g.pattern == name }

// leads is how a pattern relates to what is below a directory.
type leads int

const (
	// elsewhere: it matches nothing below the directory.
	elsewhere leads = iota
	// anywhere: it may match something below, because ** crosses directories.
	anywhere
	// through: it goes through a directory of this name, or one like it.
	through
)

// below returns whether the pattern may match something below a directory.
func (g *glob) below(dir string) leads {
	if g.match(dir) {
		return through
	}
	best := partsBelow(g.pattern, dir)
	if g.brackets != "" {
		best = max(best, partsBelow(g.brackets, dir))
	}
	return best
}

// partsBelow compares a pattern with the name of a directory part by part.
func partsBelow(pattern, dir string) leads {
	parts := splitPattern(pattern)
	for name := range strings.SplitSeq(dir, "/") {
		// The last part is of the file itself.
		if len(parts) < 2 && !crosses(parts[0]) {
			return elsewhere
		}
		if crosses(parts[0]) {
			return anywhere
		}
		if !doublestar.MatchUnvalidated(parts[0], name) {
			return elsewhere
		}
		parts = parts[1:]
	}
	return through
}

// crosses tells whether a part of a pattern may match several directories.
func crosses(part string) bool { return part == "**" || strings.ContainsAny(part, "/") }

// splitPattern splits a pattern at its slashes, but not at those within braces.
func splitPattern(pattern string) []string {
	var parts []string
	depth, start := 0, 0
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			depth--
		case '/':
			if depth == 0 {
				parts = append(parts, pattern[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, pattern[start:])
}
