package loop

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// TurnTimeout bounds a turn: it is short by contract, and one that hangs must
// not keep a worker forever.
const TurnTimeout = time.Minute

// Handler carries out turns of one kind. Its context ends after TurnTimeout or when the
// server stops. A handler does its work first and then calls Submit of the turn once, whose
// transaction ends the turn or makes it due later. If it returns without that, the
// turn runs again later, so a handler must tolerate that its work was done before.
type Handler func(ctx context.Context, turn *Turn) error

// Turn is a turn that a handler carries out.
type Turn struct {
	*execution.Turn

	loop *Loop
	// committed is set after a commit, and settled if the commit ended the turn or made it
	// due later.
	committed, settled bool
	// replaced is set if another commit replaced the turn while it ran.
	replaced bool
	next     *execution.Turn
}

// Handle registers the handler of a kind of turns. It is called before Run. A turn need
// not belong to an execution: Tx.Apply makes one, and ends it.
func (l *Loop) Handle(kind execution.TurnKind, handler Handler) { l.handlers[kind] = handler }

// Submit is Loop.Submit for the outcome of a turn. It commits also if the server stops.
func (t *Turn) Submit(ctx context.Context, fn func(context.Context, *Tx) error) error {
	out, err := t.loop.submit(context.WithoutCancel(ctx), t.Turn, fn)
	t.end(out, err)
	return err
}

// Replaced tells, in a transaction of Submit, whether another commit put in a turn of the same id
// while this one ran. That one then stays: what it is to do may have come after this one looked.
// Otherwise nobody can replace the turn before the commit.
func (t *Turn) Replaced(ctx context.Context, tx *Tx) (bool, error) {
	mine, err := tx.ClaimTurn(ctx, t.Turn)
	t.replaced = err == nil && !mine
	return t.replaced, err
}

func (t *Turn) end(out *outcome, err error) {
	if err != nil {
		return
	}
	t.committed, t.next, t.settled = true, out.turn, t.settled || t.replaced
	for _, change := range out.changes {
		t.settled = t.settled || slices.Contains(change.DoneTurns, t.ID) ||
			slices.ContainsFunc(change.Turns, func(made *execution.Turn) bool { return made.ID == t.ID })
	}
}

// runTurn runs one turn to the commit of its outcome.
func (l *Loop) runTurn(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
	handler, ok := l.handlers[turn.Kind]
	if !ok {
		// A newer server that shares the store may have made it.
		return nil, fmt.Errorf("turn %s: this version of headraced has no handler for turns of kind %q: start a newer one", turn.ID, turn.Kind)
	}
	limited, cancel := context.WithTimeout(ctx, TurnTimeout)
	defer cancel()
	t := &Turn{Turn: turn, loop: l}
	err := handler(limited, t)
	if err != nil && !t.committed {
		return nil, err
	}
	if err != nil {
		l.config.Log.Error("turn failed after its outcome was committed", "turn", turn.ID, "kind", turn.Kind, "error", err)
	}
	if !t.settled {
		if err := l.checkSettled(context.WithoutCancel(ctx), turn); err != nil {
			return nil, err
		}
	}
	return t.next, nil
}

// checkSettled returns an error if a turn is still due although its handler has returned,
// so that every queue runs it again. Another commit may have ended it or made it due later.
func (l *Loop) checkSettled(ctx context.Context, turn *execution.Turn) error {
	var stored *execution.Turn
	err := l.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		stored, err = r.Turn(ctx, turn.ID)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("read turn %s after its handler: %w", turn.ID, err)
	case !stored.DueAt.After(l.config.Clock()):
		return fmt.Errorf("turn %s: the handler of turns of kind %q neither ended the turn nor made it due later", turn.ID, turn.Kind)
	}
	return nil
}

// decides returns the handler of turns that are nothing but an input.
func decides(input func(*execution.Turn) engine.Input) Handler {
	return func(ctx context.Context, turn *Turn) error {
		return turn.Submit(ctx, func(ctx context.Context, tx *Tx) error {
			_, err := tx.Decide(ctx, turn.Scope, input(turn.Turn))
			return err
		})
	}
}

func expire(turn *execution.Turn) engine.Input {
	return engine.Expire{ExecutionID: turn.ExecutionID, ID: turn.ID}
}

func recheck(turn *execution.Turn) engine.Input {
	return engine.Recheck{ExecutionID: turn.ExecutionID, ID: turn.ID}
}

// runAction is the handler of actions whose work is a turn.
func (l *Loop) runAction(ctx context.Context, turn *Turn) error {
	in, err := l.take(ctx, turn.Turn)
	if err != nil {
		return err
	}
	finish, ok := in.(engine.Finish)
	if !ok {
		return decides(func(*execution.Turn) engine.Input { return in })(ctx, turn)
	}
	out, err := l.finish(context.WithoutCancel(ctx), turn.Scope, "", finish, turn.Turn)
	turn.end(out, err)
	return err
}

// take calls the executor of a turn, also if the action has reached its deadline: the work may
// have ended since the last look, most of all if the server was down. The engine then
// refuses to wait longer. It returns an error if the server stopped during the call: a turn
// that was cut off is taken again.
func (l *Loop) take(ctx context.Context, turn *execution.Turn) (in engine.Input, err error) {
	finish := engine.Finish{ExecutionID: turn.ExecutionID, ActionExecutionID: turn.ID}
	executor, ok := l.config.Registry.Turn(turn.Work.Action.TypeID())
	if !ok {
		finish.Result = action.Failed(action.ConfigurationError, "this server has no executor for %v", turn.Work.Action.TypeID())
		finish.Unanswered = true
		return finish, nil
	}
	log := l.turnLog(turn.Work.Scope)
	defer log.close()
	defer func() {
		if p := recover(); p != nil {
			l.config.Log.Error("executor panicked", "turn", turn.ID, "panic", log.Redact(fmt.Sprint(p)), "stack", string(debug.Stack()))
			finish.Result = action.Failed(action.SystemUnavailable, "the executor of the action crashed; the server's log has more")
			finish.Unanswered = true
			in = finish
		}
	}()
	outcome := executor.Take(ctx, *turn.Work, l.tools(turn, log))
	outcome.Result = outcome.Result.Redacted(log.Redact)
	switch {
	case outcome.Again != nil:
		outcome.Again.Summary = log.Redact(outcome.Again.Summary)
		outcome.Again.ExternalID, outcome.Again.ExternalURL = log.Redact(outcome.Again.ExternalID), log.Redact(outcome.Again.ExternalURL)
		return engine.Again{ExecutionID: turn.ExecutionID, ActionExecutionID: turn.ID, Again: *outcome.Again, Turn: turn.Work}, nil
	case outcome.Result.Failure != nil && stopped(ctx):
		return nil, fmt.Errorf("the server stops: %w", ctx.Err())
	}
	finish.Result = outcome.Result
	// A call that was cut off at the end of the budget does not know how the work is.
	finish.Unanswered = outcome.Result.Failure != nil && ctx.Err() != nil
	return finish, nil
}

// stopped reports whether the server stops, which cancels the context of a turn before its
// budget has run out.
func stopped(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }
