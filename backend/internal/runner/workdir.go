package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
func cleanUp(workDir string, log hclog.Logger) error {
	names, err := killLeftovers(workDir)
	if len(names) > 0 {
		log.Warn("Killed processes that an earlier run of this runner left", "count", len(names), "programs", firstOf(names))
	}
	if err != nil {
		return fmt.Errorf("runner: end processes of an earlier run: %w", err)
	}
	entries, err := os.ReadDir(workDir)
	if err != nil {
		return fmt.Errorf("runner: work directory: %w", err)
	}
	root, err := os.OpenRoot(workDir)
	if err != nil {
		return fmt.Errorf("runner: work directory: %w", err)
	}
	defer func() { _ = root.Close() }()
	for _, entry := range entries {
		if entry.Name() == control {
			continue
		}
		if err := removeTree(root, entry.Name()); err != nil {
			return fmt.Errorf("runner: remove a work directory of an earlier run: %w", err)
		}
	}
	return nil
}

// firstOf returns the first of some names, and says how many others there are.
func firstOf(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// workDirs hands out the directories of attempts. Making and removing them costs
// a journaled write each, several times what a short action takes on some file
// systems: so they are made ahead, cleared while the next attempt runs, and a
// directory that was left as it was given is given again.
type workDirs struct {
	log hclog.Logger
	// mu guards current, lock and older.
	mu sync.Mutex
	// current is the directory that holds all, and lock the lock on it.
	current *os.Root
	lock    *os.File
	// older are those that were removed from outside. They are closed at the end: attempts
	// may still be in them.
	older []*os.Root
	ready chan workDir
	used  chan workDir
	ended sync.WaitGroup
	made  atomic.Int64
}

// workDir is the directory of an attempt. It is opened when it is made: nothing
// that processes do to it leads the runner elsewhere.
type workDir struct {
	name string
	root *os.Root
}

func newWorkDirs(parent *os.Root, lock *os.File, slots int, log hclog.Logger) *workDirs {
	w := &workDirs{current: parent, lock: lock, log: log, ready: make(chan workDir, 2*slots), used: make(chan workDir, slots)}
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

func (w *workDirs) parent() *os.Root {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current
}

// generation counts how often the directory was made again.
func (w *workDirs) generation() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.older)
}

// ensure makes the directory at a path again and locks it, if it was removed. It tells whether
// it made one.
func (w *workDirs) ensure(path string) (made bool, err error) {
	known, err := w.parent().Stat(".")
	if err != nil {
		return false, err
	}
	now, err := os.Stat(path)
	switch {
	case err == nil && os.SameFile(known, now):
		return false, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	case err == nil && !now.IsDir():
		return false, syscall.ENOTDIR
	}
	lock, err := lockWorkDir(path)
	if err != nil {
		return false, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		unlockWorkDir(lock)
		return false, err
	}
	w.mu.Lock()
	w.older = append(w.older, w.current)
	unlockWorkDir(w.lock)
	w.current, w.lock = root, lock
	w.mu.Unlock()
	// Those made ahead went with it.
	for range cap(w.ready) {
		select {
		case dir := <-w.ready:
			_ = dir.root.Close()
		default:
		}
	}
	return true, nil
}

// get returns a directory with empty action.FilesDir, HomeDir and TempDir.
func (w *workDirs) get() (workDir, error) {
	select {
	case dir := <-w.ready:
		return dir, nil
	default:
		return w.make()
	}
}

// put takes a directory back whose processes have ended.
func (w *workDirs) put(dir workDir) { w.used <- dir }

// close removes all directories that are not in use.
func (w *workDirs) close() {
	close(w.used)
	w.ended.Wait()
	close(w.ready)
	for dir := range w.ready {
		w.remove(dir)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, root := range append(w.older, w.current) {
		_ = root.Close()
	}
	unlockWorkDir(w.lock)
}

func (w *workDirs) make() (workDir, error) {
	name, parent := strconv.FormatInt(w.made.Add(1), 10), w.parent()
	for _, path := range []string{name, filepath.Join(name, action.FilesDir), filepath.Join(name, action.HomeDir), filepath.Join(name, action.TempDir)} {
		if err := parent.Mkdir(path, 0o700); err != nil {
			return workDir{}, err
		}
	}
	root, err := parent.OpenRoot(name)
	return workDir{name: name, root: root}, err
}

// renew makes a directory ahead. Where that fails, the attempt that needs one
// will say why.
func (w *workDirs) renew() {
	if dir, err := w.make(); err == nil {
		w.offer(dir)
	}
}

func (w *workDirs) offer(dir workDir) {
	select {
	case w.ready <- dir:
	default:
		w.remove(dir)
	}
}

func (w *workDirs) clear(dir workDir) {
	if untouched(dir.root) {
		w.offer(dir)
		return
	}
	w.remove(dir)
	if len(w.ready) < cap(w.ready) {
		w.renew()
	}
}

func (w *workDirs) remove(dir workDir) {
	_ = dir.root.Close()
	if err := removeTree(w.parent(), dir.name); err != nil {
		w.log.Warn("Cannot remove a work directory; the next start tries again", "dir", dir.name, "error", err)
	}
}

// untouched tells whether a directory is as make left it.
func untouched(root *os.Root) bool {
	names, ok := list(root, ".")
	if !ok || len(names) != 3 {
		return false
	}
	for _, name := range names {
		switch name {
		case action.FilesDir, action.HomeDir, action.TempDir:
		default:
			return false
		}
		if inside, ok := list(root, name); !ok || len(inside) > 0 {
			return false
		}
	}
	return true
}

// list returns the names in a directory, and false where it is not a directory of
// mode 0700 itself.
func list(root *os.Root, name string) ([]string, bool) {
	info, err := root.Lstat(name)
	if err != nil || info.Mode() != fs.ModeDir|0o700 {
		return nil, false
	}
	// Without O_NONBLOCK Go sets it and takes it away again: four calls for each directory, and
	// every action has four.
	dir, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	return names, err == nil
}

// removeTree removes a directory, also where commands left read-only directories
// in it, as Go's module cache does.
func removeTree(parent *os.Root, name string) error {
	if parent.RemoveAll(name) == nil {
		return nil
	}
	if err := parent.Chmod(name, 0o700); err != nil {
		return err
	}
	root, err := parent.OpenRoot(name)
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
	return parent.RemoveAll(name)
}
