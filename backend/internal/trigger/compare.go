package trigger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// group is what one trigger has to decide on a ref.
type group struct {
	trigger ledger.Trigger
	// gone is set if the trigger was deleted or watches another repository.
	gone bool
	// pending are its decisions that have a move, by move.
	pending []ledger.Decision
	moves   []ledger.Move
	// compared is the head up to which the trigger has compared the files of the ref, empty
	// if it never did.
	compared string
	// started is the execution of a move after the pending ones, nil for none.
	started *ledger.Decision
}

// steps are the moves to decide on, each with the head to compare with: all, or the newest
// alone, which stands for those before.
func (g *group) steps() []step {
	base := g.compared
	switch {
	case replayed(g.pending[0]) && (base == "" || base == g.moves[0].To):
		// The files up to there have been compared, maybe with other filters: a replay decides
		// again on what its delivery told.
		base = g.pending[0].FromCommit
	case base == "" || base == g.moves[0].To:
		// It is decided on for the first time, or again.
		base = g.moves[0].From
	}
	if !g.trigger.Declared.Git.Each() || g.started != nil {
		last := len(g.moves) - 1
		return []step{{n: last, base: base}}
	}
	steps := make([]step, len(g.moves))
	for n := range g.moves {
		steps[n] = step{n: n, base: base}
		if g.moves[n].To != "" {
			base = g.moves[n].To
		}
	}
	return steps
}

// replayed tells whether a decision is on a replay.
func replayed(d ledger.Decision) bool { return d.FoundBy == ledger.ByReplay }

// step is one decision of a group.
type step struct {
	n    int
	base string
	// event, files and result are found out outside of a transaction.
	event  *trigger.Event
	result trigger.Result
	move   ledger.Move
}

// guess decides without what the remote did not say.
func (s *step) guess(git *trigger.Git, problem error) {
	if s.event.Move != nil && s.event.Move.Head == nil {
		s.event.Move.Head = &trigger.Message{}
	}
	if s.event.PullRequest != nil && s.event.PullRequest.HeadMessage == nil {
		s.event.PullRequest.HeadMessage = &trigger.Message{}
	}
	s.result = trigger.Match(git, s.event, trigger.UnknownFiles(problem.Error()))
}

// groups reads what the triggers have to decide on a ref.
func (i *Intake) groups(ctx context.Context, r store.Reader, repositoryID, ref string) (*ledger.Repository, []*group, error) {
	repo, err := r.Repository(ctx, repositoryID)
	if err != nil {
		return nil, nil, err
	}
	pending, err := r.PendingDecisions(ctx, repositoryID, ref)
	if err != nil {
		return nil, nil, err
	}
	// A decision that waited for the remote is older than the move that it became one on.
	slices.SortStableFunc(pending, func(a, b ledger.Decision) int { return cmp.Compare(a.Move, b.Move) })
	known, _, err := r.Ref(ctx, repositoryID, ref, "", "")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, nil, err
	}
	var all []*group
	for _, d := range pending {
		if d.Move == 0 {
			continue
		}
		n := slices.IndexFunc(all, func(g *group) bool { return g.trigger.ID == d.TriggerID })
		if n < 0 {
			g, err := i.newGroup(ctx, r, &d)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, g)
			n = len(all) - 1
		}
		m, err := r.MoveNumbered(ctx, repositoryID, ref, d.Move)
		if errors.Is(err, store.ErrNotFound) {
			m = ledger.Move{RepositoryID: repositoryID, Ref: ref, From: d.FromCommit, To: d.ToCommit, Number: d.Move, DeliveryID: d.DeliveryID}
			err = nil
		}
		if err != nil {
			return nil, nil, err
		}
		all[n].pending, all[n].moves = append(all[n].pending, d), append(all[n].moves, m)
	}
	for _, g := range all {
		if err := g.findStarted(ctx, r, known.Move); err != nil {
			return nil, nil, err
		}
	}
	return &repo, all, nil
}

func (i *Intake) newGroup(ctx context.Context, r store.Reader, d *ledger.Decision) (*group, error) {
	t, err := r.TriggerByID(ctx, d.TriggerID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	g := &group{trigger: t, gone: err != nil || t.RepositoryID != d.RepositoryID || t.Declared.Git == nil}
	g.trigger.ID = d.TriggerID
	g.compared, err = r.Compared(ctx, d.TriggerID, d.Ref)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return g, err
}

// lookedAhead bounds how many moves after a pending one are looked at for an execution.
const lookedAhead = 20

// findStarted finds the execution of a later move, which has the changes of this one too.
func (g *group) findStarted(ctx context.Context, r store.Reader, newest int64) error {
	last := &g.moves[len(g.moves)-1]
	if g.gone || g.trigger.Declared.Git.Each() {
		return nil
	}
	for n := last.Number + 1; n <= newest && n <= last.Number+lookedAhead; n++ {
		later := *last
		later.Number = n
		d, err := r.DecisionByStart(ctx, later.StartKey(g.trigger.ID))
		if err == nil && d.Execution != "" {
			g.started = &d
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// compare is the handler of turns that end pending decisions on a ref: it finds out what they
// need from the mirror.
func (i *Intake) compare(ctx context.Context, turn *loop.Turn) error {
	repositoryID, ref := turnOf(turn.Turn)
	var repo *ledger.Repository
	var all []*group
	err := i.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		repo, all, err = i.groups(ctx, r, repositoryID, ref)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	plans := make(map[string][]step)
	for _, g := range all {
		if g.gone || g.started != nil {
			continue
		}
		steps := g.steps()
		for n := range steps {
			if err := i.find(ctx, repo, g, &steps[n]); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if !i.patient(g.pending) {
					steps[n].guess(g.trigger.Declared.Git, err)
					continue
				}
				return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error { return i.unanswered(ctx, tx, turn, ref, err) })
			}
		}
		plans[g.trigger.ID] = steps
	}
	return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error {
		repo, now, err := i.groups(ctx, tx, repositoryID, ref)
		if errors.Is(err, store.ErrNotFound) {
			return i.unwatched(ctx, tx, turn)
		}
		if err != nil {
			return err
		}
		again := false
		for _, g := range now {
			left, err := i.apply(ctx, tx, repo, g, plans[g.trigger.ID])
			if err != nil {
				return err
			}
			again = again || left && slices.ContainsFunc(g.pending, func(d ledger.Decision) bool { return d.Turn == turn.ID })
		}
		if again {
			return tx.Apply(ctx, later(turn, i.config.Clock()))
		}
		return tx.Apply(ctx, done(turn))
	})
}

// patient tells whether the remote is asked longer.
func (i *Intake) patient(pending []ledger.Decision) bool {
	now := i.config.Clock()
	return slices.ContainsFunc(pending, func(d ledger.Decision) bool { return now.Sub(d.DecidedAt) < patience })
}

// apply ends decisions by what was found out before. Left is set if the plan does not fit
// what is pending now.
func (i *Intake) apply(ctx context.Context, tx *loop.Tx, repo *ledger.Repository, g *group, plan []step) (left bool, err error) {
	if g.gone {
		for _, d := range g.pending {
			if err := i.gone(ctx, tx, d); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	if g.started != nil {
		return false, i.coalesce(ctx, tx, g, len(g.pending), g.started)
	}
	if len(plan) > 0 && plan[0].base != g.steps()[0].base {
		return true, nil
	}
	for _, s := range plan {
		n := slices.IndexFunc(g.moves, func(m ledger.Move) bool { return m.Number == s.move.Number })
		if n < 0 {
			return true, nil
		}
		each := g.trigger.Declared.Git.Each()
		if !each && n < len(g.moves)-1 {
			// A newer move came, whose turn stands for this one too.
			return false, nil
		}
		if !each {
			if err := i.coalesce(ctx, tx, g, n, &g.pending[n]); err != nil {
				return false, err
			}
		}
		waiting := g.pending[n]
		if before := slices.IndexFunc(g.pending[:n], replayed); !each && before >= 0 && waiting.ReplayedBy == "" {
			// What the replay asked for is part of what this one decides on.
			waiting.ReplayedBy = g.pending[before].ReplayedBy
		}
		c := change{repo: repo, move: s.move, by: waiting.FoundBy, delivery: deliveryOf(&waiting)}
		if s.result.Outcome == trigger.Undecided {
			return true, nil
		}
		if err := i.conclude(ctx, tx, c, &g.trigger, s.event, s.result, &waiting); err != nil {
			return false, err
		}
	}
	return len(plan) == 0, nil
}

// coalesce ends the first decisions of a group, which a newer one stands for.
func (i *Intake) coalesce(ctx context.Context, tx *loop.Tx, g *group, first int, newer *ledger.Decision) error {
	for _, d := range g.pending[:first] {
		message := fmt.Sprintf("%s moved on to %s before this was decided, and the decision on that move covers both; coalesce is %s",
			d.Ref, short(newer.ToCommit), trigger.CoalesceLatest)
		if err := i.end(ctx, tx, d, ledger.NotStarted, string(ReasonCoalesced), message); err != nil {
			return err
		}
	}
	return nil
}

// find finds out what a decision needs, and decides.
func (i *Intake) find(ctx context.Context, repo *ledger.Repository, g *group, s *step) error {
	s.move = g.moves[s.n]
	s.event = eventOf(repo, &s.move)
	if s.event.Move != nil {
		s.event.Move.From = s.base
		s.event.Move.Created = s.base == ""
	}
	git, compiled := g.trigger.Declared.Git, i.compiled.of(&g.trigger)
	s.result = compiled.Match(git, s.event, trigger.Files{})
	if s.result.Outcome == trigger.Undecided && s.result.Needs.Message {
		message, err := i.message(ctx, repo, &s.move)
		if err != nil {
			return err
		}
		if s.event.Move != nil {
			s.event.Move.Head = message
		} else {
			s.event.PullRequest.HeadMessage = message
		}
		s.result = compiled.Match(git, s.event, trigger.Files{})
	}
	if s.result.Outcome != trigger.Undecided {
		return nil
	}
	files, err := i.files(ctx, repo, s)
	if err != nil {
		return err
	}
	s.result = compiled.Match(git, s.event, files)
	return nil
}

// message reads the message of the commit that a move leads to.
func (i *Intake) message(ctx context.Context, repo *ledger.Repository, m *ledger.Move) (*trigger.Message, error) {
	commit, err := i.config.Mirror.Commit(ctx, mirrored(repo), commitOf(m))
	if errors.Is(err, mirror.ErrNoCommit) || errors.Is(err, mirror.ErrTooLarge) {
		// Without a message there is no marker: a release too many is better than one that is
		// missed. If the commit is gone, its source action says so.
		return &trigger.Message{}, nil
	}
	if err != nil {
		return nil, err
	}
	message := &trigger.Message{Subject: commit.Subject}
	for _, t := range commit.Trailers {
		message.Trailers = append(message.Trailers, trigger.Trailer{Key: t.Key, Value: t.Value})
	}
	return message, nil
}

// files finds out which files an event changes.
func (i *Intake) files(ctx context.Context, repo *ledger.Repository, s *step) (trigger.Files, error) {
	at := mirrored(repo)
	head, base := commitOf(&s.move), s.base
	switch s.event.DiffBase() {
	case trigger.BaseEvaluated:
	case trigger.BasePullRequest:
		pr := s.move.Event.PullRequest
		if base = pr.BaseCommit; base == "" {
			commit, problem, err := i.headOf(ctx, at, pr.DestinationBranch)
			if err != nil || problem != "" {
				return trigger.UnknownFiles(problem), err
			}
			base = commit
		}
		return i.filesSince(ctx, at, base, head)
	case trigger.BaseMergeBase:
		commit, problem, err := i.headOf(ctx, at, repo.DefaultBranch)
		if err != nil || problem != "" {
			return trigger.UnknownFiles(problem), err
		}
		return i.filesSince(ctx, at, commit, head)
	}
	return i.changed(ctx, at, base, head)
}

// headOf returns the commit of a branch on the remote; an empty name is the default branch.
func (i *Intake) headOf(ctx context.Context, at mirror.Repository, branch string) (commit, problem string, err error) {
	refs, err := i.config.Mirror.Refs(ctx, at)
	if err != nil {
		return "", "", err
	}
	name := "refs/heads/" + branch
	if branch == "" {
		name = refs.DefaultBranch
	}
	found, ok := refs.Find(name)
	if !ok {
		return "", fmt.Sprintf("the remote has no branch %q to compare with", branch), nil
	}
	return found.Commit, "", nil
}

// filesSince finds out which files changed since the merge base of two commits.
func (i *Intake) filesSince(ctx context.Context, at mirror.Repository, with, head string) (trigger.Files, error) {
	base, err := i.config.Mirror.MergeBase(ctx, at, with, head)
	switch {
	case errors.Is(err, mirror.ErrNoCommit), errors.Is(err, mirror.ErrTooLarge):
		return trigger.UnknownFiles(err.Error()), nil
	case err != nil:
		return trigger.Files{}, err
	}
	return i.changed(ctx, at, base, head)
}

func (i *Intake) changed(ctx context.Context, at mirror.Repository, base, head string) (trigger.Files, error) {
	changes, err := i.config.Mirror.ChangedFiles(ctx, at, base, head)
	if err != nil {
		return trigger.Files{}, err
	}
	if changes.Unknown != "" {
		return trigger.UnknownFiles(changes.Unknown), nil
	}
	return trigger.Changed(changes.Paths), nil
}
