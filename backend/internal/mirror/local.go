package mirror

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxPaths and maxPathBytes bound the changed files of one comparison.
	maxPaths     = 100_000
	maxPathBytes = 32 << 20
	// maxCommit bounds what is read of a commit.
	maxCommit = 1 << 20
	// maxText bounds each text of a commit, in bytes.
	maxText = 4096
	// emptyTree and emptyTree256 are the trees without files.
	emptyTree    = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
	emptyTree256 = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
)

// Changes are the files that differ between two commits.
type Changes struct {
	// Paths are in the order of git. They are bytes, not always UTF-8. A submodule is one path.
	Paths [][]byte
	// Unknown says why they could not be found out, as the end of a sentence. Paths is then empty.
	Unknown string
}

// Commit is what decisions need of a commit.
type Commit struct {
	ID string
	// All text is valid UTF-8, and cut.
	AuthorName, AuthorEmail string
	AuthorDate, CommitDate  time.Time
	// Subject and Trailers are parts of Message.
	Subject, Message string
	Trailers         []Trailer
}

// Trailer is a line such as "Skip-Checks: true" at the end of a message.
type Trailer struct{ Key, Value string }

// local is the environment of git processes that reach no remote.
func local(gitDir string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=none", "GIT_NO_REPLACE_OBJECTS=1", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1",
		"GIT_CONFIG_COUNT=3",
		"GIT_CONFIG_KEY_0=core.hooksPath", "GIT_CONFIG_VALUE_0=" + os.DevNull,
		"GIT_CONFIG_KEY_1=gc.auto", "GIT_CONFIG_VALUE_1=0",
		"GIT_CONFIG_KEY_2=maintenance.auto", "GIT_CONFIG_VALUE_2=false",
	}
	if gitDir != "" {
		env = append(env, "GIT_DIR="+gitDir)
	}
	return env
}

// missing returns the ids that a mirror does not have, all if there is no mirror yet.
func (m *mirror) missing(ctx context.Context, ids []string) ([]string, error) {
	if _, err := os.Stat(m.git()); err != nil {
		return ids, nil //nolint:nilerr // What is wrong with the directory, a fetch says.
	}
	out, err := process{
		args: []string{"cat-file", "--batch-check"}, env: local(m.git()), stdin: strings.Join(ids, "\n") + "\n",
	}.output(ctx, 1<<20)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		// A damaged mirror: a fetch makes it anew.
		return ids, nil
	}
	var missing []string
	for line := range strings.Lines(out) {
		if id, ok := strings.CutSuffix(strings.TrimSpace(line), " missing"); ok {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// question is a git command that is put to a mirror which has some commits.
func (m *Mirrors) question(ctx context.Context, r Repository, ids []string, put func(ctx context.Context, gitDir string) error) error {
	mirror, release, err := m.use(r)
	if err != nil {
		return err
	}
	defer release()
	for try := 1; ; try++ {
		if err := mirror.ensure(ctx, r, ids...); err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, localTimeout)
		err := put(limited, mirror.git())
		late := limited.Err() != nil && ctx.Err() == nil
		cancel()
		var git *gitError
		switch {
		case late:
			return fmt.Errorf("%w within %s", errNoAnswer, localTimeout)
		case !errors.As(err, &git):
			return err
		case try > 1:
			return fmt.Errorf("the mirror of %s: %w", r.Name, err)
		}
		// It has the commits, so what they consist of is missing or damaged.
		m.config.Log.Warn("Making the mirror of a repository anew, since git cannot use it", "repository", r.Name, "directory", mirror.dir, "error", err)
		if err := mirror.renew(ctx, r, ids); err != nil {
			return err
		}
	}
}

var errNoAnswer = errors.New("git did not answer")

// ChangedFiles returns which files differ between two commits, with renames as a removal and
// an addition. An empty base stands for no files. If the files cannot be
// determined, the result says why. An error means that the remote may answer later.
func (m *Mirrors) ChangedFiles(ctx context.Context, r Repository, base, head string) (Changes, error) {
	ids := []string{head}
	from := emptyTree
	if len(head) == len(emptyTree256) {
		from = emptyTree256
	}
	if base != "" {
		ids = append(ids, base)
		from = base
	}
	var changes Changes
	err := m.question(ctx, r, ids, func(ctx context.Context, gitDir string) error {
		changes = Changes{}
		return process{
			args: []string{"diff-tree", "-r", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--name-only", from, head},
			env:  local(gitDir), read: changes.read,
		}.run(ctx)
	})
	switch {
	case errors.Is(err, errTooManyPaths):
		return Changes{Unknown: fmt.Sprintf("more than %d files differ", maxPaths)}, nil
	case errors.Is(err, errNoAnswer):
		return Changes{Unknown: fmt.Sprintf("git did not list the changed files within %s", localTimeout)}, nil
	case errors.Is(err, ErrNoCommit):
		return Changes{Unknown: strings.TrimPrefix(err.Error(), "the repository ")}, nil
	case errors.Is(err, ErrTooLarge):
		return Changes{Unknown: ErrTooLarge.Error()}, nil
	case err != nil:
		return Changes{}, err
	}
	return changes, nil
}

var errTooManyPaths = errors.New("too many paths")

// read reads paths that end with a zero byte.
func (c *Changes) read(from io.Reader) error {
	paths := bufio.NewReaderSize(from, 64<<10)
	bytes := 0
	for {
		path, err := paths.ReadBytes(0)
		if errors.Is(err, io.EOF) && len(path) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if bytes += len(path); len(c.Paths) == maxPaths || bytes > maxPathBytes {
			return errTooManyPaths
		}
		c.Paths = append(c.Paths, path[:len(path)-1])
	}
}

// MergeBase returns the best common ancestor of two commits, empty if there is none.
func (m *Mirrors) MergeBase(ctx context.Context, r Repository, a, b string) (string, error) {
	var base string
	err := m.question(ctx, r, []string{a, b}, func(ctx context.Context, gitDir string) error {
		out, err := process{args: []string{"merge-base", a, b}, env: local(gitDir)}.output(ctx, 1<<10)
		base = strings.TrimSpace(out)
		return noAnswer(err)
	})
	return base, err
}

// IsAncestor tells whether a commit is another one or comes before it.
func (m *Mirrors) IsAncestor(ctx context.Context, r Repository, ancestor, of string) (bool, error) {
	var yes bool
	err := m.question(ctx, r, []string{ancestor, of}, func(ctx context.Context, gitDir string) error {
		err := process{args: []string{"merge-base", "--is-ancestor", ancestor, of}, env: local(gitDir)}.run(ctx)
		yes = err == nil
		return noAnswer(err)
	})
	return yes, err
}

// noAnswer drops the error by which git says no.
func noAnswer(err error) error {
	var git *gitError
	if errors.As(err, &git) && git.exitCode == 1 {
		return nil
	}
	return err
}

// Commit reads a commit, also by the id of an annotated tag.
func (m *Mirrors) Commit(ctx context.Context, r Repository, id string) (Commit, error) {
	var commit Commit
	err := m.question(ctx, r, []string{id}, func(ctx context.Context, gitDir string) (err error) {
		out, err := process{
			args: []string{
				"log", "-1", "--no-show-signature", "--no-color", "--no-mailmap", "--no-notes", "--encoding=UTF-8",
				"--format=%H%x00%an%x00%ae%x00%aI%x00%cI%x00%s%x00%(trailers:only=true,unfold=true)%x00%B", id, "--",
			},
			env: local(gitDir),
		}.output(ctx, maxCommit)
		if err != nil {
			return err
		}
		commit, err = parseCommit(out)
		return err
	})
	return commit, err
}

func parseCommit(text string) (Commit, error) {
	const parts = 8
	fields := strings.SplitN(text, "\x00", parts)
	if len(fields) != parts {
		return Commit{}, fmt.Errorf("git says nothing about the commit: %.100q", text)
	}
	c := Commit{ID: fields[0], AuthorName: clean(fields[1]), AuthorEmail: clean(fields[2]), Subject: clean(fields[5]), Message: clean(strings.TrimSpace(fields[7]))}
	// A commit may have any date, also none that can be written so.
	c.AuthorDate, _ = time.Parse(time.RFC3339, fields[3])
	c.CommitDate, _ = time.Parse(time.RFC3339, fields[4])
	for line := range strings.Lines(fields[6]) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			c.Trailers = append(c.Trailers, Trailer{Key: clean(key), Value: clean(strings.TrimSpace(value))})
		}
	}
	return c, nil
}

// clean makes valid, bounded text of what a committer wrote.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}
