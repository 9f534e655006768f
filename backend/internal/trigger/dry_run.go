package trigger

import (
	"context"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/starter"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// TestEvent is an event to decide on without any effect.
type TestEvent struct {
	// Event is the forge's name of the event, empty for generic events.
	Event   string
	Body    []byte
	Headers map[string]string
	// Files are the changed files, instead of those of the repository.
	Files []string
}

// UnreadableError says why an event cannot be decided on.
type UnreadableError struct{ problem error }

func (e *UnreadableError) Error() string { return "the event cannot be read: " + e.problem.Error() }

// Unwrap returns the reason.
func (e *UnreadableError) Unwrap() error { return e.problem }

// Test decides on an event without any effect.
func (i *Intake) Test(ctx context.Context, t *ledger.Trigger, e TestEvent) ([]ledger.Decision, error) {
	if t.Declared.Event != nil {
		return i.testEvent(ctx, t, e)
	}
	var repo ledger.Repository
	kind := forge.Kind("")
	if err := i.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if repo, err = r.Repository(ctx, t.RepositoryID); err != nil {
			return err
		}
		kind, err = i.config.Connections.Kind(ctx, r, repo.Account, repo.Connection)
		return err
	}); err != nil {
		return nil, err
	}
	signals, err := i.parse(kind, e.Event, e.Body)
	if err != nil {
		return nil, &UnreadableError{err}
	}
	var decisions []ledger.Decision
	for n := range signals {
		d, err := i.testSignal(ctx, t, &repo, kind, &signals[n], e.Files)
		if err != nil {
			return nil, err
		}
		decisions = append(decisions, d)
	}
	return decisions, nil
}

// testSignal decides on what a signal says, as if the ledger continued with it.
func (i *Intake) testSignal(ctx context.Context, t *ledger.Trigger, repo *ledger.Repository, kind forge.Kind, said *forge.Signal, files []string) (ledger.Decision, error) {
	told := signalOf(said, kind)
	m := ledger.Move{RepositoryID: repo.ID, Ref: told.ref, From: told.from, To: told.to, Number: 1, Event: told.event}
	c := change{repo: repo, move: m}
	if why := unused(said); why != "" {
		return i.decision(c, t, ledger.NotStarted, ReasonEventUnused, "%s", why), nil
	}
	if forge.RepositoryKey(kind, said.Repository.FullName) != repo.Name {
		return i.decision(c, t, ledger.NotStarted, ReasonOtherRepository,
			"the event is about repository %q, and the trigger watches %q", said.Repository.FullName, repo.FullName), nil
	}
	s := step{base: m.From, move: m, event: eventOf(repo, &m)}
	git := t.Declared.Git
	if files != nil {
		paths := make([][]byte, len(files))
		for n, path := range files {
			paths[n] = []byte(path)
		}
		if s.event.Move != nil && s.event.Move.Head == nil {
			s.event.Move.Head = &trigger.Message{}
		}
		if s.event.PullRequest != nil && s.event.PullRequest.HeadMessage == nil {
			s.event.PullRequest.HeadMessage = &trigger.Message{}
		}
		s.result = i.compiled.of(t).Match(git, s.event, trigger.Changed(paths))
	} else {
		g := &group{trigger: *t, moves: []ledger.Move{m}}
		if err := i.find(ctx, repo, g, &s); err != nil {
			if ctx.Err() != nil {
				return ledger.Decision{}, ctx.Err()
			}
			s.guess(git, err)
		}
	}
	d := i.decision(c, t, ledger.NotStarted, s.result.Reason, "%s", s.result.Message)
	if s.result.Outcome == trigger.Matched && !withhold(&d, &m, t) {
		d.Outcome = ledger.Started
	}
	d.Filters = filters(s.result.Entries)
	return d, nil
}

// testEvent decides on a generic event.
func (i *Intake) testEvent(ctx context.Context, t *ledger.Trigger, e TestEvent) ([]ledger.Decision, error) {
	body, err := trigger.ParseBody(e.Body, e.Headers)
	if err != nil {
		return nil, &UnreadableError{err}
	}
	started := func(_ context.Context, _ *loop.Tx, _ *ledger.Trigger, _ string, in starter.Input, d *ledger.Decision) error {
		d.Outcome = ledger.Started
		for _, o := range in.Overrides {
			d.Message += fmt.Sprintf("; action %s gets %s", o.Action, o.Value)
		}
		return nil
	}
	m := &matchedTrigger{}
	if err := i.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error { return i.prepare(ctx, r, t, m) }); err != nil {
		return nil, err
	}
	i.matchTrigger(t, m, body)
	var d ledger.Decision
	// The transaction writes nothing.
	err = i.config.Loop.Submit(ctx, func(ctx context.Context, tx *loop.Tx) (err error) {
		d, err = i.decideEvent(ctx, tx, t, m, "", delivery{id: i.config.NewID()}, started)
		return err
	})
	d.DeliveryID = ""
	return []ledger.Decision{d}, err
}
