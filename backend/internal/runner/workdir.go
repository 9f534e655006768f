package runner

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
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

// unlockWorkDir lets the lock go. Closing alone would leave it to a process that is
// being forked at this moment and holds the file until it executes its program.
func unlockWorkDir(lock *os.File) {
	_ = syscall.Flock(int(lock.Fd()), syscall.LOCK_UN)
	_ = lock.Close()
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

// workDirs hands out the directories of attempts. Making and removing them costs
// a journaled write each, several times what a short action takes on some file
// systems: so they are made ahead, cleared while the next attempt runs, and a
// directory that was left as it was given is given again.
type workDirs struct {
	parent string
	log    hclog.Logger
	ready  chan string
	used   chan string
	ended  sync.WaitGroup
	made   atomic.Int64
}

func newWorkDirs(parent string, slots int, log hclog.Logger) *workDirs {
	w := &workDirs{parent: parent, log: log, ready: make(chan string, 2*slots), used: make(chan string, slots)}
	w.ended.Go(func() {
		for range cap(w.ready) {
			w.renew()
		}
		for dir := range w.used {
			w.clear(dir)
		}
	})
	return w
}

// get returns a directory with empty action.FilesDir, HomeDir and TempDir.
func (w *workDirs) get() (string, error) {
	select {
	case dir := <-w.ready:
		return dir, nil
	default:
		return w.make()
	}
}

// put takes a directory back whose processes have ended.
func (w *workDirs) put(dir string) { w.used <- dir }

// close removes all directories that are not in use.
func (w *workDirs) close() {
	close(w.used)
	w.ended.Wait()
	close(w.ready)
	for dir := range w.ready {
		w.remove(dir)
	}
}

func (w *workDirs) make() (string, error) {
	dir := filepath.Join(w.parent, strconv.FormatInt(w.made.Add(1), 10))
	for _, path := range []string{dir, filepath.Join(dir, action.FilesDir), filepath.Join(dir, action.HomeDir), filepath.Join(dir, action.TempDir)} {
		if err := os.Mkdir(path, 0o700); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// renew makes a directory ahead. Where that fails, the attempt that needs one
// will say why.
func (w *workDirs) renew() {
	if dir, err := w.make(); err == nil {
		w.offer(dir)
	}
}

func (w *workDirs) offer(dir string) {
	select {
	case w.ready <- dir:
	default:
		w.remove(dir)
	}
}

func (w *workDirs) clear(dir string) {
	if untouched(dir) {
		w.offer(dir)
		return
	}
	w.remove(dir)
	if len(w.ready) < cap(w.ready) {
		w.renew()
	}
}

func (w *workDirs) remove(dir string) {
	if err := removeTree(dir); err != nil {
		w.log.Warn("Cannot remove a work directory; the next start tries again", "dir", dir, "error", err)
	}
}

// untouched tells whether a directory is as make left it.
func untouched(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 || !private(dir) {
		return false
	}
	for _, entry := range entries {
		switch entry.Name() {
		case action.FilesDir, action.HomeDir, action.TempDir:
		default:
			return false
		}
		path := filepath.Join(dir, entry.Name())
		if !private(path) {
			return false
		}
		if inside, err := os.ReadDir(path); err != nil || len(inside) > 0 {
			return false
		}
	}
	return true
}

func private(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode() == fs.ModeDir|0o700
}

// removeTree removes a directory, also where commands left read-only directories
// in it, as Go's module cache does.
func removeTree(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory needs x to be emptied
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
