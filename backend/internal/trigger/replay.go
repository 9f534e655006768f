package trigger

import (
	"context"
	"errors"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Replay decides on a kept delivery again, since a person asked for it. What it told of and
// what started an execution starts no second one.
func (i *Intake) Replay(ctx context.Context, w *ledger.Webhook, d ledger.Delivery, body []byte, by string) error {
	told := delivery{id: d.ID, webhook: w.Name, replayedBy: by}
	var signals []forge.Signal
	if w.Kind != forge.Generic {
		var err error
		if signals, err = i.parse(w.Kind, d.Event, body); err != nil {
			return err
		}
	}
	name := pipeline.WebhookName{Account: w.Account, Webhook: w.Name}
	return i.withEvent(ctx, name, event{body: body, headers: d.Headers}, w.Kind == forge.Generic, func(ctx context.Context, tx *loop.Tx, e *matchedEvent) error {
		if err := tx.AddAttempt(ctx, d.Account, d.ID); err != nil {
			return err
		}
		if w.Kind == forge.Generic {
			return i.takeEvent(ctx, tx, e, ledger.ByReplay, told)
		}
		return i.takeSignals(ctx, &repositories{tx: tx, webhook: w}, signals, ledger.ByReplay, told)
	})
}

// parse reads what a kept delivery says.
func (i *Intake) parse(kind forge.Kind, event string, body []byte) ([]forge.Signal, error) {
	format := i.config.Formats[kind]
	if format == nil {
		return nil, fmt.Errorf("this server cannot read deliveries of the kind %q", kind)
	}
	signals, err := format.Parse(event, body)
	var ignored *forge.IgnoredError
	if errors.As(err, &ignored) {
		return nil, nil
	}
	return signals, err
}
