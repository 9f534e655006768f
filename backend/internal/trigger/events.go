package trigger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/starter"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// event is what a delivery to a generic webhook says.
type event struct {
	body    []byte
	headers map[string]string
}

// matchedEvent is an event with what the triggers of its webhook make of it. That takes long
// for a hostile body, so it is found out before the transaction, which SQLite has only one of
// at a time.
type matchedEvent struct {
	// problem says why the body cannot be read, empty if it can.
	problem string
	// triggers are by id.
	triggers map[string]*matchedTrigger
	// current are the triggers as the transaction reads them.
	current []ledger.Trigger
}

// matchedTrigger is what a trigger makes of an event.
type matchedTrigger struct {
	basis
	// definition is that of the newest version of the pipeline, nil for none.
	definition *pipeline.Definition
	result     trigger.Result
	// inputs are set if the trigger matched, and invalid if they cannot be taken from the event.
	inputs  trigger.Inputs
	invalid string
}

// basis is what a match depends on beside the event. While it is the same, so is the match.
type basis struct {
	etag, pipelineID string
	version          int64
}

// rematches bounds how often an event is matched again because triggers change.
const rematches = 10

// withEvent runs a transaction with the event, if there is one, as the triggers of the webhook
// match it. It is matched again if a trigger or its pipeline changed since.
func (i *Intake) withEvent(
	ctx context.Context, webhook pipeline.WebhookName, e event, generic bool, fn func(context.Context, *loop.Tx, *matchedEvent) error,
) error {
	for try := 1; ; try++ {
		var matched *matchedEvent
		if generic {
			var err error
			if matched, err = i.match(ctx, webhook, e); err != nil {
				return err
			}
		}
		stale := false
		err := i.config.Loop.Submit(ctx, func(ctx context.Context, tx *loop.Tx) (err error) {
			if stale, err = i.stale(ctx, tx, webhook, matched); err != nil || stale {
				return err
			}
			return fn(ctx, tx, matched)
		})
		if err != nil || !stale {
			return err
		}
		if try == rematches {
			return &forge.BusyError{RetryAfter: busyRetry}
		}
	}
}

// match reads the triggers of a webhook and matches an event, outside of a transaction.
func (i *Intake) match(ctx context.Context, webhook pipeline.WebhookName, e event) (*matchedEvent, error) {
	matched := &matchedEvent{triggers: make(map[string]*matchedTrigger)}
	var triggers []ledger.Trigger
	if err := i.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if triggers, err = r.TriggersOfWebhook(ctx, webhook.Account, webhook.Webhook); err != nil {
			return err
		}
		for n := range triggers {
			m := &matchedTrigger{}
			if err := i.prepare(ctx, r, &triggers[n], m); err != nil {
				return err
			}
			matched.triggers[triggers[n].ID] = m
		}
		return nil
	}); err != nil || len(triggers) == 0 {
		return matched, err
	}
	body, err := trigger.ParseBody(e.body, e.headers)
	if err != nil {
		matched.problem = err.Error()
		return matched, nil //nolint:nilerr // sortEvent says so in the delivery.
	}
	for n := range triggers {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		i.matchTrigger(&triggers[n], matched.triggers[triggers[n].ID], body)
	}
	return matched, nil
}

// prepare reads what the match of a trigger needs.
func (i *Intake) prepare(ctx context.Context, r store.Reader, t *ledger.Trigger, m *matchedTrigger) (err error) {
	if m.basis, err = i.basisOf(ctx, r, t); err != nil || m.version == 0 {
		return err
	}
	m.definition, err = i.config.Loop.Definition(ctx, r, m.pipelineID, m.version)
	return err
}

// matchTrigger fills in what a trigger makes of a body.
func (i *Intake) matchTrigger(t *ledger.Trigger, m *matchedTrigger, body *trigger.Body) {
	if m.definition == nil {
		return
	}
	c := i.compiled.of(t)
	m.result = c.MatchGeneric(t.Declared.Event, body, trigger.Placeholders(m.definition, i.config.Catalog))
	if m.result.Outcome != trigger.Matched {
		return
	}
	var err error
	if m.inputs, err = c.MapGeneric(t.Declared.Event, t.Declared.Variables, body); err != nil {
		m.invalid = err.Error()
	}
}

// basisOf reads what the match of a trigger depends on. The version is 0 for a pipeline that
// does not exist.
func (i *Intake) basisOf(ctx context.Context, r store.Reader, t *ledger.Trigger) (basis, error) {
	p, err := r.PipelineHead(ctx, t.Account, t.Pipeline)
	if errors.Is(err, store.ErrNotFound) {
		return basis{etag: t.Etag()}, nil
	}
	return basis{t.Etag(), p.ID, p.Version}, err
}

// stale tells whether what an event was matched by changed since.
func (i *Intake) stale(ctx context.Context, tx *loop.Tx, webhook pipeline.WebhookName, matched *matchedEvent) (bool, error) {
	if matched == nil {
		return false, nil
	}
	triggers, err := tx.TriggersOfWebhook(ctx, webhook.Account, webhook.Webhook)
	if err != nil || len(triggers) != len(matched.triggers) {
		return true, err
	}
	matched.current = triggers
	for n := range triggers {
		now, err := i.basisOf(ctx, tx, &triggers[n])
		if err != nil {
			return false, err
		}
		if m := matched.triggers[triggers[n].ID]; m == nil || m.basis != now {
			return true, nil
		}
	}
	return false, nil
}

// hashAge is for how long equal bodies without an id are one event.
const hashAge = 24 * time.Hour

// hashPrefix begins the id of an event that has none but the hash of its body.
const hashPrefix = "sha256:"

// freshen lets an event that is known by the hash of its body alone be another event than an
// equal one from more than a day before.
func (i *Intake) freshen(ctx context.Context, tx *loop.Tx, row *ledger.Delivery) error {
	if !strings.HasPrefix(row.Dedup, hashPrefix) {
		return nil
	}
	earlier, err := tx.DeliveryByDedup(ctx, row.WebhookID, row.Dedup)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || row.ReceivedAt.Sub(earlier.ReceivedAt) < hashAge {
		return err
	}
	return tx.ForgetDedup(ctx, earlier.Account, earlier.ID)
}

// sortEvent says whether triggers look at an event.
func (i *Intake) sortEvent(row *ledger.Delivery, matched *matchedEvent) {
	switch {
	case len(matched.triggers) == 0:
		row.Status, row.Reason, row.Message = ledger.Ignored, string(forge.Unwatched), "no trigger uses the webhook"
	case matched.problem != "":
		row.Status, row.Reason, row.Message = ledger.Ignored, string(forge.Malformed), matched.problem
	}
}

// takeEvent decides on an event by each trigger of its webhook.
func (i *Intake) takeEvent(ctx context.Context, tx *loop.Tx, matched *matchedEvent, by ledger.FoundBy, told delivery) error {
	if matched.problem != "" {
		// sortEvent has said so in the delivery.
		return nil
	}
	for n := range matched.current {
		t := &matched.current[n]
		d, err := i.decideEvent(ctx, tx, t, matched.triggers[t.ID], by, told, i.start)
		if err != nil {
			return err
		}
		if told.again && d.Outcome == ledger.Duplicate {
			continue
		}
		if err := tx.CreateDecision(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// startFunc starts an execution and fills in the decision; that of a test only says so.
type startFunc func(ctx context.Context, tx *loop.Tx, t *ledger.Trigger, key string, in starter.Input, d *ledger.Decision) error

// decideEvent decides on an event by one trigger.
func (i *Intake) decideEvent(ctx context.Context, tx *loop.Tx, t *ledger.Trigger, m *matchedTrigger, by ledger.FoundBy, told delivery, start startFunc) (ledger.Decision, error) {
	d := ledger.Decision{
		ID: i.config.NewID(), Account: t.Account, Pipeline: t.Pipeline, TriggerID: t.ID, DeliveryID: told.id,
		Outcome: ledger.NotStarted, DecidedAt: i.config.Clock(),
		DecisionDetails: ledger.DecisionDetails{Trigger: t.ResourceName(), Webhook: told.webhook, FoundBy: by, ReplayedBy: told.replayedBy},
	}
	if m.definition == nil {
		fail(&d, ReasonPipelineGone, fmt.Sprintf("pipeline %q does not exist in account %q, or has no version yet", t.Pipeline, t.Account))
		return d, nil
	}
	d.Reason, d.Message, d.Filters = string(m.result.Reason), m.result.Message, filters(m.result.Entries)
	if m.result.Outcome != trigger.Matched {
		return d, nil
	}
	if t.Pause != nil {
		d.Reason = string(ReasonPaused)
		d.Message = whilePaused("the event would have started an execution", t.Pause)
		return d, nil
	}
	if m.invalid != "" {
		fail(&d, ReasonInvalidInput, m.invalid)
		return d, nil
	}
	// A repeated delivery is known by its id, and is the same row.
	key := "delivery:" + told.id
	if m.inputs.IdempotencyKey != "" {
		key = "key:" + m.inputs.IdempotencyKey
	}
	key = t.ID + " " + key
	earlier, err := tx.DecisionByStart(ctx, key)
	if err == nil {
		d.Outcome, d.Reason, d.Execution, d.Number = ledger.Duplicate, string(ReasonStartedBefore), earlier.Execution, earlier.Number
		d.Message = alreadyStarted("event", earlier.Number)
		return d, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return d, err
	}
	return d, start(ctx, tx, t, key, i.eventInput(t, m.definition, m.inputs, told, d.ID), &d)
}

// eventInput returns what an event starts an execution with.
func (i *Intake) eventInput(t *ledger.Trigger, def *pipeline.Definition, inputs trigger.Inputs, told delivery, decisionID string) starter.Input {
	in := starter.Input{
		Variables: inputs.Variables,
		Trigger: execution.Trigger{
			Type: execution.TriggerWebhook, Detail: t.ResourceName(), Principal: execution.TriggerPrincipal + t.Name, ReplayedBy: told.replayedBy,
			Name: t.ResourceName(), Decision: decisionID,
		},
	}
	if told.id != "" {
		in.Trigger.Delivery = deliveryName(t.Account, told)
	}
	for _, action := range slices.Sorted(maps.Keys(inputs.SourceRevisions)) {
		in.Overrides = append(in.Overrides, pipeline.Override{
			Action: action, Type: i.revisionType(def, action), Value: inputs.SourceRevisions[action],
		})
	}
	return in
}

// revisionType returns the type of the revisions of a source action: a commit, if it has such.
func (i *Intake) revisionType(def *pipeline.Definition, action string) string {
	a := ledger.SourceAction(def, action)
	if a == nil {
		return overrideCommit
	}
	kind, _ := i.config.Catalog.Lookup(a.TypeID())
	types := slices.Sorted(maps.Keys(kind.Overrides))
	if len(types) == 0 || slices.Contains(types, overrideCommit) {
		return overrideCommit
	}
	return types[0]
}
