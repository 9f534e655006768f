package loop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

const (
	// firstAbandonPause is how long an abandon rests that failed. The pause doubles up to
	// maxAbandonPause.
	firstAbandonPause = 5 * time.Second
	maxAbandonPause   = 15 * time.Minute
	// abandonLimit is how long an abandon is tried. What a service has not ended after a
	// day, somebody has to look at.
	abandonLimit = 24 * time.Hour
	// givenUpCheck is how often the record of an abandon that was given up is checked. It is
	// removed if its execution no longer exists.
	givenUpCheck = 24 * time.Hour
	// maxAbandonError bounds the error that is kept of a try, in bytes.
	maxAbandonError = 1000
)

// abandon runs a turn that tells a service to end work that nobody waits for. If that
// fails it is tried again later. If it was given up, the turn is only its record.
func (l *Loop) abandon(ctx context.Context, turn *Turn) error {
	if !turn.Abandon.GivenUpAt.IsZero() {
		return turn.Submit(ctx, func(ctx context.Context, tx *Tx) error { return l.keepGivenUp(ctx, tx, turn.Turn) })
	}
	failure := l.callAbandon(ctx, turn.Turn)
	if failure != nil && stopped(ctx) {
		// It was cut off: the next start does it again.
		return fmt.Errorf("the server stops: %w", ctx.Err())
	}
	change := &execution.Change{}
	result := execution.AbandonConfirmed
	now := l.config.Clock()
	switch {
	case failure == nil:
		change.DoneTurns = []string{turn.ID}
	case now.Sub(turn.Abandon.Since) >= abandonLimit:
		last := abandonAgain(turn.Turn, failure, now)
		last.Abandon.GivenUpAt, last.DueAt = now, now.Add(givenUpCheck)
		change.Turns, result = []*execution.Turn{last}, execution.AbandonGivenUp
	default:
		change.Turns, result = []*execution.Turn{abandonAgain(turn.Turn, failure, now)}, execution.AbandonFailed
	}
	if err := turn.Submit(ctx, func(ctx context.Context, tx *Tx) error { return tx.Apply(ctx, change) }); err != nil {
		return err
	}
	l.abandoned(turn.Turn, result, failure, change)
	return nil
}

// keepGivenUp keeps the record of an abandon that was given up while its execution exists.
func (l *Loop) keepGivenUp(ctx context.Context, tx *Tx, turn *execution.Turn) error {
	_, err := tx.ExecutionHead(ctx, turn.Work.ExecutionID)
	if errors.Is(err, store.ErrNotFound) {
		return tx.Apply(ctx, &execution.Change{DoneTurns: []string{turn.ID}})
	}
	if err != nil {
		return err
	}
	kept := *turn
	kept.DueAt = l.config.Clock().Add(givenUpCheck)
	return tx.Apply(ctx, &execution.Change{Turns: []*execution.Turn{&kept}})
}

// abandonAgain is the turn of the next try.
func abandonAgain(turn *execution.Turn, failure error, now time.Time) *execution.Turn {
	again, state := *turn, *turn.Abandon
	pause := maxAbandonPause
	// Beyond so many tries the pause is the longest one, and the shift would overflow.
	if state.Tries < 10 {
		pause = min(pause, firstAbandonPause<<state.Tries)
	}
	state.Tries++
	state.Error = failure.Error()
	if len(state.Error) > maxAbandonError {
		state.Error = strings.ToValidUTF8(state.Error[:maxAbandonError], "") + "…"
	}
	again.Abandon, again.DueAt = &state, now.Add(pause)
	return &again
}

// abandoned tells the log and the metrics how a try went.
func (l *Loop) abandoned(turn *execution.Turn, result execution.AbandonResult, failure error, change *execution.Change) {
	if l.config.Abandoned != nil {
		l.config.Abandoned(result)
	}
	work := turn.Work
	log := l.config.Log.With("pipeline", work.Pipeline, "execution", work.ExecutionID, "stage", work.Stage, "action", work.Action.Name,
		"action_execution", work.ActionExecutionID)
	switch result {
	case execution.AbandonConfirmed:
		log.Info("the service has confirmed that the work of an action was abandoned")
	case execution.AbandonFailed:
		log.Warn("the service has not confirmed that the work of an action was abandoned, will try again",
			"error", failure, "tries", turn.Abandon.Tries+1, "next", change.Turns[0].DueAt)
	case execution.AbandonGivenUp:
		log.Error("gave up abandoning the work of an action: it may still run and cost money, so end it in the service",
			"error", failure, "tries", turn.Abandon.Tries+1, "since", turn.Abandon.Since, "state", string(work.State))
	}
}

// callAbandon tells the service once. It writes to the log of the action how that went.
func (l *Loop) callAbandon(ctx context.Context, turn *execution.Turn) (err error) {
	executor, ok := l.config.Registry.Turn(turn.Work.Action.TypeID())
	if !ok {
		return fmt.Errorf("this server has no executor for %v: start a server that has one", turn.Work.Action.TypeID())
	}
	log, err := l.abandonLog(ctx, turn.Work.Scope)
	if err != nil {
		return err
	}
	defer log.close()
	defer func() {
		if p := recover(); p != nil {
			l.config.Log.Error("executor panicked", "turn", turn.ID, "panic", log.Redact(fmt.Sprint(p)), "stack", string(debug.Stack()))
			err = errors.New("the executor of the action crashed; the server's log has more")
		}
		if err != nil {
			_, _ = fmt.Fprintf(log, "--- the service did not confirm the abandon: %s ---\n", err)
		}
	}()
	err = executor.Abandon(ctx, *turn.Work, l.tools(turn, log))
	if err != nil {
		return errors.New(log.Redact(err.Error()))
	}
	return nil
}

// abandonLog returns the log of an action that ended. Where the execution or its logs are
// gone, nothing of it is kept.
func (l *Loop) abandonLog(ctx context.Context, of action.Scope) (*turnLog, error) {
	kept := false
	err := l.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		e, err := r.ExecutionHead(ctx, of.ExecutionID)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		kept = err == nil && e.OutputsRemovedAt.IsZero()
		return err
	})
	if !kept {
		return l.newTurnLog(of, noLogs{}), err
	}
	return l.turnLog(of), err
}

// tools are what a turn is given beside its work.
func (l *Loop) tools(turn *execution.Turn, log *turnLog) action.Tools {
	return action.Tools{
		Log: log, Artifacts: l.config.Artifacts, Budget: TurnTimeout,
		Credentials: l.config.Credentials.Hide(turn.Work.Scope, log.Add),
		Secrets:     l.config.Secrets.Hide(turn.Work.Scope, log.Add),
	}
}

// turnLog is the log of an action during one turn. It hides the credentials and secrets that
// the turn was handed out.
type turnLog struct {
	*secret.Writer
	to *turnOutput
}

func (l *Loop) turnLog(of action.Scope) *turnLog {
	return l.newTurnLog(of, l.config.Logs)
}

func (l *Loop) newTurnLog(of action.Scope, logs TurnLogs) *turnLog {
	output := &turnOutput{logs: logs, server: l.config.Log, of: of}
	return &turnLog{Writer: secret.NewWriter(output), to: output}
}

func (t *turnLog) close() {
	// Errors of the output are its own.
	_ = t.Close()
	t.to.close()
}

// turnOutput stores the log of a turn. A bucket that fails fails no turn.
type turnOutput struct {
	logs TurnLogs
	// to is what appends to the log, from the first write on: most turns write nothing.
	to     io.WriteCloser
	server hclog.Logger
	of     action.Scope
	failed bool
}

// Write implements io.Writer.
func (t *turnOutput) Write(p []byte) (int, error) {
	if t.to == nil {
		t.to = t.logs.TurnWriter(t.of)
	}
	if _, err := t.to.Write(p); err != nil {
		t.fail(err)
	}
	return len(p), nil
}

func (t *turnOutput) close() {
	if t.to == nil {
		return
	}
	if err := t.to.Close(); err != nil {
		t.fail(err)
	}
}

func (t *turnOutput) fail(err error) {
	if !t.failed {
		t.server.Error("cannot store the log of an action", "execution", t.of.ExecutionID, "stage", t.of.Stage,
			"action_execution", t.of.ActionExecutionID, "error", err)
	}
	t.failed = true
}

// noLogs are the logs of what is gone.
type noLogs struct{}

// TurnWriter implements TurnLogs.
func (noLogs) TurnWriter(action.Scope) io.WriteCloser { return discard{io.Discard} }

type discard struct{ io.Writer }

// Close implements io.Closer.
func (discard) Close() error { return nil }
