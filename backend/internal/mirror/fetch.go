package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/durable"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
)

const (
	// gitName is the bare repository within the directory of a mirror, usedName a file whose
	// time says when the mirror was used last, aboutName one that says for people what it is
	// of, and sha256Name one that mirrors of SHA-256 repositories have.
	gitName   = "git"
	usedName  = "used"
	aboutName = "about"
	// keptRefs are what the commits are kept by that were fetched, and what negotiations
	// with the server begin from.
	keptRefs = "refs/kept/"
	// maxPacks is from how many fetches on a mirror is packed anew, maxKept from how many
	// commits on the oldest refs to them are removed.
	maxPacks = 50
	maxKept  = 500
	// usedEvery is how exactly it is known when a mirror was used.
	usedEvery = time.Minute
	// sizeEvery is how often the size of a mirror is looked at during a fetch.
	sizeEvery = 500 * time.Millisecond
)

// mirror is the mirror of one repository. One goroutine at a time fetches.
type mirror struct {
	mirrors *Mirrors
	dir     string
	// users is guarded by Mirrors.mu: who uses the mirror, which is then not removed.
	users int

	mu sync.Mutex
	// lock is held from the first use on.
	lock *os.File
	used time.Time
	// running is what is being fetched, and next what is to be fetched after it.
	running, next *fetch
	// packing is set while the mirror is packed anew.
	packing bool
}

// fetch is one run of git fetch, and those who wait for it.
type fetch struct {
	repository Repository
	// wanted are commits, and tags.
	wanted map[string]struct{}
	done   chan struct{}
	// errs has what could not be fetched; err is of all.
	errs map[string]error
	err  error
}

func newFetch(r Repository) *fetch {
	return &fetch{repository: r, wanted: make(map[string]struct{}), done: make(chan struct{}), errs: make(map[string]error)}
}

// has tells whether a fetch gets all of some commits.
func (f *fetch) has(ids []string) bool {
	return f != nil && !slices.ContainsFunc(ids, func(id string) bool { _, ok := f.wanted[id]; return !ok })
}

// result returns how the fetch of some commits ended.
func (f *fetch) result(ids []string) error {
	if f.err != nil {
		return f.err
	}
	for _, id := range ids {
		if err := f.errs[id]; err != nil {
			return err
		}
	}
	return nil
}

func newMirror(m *Mirrors, dir string) *mirror { return &mirror{mirrors: m, dir: dir} }

func (m *mirror) git() string { return filepath.Join(m.dir, gitName) }

func (m *mirror) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lock == nil {
		return nil
	}
	lock := m.lock
	m.lock = nil
	return lock.Close()
}

// prepare locks the mirror, makes its directory, and notes that it is used.
func (m *mirror) prepare(ctx context.Context, r Repository) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	lockFile := filepath.Join(m.dir, lockName)
	if _, err := os.Stat(lockFile); m.lock != nil && errors.Is(err, fs.ErrNotExist) {
		// A person removed the mirror.
		if err := m.lock.Close(); err != nil {
			return err
		}
		m.lock = nil
	}
	if m.lock == nil {
		if err := os.MkdirAll(m.dir, 0o700); err != nil {
			return err
		}
		// A git process of a server that was killed may still write to it.
		lock, err := acquireSoon(ctx, lockFile)
		if err != nil {
			return fmt.Errorf("lock the mirror %s: %w", m.dir, err)
		}
		m.lock = lock
		if err := m.removeLeftovers(); err != nil {
			return err
		}
	}
	now := m.mirrors.config.Clock()
	if now.Sub(m.used) < usedEvery {
		return nil
	}
	m.used = now
	about := fmt.Sprintf("account %s, connection %s, repository %s\n", r.Account, r.Connection, r.Name)
	used := filepath.Join(m.dir, usedName)
	return errors.Join(
		os.WriteFile(filepath.Join(m.dir, aboutName), []byte(about), 0o600),
		os.WriteFile(used, nil, 0o600), os.Chtimes(used, now, now),
	)
}

// removeLeftovers removes what a killed git leaves: its lock files, and packs half received.
func (m *mirror) removeLeftovers() error {
	return filepath.WalkDir(m.git(), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.Type().IsRegular() && (strings.HasSuffix(name, ".lock") || strings.HasPrefix(name, "tmp_")) {
			return durable.Remove(path)
		}
		return nil
	})
}

// ensure makes a mirror have some commits. It fetches those that it lacks.
func (m *mirror) ensure(ctx context.Context, r Repository, ids ...string) error {
	for _, id := range ids {
		if !objectID.MatchString(id) {
			return fmt.Errorf("%.80q is not the id of a commit", id)
		}
	}
	if err := m.prepare(ctx, r); err != nil {
		return err
	}
	missing, err := m.missing(ctx, ids)
	if err != nil || len(missing) == 0 {
		return err
	}
	return m.fetch(ctx, r, missing)
}

// fetch fetches commits. Calls that come during a fetch share it if it gets what they want;
// otherwise they share the next one.
func (m *mirror) fetch(ctx context.Context, r Repository, ids []string) error {
	m.mu.Lock()
	f := m.running
	if !f.has(ids) {
		if m.next == nil {
			m.next = newFetch(r)
		}
		f = m.next
		for _, id := range ids {
			f.wanted[id] = struct{}{}
		}
		if m.running == nil {
			m.running, m.next = f, nil
			if err := m.mirrors.startFor(m, func() { m.fetchAll(f) }); err != nil {
				m.running = nil
				m.mu.Unlock()
				return err
			}
		}
	}
	m.mu.Unlock()
	select {
	case <-f.done:
		return f.result(ids)
	case <-ctx.Done():
		return fmt.Errorf("the fetch of %s continues: %w", r.Name, ctx.Err())
	}
}

// fetchAll fetches until nobody wants more. It does not end with the callers that wait for it.
func (m *mirror) fetchAll(f *fetch) {
	for f != nil {
		f.err = m.fetchOnce(f)
		close(f.done)
		m.mu.Lock()
		f = m.next
		m.running, m.next = f, nil
		m.mu.Unlock()
	}
	if err := errors.Join(m.pack(), m.mirrors.Tidy()); err != nil && m.mirrors.working.Err() == nil {
		m.mirrors.config.Log.Error("Cannot tidy the mirror of a repository", "directory", m.dir, "error", err)
	}
}

// fetchOnce makes one fetch.
func (m *mirror) fetchOnce(f *fetch) error {
	ctx, cancel := context.WithTimeout(m.mirrors.working, fetchTimeout)
	defer cancel()
	select {
	case m.mirrors.fetches <- struct{}{}:
		defer func() { <-m.mirrors.fetches }()
	case <-ctx.Done():
		return ErrClosed
	}
	remote, err := m.mirrors.config.Remote(ctx, f.repository)
	if err != nil {
		return err
	}
	ctx, stop := m.watchSize(ctx)
	defer stop()
	err = m.mirrors.remotely(remote, func(env []string) error { return m.fetchFrom(ctx, remote, env, f) })
	if cause := context.Cause(ctx); errors.Is(cause, ErrTooLarge) {
		return errors.Join(fmt.Errorf("%s: %w", f.repository.Name, ErrTooLarge), m.discard())
	}
	return remoteError(ctx, f.repository, remote, err)
}

// watchSize returns a context that ends when the mirror has become larger than all may be.
func (m *mirror) watchSize(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(sizeEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if size, err := sizeOf(m.dir); err == nil && size > m.mirrors.config.Limit {
				cancel(ErrTooLarge)
				return
			}
		}
	})
	return ctx, func() {
		cancel(nil)
		watching.Wait()
	}
}

// fetchFrom fetches what is wanted. If the mirror may be damaged, it is made anew.
func (m *mirror) fetchFrom(ctx context.Context, remote gitauth.Remote, env []string, f *fetch) error {
	ids := slices.Sorted(maps.Keys(f.wanted))
	fresh, err := m.initialize(ctx, len(ids[0]))
	if err != nil {
		return err
	}
	err = m.fetchIDs(ctx, remote, env, f, ids)
	var git *gitError
	if fresh || ctx.Err() != nil || !errors.As(err, &git) || classify(git).remote {
		return err
	}
	m.mirrors.config.Log.Warn("Making the mirror of a repository anew, since git failed on it", "repository", f.repository.Name, "directory", m.dir, "error", git)
	old, err := m.moveAway()
	if err != nil {
		return err
	}
	if _, err = m.initialize(ctx, len(ids[0])); err == nil {
		err = m.fetchIDs(ctx, remote, env, f, ids)
	}
	if err != nil {
		// It was the remote. What was fetched before may be gigabytes.
		return errors.Join(err, m.discard(), os.Rename(filepath.Join(old, gitName), m.git()), os.RemoveAll(old))
	}
	return os.RemoveAll(old)
}

// initialize makes the bare repository if there is none for ids of this length.
func (m *mirror) initialize(ctx context.Context, idLength int) (fresh bool, err error) {
	format := "sha1"
	if idLength == 64 {
		format = "sha256"
	}
	config, err := os.ReadFile(filepath.Join(m.git(), "config"))
	if err == nil && strings.Contains(string(config), "sha256") == (format == "sha256") {
		return false, nil
	}
	if err := m.discard(); err != nil {
		return false, err
	}
	dir, err := m.mirrors.temporary()
	if err != nil {
		return false, err
	}
	// No template, and so no hooks.
	if err := (process{args: []string{"init", "--quiet", "--bare", "--template=", "--object-format=" + format, dir}, env: local("")}).run(ctx); err != nil {
		return false, err
	}
	return true, os.Rename(dir, m.git())
}

// discard removes what was fetched.
func (m *mirror) discard() error {
	old, err := m.moveAway()
	if err != nil {
		return err
	}
	return os.RemoveAll(old)
}

// moveAway moves what was fetched to a directory that the caller removes.
func (m *mirror) moveAway() (dir string, err error) {
	if dir, err = m.mirrors.temporary(); err != nil {
		return "", err
	}
	if err := os.Rename(m.git(), filepath.Join(dir, gitName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return dir, nil
}

// fetchIDs fetches commits, each by itself if the server does not have all of them.
func (m *mirror) fetchIDs(ctx context.Context, remote gitauth.Remote, env []string, f *fetch, ids []string) error {
	err := m.fetchRefs(ctx, remote, env, kept(ids))
	if !refusesCommits(err) {
		return err
	}
	if len(ids) > 1 {
		for _, id := range ids {
			if err := m.fetchIDs(ctx, remote, env, f, []string{id}); err != nil {
				return err
			}
		}
		return nil
	}
	var git *gitError
	if errors.As(err, &git) && strings.Contains(git.stderr, "not our ref") {
		f.errs[ids[0]] = fmt.Errorf("%w: %s", ErrNoCommit, ids[0])
		return nil
	}
	// A server of an older protocol serves what refs lead to.
	if err := m.fetchRefs(ctx, remote, env, []string{"+refs/heads/*:" + keptRefs + "heads/*", "+refs/tags/*:" + keptRefs + "tags/*"}); err != nil {
		return err
	}
	missing, err := m.missing(ctx, ids)
	if err == nil && len(missing) > 0 {
		f.errs[ids[0]] = fmt.Errorf("%w: %s", ErrNoCommit, ids[0])
	}
	return err
}

func kept(ids []string) []string {
	refspecs := make([]string, len(ids))
	for i, id := range ids {
		refspecs[i] = id + ":" + keptRefs + id
	}
	return refspecs
}

// fetchRefs runs git fetch. Without blobs, if the server can: git only warns if it cannot.
// The remote is in no file. So nothing but a fetch can reach it, least of all a question to
// the mirror that meets an object which was left out.
func (m *mirror) fetchRefs(ctx context.Context, remote gitauth.Remote, env []string, refspecs []string) error {
	m.mu.Lock()
	lock := m.lock
	m.mu.Unlock()
	return process{
		args: []string{
			"-c", "remote.origin.url=" + remote.URL, "-c", "remote.origin.promisor=true", "-c", "remote.origin.partialclonefilter=blob:none",
			"fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules",
			"--filter=blob:none", "--stdin", "origin",
		},
		env:   append(slices.Clone(env), "GIT_DIR="+m.git()),
		stdin: strings.Join(refspecs, "\n") + "\n",
		lock:  lock, silence: m.mirrors.config.Silence, dir: m.git(),
	}.run(ctx)
}

// pack packs a mirror anew that many fetches have made packs for.
func (m *mirror) pack() error {
	m.mu.Lock()
	busy, lock := m.packing, m.lock
	m.packing = true
	m.mu.Unlock()
	if busy {
		return nil
	}
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.packing = false
	}()
	packs, err := filepath.Glob(filepath.Join(m.git(), "objects", "pack", "*.pack"))
	if err != nil || len(packs) < maxPacks {
		return err
	}
	ctx, cancel := context.WithTimeout(m.mirrors.working, fetchTimeout)
	defer cancel()
	if err := m.forget(ctx); err != nil {
		return err
	}
	return process{
		args: []string{"-c", "remote.origin.promisor=true", "-c", "pack.threads=1", "repack", "-a", "-d", "-q"},
		env:  local(m.git()), lock: lock,
	}.run(ctx)
}

// forget removes the refs to the oldest commits.
func (m *mirror) forget(ctx context.Context) error {
	out, err := process{args: []string{"for-each-ref", "--sort=-creatordate", "--format=%(refname)", keptRefs}, env: local(m.git())}.output(ctx, 16<<20)
	if err != nil {
		return err
	}
	refs := strings.Fields(out)
	if len(refs) <= maxKept {
		return nil
	}
	var commands strings.Builder
	for _, ref := range refs[maxKept/2:] {
		_, _ = fmt.Fprintf(&commands, "delete %s\n", ref)
	}
	return process{args: []string{"update-ref", "--stdin"}, env: local(m.git()), stdin: commands.String()}.run(ctx)
}

// renew makes a mirror anew with some commits, for a caller that found it damaged.
func (m *mirror) renew(ctx context.Context, r Repository, ids []string) error {
	m.mu.Lock()
	idle := m.running == nil
	if idle {
		if err := m.discard(); err != nil {
			m.mu.Unlock()
			return err
		}
	}
	m.mu.Unlock()
	return m.fetch(ctx, r, ids)
}
