package mirror

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// stored is a mirror on the disk.
type stored struct {
	name string
	size int64
	used time.Time
}

// Tidy removes mirrors that nobody has used for long, and then those that were not used for
// the longest time, until the rest is within the limit. It removes none that is in use.
func (m *Mirrors) Tidy() error {
	all, err := m.stored()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b stored) int { return a.used.Compare(b.used) })
	total := int64(0)
	for _, s := range all {
		total += s.size
	}
	var errs []error
	now := m.config.Clock()
	for _, s := range all {
		if total <= m.config.Limit && now.Sub(s.used) < idleAge {
			continue
		}
		removed, err := m.remove(s.name)
		errs = append(errs, err)
		if removed {
			total -= s.size
		}
	}
	return errors.Join(errs...)
}

// stored lists the mirrors.
func (m *Mirrors) stored() ([]stored, error) {
	entries, err := os.ReadDir(m.config.Dir)
	if err != nil {
		return nil, err
	}
	var all []stored
	for _, entry := range entries {
		if !entry.IsDir() || entry.Name() == scratchName {
			continue
		}
		dir := filepath.Join(m.config.Dir, entry.Name())
		s := stored{name: entry.Name()}
		if s.size, err = sizeOf(dir); err != nil {
			return nil, err
		}
		// One without the file was never used to the end: the oldest.
		if info, err := os.Stat(filepath.Join(dir, usedName)); err == nil {
			s.used = info.ModTime()
		}
		all = append(all, s)
	}
	return all, nil
}

// remove removes a mirror that is not in use.
func (m *Mirrors) remove(name string) (bool, error) {
	dir := filepath.Join(m.config.Dir, name)
	trash, err := m.temporary()
	if err != nil {
		return false, err
	}
	removed, err := m.moveAway(name, dir, trash)
	return removed, errors.Join(err, os.RemoveAll(trash))
}

// moveAway keeps others from the mirror while it does so.
func (m *Mirrors) moveAway(name, dir, trash string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mirror := m.open[name]
	if mirror == nil {
		// A process of a server that was killed may use it.
		lock, err := acquire(filepath.Join(dir, lockName))
		if errors.Is(err, errInUse) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		defer func() { _ = lock.Close() }()
	} else {
		if mirror.users > 0 {
			return false, nil
		}
		delete(m.open, name)
		if err := mirror.close(); err != nil {
			return false, err
		}
	}
	return true, os.Rename(dir, filepath.Join(trash, name))
}

// sizeOf returns how many bytes the files of a directory have.
func sizeOf(dir string) (int64, error) {
	size := int64(0)
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				size += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			// Git removes files at any time.
			return nil
		}
		return err
	})
	return size, err
}
