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

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// entry is a file to store, below the root.
type entry struct {
	path string
	kind fs.FileMode
	keep bool
}

// selection is one walk over the files.
type selection struct {
	globs   []glob
	entries []entry
	// top are the names in the root, for errors.
	top []string
	// closed are directories that cannot be read and that no glob names.
	closed []string
}

// selectEntries lists what to store, parents before children, in a fixed order, and says what
// users have to know of it.
func selectEntries(ctx context.Context, root *os.Root, texts []string) ([]entry, []string, error) {
	globs, err := parseGlobs(texts)
	if err != nil {
		return nil, nil, err
	}
	s := selection{globs: globs}
	err = fs.WalkDir(root.FS(), ".", func(name string, dirEntry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.visit(name, dirEntry, err)
	})
	if err != nil {
		return nil, nil, err
	}
	if err := s.missing(); err != nil {
		return nil, nil, err
	}
	entries := withParents(s.entries)
	remarks, err := checkLinks(root, entries, globs)
	if len(s.closed) > 0 {
		remarks = append(remarks, fmt.Sprintf("%s cannot be read (permission denied), so the files below are left out", pipeline.EnumerateQuoted(s.closed)))
	}
	return entries, remarks, err
}

// visit takes or leaves one file. An error is that of reading a directory.
func (s *selection) visit(name string, dirEntry fs.DirEntry, err error) error {
	if err != nil {
		return s.unread(name, err)
	}
	if name == "." {
		return nil
	}
	if !strings.Contains(name, "/") {
		s.top = append(s.top, name)
	}
	keep := len(s.globs) == 0
	for i := range s.globs {
		if s.globs[i].match(name) {
			s.globs[i].matched = true
			keep = true
		}
	}
	kind := dirEntry.Type()
	if keep && kind != 0 && kind != fs.ModeDir && kind != fs.ModeSymlink {
		return fmt.Errorf("%w: %q is a %s; remove it or leave it out by the globs of the artifact's files", action.ErrUnstorable, name, kindName(kind))
	}
	if keep || kind == fs.ModeDir {
		s.entries = append(s.entries, entry{path: name, kind: kind, keep: keep})
	}
	if keep {
		return nil
	}
	if kind == fs.ModeDir && s.below(name) == elsewhere {
		return fs.SkipDir
	}
	if kind == fs.ModeSymlink {
		s.noteLink(name)
	}
	return nil
}

// noteLink remembers a symlink that globs lead through.
func (s *selection) noteLink(name string) {
	for i := range s.globs {
		if g := &s.globs[i]; g.link == "" && g.below(name) == through {
			g.link = name
		}
	}
}

// below returns how close the globs come to what is below a directory.
func (s *selection) below(dir string) leads {
	if len(s.globs) == 0 {
		return through
	}
	best := elsewhere
	for i := range s.globs {
		best = max(best, s.globs[i].below(dir))
	}
	return best
}

// unread decides on a directory that could not be read.
func (s *selection) unread(name string, err error) error {
	if !errors.Is(err, fs.ErrPermission) || name == "." || s.below(name) == through {
		return unreadable(name, err)
	}
	s.closed = append(s.closed, name)
	return fs.SkipDir
}

// missing returns an error for globs that matched nothing.
func (s *selection) missing() error {
	var missing []error
	for i := range s.globs {
		g := &s.globs[i]
		switch {
		case g.matched || g.pattern == ".":
		case g.link != "":
			missing = append(missing, fmt.Errorf("%w: no file matches %q: %q is a symbolic link, which is not followed; let the commands copy the files into the work directory", action.ErrUnstorable, g.text, g.link))
		default:
			missing = append(missing, fmt.Errorf("%w: no file matches %q; %s", action.ErrUnstorable, g.text, describeTop(s.top)))
		}
	}
	return errors.Join(missing...)
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
		// The authors of files choose their names, and this is shown on terminals.
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
