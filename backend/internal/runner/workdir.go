package runner

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// control is the directory below the work directory for the runner's own files:
// the lock, and which process group each slot started last.
const control = ".runner"

// lockWorkDir takes the lock that the kernel releases with the process.
func lockWorkDir(workDir string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Join(workDir, control), 0o700); err != nil {
		return nil, fmt.Errorf("runner: work directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(workDir, control, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("runner: work directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("runner: another runner uses the work directory %s; stop it or choose another directory: %w", workDir, err)
	}
	return lock, nil
}

// cleanUp ends what an earlier runner left in its work directory.
func cleanUp(workDir string) error {
	if err := killLeftovers(workDir); err != nil {
		return fmt.Errorf("runner: end processes of an earlier run: %w", err)
	}
	entries, err := os.ReadDir(workDir)
	if err != nil {
		return fmt.Errorf("runner: work directory: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == control {
			continue
		}
		if err := removeTree(filepath.Join(workDir, entry.Name())); err != nil {
			return fmt.Errorf("runner: remove a work directory of an earlier run: %w", err)
		}
	}
	return nil
}

// removeTree removes a directory, also where commands left read-only directories
// in it, as Go's module cache does.
func removeTree(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	// The walk calls for a directory before it reads it, and follows no symlink.
	// What fails here shows in the removal.
	_ = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			_ = root.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
