package mirror

import (
	"context"
	"os"
	"slices"
	"strings"
)

const (
	// maxCommits bounds how many commits between two are counted.
	maxCommits = 1000
	// maxAuthors bounds the authors that are named.
	maxAuthors = 10
	// maxHistory bounds what git prints about them: it cuts names at 100 columns.
	maxHistory = 4 << 20
)

// Relation says how a commit relates to an earlier one.
type Relation string

// The relations of commits.
const (
	Same  Relation = "SAME"
	Newer Relation = "NEWER"
	Older Relation = "OLDER"
	// Diverged says that neither descends from the other.
	Diverged Relation = "DIVERGED"
)

// History is what a commit has that another one does not.
type History struct {
	Relation Relation
	// Commits counts them up to a bound; More is set if there are more.
	Commits int
	More    bool
	// Authors are their names, newest first, each once. They are as committers wrote them.
	Authors     []string
	MoreAuthors bool
}

// Has tells whether this server has a mirror of a repository.
func (m *Mirrors) Has(r Repository) bool {
	mirror, release, err := m.use(r)
	if err != nil {
		return false
	}
	defer release()
	_, err = os.Stat(mirror.git())
	return err == nil
}

// Since compares a commit with one that was released before.
func (m *Mirrors) Since(ctx context.Context, r Repository, released, head string) (History, error) {
	if released == head {
		return History{Relation: Same}, nil
	}
	newer, err := m.IsAncestor(ctx, r, released, head)
	if err != nil {
		return History{}, err
	}
	found := History{Relation: Newer}
	if !newer {
		older, err := m.IsAncestor(ctx, r, head, released)
		if err != nil || older {
			return History{Relation: Older}, err
		}
		found.Relation = Diverged
	}
	err = m.question(ctx, r, []string{released, head}, func(ctx context.Context, gitDir string) error {
		out, err := process{
			args: []string{
				"log", "--max-count=1001", "--no-show-signature", "--no-color", "--no-mailmap", "--no-notes", "--encoding=UTF-8",
				"--format=%<(100,trunc)%an", released + ".." + head, "--",
			},
			env: local(gitDir),
		}.output(ctx, maxHistory)
		if err == nil {
			found.count(out)
		}
		return err
	})
	return found, err
}

// count reads the authors of commits, one on a line.
func (h *History) count(authors string) {
	h.Commits, h.More, h.Authors, h.MoreAuthors = 0, false, nil, false
	for line := range strings.Lines(authors) {
		if h.Commits == maxCommits {
			h.More = true
			return
		}
		h.Commits++
		name := strings.TrimSpace(clean(line))
		switch {
		case slices.Contains(h.Authors, name):
		case len(h.Authors) == maxAuthors:
			h.MoreAuthors = true
		default:
			h.Authors = append(h.Authors, name)
		}
	}
}
