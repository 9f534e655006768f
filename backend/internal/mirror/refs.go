package mirror

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
)

const (
	// maxRefs and maxRefBytes bound the refs of a repository.
	maxRefs     = 250_000
	maxRefBytes = 64 << 20
	// defaultAge is how long the default branch of a repository is taken for granted.
	defaultAge = time.Hour
)

// Ref is a branch or a tag of a remote.
type Ref struct {
	// Name is whole, such as refs/heads/main.
	Name string
	// ID is what the ref holds. It differs from Commit for an annotated tag, which holds the
	// id of the tag.
	ID, Commit string
}

// Refs are the branches and tags of a remote at one time.
type Refs struct {
	All []Ref
	// DefaultBranch is such as refs/heads/main, empty if HEAD leads nowhere.
	DefaultBranch string
}

// Find returns the ref of a name.
func (r *Refs) Find(name string) (Ref, bool) {
	for _, ref := range r.All {
		if ref.Name == name {
			return ref, true
		}
	}
	return Ref{}, false
}

// refsQueue makes calls of Refs for one repository share what is read. A call shares only
// what is read after the call: what was asked before may not have seen what the caller heard of.
type refsQueue struct {
	running bool
	next    *refsRead
}

// refsRead is one reading of refs, and those who wait for it.
type refsRead struct {
	done chan struct{}
	refs *Refs
	err  error
}

type defaultBranch struct {
	name string
	read time.Time
}

// Refs reads the branches and tags of the remote. They are as the remote has them at some
// time after the call.
func (m *Mirrors) Refs(ctx context.Context, r Repository) (*Refs, error) {
	key := r.dir()
	m.mu.Lock()
	queue := m.refs[key]
	if queue == nil {
		queue = &refsQueue{}
		m.refs[key] = queue
	}
	read := queue.next
	if read == nil {
		read = &refsRead{done: make(chan struct{})}
		queue.next = read
	}
	start := !queue.running
	queue.running = true
	m.mu.Unlock()
	if start {
		if err := m.start(func() { m.readQueue(r, key, queue) }); err != nil {
			return nil, err
		}
	}
	select {
	case <-read.done:
		return read.refs, read.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// readQueue reads refs until nobody waits for them.
func (m *Mirrors) readQueue(r Repository, key string, queue *refsQueue) {
	for {
		m.mu.Lock()
		read := queue.next
		queue.next = nil
		if read == nil {
			delete(m.refs, key)
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
		read.refs, read.err = m.readRefs(m.working, r)
		close(read.done)
	}
}

func (m *Mirrors) readRefs(ctx context.Context, r Repository) (*Refs, error) {
	ctx, cancel := context.WithTimeout(ctx, refsTimeout)
	defer cancel()
	remote, err := m.config.Remote(ctx, r)
	if err != nil {
		return nil, err
	}
	refs := &Refs{}
	err = m.remotely(remote, func(env []string) error {
		read := func(r io.Reader) error { return refs.parse(r) }
		// With --heads and --tags the server sends nothing else. Pull requests of a forge may
		// be a hundred times as many.
		err := process{args: []string{"ls-remote", "--quiet", "--heads", "--tags", "--", remote.URL}, env: env, read: read}.run(ctx)
		if err != nil {
			return err
		}
		refs.DefaultBranch, err = m.defaultBranch(ctx, r, remote, env, refs)
		return err
	})
	if err := remoteError(ctx, r, remote, err); err != nil {
		return nil, err
	}
	return refs, nil
}

// remotely calls a function with the environment in which git authenticates to a remote.
func (m *Mirrors) remotely(remote gitauth.Remote, f func(env []string) error) error {
	dir, err := m.temporary()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	environment, err := gitauth.Prepare(dir, remote)
	if err != nil {
		return err
	}
	return f(append(environment.Vars,
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=protocol.version", "GIT_CONFIG_VALUE_0=2",
	))
}

// defaultBranch returns where HEAD of the remote leads. It takes a second request, for which
// the server sends all its refs, so it is asked rarely.
func (m *Mirrors) defaultBranch(ctx context.Context, r Repository, remote gitauth.Remote, env []string, refs *Refs) (string, error) {
	key := r.dir()
	m.mu.Lock()
	known, ok := m.defaults[key]
	m.mu.Unlock()
	if ok && m.config.Clock().Sub(known.read) < defaultAge {
		if _, exists := refs.Find(known.name); exists || known.name == "" && len(refs.All) == 0 {
			return known.name, nil
		}
	}
	var name string
	read := func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			if target, head, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "ref: "), "\t"); ok && head == "HEAD" && strings.HasPrefix(lines.Text(), "ref: ") {
				name = target
			}
		}
		return lines.Err()
	}
	err := process{args: []string{"ls-remote", "--quiet", "--symref", "--", remote.URL, "HEAD"}, env: env, read: read}.run(ctx)
	if err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.defaults[key] = defaultBranch{name: name, read: m.config.Clock()}
	return name, nil
}

// objectID is a whole SHA-1 or SHA-256.
var objectID = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// peeled is what follows the name of a tag in the line of what it leads to.
const peeled = "^{}"

// parse reads what git ls-remote printed.
func (r *Refs) parse(from io.Reader) error {
	limited := &io.LimitedReader{R: from, N: maxRefBytes}
	lines := bufio.NewReader(limited)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		id, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || !objectID.MatchString(id) {
			return fmt.Errorf("the server's list of refs cannot be read: %.100q", line)
		}
		if tag, ok := strings.CutSuffix(name, peeled); ok {
			if last := len(r.All) - 1; last >= 0 && r.All[last].Name == tag {
				r.All[last].Commit = id
			}
			continue
		}
		if len(r.All) == maxRefs || limited.N == 0 {
			return fmt.Errorf("the repository has more than %d branches and tags", maxRefs)
		}
		r.All = append(r.All, Ref{Name: name, ID: id, Commit: id})
	}
}
