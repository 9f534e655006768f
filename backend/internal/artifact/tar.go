package artifact

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact/tree"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// pack writes the entries as a tar that depends on nothing but names, permission
// bits, contents and modification times. The times are all the same one if that is not zero.
func pack(ctx context.Context, w io.Writer, root *os.Root, entries []entry, same time.Time) error {
	writer := tar.NewWriter(w)
	at := tree.NewCursor(root)
	defer at.Close()
	buffer := make([]byte, bufferSize)
	for _, e := range entries {
		parent, base, err := at.Parent(e.path)
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
	modified = tree.Settable(modified)
	if !tree.HasTime(modified) {
		modified = modified.Add(time.Nanosecond)
	}
	// Of the formats of tar only PAX holds fractions of a second. Times without one need no
	// more room than in others.
	return &tar.Header{Typeflag: kind, Name: name, Mode: int64(info.Mode().Perm()), ModTime: modified, Format: tar.FormatPAX}
}

// unreadable makes an error of files that belong to the artifact and cannot be read. Any other
// error is returned as it is.
func unreadable(name string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w: %q cannot be read: permission denied; let the action make it readable, or leave it out by the globs of the artifact's files", action.ErrUnstorable, name)
}
