package trigger

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// signal tells that a ref moved.
type signal struct {
	ref      string
	from, to string
	event    ledger.Event
	by       ledger.FoundBy
	delivery delivery
}

// delivery names the delivery that told of something; the zero one is none.
type delivery struct {
	id, webhook string
	// again is set if the delivery came before.
	again bool
	// replayedBy is who asked for the decision, empty if the delivery itself did.
	replayedBy string
}

// deliveryOf returns the delivery that a decision is on.
func deliveryOf(d *ledger.Decision) delivery {
	return delivery{id: d.DeliveryID, webhook: d.Webhook, replayedBy: d.ReplayedBy}
}

// maxRef bounds the name of a ref that is kept.
const maxRef = 1000

// storable tells whether a name can be kept: every database takes valid text without NUL.
func storable(ref string) bool {
	return ref != "" && len(ref) <= maxRef && utf8.ValidString(ref) && !strings.ContainsRune(ref, 0)
}

// move moves the ledger by a signal that continues it, and decides on the move. Of pending
// decisions that wait for the move the newest ones become the decisions on it.
func (i *Intake) move(ctx context.Context, tx *loop.Tx, repo *ledger.Repository, known ledger.Ref, isKnown bool, s signal, waiting []ledger.Decision) error {
	m := ledger.Move{
		RepositoryID: repo.ID, Ref: s.ref, From: s.from, To: s.to, Number: known.Move + 1,
		FoundBy: s.by, DeliveryID: s.delivery.id, At: i.config.Clock(), Event: s.event,
	}
	if err := tx.MoveRef(ctx, m, isKnown); err != nil {
		return err
	}
	return i.decideAll(ctx, tx, change{repo: repo, move: m, by: s.by, delivery: s.delivery}, waiting)
}

// take compares a signal with the ledger, moves it and decides, or leaves it to a turn that
// asks the remote.
func (i *Intake) take(ctx context.Context, tx *loop.Tx, repo *ledger.Repository, s signal) error {
	known, made, err := tx.Ref(ctx, repo.ID, s.ref, s.from, s.to)
	isKnown := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	what := ledger.Compare(known, isKnown, made, s.from, s.to)
	if isTag(s.ref) && s.to != "" && s.event.Commit == "" {
		// It may be the id of an annotated tag, which only the remote can tell from a commit.
		what = ledger.Unclear
	}
	if s.event.PullRequest != nil {
		what = ledger.ComparePullRequest(known, isKnown, made, s.from, s.to, s.event.PullRequest.Action)
	}
	if s.delivery.again && what != ledger.Moves {
		return i.takeAgain(ctx, tx, repo, known, what, made, s)
	}
	if s.by == ledger.ByReplay && what == ledger.Unclear && known.Move > 0 {
		before, err := tx.DecisionsOfDelivery(ctx, s.delivery.id)
		if err != nil {
			return err
		}
		if decidedOn(decisionsOn(before, repo, s.ref), known.Move) {
			what = ledger.Repeats
		}
	}
	switch what {
	case ledger.Moves:
		from := s.from
		if isKnown {
			from = known.Head
		}
		s.from = from
		if err := i.move(ctx, tx, repo, known, isKnown, s, nil); err != nil || s.to != "" || s.event.PullRequest != nil {
			return err
		}
		if repo.Failures > 0 {
			// It is compared as soon as it can be read.
			return nil
		}
		// The ref may exist again, at the same commit: if that was told first, it looked like a
		// repetition.
		return tx.Apply(ctx, i.checkLater(repo.ID))
	case ledger.Repeats:
		return i.repeat(ctx, tx, repo, known, s)
	default:
		return i.ask(ctx, tx, repo, s)
	}
}

// repeat records that a signal told, or led to, what the ledger has already. The move may be decided
// differently now only if a person asks for it with a replay.
func (i *Intake) repeat(ctx context.Context, tx *loop.Tx, repo *ledger.Repository, known ledger.Ref, s signal) error {
	if s.by == ledger.ByReplay && known.Move == 0 && s.from != s.to {
		return i.moveFound(ctx, tx, repo, s)
	}
	m, err := tx.MoveNumbered(ctx, repo.ID, s.ref, known.Move)
	if errors.Is(err, store.ErrNotFound) {
		// The head was read before the ref ever moved, or the move is older than what is kept.
		m = ledger.Move{RepositoryID: repo.ID, Ref: s.ref, From: s.from, To: s.to, Event: s.event, Number: known.Move}
		err = nil
	}
	if err != nil {
		return err
	}
	triggers, err := tx.TriggersOfRepository(ctx, repo.ID)
	if err != nil {
		return err
	}
	if m.Event.Pusher == "" && s.to == m.To {
		// A comparison with the remote had found it, which does not tell who pushed.
		m.Event.Pusher, m.Event.Forge, m.Event.Forced = s.event.Pusher, s.event.Forge, s.event.Forced
	}
	c := change{repo: repo, move: m, by: s.by, delivery: s.delivery}
	for n := range triggers {
		t := &triggers[n]
		earlier, err := tx.DecisionByStart(ctx, m.StartKey(t.ID))
		switch {
		case err == nil:
			err = i.record(ctx, tx, nil, i.duplicate(c, t, &earlier))
		case !errors.Is(err, store.ErrNotFound):
		case s.by == ledger.ByReplay && m.Number > 0:
			err = i.decide(ctx, tx, c, t, nil)
		case m.Number == 0:
			err = i.record(ctx, tx, nil, i.decision(c, t, ledger.NotStarted, ReasonBaseline,
				"%s was already at %s when its repository was first read, so nothing has changed", s.ref, short(s.to)))
		default:
			err = i.record(ctx, tx, nil, i.decision(c, t, ledger.NotStarted, ReasonRepeated,
				"another delivery or a poll already reported the same change, and it started nothing"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func isTag(ref string) bool { return strings.HasPrefix(ref, "refs/tags/") }

// held is the head that a signal tells of as the ledger has it: the commit, also of an
// annotated tag, so that a forge that tells the id of the tag, one that tells the commit and a
// poll make one move.
func held(said *forge.Signal) string {
	if isTag(said.Ref) && said.After != "" && said.Head.ID != "" {
		return said.Head.ID
	}
	return said.After
}

func short(commit string) string {
	const digits = 12
	if commit == "" {
		return "no commit"
	}
	return commit[:min(digits, len(commit))]
}
