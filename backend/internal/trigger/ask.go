package trigger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// patience is how long a remote that does not answer is asked about a ref. After that the
// decisions fail, and the next comparison of the whole repository finds the move.
const patience = 30 * time.Minute

// ask makes a turn ask the remote where a ref is, and records what waits for the answer.
func (i *Intake) ask(ctx context.Context, tx *loop.Tx, repo *ledger.Repository, s signal) error {
	triggers, err := tx.TriggersOfRepository(ctx, repo.ID)
	if err != nil {
		return err
	}
	now := i.config.Clock()
	turn := &execution.Turn{ID: turnID(execution.TurnRef, i.config.NewID(), repo.ID, s.ref), Kind: execution.TurnRef, DueAt: now}
	c := change{
		repo: repo, by: s.by, delivery: s.delivery,
		move: ledger.Move{RepositoryID: repo.ID, Ref: s.ref, From: s.from, To: s.to, Event: s.event},
	}
	for n := range triggers {
		d := i.decision(c, &triggers[n], ledger.Pending, ReasonAskingRemote,
			"the delivery reports that %s moved from %s to %s, which does not follow from its last known commit, so the remote is read",
			s.ref, short(s.from), short(s.to))
		d.Turn, d.Event = turn.ID, &s.event
		if err := tx.CreateDecision(ctx, d); err != nil {
			return err
		}
	}
	return tx.Apply(ctx, &execution.Change{Turns: []*execution.Turn{turn}})
}

// question is what a turn asks about a ref.
type question struct {
	repo    ledger.Repository
	known   ledger.Ref
	isKnown bool
	// waiting are the pending decisions that have no move yet, oldest first.
	waiting []ledger.Decision
}

func (i *Intake) question(ctx context.Context, r store.Reader, repositoryID, ref string) (*question, error) {
	q := &question{}
	var err error
	if q.repo, err = r.Repository(ctx, repositoryID); err != nil {
		return nil, err
	}
	q.known, _, err = r.Ref(ctx, repositoryID, ref, "", "")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	q.isKnown = err == nil
	pending, err := r.PendingDecisions(ctx, repositoryID, ref)
	q.waiting = slices.DeleteFunc(pending, func(d ledger.Decision) bool { return d.Move > 0 })
	return q, err
}

// same tells whether the ledger is as it was when the remote was asked.
func (q *question) same(now *question) bool {
	return q.isKnown == now.isKnown && q.known.Head == now.known.Head && q.known.Move == now.known.Move
}

// resolve is the handler of turns that ask a remote where a ref is.
func (i *Intake) resolve(ctx context.Context, turn *loop.Turn) error {
	repositoryID, ref := turnOf(turn.Turn)
	var q *question
	err := i.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		q, err = i.question(ctx, r, repositoryID, ref)
		return err
	})
	mine := func(d ledger.Decision) bool { return d.Turn == turn.ID }
	switch {
	case errors.Is(err, store.ErrNotFound):
		return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error { return i.unwatched(ctx, tx, turn) })
	case err == nil && !slices.ContainsFunc(q.waiting, mine):
		// Another turn got the answer.
		return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error { return tx.Apply(ctx, done(turn)) })
	case err != nil:
		return err
	}
	remote, err := i.whereIs(ctx, q, ref)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error { return i.unanswered(ctx, tx, turn, ref, err) })
	}
	return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error {
		now, err := i.question(ctx, tx, repositoryID, ref)
		if errors.Is(err, store.ErrNotFound) {
			return i.unwatched(ctx, tx, turn)
		}
		if err != nil {
			return err
		}
		if !q.same(now) {
			// The answer is older than what the ledger has learned since.
			return tx.Apply(ctx, later(turn, i.config.Clock()))
		}
		if err := i.settle(ctx, tx, now, ref, remote); err != nil {
			return err
		}
		return tx.Apply(ctx, done(turn))
	})
}

// whereIs returns where a ref is on the remote. A remote does not list pull requests: there
// the newest signal is right, unless its commit is an ancestor of what the ledger has.
func (i *Intake) whereIs(ctx context.Context, q *question, name string) (mirror.Ref, error) {
	if strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/") {
		refs, err := i.config.Mirror.Refs(ctx, mirrored(&q.repo))
		if err != nil {
			return mirror.Ref{}, err
		}
		// A ref that does not exist is the zero one.
		found, _ := refs.Find(name)
		return found, nil
	}
	at := mirror.Ref{Name: name, ID: q.known.Head, Commit: q.known.Head}
	for n := range q.waiting {
		to := q.waiting[n].ToCommit
		if at.ID != "" {
			older, err := i.config.Mirror.IsAncestor(ctx, mirrored(&q.repo), to, at.ID)
			if errors.Is(err, mirror.ErrNoCommit) {
				// The forge may have dropped commits that a force push replaced.
				older, err = true, nil
			}
			if err != nil {
				return at, err
			}
			if older {
				continue
			}
		}
		at.ID, at.Commit = to, to
	}
	return at, nil
}

// settle moves the ledger to where the ref is, and ends what waited for that.
func (i *Intake) settle(ctx context.Context, tx *loop.Tx, q *question, ref string, remote mirror.Ref) error {
	if q.isKnown && remote.Commit == q.known.Head || !q.isKnown && remote.Commit == "" {
		return i.overtaken(ctx, tx, q, ref, q.waiting, remote)
	}
	// The newest that tells of this head becomes the decision on the move; else the newest.
	primary := make(map[string]ledger.Decision)
	told := signal{ref: ref, from: q.known.Head, to: remote.Commit, by: ledger.ByWebhook, event: ledger.Event{Commit: remote.Commit}}
	for _, d := range q.waiting {
		best, has := primary[d.TriggerID]
		if !has || leadsTo(&d, remote) || !leadsTo(&best, remote) {
			primary[d.TriggerID] = d
		}
		if leadsTo(&d, remote) {
			told.event, told.delivery = *d.Event, deliveryOf(&d)
			told.event.Commit = remote.Commit
		}
	}
	var first, rest []ledger.Decision
	for _, d := range q.waiting {
		if primary[d.TriggerID].ID == d.ID {
			first = append(first, d)
		} else {
			rest = append(rest, d)
		}
	}
	if told.delivery.id == "" && len(first) > 0 {
		told.delivery = deliveryOf(&first[len(first)-1])
	}
	if err := i.move(ctx, tx, &q.repo, q.known, q.isKnown, told, first); err != nil {
		return err
	}
	if err := i.forgotten(ctx, tx, first); err != nil {
		return err
	}
	return i.overtaken(ctx, tx, q, ref, rest, remote)
}

func leadsTo(d *ledger.Decision, remote mirror.Ref) bool {
	return d.ToCommit == remote.ID || d.ToCommit == remote.Commit
}

// forgotten ends the pending decisions of triggers that watch the repository no longer, which
// the decision on a move leaves.
func (i *Intake) forgotten(ctx context.Context, tx *loop.Tx, waiting []ledger.Decision) error {
	for n := range waiting {
		d, err := tx.Decision(ctx, waiting[n].Account, waiting[n].ID)
		if err != nil {
			return err
		}
		if d.Outcome != ledger.Pending || d.Move > 0 {
			continue
		}
		if err := i.gone(ctx, tx, d); err != nil {
			return err
		}
	}
	return nil
}

// unwatched ends a turn about a ref, and what is pending there, if nobody watches the
// repository any more.
func (i *Intake) unwatched(ctx context.Context, tx *loop.Tx, turn *loop.Turn) error {
	repositoryID, ref := turnOf(turn.Turn)
	pending, err := tx.PendingDecisions(ctx, repositoryID, ref)
	if err != nil {
		return err
	}
	for _, d := range pending {
		if err := i.gone(ctx, tx, d); err != nil {
			return err
		}
	}
	return tx.Apply(ctx, done(turn))
}

// gone ends a pending decision whose trigger does not watch the repository any more.
func (i *Intake) gone(ctx context.Context, tx *loop.Tx, d ledger.Decision) error {
	return i.end(ctx, tx, d, ledger.NotStarted, string(ReasonTriggerGone), "the trigger was deleted or changed before it decided")
}

// overtaken ends decisions on signals that tell of no move.
func (i *Intake) overtaken(ctx context.Context, tx *loop.Tx, q *question, ref string, waiting []ledger.Decision, remote mirror.Ref) error {
	newest, err := tx.MoveNumbered(ctx, q.repo.ID, ref, q.known.Move)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for n := range waiting {
		d := waiting[n]
		told := leadsTo(&d, remote)
		if told {
			// Of an annotated tag the delivery may have told the id.
			d.ToCommit = remote.Commit
		}
		if told && newest.Number > 0 {
			earlier, err := tx.DecisionByStart(ctx, newest.StartKey(d.TriggerID))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if err == nil && earlier.Execution != "" {
				d.Execution, d.Number = earlier.Execution, earlier.Number
				err = i.end(ctx, tx, d, ledger.Duplicate, string(ReasonStartedBefore), alreadyStarted("change", earlier.Number))
				if err != nil {
					return err
				}
				continue
			}
		}
		if err := i.end(ctx, tx, d, ledger.NotStarted, string(ReasonOvertaken), movedOn(ref, "arrived", remote.Commit)); err != nil {
			return err
		}
	}
	return nil
}

// end ends a pending decision that starts nothing.
func (i *Intake) end(ctx context.Context, tx store.Tx, d ledger.Decision, outcome ledger.Outcome, reason, message string) error {
	d.Outcome, d.Reason, d.Message = outcome, reason, message
	d.Turn, d.StartKey, d.Event, d.DecidedAt = "", "", nil, i.config.Clock()
	return tx.EndDecision(ctx, d)
}

// unanswered makes the turn ask again later, or gives up.
func (i *Intake) unanswered(ctx context.Context, tx *loop.Tx, turn *loop.Turn, ref string, problem error) error {
	repositoryID, _ := turnOf(turn.Turn)
	pending, err := tx.PendingDecisions(ctx, repositoryID, ref)
	if err != nil {
		return err
	}
	now := i.config.Clock()
	tries, gaveUp := 0, true
	for _, d := range pending {
		if d.Turn != turn.ID {
			continue
		}
		tries = max(tries, d.Tries)
		if now.Sub(d.DecidedAt) < patience {
			gaveUp = false
		}
	}
	for _, d := range pending {
		if d.Turn != turn.ID {
			continue
		}
		if gaveUp {
			err = i.end(ctx, tx, d, ledger.Failed, string(ReasonRemoteUnavailable), fmt.Sprintf(
				"the remote has not answered for %s: %v", patience, problem))
		} else {
			d.Tries = tries + 1
			d.Message = fmt.Sprintf("the remote did not answer and will be read again: %v", problem)
			err = tx.EndDecision(ctx, d)
		}
		if err != nil {
			return err
		}
	}
	if gaveUp {
		return tx.Apply(ctx, done(turn))
	}
	return tx.Apply(ctx, later(turn, now.Add(backoff(tries))))
}
