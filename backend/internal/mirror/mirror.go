// Package mirror keeps what this server needs of remote repositories to decide on triggers:
// their refs, and commits and trees in bare mirrors below the data directory. It must never
// check out a file, run what a repository names, put a credential into arguments, URLs or the
// configuration of a mirror, or let one account read another's mirror.
package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitwatch"
)

const (
	// localTimeout bounds a question to a mirror.
	localTimeout = 30 * time.Second
	// refsTimeout bounds the reading of a remote's refs.
	refsTimeout = 20 * time.Second
	// fetchTimeout bounds a fetch. The first one of a large repository takes minutes, so it
	// continues if its caller gives up, who then asks again.
	fetchTimeout = 30 * time.Minute
	// fetchesAtOnce bounds the fetches of this server.
	fetchesAtOnce = 4
	// idleAge is how long a mirror is kept that nobody uses.
	idleAge = 30 * 24 * time.Hour
	// tidyEvery is how often mirrors are looked through for those to remove.
	tidyEvery = time.Hour
)

// Names within the directory of mirrors. Those of mirrors are hexadecimal.
const (
	lockName    = "lock"
	scratchName = "scratch"
)

// Repository says whose repository is meant, and which.
type Repository struct {
	// Account and ID, the id of the repository's record, choose the mirror. A rename keeps it.
	Account, ID string
	// Connection and Name find the remote.
	Connection, Name string
	// Source is the source action whose token reads the remote, empty for a connection. It is
	// for advice.
	Source string
}

// dir returns the name of the directory of a mirror. It is made of ids alone, so no name that
// a user or a forge chose can lead elsewhere.
func (r Repository) dir() string {
	sum := sha256.New()
	for _, part := range []string{r.Account, r.ID} {
		_, _ = fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil)[:20])
}

// Config is what Mirrors need.
type Config struct {
	// Dir is where mirrors are, absolute.
	Dir string
	// Limit is how many bytes all mirrors may take together.
	Limit int64
	// Remote returns where a repository is, and the credentials for it.
	Remote func(context.Context, Repository) (gitauth.Remote, error)
	// Silence is how long the server of a fetch may send nothing. Defaults to a minute.
	Silence time.Duration
	Clock   func() time.Time
	Log     hclog.Logger
}

// Mirrors are the mirrors of one server.
type Mirrors struct {
	config  Config
	lock    *os.File
	scratch string
	// working ends when the mirrors are closed, and running are the goroutines then.
	working context.Context //nolint:containedctx // Fetches outlive the callers that wait for them.
	stop    context.CancelFunc
	running sync.WaitGroup
	fetches chan struct{}

	mu     sync.Mutex
	closed bool
	open   map[string]*mirror
	// refs and defaults are what is being read of remotes, and what was read.
	refs     map[string]*refsQueue
	defaults map[string]defaultBranch
}

// ErrClosed is returned after Close.
var ErrClosed = errors.New("the server is stopping")

// lockPatience is how long Open waits for the lock of the directory.
const lockPatience = 2 * time.Second

// Open makes the directory where it is missing and locks it against other processes.
func Open(config Config) (*Mirrors, error) {
	if config.Silence == 0 {
		config.Silence = gitwatch.Silence
	}
	m := &Mirrors{
		config: config, scratch: filepath.Join(config.Dir, scratchName), fetches: make(chan struct{}, fetchesAtOnce),
		open: make(map[string]*mirror), refs: make(map[string]*refsQueue), defaults: make(map[string]defaultBranch),
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open mirrors: %w", err)
	}
	// A process that was just started holds, for an instant, what its parent has just let go.
	soon, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	var err error
	if m.lock, err = acquireSoon(soon, filepath.Join(config.Dir, lockName)); err != nil {
		return nil, fmt.Errorf("open mirrors in %s: %w", config.Dir, err)
	}
	// Keys and mirrors half removed that a killed process left.
	if err := errors.Join(os.RemoveAll(m.scratch), os.Mkdir(m.scratch, 0o700)); err != nil {
		return nil, errors.Join(fmt.Errorf("open mirrors: %w", err), m.lock.Close())
	}
	m.working, m.stop = context.WithCancel(context.Background())
	return m, nil
}

// Run removes mirrors that are too old or too large until the context ends.
func (m *Mirrors) Run(ctx context.Context) error {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		if err := m.Tidy(); err != nil && ctx.Err() == nil {
			m.config.Log.Error("Cannot remove old mirrors of repositories", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Close kills what git is doing and lets other processes have the directory.
func (m *Mirrors) Close() error {
	m.mu.Lock()
	closed := m.closed
	m.closed = true
	m.mu.Unlock()
	if closed {
		return nil
	}
	m.stop()
	m.running.Wait()
	var errs []error
	for _, mirror := range m.open {
		errs = append(errs, mirror.close())
	}
	return errors.Join(append(errs, m.lock.Close())...)
}

// start runs a function in a goroutine that Close waits for.
func (m *Mirrors) start(f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.running.Go(f)
	return nil
}

// startFor is start for a goroutine that uses a mirror.
func (m *Mirrors) startFor(mirror *mirror, f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	mirror.users++
	m.running.Go(func() {
		defer m.release(mirror)
		f()
	})
	return nil
}

func (m *Mirrors) release(mirror *mirror) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mirror.users--
}

// use returns the mirror of a repository, which is not removed until release.
func (m *Mirrors) use(r Repository) (mirror *mirror, release func(), err error) {
	if r.Account == "" || r.ID == "" {
		return nil, nil, errors.New("a mirror needs the account and the id of its repository")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, nil, ErrClosed
	}
	name := r.dir()
	mirror = m.open[name]
	if mirror == nil {
		mirror = newMirror(m, filepath.Join(m.config.Dir, name))
		m.open[name] = mirror
	}
	mirror.users++
	return mirror, func() { m.release(mirror) }, nil
}

// temporary makes a directory that only this process uses, for keys and what is removed. The
// one around it is gone if a person emptied the directory of the mirrors to get space.
func (m *Mirrors) temporary() (string, error) {
	if err := os.MkdirAll(m.scratch, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(m.scratch, "")
}
