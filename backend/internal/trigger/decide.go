package trigger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/starter"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// The reasons of decisions beside those of package pipeline/trigger. Their text is part of
// the contract and never changes.
const (
	// ReasonPaused: somebody paused the trigger.
	ReasonPaused pipeline.Reason = "PAUSED"
	// ReasonBaseline: the ref was found so when the trigger was new.
	ReasonBaseline pipeline.Reason = "BASELINE"
	// ReasonRepeated: the change was told before and started nothing.
	ReasonRepeated pipeline.Reason = "REPEATED"
	// ReasonStartedBefore: the change, or the event, had started an execution.
	ReasonStartedBefore pipeline.Reason = "STARTED_BEFORE"
	// ReasonOvertaken: the ref had moved on before the delivery came.
	ReasonOvertaken pipeline.Reason = "OVERTAKEN"
	// ReasonCoalesced: a newer head of the ref stands for this one, too.
	ReasonCoalesced pipeline.Reason = "COALESCED"
	// ReasonSkipRequested: the push itself asked for no pipelines.
	ReasonSkipRequested pipeline.Reason = "SKIP_REQUESTED"
	// ReasonAskingRemote: only the remote knows where the ref is.
	ReasonAskingRemote pipeline.Reason = "ASKING_REMOTE"
	// ReasonRemoteUnavailable: the remote gave no answer.
	ReasonRemoteUnavailable pipeline.Reason = "REMOTE_UNAVAILABLE"
	// ReasonOtherRepository: an event that was only tested is about another repository.
	ReasonOtherRepository pipeline.Reason = "OTHER_REPOSITORY"
	// ReasonEventUnused: an event that was only tested is of a kind that starts nothing.
	ReasonEventUnused pipeline.Reason = "EVENT_UNUSED"
	// ReasonTriggerGone: the trigger was deleted or changed before it decided.
	ReasonTriggerGone pipeline.Reason = "TRIGGER_GONE"
	// ReasonPipelineGone: the pipeline does not exist.
	ReasonPipelineGone pipeline.Reason = "PIPELINE_GONE"
	// ReasonInvalidInput: the pipeline does not take these variables or revisions.
	ReasonInvalidInput pipeline.Reason = "INVALID_INPUT"
)

// change is a move to decide on.
type change struct {
	repo     *ledger.Repository
	move     ledger.Move
	by       ledger.FoundBy
	delivery delivery
}

// decideAll decides on a move by each trigger of the repository.
func (i *Intake) decideAll(ctx context.Context, tx *loop.Tx, c change, waiting []ledger.Decision) error {
	triggers, err := tx.TriggersOfRepository(ctx, c.repo.ID)
	if err != nil {
		return err
	}
	turn := ""
	for n := range triggers {
		t := &triggers[n]
		var of *ledger.Decision
		if w := slices.IndexFunc(waiting, func(d ledger.Decision) bool { return d.TriggerID == t.ID }); w >= 0 {
			of = &waiting[w]
		}
		if err := i.decideIn(ctx, tx, c, t, of, &turn); err != nil {
			return err
		}
	}
	if turn == "" {
		return nil
	}
	return tx.Apply(ctx, i.comparison(turn))
}

// decide is decideAll for one trigger.
func (i *Intake) decide(ctx context.Context, tx *loop.Tx, c change, t *ledger.Trigger, waiting *ledger.Decision) error {
	turn := ""
	if err := i.decideIn(ctx, tx, c, t, waiting, &turn); err != nil || turn == "" {
		return err
	}
	return tx.Apply(ctx, i.comparison(turn))
}

func (i *Intake) comparison(turn string) *execution.Change {
	return &execution.Change{Turns: []*execution.Turn{{ID: turn, Kind: execution.TurnCompare, DueAt: i.config.Clock()}}}
}

// decideIn decides without asking a remote. If that does not do, the decision is pending, and
// turn is the one that ends it.
func (i *Intake) decideIn(ctx context.Context, tx *loop.Tx, c change, t *ledger.Trigger, waiting *ledger.Decision, turn *string) error {
	git := t.Declared.Git
	if !t.Baselined && c.by != ledger.ByWebhook && c.by != ledger.ByReplay {
		return i.record(ctx, tx, waiting, i.decision(c, t, ledger.NotStarted, ReasonBaseline,
			"%s was at %s when the trigger was created; later changes are compared with that", c.move.Ref, short(c.move.To)))
	}
	event := eventOf(c.repo, &c.move)
	result := i.compiled.of(t).Match(git, event, trigger.Files{})
	if result.Outcome == trigger.Undecided {
		if *turn == "" {
			*turn = turnID(execution.TurnCompare, i.config.NewID(), c.repo.ID, c.move.Ref)
		}
		d := i.decision(c, t, ledger.Pending, result.Reason, "%s", result.Message)
		d.Turn, d.StartKey, d.Filters = *turn, c.move.StartKey(t.ID), filters(result.Entries)
		return i.record(ctx, tx, waiting, d)
	}
	return i.conclude(ctx, tx, c, t, event, result, waiting)
}

// conclude records a result, and starts an execution if the trigger matched.
func (i *Intake) conclude(
	ctx context.Context, tx *loop.Tx, c change, t *ledger.Trigger, event *trigger.Event, result trigger.Result, waiting *ledger.Decision,
) error {
	d := i.decision(c, t, ledger.NotStarted, result.Reason, "%s", result.Message)
	d.Filters = filters(result.Entries)
	if waiting != nil {
		// The execution names the decision.
		d.ID = waiting.ID
	}
	if result.Outcome == trigger.Matched && !withhold(&d, &c.move, t) {
		if err := i.startGit(ctx, tx, c, t, event, &d); err != nil {
			return err
		}
	}
	if d.Outcome != ledger.Failed && comparesFiles(t.Declared.Git) && c.move.To != "" && event.Move != nil {
		if err := i.compared(ctx, tx, c, t, waiting); err != nil {
			return err
		}
	}
	return i.record(ctx, tx, waiting, d)
}

// withhold fills in why a change that a trigger matched starts nothing all the same, if it does not.
func withhold(d *ledger.Decision, m *ledger.Move, t *ledger.Trigger) bool {
	switch {
	case m.Event.SkipRequested && t.Declared.Git.ObservesSkipMarkers():
		d.Reason, d.Message = string(ReasonSkipRequested), "the push asked to start no pipelines (git push -o ci.skip)"
	case t.Pause != nil:
		d.Reason, d.Message = string(ReasonPaused), whilePaused(fmt.Sprintf("%s would have started an execution (%s)", m.Ref, d.Message), t.Pause)
	default:
		return false
	}
	return true
}

// whilePaused says that a pause is why something did not happen.
func whilePaused(what string, p *ledger.Pause) string {
	return fmt.Sprintf("%s, but %s paused the trigger on %s: %s", what, p.Principal, p.At.UTC().Format("2006-01-02 15:04 MST"), p.Reason)
}

// compared keeps the head up to which a trigger has decided. If earlier moves of the ref still
// wait for files, theirs is compared first and this one is compared again: a file too many is
// better than one that is missed.
func (i *Intake) compared(ctx context.Context, tx *loop.Tx, c change, t *ledger.Trigger, waiting *ledger.Decision) error {
	if waiting == nil || waiting.Move == 0 {
		pending, err := tx.PendingDecisions(ctx, c.repo.ID, c.move.Ref)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(pending, func(d ledger.Decision) bool { return d.TriggerID == t.ID && d.Move > 0 }) {
			return nil
		}
	}
	return tx.SetCompared(ctx, t.ID, c.move.Ref, c.move.To)
}

// comparesFiles tells whether the trigger filters pushes by files.
func comparesFiles(git *trigger.Git) bool {
	return slices.ContainsFunc(git.Push, func(f pipeline.GitPushFilter) bool { return f.FilePaths != nil })
}

// decision returns a decision on a change.
func (i *Intake) decision(c change, t *ledger.Trigger, outcome ledger.Outcome, reason pipeline.Reason, format string, args ...any) ledger.Decision {
	d := ledger.Decision{
		ID: i.config.NewID(), Account: t.Account, Pipeline: t.Pipeline, TriggerID: t.ID, DeliveryID: c.delivery.id,
		RepositoryID: c.repo.ID, Ref: c.move.Ref, ToCommit: commitOf(&c.move), Move: c.move.Number, Outcome: outcome, DecidedAt: i.config.Clock(),
		DecisionDetails: ledger.DecisionDetails{
			Trigger: t.ResourceName(), Webhook: c.delivery.webhook, Connection: c.repo.ThroughConnection(), Repository: c.repo.FullName,
			FoundBy: c.by, ReplayedBy: c.delivery.replayedBy, Pusher: c.move.Event.Pusher, Forge: c.move.Event.Forge,
			FromCommit: c.move.From, Reason: string(reason), Message: fmt.Sprintf(format, args...),
		},
	}
	if pr := c.move.Event.PullRequest; pr != nil {
		d.PullRequest = pr.Number
	}
	return d
}

// commitOf returns the commit that a move leads to, as far as it was told.
func commitOf(m *ledger.Move) string {
	switch {
	case m.Event.Commit != "":
		return m.Event.Commit
	case m.Event.PullRequest != nil:
		return m.Event.PullRequest.HeadCommit
	default:
		return m.To
	}
}

// duplicate returns the decision on a change that another decision has started, or may still
// start.
func (i *Intake) duplicate(c change, t *ledger.Trigger, earlier *ledger.Decision) ledger.Decision {
	d := i.decision(c, t, ledger.Duplicate, ReasonStartedBefore, "%s", alreadyStarted("change", earlier.Number))
	if earlier.Execution == "" {
		d.Message = "the decision on the same change is pending: " + earlier.Message
	}
	d.Execution, d.Number, d.Filters = earlier.Execution, earlier.Number, earlier.Filters
	return d
}

// alreadyStarted says that the same change or event started an execution.
func alreadyStarted(what string, number int64) string {
	return fmt.Sprintf("the same %s already started execution %d", what, number)
}

// movedOn says that a ref had another head when a delivery came or was sent again.
func movedOn(ref, when, head string) string {
	if head == "" {
		return fmt.Sprintf("%s had already moved on when the delivery %s: it does not exist", ref, when)
	}
	return fmt.Sprintf("%s had already moved on when the delivery %s: it is at %s", ref, when, short(head))
}

// record keeps a decision. It replaces a pending one, if there is one.
func (i *Intake) record(ctx context.Context, tx store.Tx, waiting *ledger.Decision, d ledger.Decision) error {
	if waiting == nil {
		return tx.CreateDecision(ctx, d)
	}
	d.ID, d.DeliveryID, d.Webhook, d.FoundBy, d.ReplayedBy = waiting.ID, waiting.DeliveryID, waiting.Webhook, waiting.FoundBy, waiting.ReplayedBy
	return tx.EndDecision(ctx, d)
}

func filters(entries []trigger.EntryResult) []ledger.FilterResult {
	results := make([]ledger.FilterResult, len(entries))
	for n, e := range entries {
		results[n] = ledger.FilterResult{Entry: e.Entry, Matched: e.Matched, Message: e.Message}
	}
	return results
}

// eventOf returns a move in the words of filters.
func eventOf(repo *ledger.Repository, m *ledger.Move) *trigger.Event {
	var message *trigger.Message
	if m.Event.Told {
		parsed := trigger.ParseMessage(m.Event.Message)
		message = &parsed
	}
	if pr := m.Event.PullRequest; pr != nil {
		return &trigger.Event{Pusher: m.Event.Pusher, PullRequest: &trigger.PullRequest{
			Number: pr.Number, Event: pullRequestEvent(pr.Action), Merged: pr.Merged, Source: pr.SourceBranch, Destination: pr.DestinationBranch,
			Base: pr.BaseCommit, Head: pr.HeadCommit, Fork: pr.Fork, Draft: pr.Draft, Author: pr.Author, Title: pr.Title, HeadMessage: message,
		}}
	}
	return &trigger.Event{Pusher: m.Event.Pusher, Move: &trigger.Move{
		Ref: m.Ref, Created: m.From == "", Deleted: m.To == "", Forced: m.Event.Forced, From: m.From, To: commitOf(m), DefaultBranch: repo.DefaultBranch, Head: message,
	}}
}

func pullRequestEvent(action forge.PullRequestAction) trigger.PullRequestEvent {
	switch action {
	case forge.Opened, forge.Reopened:
		return trigger.PullRequestOpen
	case forge.Closed:
		return trigger.PullRequestClosed
	default:
		return trigger.PullRequestUpdated
	}
}

// startGit starts an execution for a change of a repository. A start that is refused leaves a
// failed decision.
func (i *Intake) startGit(ctx context.Context, tx *loop.Tx, c change, t *ledger.Trigger, event *trigger.Event, d *ledger.Decision) error {
	variables, err := i.compiled.of(t).MapGit(t.Declared.Variables, event)
	if err != nil {
		fail(d, ReasonInvalidInput, err.Error())
		return nil
	}
	in := starter.Input{
		Variables: variables,
		Overrides: []pipeline.Override{{Action: t.Declared.Git.SourceAction, Type: overrideCommit, Value: commitOf(&c.move)}},
		Trigger: execution.Trigger{
			Type: execution.TriggerWebhookV2, Detail: t.ResourceName(), Principal: execution.TriggerPrincipal + t.Name, ReplayedBy: c.delivery.replayedBy,
			Name: t.ResourceName(), Ref: c.move.Ref, From: c.move.From, To: commitOf(&c.move), Decision: d.ID,
			Repository: c.repo.FullName, Forced: c.move.Event.Forced, Pusher: c.move.Event.Pusher, Forge: c.move.Event.Forge.Title(),
		},
	}
	if c.by == ledger.ByPoll || c.by == ledger.ByBackfill || c.by == ledger.ByBaseline {
		in.Trigger.Type = execution.TriggerPoll
	}
	if c.delivery.id != "" {
		in.Trigger.Delivery = deliveryName(t.Account, c.delivery)
	}
	if pr := c.move.Event.PullRequest; pr != nil {
		in.Trigger.PullRequest = &execution.TriggeringRequest{
			Number: pr.Number, Event: string(event.PullRequest.Event), Title: pr.Title, Author: pr.Author, URL: pr.URL,
			SourceBranch: pr.SourceBranch, DestinationBranch: pr.DestinationBranch, Merged: pr.Merged,
		}
	}
	return i.start(ctx, tx, t, c.move.StartKey(t.ID), in, d)
}

// overrideCommit is the revision type of a commit.
const overrideCommit = "COMMIT_ID"

func deliveryName(account string, d delivery) string {
	return pipeline.DeliveryName{WebhookName: pipeline.WebhookName{Account: account, Webhook: d.webhook}, ID: d.id}.String()
}

func fail(d *ledger.Decision, reason pipeline.Reason, message string) {
	d.Outcome, d.Reason, d.Message = ledger.Failed, string(reason), message
}

// start starts an execution of the trigger's pipeline, and fills in the decision.
func (i *Intake) start(ctx context.Context, tx *loop.Tx, t *ledger.Trigger, key string, in starter.Input, d *ledger.Decision) error {
	e, err := i.starts.Execution(ctx, tx, t.Account, t.Pipeline, in)
	var invalid *pipeline.ValidationError
	refusal, refused := starter.RefusalOf(err)
	switch {
	case errors.Is(err, store.ErrNotFound):
		fail(d, ReasonPipelineGone, fmt.Sprintf("pipeline %q does not exist in account %q", t.Pipeline, t.Account))
		return nil
	case refused:
		fail(d, refusal.Reason, refusal.Message)
		return nil
	case errors.As(err, &invalid):
		fail(d, ReasonInvalidInput, invalid.Error())
		return nil
	case err != nil:
		return err
	}
	if _, err := tx.Decide(ctx, e.Scope(), engine.Start{Execution: e}); err != nil {
		return err
	}
	d.Outcome, d.StartKey, d.Execution, d.Number = ledger.Started, key, e.ID, e.Number
	return nil
}
