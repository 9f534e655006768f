// Package durable makes files that are there whole or not at all, also after a crash
// of the machine. It must never know what is in them.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// unfinished is between the name of a file and a number while it is being made.
const unfinished = ".new-"

// Create makes a file that must not be there yet: else fs.ErrExist, and what is there
// stays. It has what write put into an empty file beside it that only its owner may
// read; where write fails there is no file.
func Create(path string, write func(temporary string) error) error {
	// Before the work, which may be long. What is made meanwhile is found below.
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	return put(path, write, name)
}

// Replace is Create for a file that may be there already.
func Replace(path string, write func(temporary string) error) error {
	return put(path, write, os.Rename)
}

func put(path string, write func(temporary string) error, publish func(from, to string) error) error {
	dir := filepath.Dir(path)
	// Made with mode 0600.
	file, err := os.CreateTemp(dir, filepath.Base(path)+unfinished)
	if err != nil {
		return err
	}
	temporary := file.Name()
	err = write(temporary)
	if err == nil {
		// A sync is of a file, not of who wrote it.
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = publish(temporary, path)
	}
	if err != nil {
		return errors.Join(err, Remove(temporary))
	}
	return SyncDir(dir)
}

// RemoveUnfinished removes what killed processes left of a file that they made. Nobody
// may be making it.
func RemoveUnfinished(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		number, ok := strings.CutPrefix(entry.Name(), filepath.Base(path)+unfinished)
		if _, err := strconv.ParseUint(number, 10, 64); !ok || err != nil || !entry.Type().IsRegular() {
			continue
		}
		if err := Remove(filepath.Join(filepath.Dir(path), entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// name gives a file a name that nobody has.
func name(temporary, path string) error {
	err := os.Link(temporary, path)
	if err == nil {
		return Remove(temporary)
	}
	if errors.Is(err, fs.ErrExist) {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	// A file system without links. Between the two steps somebody else may take the
	// name, who then is the one that is replaced.
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	return os.Rename(temporary, path)
}

// Remove deletes a file that may be gone.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir makes the names in a directory durable.
func SyncDir(path string) error { return syncDir(path, os.Open) }

// SyncDirIn is SyncDir for a directory below another, out of which no link leads.
func SyncDirIn(root *os.Root, path string) error { return syncDir(path, root.Open) }

func syncDir(path string, open func(string) (*os.File, error)) error {
	dir, err := open(path)
	if err != nil {
		return err
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}
