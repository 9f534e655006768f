// Package tree lays trees of files out that came as a tar. It must never make a file outside of a
// directory, or go through a symlink.
package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// bufferSize is how much of a file is copied at once.
const bufferSize = 256 << 10

// Cursor opens the parents of files, and keeps the last one open: files come
// directory by directory, and a file is opened relative to its parent in one
// step.
type Cursor struct {
	root    *os.Root
	path    string
	current *os.Root
}

// NewCursor returns a cursor that opens files below root.
func NewCursor(root *os.Root) *Cursor { return &Cursor{root: root} }

// Parent returns the directory of a file, which is open until the next call, and the name of the
// file in it. Names have slashes.
func (c *Cursor) Parent(name string) (*os.Root, string, error) {
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if dir == "." {
		return c.root, base, nil
	}
	if c.current != nil && c.path == dir {
		return c.current, base, nil
	}
	c.Close()
	next, err := c.root.OpenRoot(filepath.FromSlash(dir))
	if err != nil {
		return nil, "", err
	}
	c.current, c.path = next, dir
	return next, base, nil
}

// Close closes the directory that is open, but not the root.
func (c *Cursor) Close() {
	if c.current != nil {
		_ = c.current.Close()
		c.current = nil
	}
}

// Options say how a tree is laid out.
type Options struct {
	// Overwrite replaces files and symlinks that exist. Otherwise they are an error.
	Overwrite bool
	// SkipLink is called with the name and target of each symlink that leads out of the tree, which is
	// left out then. Nil keeps such symlinks.
	SkipLink func(name, target string)
}

// Unpack lays a tar out below root, with modes and modification times. It accepts only what a
// store of artifacts writes: files, directories and symlinks, and every parent is a directory that the
// tar made itself before, so that no entry can go through a symlink. After an error, what was laid
// out stays.
func Unpack(ctx context.Context, r io.Reader, root *os.Root, options Options) error {
	reader := tar.NewReader(r)
	at := NewCursor(root)
	defer at.Close()
	type directory struct {
		path     string
		mode     fs.FileMode
		modified time.Time
	}
	var dirs []directory
	made := map[string]bool{".": true}
	buffer := make([]byte, bufferSize)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(header.Name, "/")
		if !filepath.IsLocal(name) || path.Clean(name) != name || name == "." || !made[path.Dir(name)] {
			return fmt.Errorf("the entry %q has no place below the directory", header.Name)
		}
		parent, base, err := at.Parent(name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(header.Mode).Perm()
		switch header.Typeflag {
		case tar.TypeDir:
			if made[name] {
				return fmt.Errorf("the directory %q is there twice", name)
			}
			if err := makeDir(parent, base, name); err != nil {
				return err
			}
			made[name] = true
			dirs = append(dirs, directory{name, mode, header.ModTime})
		case tar.TypeSymlink:
			if options.SkipLink != nil && !localLink(name, header.Linkname) {
				options.SkipLink(name, header.Linkname)
				continue
			}
			if err := options.makeWay(parent, base); err != nil {
				return err
			}
			if err := parent.Symlink(header.Linkname, base); err != nil {
				return err
			}
		case tar.TypeReg:
			if err := options.makeWay(parent, base); err != nil {
				return err
			}
			if err := unpackFile(ctx, reader, parent, base, mode, buffer); err != nil {
				return err
			}
			if err := setTime(parent, base, header.ModTime); err != nil {
				return err
			}
		default:
			return fmt.Errorf("the entry %q is neither file, directory nor symlink", header.Name)
		}
	}
	// Last, and from the leaves up, since files cannot be made in a directory
	// that its mode protects, and since each of them changes the time of the directory.
	for i := len(dirs) - 1; i >= 0; i-- {
		path := filepath.FromSlash(dirs[i].path)
		if err := setTime(root, path, dirs[i].modified); err != nil {
			return err
		}
		if err := root.Chmod(path, dirs[i].mode); err != nil {
			return err
		}
	}
	return nil
}

func makeDir(parent *os.Root, base, name string) error {
	err := parent.Mkdir(base, 0o700)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := parent.Lstat(base)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%q already exists and is not a directory", name)
	}
	return nil
}

func unpackFile(ctx context.Context, reader io.Reader, parent *os.Root, base string, mode fs.FileMode, buffer []byte) error {
	file, err := parent.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(onlyWriter{file}, untilDone{ctx, reader}, buffer)
	if err == nil {
		err = file.Chmod(mode)
	}
	return errors.Join(err, file.Close())
}

// onlyWriter hides ReadFrom, which would bring a small buffer of its own.
type onlyWriter struct{ io.Writer }

// makeWay removes what a file or symlink is to replace. A directory stays unless it is empty.
func (o Options) makeWay(parent *os.Root, base string) error {
	if !o.Overwrite {
		return nil
	}
	if err := parent.Remove(base); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// localLink tells whether a symlink of that name leads to a place of the tree, as its text says.
func localLink(name, target string) bool {
	return !path.IsAbs(target) && filepath.IsLocal(path.Join(path.Dir(name), target))
}

// untilDone reads until the context ends.
type untilDone struct {
	ctx  context.Context //nolint:containedctx // It is that of one call.
	from io.Reader
}

// Read implements io.Reader.
func (r untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

// HasTime tells whether an entry has a time. Symlinks have none, nor has any entry of the
// artifacts that older versions stored.
func HasTime(modified time.Time) bool { return !modified.Equal(time.Unix(0, 0)) }

// Settable returns the nearest time that a file can be given: Go sets times by their
// nanoseconds since 1970, in 64 bits. A commit may have any time.
func Settable(t time.Time) time.Time {
	earliest, latest := time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64)
	switch {
	case t.Before(earliest):
		return earliest
	case t.After(latest):
		return latest
	}
	return t
}

// setTime gives a file or directory the time of its entry.
func setTime(parent *os.Root, name string, modified time.Time) error {
	if !HasTime(modified) {
		return nil
	}
	return parent.Chtimes(name, time.Time{}, Settable(modified))
}
