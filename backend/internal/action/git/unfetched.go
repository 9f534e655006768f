package git

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// pointerPrefix begins each pointer of Git LFS, which is shorter than maxPointer.
const (
	pointerPrefix = "version https://git-lfs.github.com/spec/"
	maxPointer    = 1024
)

// unfetched is what a work tree lacks of its commit.
type unfetched struct {
	// submodules are directories that are empty, and objects are files that hold a pointer.
	submodules, objects []string
}

// findUnfetched looks through the work tree, and those of submodules that were fetched.
func (f *fetch) findUnfetched(ctx context.Context) (unfetched, error) {
	var u unfetched
	for _, dir := range append([]string{""}, f.nested...) {
		if err := f.findUnfetchedIn(ctx, filepath.ToSlash(dir), &u); err != nil {
			return unfetched{}, err
		}
	}
	return u, nil
}

func (f *fetch) findUnfetchedIn(ctx context.Context, dir string, u *unfetched) error {
	tree := filepath.Join(f.tree, filepath.FromSlash(dir))
	attributes := false
	err := f.gitTo(ctx, tree, nil, &records{each: func(record string) {
		mode, name, _ := strings.Cut(record, "\t")
		switch {
		case strings.HasPrefix(mode, "160000 "):
			name = path.Join(dir, name)
			if _, err := f.workspace.Root.Lstat(filepath.Join(action.FilesDir, filepath.FromSlash(name), ".git")); err != nil {
				u.submodules = append(u.submodules, name)
			}
		case path.Base(name) == ".gitattributes":
			attributes = true
		}
	}}, nil, "ls-files", "-z", "--stage")
	if err != nil || !attributes {
		return err
	}
	return f.gitTo(ctx, tree, nil, &records{each: func(name string) {
		if name = path.Join(dir, name); f.isPointer(name) {
			u.objects = append(u.objects, name)
		}
	}}, nil, "ls-files", "-z", "--", ":(attr:filter=lfs)")
}

// isPointer tells whether a file of the work tree is a pointer of Git LFS.
func (f *fetch) isPointer(name string) bool {
	name = filepath.Join(action.FilesDir, filepath.FromSlash(name))
	if info, err := f.workspace.Root.Lstat(name); err != nil || !info.Mode().IsRegular() || info.Size() > maxPointer {
		return false
	}
	file, err := f.workspace.Root.Open(name)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	begin := make([]byte, len(pointerPrefix))
	_, err = io.ReadFull(file, begin)
	return err == nil && string(begin) == pointerPrefix
}

// remarks says what was not fetched, and how it can be.
func (u *unfetched) remarks(s *source) (remarks, advice []string) {
	if n := len(u.submodules); n > 0 {
		remarks = append(remarks, count(n, "submodule was", "submodules were")+" not fetched: "+pipeline.EnumerateQuoted(u.submodules))
		advice = append(advice, s.advise("Submodules", s.submodules, ".gitmodules does not declare them"))
	}
	if n := len(u.objects); n > 0 {
		remarks = append(remarks, count(n, "file is a Git LFS pointer", "files are Git LFS pointers")+" without the content: "+pipeline.EnumerateQuoted(u.objects))
		advice = append(advice, s.advise("LFS", s.lfs, "git-lfs left them out, as .lfsconfig can ask for"))
	}
	return remarks, advice
}

// advise says which property of an action fetches more, or the reason if it was set.
func (s *source) advise(property string, set bool, reason string) string {
	switch {
	case set:
		return reason
	case s.complete:
		return fmt.Sprintf("to fetch them, set %s = \"true\" in the configuration of the action", property)
	}
	return fmt.Sprintf("to fetch them, use a Source/Git action with %s = \"true\"", property)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// records calls a function with each record that ends with a zero byte.
type records struct {
	each func(record string)
	rest []byte
}

func (r *records) Write(p []byte) (int, error) {
	r.rest = append(r.rest, p...)
	for {
		record, rest, found := bytes.Cut(r.rest, []byte{0})
		if !found {
			return len(p), nil
		}
		r.each(string(record))
		r.rest = rest
	}
}
