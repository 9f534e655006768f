package artifact

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

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
// bits and contents.
func pack(ctx context.Context, w io.Writer, root *os.Root, entries []entry) error {
	writer := tar.NewWriter(w)
	at := cursor{root: root}
	defer at.close()
	buffer := make([]byte, bufferSize)
	for _, e := range entries {
		parent, base, err := at.parent(e.path)
		if err != nil {
			return err
		}
		switch e.kind {
		case fs.ModeDir:
			info, err := parent.Lstat(base)
			if err != nil {
				return err
			}
			err = writer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: e.path + "/", Mode: int64(info.Mode().Perm())})
			if err != nil {
				return err
			}
		case fs.ModeSymlink:
			target, err := parent.Readlink(base)
			if err != nil {
				return err
			}
			err = writer.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: e.path, Linkname: target, Mode: 0o777})
			if err != nil {
				return err
			}
		default:
			if err := packFile(ctx, writer, parent, base, e.path, buffer); err != nil {
				return err
			}
		}
	}
	return writer.Close()
}

func packFile(ctx context.Context, writer *tar.Writer, parent *os.Root, base, name string, buffer []byte) error {
	// Not to wait for a writer, should the file have become a named pipe.
	file, err := parent.OpenFile(base, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %q changed while it was stored", action.ErrUnstorable, name)
	}
	err = writer.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: int64(info.Mode().Perm())})
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

// unpack lays a tar out below root. It accepts only what pack writes: every
// parent is a directory that the tar made itself before, so that no entry can go
// through a symlink.
func unpack(ctx context.Context, r io.Reader, root *os.Root) error {
	reader := tar.NewReader(r)
	at := cursor{root: root}
	defer at.close()
	type dirMode struct {
		path string
		mode fs.FileMode
	}
	var dirs []dirMode
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
			dirs = append(dirs, dirMode{name, mode})
		case tar.TypeSymlink:
			if err := parent.Symlink(header.Linkname, base); err != nil {
				return err
			}
		case tar.TypeReg:
			if err := unpackFile(ctx, reader, parent, base, mode, buffer); err != nil {
				return err
			}
		default:
			return fmt.Errorf("the entry %q is neither file, directory nor symlink", header.Name)
		}
	}
	// Last, and from the leaves up, since files cannot be made in a directory
	// that its mode protects.
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := root.Chmod(filepath.FromSlash(dirs[i].path), dirs[i].mode); err != nil {
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
