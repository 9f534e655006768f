package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/headrace/terraform-provider-headrace/backend/internal/durable"
)

// Temporary is the name of the directory of files that are being written, in each part
// of a directory: a part may be a file system of its own, which a rename does not leave.
const Temporary = "tmp"

// draftPrefix begins the names of files that are being written; draftLength is how long
// those names are.
const (
	draftPrefix = "put-"
	draftLength = len(draftPrefix) + 26
)

// errNoFile says that what has the name of an object is none that Put made.
var errNoFile = errors.New("a storage has no links, pipes and the like: remove it; what is to be elsewhere can be mounted in its place")

// openRoot opens the directory of the part, which is no link. Whoever may write to a
// directory that several machines share may put links into it: what is done in the root
// stays below the part.
func (s *Store) openRoot() (*os.Root, error) {
	// Each time anew: what is mounted there may have changed.
	path := filepath.Join(s.dir, s.prefix)
	named, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !named.IsDir() {
		return nil, fmt.Errorf("%s: %w", path, errNoFile)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(named, opened) {
		err = fmt.Errorf("%s: %w", path, errNoFile)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// within calls fn with the directory of the part and a name in it that has no link
// before its last word.
func (s *Store) within(name string, fn func(root *os.Root, name string) error) error {
	root, err := s.openRoot()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if _, err := refuseLinks(root, name); err != nil {
		return err
	}
	return fn(root, name)
}

// refuseLinks returns an error where a directory above a path is a link or no directory, and
// whether all of them are there.
func refuseLinks(root *os.Root, path string) (exists bool, err error) {
	for i, r := range path {
		if r != '/' {
			continue
		}
		info, err := root.Lstat(path[:i])
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if !info.IsDir() {
			return false, fmt.Errorf("%s: %w", filepath.Join(root.Name(), path[:i]), errNoFile)
		}
	}
	return true, nil
}

// openRegular opens a file for reading that is no link, and never waits for who writes.
func openRegular(root *os.Root, path string) (*os.File, error) {
	before, err := root.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", filepath.Join(root.Name(), path), errNoFile)
	}
	// It may be another one by now.
	file, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", file.Name(), errNoFile)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// remove deletes a file that may be gone.
func remove(root *os.Root, path string) error {
	if err := root.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// prepareDir makes the directory of a part and removes what killed processes left
// half written. Other processes may be writing to it.
func (s *Store) prepareDir() error {
	// Where it is a link, opening it says so.
	err := os.MkdirAll(filepath.Join(s.dir, s.prefix), 0o700)
	if err == nil || errors.Is(err, fs.ErrExist) {
		err = s.prepareDrafts()
	}
	if err != nil {
		return fmt.Errorf("open the directory: %w", err)
	}
	return nil
}

func (s *Store) prepareDrafts() error {
	return s.within(Temporary+"/", func(root *os.Root, path string) error {
		if err := root.Mkdir(Temporary, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		entries, err := readDir(root, Temporary)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if err := removeAbandonedDraft(root, path+entry.Name()); err != nil {
				return fmt.Errorf("remove an unfinished object: %w", err)
			}
		}
		return nil
	})
}

// removeAbandonedDraft removes a file that newDraft made and nobody writes to: a writer holds its
// lock, which the kernel lets go of with the process. What else is there stays.
func removeAbandonedDraft(root *os.Root, path string) error {
	if name := filepath.Base(path); !strings.HasPrefix(name, draftPrefix) || len(name) != draftLength {
		return nil
	}
	file, err := openRegular(root, path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoFile) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	return remove(root, path)
}

// draftFile is a file that is no object yet.
type draftFile struct {
	*os.File
	root *os.Root
	path string
	// renamed is set where it became an object.
	renamed bool
}

// newDraft makes a file that is no object yet, mode 0600.
func (s *Store) newDraft() (draft *draftFile, err error) {
	root, err := s.openRoot()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.Close())
		}
	}()
	for {
		path := Temporary + "/" + draftPrefix + rand.Text()
		if _, err := refuseLinks(root, path); err != nil {
			return nil, err
		}
		file, err := root.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		// A file system without locks has nobody either who removes by them.
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			var info syscall.Stat_t
			if err := syscall.Fstat(int(file.Fd()), &info); err != nil {
				return nil, errors.Join(err, file.Close())
			}
			if info.Nlink > 0 {
				return &draftFile{File: file, root: root, path: path}, nil
			}
		}
		// Who starts just now took it for one that was left.
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
}

// Close lets go of the draft, whose name goes where it became no object.
func (d *draftFile) Close() error {
	var err error
	if !d.renamed {
		err = remove(d.root, d.path)
	}
	return errors.Join(err, d.File.Close(), d.root.Close())
}

func (s *Store) putFile(ctx context.Context, name string, from io.Reader, onlyNew bool) error {
	draft, err := s.newDraft()
	if err != nil {
		return err
	}
	err = s.encode(ctx, draft.File, name, from)
	if err == nil {
		err = s.publish(draft, name, onlyNew)
	}
	return errors.Join(err, draft.Close())
}

// publish gives a file the name of an object.
func (s *Store) publish(draft *draftFile, name string, onlyNew bool) error {
	// Objects are replaced, never written to.
	if err := draft.Chmod(0o400); err != nil {
		return err
	}
	if !s.unsynced {
		if err := draft.Sync(); err != nil {
			return err
		}
	}
	dirExists, err := refuseLinks(draft.root, name)
	if err != nil {
		return err
	}
	parent := path.Dir(name)
	if !dirExists {
		if err := s.makeDir(draft.root, parent); err != nil {
			return err
		}
	}
	rename := draft.root.Rename
	if onlyNew {
		rename = draft.root.Link
	}
	err = rename(draft.path, name)
	draft.renamed = err == nil && !onlyNew
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil || s.unsynced {
		return err
	}
	return durable.SyncDirIn(draft.root, parent)
}

// readDir reads a directory that is there and no link to one.
func readDir(root *os.Root, path string) ([]fs.DirEntry, error) {
	dir, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	entries, err := dir.ReadDir(-1)
	return entries, errors.Join(err, dir.Close())
}

// listDir lists what is below a directory of the part, empty for all of it or with a
// slash at its end, and tells whether to go on. What others remove meanwhile is not there.
func (s *Store) listDir(ctx context.Context, dir, prefix string, yield func(Object, error) bool) bool {
	var entries []fs.DirEntry
	err := s.within(dir, func(root *os.Root, dir string) (err error) {
		entries, err = readDir(root, path.Clean(dir))
		return err
	})
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
func (s *Store) makeDir(root *os.Root, dir string) error {
	err := root.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) && dir != path.Dir(dir) {
		if err := s.makeDir(root, path.Dir(dir)); err != nil {
			return err
		}
		err = root.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil || s.unsynced {
		return err
	}
	return durable.SyncDirIn(root, path.Dir(dir))
}
