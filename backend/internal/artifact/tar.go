package artifact

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
	"syscall"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// cursor opens the parents of files, and keeps the last one open: files come
// directory by directory, and a file is opened relative to its parent in one
// step.
type cursor struct {
	root    *os.Root
	path    string
	current *os.Root
}

func (c *cursor) parent(name string) (*os.Root, string, error) {
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if dir == "." {
		return c.root, base, nil
	}
	if c.current != nil && c.path == dir {
		return c.current, base, nil
	}
	c.close()
	next, err := c.root.OpenRoot(filepath.FromSlash(dir))
	if err != nil {
		return nil, "", err
	}
	c.current, c.path = next, dir
	return next, base, nil
}

func (c *cursor) close() {
	if c.current != nil {
		_ = c.current.Close()
		c.current = nil
	}
}

// pack writes the entries as a tar that depends on nothing but names, permission
// bits, contents and modification times. The times are all the same one if that is not zero.
func pack(ctx context.Context, w io.Writer, root *os.Root, entries []entry, same time.Time) error {
	writer := tar.NewWriter(w)
	at := cursor{root: root}
	defer at.close()
	buffer := make([]byte, bufferSize)
	for _, e := range entries {
		parent, base, err := at.parent(e.path)
		if err != nil {
			return unreadable(e.path, err)
		}
		switch e.kind {
		case fs.ModeDir:
			info, err := parent.Lstat(base)
			if err != nil {
				return unreadable(e.path, err)
			}
			err = writer.WriteHeader(header(tar.TypeDir, e.path+"/", info, same))
			if err != nil {
				return err
			}
		case fs.ModeSymlink:
			target, err := parent.Readlink(base)
			if err != nil {
				return unreadable(e.path, err)
			}
			err = writer.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: e.path, Linkname: target, Mode: 0o777})
			if err != nil {
				return err
			}
		default:
			if err := packFile(ctx, writer, parent, base, e.path, same, buffer); err != nil {
				return err
			}
		}
	}
	return writer.Close()
}

func packFile(ctx context.Context, writer *tar.Writer, parent *os.Root, base, name string, same time.Time, buffer []byte) error {
	// Not to wait for a writer, should the file have become a named pipe.
	file, err := parent.OpenFile(base, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return unreadable(name, err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %q changed while it was stored", action.ErrUnstorable, name)
	}
	head := header(tar.TypeReg, name, info, same)
	head.Size = info.Size()
	err = writer.WriteHeader(head)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(writer, blob.UntilDone(ctx, io.LimitReader(file, info.Size())), buffer)
	if err != nil {
		return err
	}
	if n != info.Size() {
		return fmt.Errorf("%w: %q changed while it was stored", action.ErrUnstorable, name)
	}
	return nil
}

// header describes a file or a directory.
func header(kind byte, name string, info fs.FileInfo, same time.Time) *tar.Header {
	modified := same
	if modified.IsZero() {
		modified = info.ModTime()
	}
	modified = settable(modified)
	if !hasTime(modified) {
		modified = modified.Add(time.Nanosecond)
	}
	// Of the formats of tar only PAX holds fractions of a second. Times without one need no
	// more room than in others.
	return &tar.Header{Typeflag: kind, Name: name, Mode: int64(info.Mode().Perm()), ModTime: modified, Format: tar.FormatPAX}
}

// hasTime tells whether an entry has a time. Symlinks have none, nor has any entry of the
// artifacts that older versions stored.
func hasTime(modified time.Time) bool { return !modified.Equal(time.Unix(0, 0)) }

// settable returns the nearest time that a file can be given: Go sets times by their
// nanoseconds since 1970, in 64 bits. A commit may have any time.
func settable(t time.Time) time.Time {
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
	if !hasTime(modified) {
		return nil
	}
	return parent.Chtimes(name, time.Time{}, settable(modified))
}

// unreadable makes an error of files that belong to the artifact and cannot be read. Any other
// error is returned as it is.
func unreadable(name string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w: %q cannot be read: permission denied; let the action make it readable, or leave it out by the globs of the artifact's files", action.ErrUnstorable, name)
}

// unpack lays a tar out below root. It accepts only what pack writes: every
// parent is a directory that the tar made itself before, so that no entry can go
// through a symlink.
func unpack(ctx context.Context, r io.Reader, root *os.Root) error {
	reader := tar.NewReader(r)
	at := cursor{root: root}
	defer at.close()
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
		parent, base, err := at.parent(name)
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
			if err := parent.Symlink(header.Linkname, base); err != nil {
				return err
			}
		case tar.TypeReg:
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
	_, err = io.CopyBuffer(onlyWriter{file}, blob.UntilDone(ctx, reader), buffer)
	if err == nil {
		err = file.Chmod(mode)
	}
	return errors.Join(err, file.Close())
}

// onlyWriter hides ReadFrom, which would bring a small buffer of its own.
type onlyWriter struct{ io.Writer }
