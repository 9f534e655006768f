package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/headrace/terraform-provider-headrace/backend/internal/durable"
)

// Temporary is the name of the directory of files that are being written, in each part
// of a directory: a part may be a file system of its own, which a rename does not leave.
const Temporary = "tmp"

// prepareDir makes the directory of a part and removes what killed processes left
// half written. Other processes may be writing to it.
func (s *Store) prepareDir() error {
	drafts := filepath.Join(s.dir, Temporary)
	if err := os.MkdirAll(drafts, 0o700); err != nil {
		return fmt.Errorf("open the directory: %w", err)
	}
	entries, err := os.ReadDir(drafts)
	if err != nil {
		return fmt.Errorf("open the directory: %w", err)
	}
	for _, entry := range entries {
		if err := removeLeft(filepath.Join(drafts, entry.Name())); err != nil {
			return fmt.Errorf("remove an unfinished object: %w", err)
		}
	}
	return nil
}

// removeLeft removes a file that nobody writes to: who does holds its lock, which
// the kernel lets go of with the process.
func removeLeft(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	return durable.Remove(path)
}

// newDraft makes a file that is no object yet, mode 0600.
func (s *Store) newDraft() (*os.File, error) {
	for {
		file, err := os.CreateTemp(filepath.Join(s.dir, Temporary), "put-")
		if err != nil {
			return nil, err
		}
		// A file system without locks has nobody either who removes by them.
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			_, err := os.Lstat(file.Name())
			if err == nil {
				return file, nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return nil, errors.Join(err, file.Close())
			}
		}
		// Who starts just now took it for one that was left.
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
}

func (s *Store) putFile(ctx context.Context, name string, from io.Reader, onlyNew bool) error {
	file, err := s.newDraft()
	if err != nil {
		return err
	}
	err = s.fill(ctx, file, name, from)
	if err == nil {
		err = s.publish(file, name, onlyNew)
	}
	return errors.Join(err, durable.Remove(file.Name()), file.Close())
}

// publish gives a file the name of an object.
func (s *Store) publish(file *os.File, name string, onlyNew bool) error {
	// Objects are replaced, never written to.
	if err := file.Chmod(0o400); err != nil {
		return err
	}
	if !s.unsynced {
		if err := file.Sync(); err != nil {
			return err
		}
	}
	path := filepath.Join(s.dir, name)
	parent := filepath.Dir(path)
	if err := s.makeDir(parent); err != nil {
		return err
	}
	rename := os.Rename
	if onlyNew {
		rename = os.Link
	}
	err := rename(file.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil || s.unsynced {
		return err
	}
	return durable.SyncDir(parent)
}

// listDir lists what is below a directory of the part, empty for all of it or with a
// slash at its end, and tells whether to go on. What others remove meanwhile is not there.
func (s *Store) listDir(ctx context.Context, dir, prefix string, yield func(Object, error) bool) bool {
	entries, err := os.ReadDir(filepath.Join(s.dir, dir))
	if err == nil {
		err = ctx.Err()
	}
	if errors.Is(err, fs.ErrNotExist) && dir != "" {
		return true
	}
	if err != nil {
		yield(Object{}, fmt.Errorf("list %s: %w", prefix, err))
		return false
	}
	nameOf := func(entry fs.DirEntry) string {
		if entry.IsDir() {
			return dir + entry.Name() + "/"
		}
		return dir + entry.Name()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(nameOf(a), nameOf(b)) })
	for _, entry := range entries {
		name := nameOf(entry)
		leads := entry.IsDir() && strings.HasPrefix(prefix, name)
		if name == Temporary+"/" || !strings.HasPrefix(name, prefix) && !leads {
			continue
		}
		if entry.IsDir() {
			if !s.listDir(ctx, name, prefix, yield) {
				return false
			}
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			yield(Object{}, fmt.Errorf("list %s: %w", prefix, err))
			return false
		}
		if !yield(Object{Name: name, Size: info.Size(), ModTime: info.ModTime()}, nil) {
			return false
		}
	}
	return true
}

// makeDir makes a directory and those above it, so that they outlive a crash where
// objects do.
func (s *Store) makeDir(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeDir(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil || s.unsynced {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
