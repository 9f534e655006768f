package trigger

import (
	"context"
	"errors"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// takeAgain decides on a signal of a delivery that came before, where it started nothing:
// people send a delivery again after they changed what kept it from starting. A change that is
// not the newest of its ref starts nothing.
func (i *Intake) takeAgain(ctx context.Context, tx *loop.Tx, repo *ledger.Repository, known ledger.Ref, what ledger.Change, made bool, s signal) error {
	before, err := tx.DecisionsOfDelivery(ctx, s.delivery.id)
	if err != nil {
		return err
	}
	before = decisionsOn(before, repo, s.ref)
	if slices.ContainsFunc(before, func(d ledger.Decision) bool { return d.Outcome == ledger.Pending }) {
		return nil
	}
	newest, err := tx.MoveNumbered(ctx, repo.ID, s.ref, known.Move)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	switch {
	case newest.Number > 0 && (decidedOn(before, newest.Number) || what == ledger.Repeats && tellsOf(&s, &newest)):
		return i.decideAgain(ctx, tx, change{repo: repo, move: newest, by: s.by, delivery: s.delivery}, before)
	case what == ledger.Repeats && known.Move == 0 && s.from != s.to:
		return i.moveFound(ctx, tx, repo, s)
	case made || what == ledger.Repeats || len(before) > 0:
		return i.overtakenAgain(ctx, tx, repo, known, s)
	default:
		return i.ask(ctx, tx, repo, s)
	}
}

// decisionsOn returns the decisions of a delivery that are on one ref.
func decisionsOn(all []ledger.Decision, repo *ledger.Repository, ref string) []ledger.Decision {
	return slices.DeleteFunc(all, func(d ledger.Decision) bool { return d.RepositoryID != repo.ID || d.Ref != ref })
}

// decidedOn tells whether one of the decisions is on a move. A delivery of an annotated tag may not
// have its commit, and one that came late led to a move that it does not tell of, but the
// decisions on it have the move.
func decidedOn(decisions []ledger.Decision, move int64) bool {
	return slices.ContainsFunc(decisions, func(d ledger.Decision) bool { return d.Move == move })
}

// tellsOf tells whether a signal is about a move.
func tellsOf(s *signal, m *ledger.Move) bool {
	if s.to != m.To || (s.event.PullRequest == nil) != (m.Event.PullRequest == nil) {
		return false
	}
	return s.event.PullRequest == nil || s.event.PullRequest.Action == m.Event.PullRequest.Action
}

// moveFound records the move that led to a head which was read before it was reported, so that
// it can be decided on.
func (i *Intake) moveFound(ctx context.Context, tx *loop.Tx, repo *ledger.Repository, s signal) error {
	m := ledger.Move{
		RepositoryID: repo.ID, Ref: s.ref, From: s.from, To: s.to, Number: 1,
		FoundBy: s.by, DeliveryID: s.delivery.id, At: i.config.Clock(), Event: s.event,
	}
	if err := tx.RecordFirstMove(ctx, m); err != nil {
		return err
	}
	return i.decideAll(ctx, tx, change{repo: repo, move: m, by: s.by, delivery: s.delivery}, nil)
}

// decideAgain decides on a move by each trigger for which it has started nothing and may now. The
// decisions are those of the delivery before.
func (i *Intake) decideAgain(ctx context.Context, tx *loop.Tx, c change, before []ledger.Decision) error {
	triggers, err := tx.TriggersOfRepository(ctx, c.repo.ID)
	if err != nil {
		return err
	}
	for n := range triggers {
		t := &triggers[n]
		if slices.ContainsFunc(before, func(d ledger.Decision) bool {
			return d.TriggerID == t.ID && (d.Move != c.move.Number || stands(&d, t))
		}) {
			continue
		}
		_, err := tx.DecisionByStart(ctx, c.move.StartKey(t.ID))
		if errors.Is(err, store.ErrNotFound) {
			err = i.decide(ctx, tx, c, t, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stands tells whether a decision would be the same now: it was made by what the trigger declares
// still, and not because the trigger was paused or an execution could not start. Forges send a
// delivery twice by themselves, which must not look like a person's wish to decide again.
func stands(d *ledger.Decision, t *ledger.Trigger) bool {
	return !t.UpdatedAt.After(d.DecidedAt) && d.Outcome != ledger.Failed && d.Reason != string(ReasonPaused)
}

// overtakenAgain records that a ref has moved on since a change, for each trigger that did not
// decide so before.
func (i *Intake) overtakenAgain(ctx context.Context, tx *loop.Tx, repo *ledger.Repository, known ledger.Ref, s signal) error {
	triggers, err := tx.TriggersOfRepository(ctx, repo.ID)
	if err != nil {
		return err
	}
	before, err := tx.DecisionsOfDelivery(ctx, s.delivery.id)
	if err != nil {
		return err
	}
	c := change{repo: repo, by: s.by, delivery: s.delivery, move: ledger.Move{RepositoryID: repo.ID, Ref: s.ref, From: s.from, To: s.to, Event: s.event}}
	for n := range triggers {
		t := &triggers[n]
		if slices.ContainsFunc(before, func(d ledger.Decision) bool {
			return d.TriggerID == t.ID && d.Ref == s.ref && (d.Execution != "" || d.Reason == string(ReasonOvertaken))
		}) {
			continue
		}
		if err := i.record(ctx, tx, nil, i.decision(c, t, ledger.NotStarted, ReasonOvertaken,
			"%s", movedOn(s.ref, "was sent again", known.Head))); err != nil {
			return err
		}
	}
	return nil
}
