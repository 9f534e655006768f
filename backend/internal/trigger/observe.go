package trigger

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// mirrored names the mirror of a repository.
func mirrored(r *ledger.Repository) mirror.Repository {
	_, source, _ := ledger.ParseOwnToken(r.Connection)
	return mirror.Repository{Account: r.Account, ID: r.ID, Connection: r.Connection, Name: r.FullName, Source: source}
}

// Snapshot is the ledger of a repository before its remote is asked. What moves in between
// is left alone: whoever moved it knows more.
type Snapshot struct {
	Repository ledger.Repository
	At         time.Time
	refs       map[string]ledger.Ref
}

// Snapshot reads the ledger of a repository.
func (i *Intake) Snapshot(ctx context.Context, repositoryID string) (*Snapshot, error) {
	s := &Snapshot{At: i.config.Clock(), refs: make(map[string]ledger.Ref)}
	err := i.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if s.Repository, err = r.Repository(ctx, repositoryID); err != nil {
			return err
		}
		known, err := r.Refs(ctx, repositoryID)
		for _, ref := range known {
			s.refs[ref.Ref] = ref
		}
		return err
	})
	return s, err
}

// observe is the handler of turns that read all refs of a repository: of a new trigger, or
// after an outage.
func (i *Intake) observe(ctx context.Context, turn *loop.Turn) error {
	repositoryID, _ := turnOf(turn.Turn)
	end := func(err error) error {
		if err != nil {
			return err
		}
		return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error { return tx.Apply(ctx, done(turn)) })
	}
	s, err := i.Snapshot(ctx, repositoryID)
	if errors.Is(err, store.ErrNotFound) {
		// No trigger watches it any more.
		return end(nil)
	}
	if err != nil {
		return err
	}
	refs, err := i.config.Mirror.Refs(ctx, mirrored(&s.Repository))
	if err != nil {
		return i.failed(ctx, turn, s, err, func(failures int) time.Time { return i.config.Clock().Add(backoff(failures)) })
	}
	_, err = i.Observed(ctx, s, refs, ledger.ByBaseline)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return end(err)
}

// done ends a turn.
func done(turn *loop.Turn) *execution.Change { return &execution.Change{DoneTurns: []string{turn.ID}} }

// settle applies a change that ends a turn or makes it run again. If somebody put in another one of
// its id while it ran, that one stays as it is: this one may not have seen what it is for.
func settle(ctx context.Context, tx *loop.Tx, turn *loop.Turn, change *execution.Change) error {
	replaced, err := turn.Replaced(ctx, tx)
	if err != nil {
		return err
	}
	if replaced {
		change.DoneTurns = nil
		change.Turns = slices.DeleteFunc(change.Turns, func(t *execution.Turn) bool { return t.ID == turn.ID })
	}
	return tx.Apply(ctx, change)
}

// later makes a turn run again.
func later(turn *loop.Turn, at time.Time) *execution.Change {
	again := *turn.Turn
	again.DueAt = at
	return &execution.Change{Turns: []*execution.Turn{&again}}
}

// backoff is how long a remote is left alone after failures in a row.
func backoff(failures int) time.Duration {
	const first, longest = 5 * time.Second, 5 * time.Minute
	return min(longest, first<<min(failures, 10))
}

// observedAtOnce bounds how many refs one transaction compares.
const observedAtOnce = 200

// Observed compares the ledger with the refs of the remote that were read after the snapshot,
// moves it and decides. It returns how many refs had moved unseen. A repository that nobody
// watches any more is store.ErrNotFound.
func (i *Intake) Observed(ctx context.Context, s *Snapshot, refs *mirror.Refs, by ledger.FoundBy) (int, error) {
	return i.observed(ctx, s, refs, by, nil, nil)
}

// observed is Observed whose last transaction settles the turn that read the refs by a change.
// The turn is nil for none.
func (i *Intake) observed(
	ctx context.Context, s *Snapshot, refs *mirror.Refs, by ledger.FoundBy, turn *loop.Turn, change func() *execution.Change,
) (int, error) {
	submit := i.config.Loop.Submit
	if turn != nil {
		submit = turn.Submit
	}
	remote := make(map[string]mirror.Ref, len(refs.All))
	differ := make(map[string]bool)
	for _, ref := range refs.All {
		remote[ref.Name] = ref
		if known, ok := s.refs[ref.Name]; !ok || known.Head != ref.Commit {
			differ[ref.Name] = true
		}
	}
	for name, known := range s.refs {
		listed := strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/")
		if _, there := remote[name]; !there && known.Head != "" && listed {
			differ[name] = true
		}
	}
	moved := 0
	for names := range slices.Chunk(slices.Sorted(maps.Keys(differ)), observedAtOnce) {
		n := 0
		if err := i.config.Loop.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error {
			n = 0
			if _, err := tx.Repository(ctx, s.Repository.ID); err != nil {
				return err
			}
			for _, name := range names {
				did, err := i.observeRef(ctx, tx, s, remote[name], name, by)
				if err != nil {
					return err
				}
				if did {
					n++
				}
			}
			return nil
		}); err != nil {
			return moved, err
		}
		moved += n
	}
	return moved, submit(ctx, func(ctx context.Context, tx *loop.Tx) error {
		r, err := tx.Repository(ctx, s.Repository.ID)
		if err != nil {
			return err
		}
		r.NoteRead(s.At)
		if refs.DefaultBranch != "" {
			r.DefaultBranch = strings.TrimPrefix(refs.DefaultBranch, "refs/heads/")
		}
		if err := tx.UpdateRepository(ctx, r); err != nil {
			return err
		}
		if err := tx.SetBaselined(ctx, r.ID, s.At); err != nil || turn == nil {
			return err
		}
		return settle(ctx, tx, turn, change())
	})
}

// observeRef compares one ref with the remote.
func (i *Intake) observeRef(ctx context.Context, tx *loop.Tx, s *Snapshot, remote mirror.Ref, name string, by ledger.FoundBy) (moved bool, err error) {
	seen := s.refs[name]
	known, _, err := tx.Ref(ctx, s.Repository.ID, name, seen.Head, remote.Commit)
	isKnown := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	if isKnown && (known.Move != seen.Move || known.Head != seen.Head) || known.Head == remote.Commit && isKnown {
		return false, nil
	}
	if s.Repository.ObservedAt.IsZero() && !isKnown {
		// The first look: these are the heads that later changes are compared with.
		return false, tx.CreateRef(ctx, ledger.Ref{
			RepositoryID: s.Repository.ID, Ref: name, Head: remote.Commit, SeenAt: i.config.Clock(), FoundBy: by,
		})
	}
	return true, i.move(ctx, tx, &s.Repository, known, isKnown, signal{
		ref: name, from: known.Head, to: remote.Commit, event: ledger.Event{Commit: remote.Commit}, by: by,
	}, nil)
}
