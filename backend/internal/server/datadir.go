package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/durable"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
)

const (
	// lockFile is held as long as a server uses the data directory, and says which.
	lockFile = "headraced.lock"
	// databaseFile is there before all that is named below.
	databaseFile = "headrace.db"
	// movedFile says beside it where it was moved to.
	movedFile    = databaseFile + ".moved"
	artifactsDir = "artifacts"
	logsDir      = "logs"
	spoolDir     = "spool"
	// workDirectory is the runner's.
	workDirectory = "work"
	// secretsKeyFile seals secrets if there is no storage-key. The first secret creates it.
	secretsKeyFile = "secrets.key"
	// lockPatience is how long a start waits for the lock of a process that has ended.
	lockPatience = 10 * time.Second
	lockRetry    = 10 * time.Millisecond
)

// dataDir is a data directory that this process alone uses.
type dataDir struct {
	// path is absolute and without symlinks.
	path string
	lock *os.File
}

// openDataDir makes the directory where it is missing and takes the lock, which
// the kernel gives back when the process ends in whatever way.
func openDataDir(name string, log hclog.Logger) (*dataDir, error) {
	if err := os.MkdirAll(name, 0o700); err != nil {
		return nil, fmt.Errorf("data-dir: %w", err)
	}
	path, err := resolve(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("data-dir: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		// It may be somebody's directory for other things too, so it stays as it is.
		log.Warn("The data directory is open to other users of this machine; close it with: chmod 700 "+path, "mode", mode)
	}
	return lockDataDir(path)
}

// embeddedDir returns a data directory that has a database, made by a server before.
// It takes no lock.
func embeddedDir(name string) (path string, err error) {
	if path, err = resolve(name); err != nil {
		return "", err
	}
	info, err := os.Stat(filepath.Join(path, databaseFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return "", fmt.Errorf("data-dir %s has no %s: name the directory of a server that was started before", path, databaseFile)
	}
	return path, err
}

// resolve returns the path of a data directory that is there, absolute and without
// symlinks.
func resolve(name string) (string, error) {
	path, err := filepath.Abs(name)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", fmt.Errorf("data-dir: %w", err)
	}
	return path, nil
}

// lockDataDir takes the lock of a resolved path.
func lockDataDir(path string) (*dataDir, error) {
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data-dir: %w", err)
	}
	d := &dataDir{path: path, lock: lock}
	if err := d.acquireLock(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

// acquireLock takes the lock. A process that was killed while it started another one leaves the lock to
// that until it executes its program, so acquireLock waits for it.
func (d *dataDir) acquireLock() error {
	err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	for tries := lockPatience / lockRetry; tries > 0 && errors.Is(err, syscall.EWOULDBLOCK) && d.holderEnded(); tries-- {
		<-time.After(lockRetry)
		err = syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder := "another headraced"
		if process := d.holder(); process != "" {
			holder += " (process " + process + ")"
		}
		return fmt.Errorf("data-dir %s is in use by %s; stop it, or choose another directory", d.path, holder)
	}
	if err != nil {
		return fmt.Errorf("lock data-dir %s: %w", d.path, err)
	}
	if err := d.lock.Truncate(0); err != nil {
		return fmt.Errorf("lock data-dir %s: %w", d.path, err)
	}
	// It names the process to people, which a full disk does not prevent from holding the lock.
	if _, err := d.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil && !full(err) {
		return fmt.Errorf("lock data-dir %s: %w", d.path, err)
	}
	return nil
}

// holder returns the id of the process that took the lock last, empty if it is not known.
func (d *dataDir) holder() string {
	text, err := os.ReadFile(d.lock.Name())
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// holderEnded tells whether the process that took the lock last has ended.
func (d *dataDir) holderEnded() bool {
	process, err := strconv.Atoi(d.holder())
	return err == nil && process > 0 && errors.Is(syscall.Kill(process, 0), syscall.ESRCH)
}

// refuseLostDatabase returns an error where the database is gone and what belongs to it is
// not. A start without it would take the token away that everybody uses, and look as
// if there had never been a pipeline.
func (d *dataDir) refuseLostDatabase() error {
	info, err := os.Stat(d.join(databaseFile))
	gone := errors.Is(err, fs.ErrNotExist)
	if err != nil && !gone {
		return err
	}
	if err == nil && info.Size() > 0 {
		return nil
	}
	var left []string
	for _, name := range []string{tokenFile, artifactsDir, logsDir, identityPart} {
		if _, err := os.Stat(d.join(name)); err == nil {
			left = append(left, name)
		}
	}
	if !gone && !d.hasLogs() {
		// A first start that did not end.
		return nil
	}
	if len(left) == 0 {
		return nil
	}
	if !gone {
		return fmt.Errorf("data-dir %s has an empty %s, but still %s: put the database back, or remove these to start empty",
			d.path, databaseFile, strings.Join(left, ", "))
	}
	return fmt.Errorf("data-dir %s has no %s, but still %s: put the database back, or remove these to start empty",
		d.path, databaseFile, strings.Join(left, ", "))
}

// markMoved notes that all of the database is in a PostgreSQL now.
func (d *dataDir) markMoved(url string) error {
	place, err := postgres.Shown(url)
	if err != nil {
		return err
	}
	return durable.Replace(d.join(movedFile), func(temporary string) error {
		return os.WriteFile(temporary, []byte(place+"\n"), 0o600)
	})
}

// refuseMovedDatabase returns an error where the database was moved: a start on it would carry
// everything out a second time.
func (d *dataDir) refuseMovedDatabase() error {
	mark := d.join(movedFile)
	place, err := os.ReadFile(mark)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("data-dir: %w", err)
	}
	return fmt.Errorf("data-dir %s: migrate-store moved its database to PostgreSQL, %s, and a start here would carry everything out a second time: "+
		"set database-url; only to go back to what it was then, with no server on that database, remove %s", d.path, strings.TrimSpace(string(place)), mark)
}

// hasLogs tells whether there were executions.
func (d *dataDir) hasLogs() bool {
	entries, err := os.ReadDir(d.join(logsDir))
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() != blob.Temporary })
}

// newSpool makes an empty directory for artifacts on their way. What a killed process
// left in it goes.
func (d *dataDir) newSpool() (string, error) {
	spool := d.join(spoolDir)
	if err := os.RemoveAll(spool); err != nil {
		return "", fmt.Errorf("data-dir: %w", err)
	}
	if err := os.Mkdir(spool, 0o700); err != nil {
		return "", fmt.Errorf("data-dir: %w", err)
	}
	return spool, nil
}

// unlock lets others have the directory. The file stays: were it removed, two
// processes could hold locks on two files of one name.
func (d *dataDir) unlock() error {
	// Closing alone would leave the lock to a process that is being forked just
	// now, until it becomes another program.
	return errors.Join(d.lock.Truncate(0), syscall.Flock(int(d.lock.Fd()), syscall.LOCK_UN), d.lock.Close())
}

// join returns the path of a file of the data directory.
func (d *dataDir) join(name string) string { return filepath.Join(d.path, name) }
