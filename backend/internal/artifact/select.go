package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// entry is a file to store, below the root.
type entry struct {
	path string
	kind fs.FileMode
	keep bool
}

// glob is one pattern and whether it matched so far.
type glob struct {
	text    string
	pattern string
	// tree is set for a pattern without wildcards: of a directory of that name
	// it means everything below.
	tree    bool
	matched bool
}

func (g *glob) match(name string) bool {
	if g.tree {
		return name == g.pattern || g.pattern == "." || strings.HasPrefix(name, g.pattern+"/")
	}
	return doublestar.MatchUnvalidated(g.pattern, name)
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
		globs = append(globs, glob{text: text, pattern: pattern, tree: !strings.ContainsAny(pattern, `*?[{\`)})
	}
	return globs, nil
}

// selectEntries lists what to store, parents before children, in a fixed order.
func selectEntries(ctx context.Context, root *os.Root, texts []string) ([]entry, error) {
	globs, err := parseGlobs(texts)
	if err != nil {
		return nil, err
	}
	var entries []entry
	var top []string
	err = fs.WalkDir(root.FS(), ".", func(name string, dirEntry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if name == "." {
			return nil
		}
		if !strings.Contains(name, "/") {
			top = append(top, name)
		}
		keep := len(globs) == 0
		for i := range globs {
			if globs[i].match(name) {
				globs[i].matched = true
				keep = true
			}
		}
		kind := dirEntry.Type()
		if keep && kind != 0 && kind != fs.ModeDir && kind != fs.ModeSymlink {
			return fmt.Errorf("%w: %q is a %s; remove it or leave it out by the globs of the artifact's files", action.ErrUnstorable, name, kindName(kind))
		}
		if keep || kind == fs.ModeDir {
			entries = append(entries, entry{path: name, kind: kind, keep: keep})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var missing []error
	for i := range globs {
		if !globs[i].matched && globs[i].pattern != "." {
			missing = append(missing, fmt.Errorf("%w: no file matches %q; %s", action.ErrUnstorable, globs[i].text, describeTop(top)))
		}
	}
	if len(missing) > 0 {
		return nil, errors.Join(missing...)
	}
	return withParents(entries), nil
}

// withParents drops the directories that are neither kept nor hold a kept file.
func withParents(entries []entry) []entry {
	needed := make(map[string]bool)
	for _, e := range entries {
		if !e.keep {
			continue
		}
		for dir := path.Dir(e.path); dir != "." && !needed[dir]; dir = path.Dir(dir) {
			needed[dir] = true
		}
	}
	kept := entries[:0]
	for _, e := range entries {
		if e.keep || needed[e.path] {
			kept = append(kept, e)
		}
	}
	return kept
}

func describeTop(names []string) string {
	const most = 20
	names = slices.Clone(names)
	for i, name := range names {
		// Whoever wrote the files chose their names, and this is shown on terminals.
		names[i] = fmt.Sprintf("%q", name)
	}
	switch {
	case len(names) == 0:
		return "the work directory is empty"
	case len(names) > most:
		return fmt.Sprintf("the work directory holds %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return "the work directory holds " + strings.Join(names, ", ")
}

func kindName(kind fs.FileMode) string {
	switch {
	case kind&fs.ModeSocket != 0:
		return "socket"
	case kind&fs.ModeNamedPipe != 0:
		return "named pipe"
	case kind&fs.ModeDevice != 0:
		return "device"
	}
	return "file of an unknown kind"
}
