package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Deliveries are the use cases of what webhooks received.
type Deliveries struct {
	config WebhooksConfig
	intake Replayer
}

// Replayer decides on a delivery again.
type Replayer interface {
	Replay(ctx context.Context, webhook *ledger.Webhook, delivery ledger.Delivery, body []byte, by string) error
}

// NewDeliveries returns the use cases of deliveries.
func NewDeliveries(cfg WebhooksConfig, intake Replayer) *Deliveries {
	return &Deliveries{config: cfg, intake: intake}
}

// DeliveryView is a delivery with what was decided on it.
type DeliveryView struct {
	ledger.Delivery
	// Webhook is the name of its webhook, and Kind says whose deliveries that takes.
	Webhook   string
	Kind      forge.Kind
	Body      []byte
	Decisions []ledger.Decision
}

// DeliveriesQuery selects deliveries.
type DeliveriesQuery struct {
	Account string
	// Webhook is a name, empty for all webhooks.
	Webhook string
	// Status is empty for all.
	Status ledger.Status
	// Before is the id of the last delivery of the page before.
	Before string
	Size   int
}

// List returns a page of deliveries, newest first, without headers and bodies. The second
// result is the id to continue before, empty at the end.
func (s *Deliveries) List(ctx context.Context, who auth.Identity, q DeliveriesQuery) ([]DeliveryView, string, error) {
	if err := authorize(who, auth.Read, q.Account); err != nil {
		return nil, "", err
	}
	var views []DeliveryView
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		filter := store.DeliveryFilter{Account: q.Account, Status: q.Status, Before: q.Before, Size: q.Size + 1}
		if q.Webhook == "" {
			if err := accountExists(ctx, r, q.Account); err != nil {
				return err
			}
		} else {
			w, err := findWebhook(ctx, r, q.Account, q.Webhook)
			if err != nil {
				return err
			}
			filter.WebhookID = w.ID
		}
		found, err := r.Deliveries(ctx, filter)
		if err != nil {
			return err
		}
		views, err = deliveryViews(ctx, r, found)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list deliveries: %w", err)
	}
	next := ""
	if len(views) > q.Size {
		views = views[:q.Size]
		next = views[q.Size-1].ID
	}
	for i := range views {
		views[i].Headers = nil
	}
	return views, next, nil
}

// deliveryViews adds to deliveries the names of their webhooks and what was decided.
func deliveryViews(ctx context.Context, r store.Reader, found []ledger.Delivery) ([]DeliveryView, error) {
	webhooks := make(map[string]ledger.Webhook)
	views := make([]DeliveryView, len(found))
	for i := range found {
		d := &found[i]
		w, known := webhooks[d.WebhookID]
		if !known {
			var err error
			if w, err = r.WebhookByID(ctx, d.WebhookID); err != nil {
				return nil, err
			}
			webhooks[d.WebhookID] = w
		}
		views[i] = DeliveryView{Delivery: *d, Webhook: w.Name, Kind: w.Kind}
		// A replay may have decided on one that was ignored when it came.
		if d.Status == ledger.Refused || d.Status == ledger.Ignored && d.Attempts < 2 {
			continue
		}
		var err error
		if views[i].Decisions, err = r.DecisionsOfDelivery(ctx, d.ID); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// Get returns a delivery, with its headers and body for those who may deploy: an event may
// hold secrets of the service that sent it.
func (s *Deliveries) Get(ctx context.Context, who auth.Identity, name pipeline.DeliveryName) (DeliveryView, error) {
	if err := authorize(who, auth.Read, name.Account); err != nil {
		return DeliveryView{}, err
	}
	view, _, err := s.load(ctx, name)
	if err != nil {
		return DeliveryView{}, fmt.Errorf("get delivery %q: %w", name.ID, err)
	}
	if authorize(who, auth.Deploy, name.Account) != nil {
		view.Headers, view.Body = nil, nil
	}
	return view, nil
}

func (s *Deliveries) load(ctx context.Context, name pipeline.DeliveryName) (view DeliveryView, w ledger.Webhook, err error) {
	err = s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		if w, err = findWebhook(ctx, r, name.Account, name.Webhook); err != nil {
			return err
		}
		d, err := r.Delivery(ctx, name.Account, name.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && d.WebhookID != w.ID {
			return refuse(KindNotFound, pipeline.ReasonNotFound, "delivery %q of webhook %q does not exist in account %q", name.ID, name.Webhook, name.Account)
		}
		if err != nil {
			return err
		}
		views, err := deliveryViews(ctx, r, []ledger.Delivery{d})
		if err != nil {
			return err
		}
		view = views[0]
		view.Body, err = r.DeliveryBody(ctx, d.Account, d.ID)
		return err
	})
	return view, w, err
}

// Replay decides on a delivery again.
func (s *Deliveries) Replay(ctx context.Context, who auth.Identity, name pipeline.DeliveryName) (DeliveryView, error) {
	if err := authorize(who, auth.Deploy, name.Account); err != nil {
		return DeliveryView{}, err
	}
	view, w, err := s.load(ctx, name)
	if err != nil {
		return DeliveryView{}, fmt.Errorf("replay delivery %q: %w", name.ID, err)
	}
	switch {
	case view.Status == ledger.Refused:
		return DeliveryView{}, refuse(KindPrecondition, "",
			"delivery %q was refused (%s), and nothing of it is kept; send it again from the forge", name.ID, view.Message)
	case len(view.Body) == 0 && view.BodySize > 0:
		return DeliveryView{}, refuse(KindPrecondition, pipeline.ReasonOutputsRemoved,
			"the body of delivery %q was removed after 14 days; send it again from the forge, or compare the repository with headrace trigger backfill", name.ID)
	}
	if err := s.intake.Replay(ctx, &w, view.Delivery, view.Body, who.Principal); err != nil {
		return DeliveryView{}, fmt.Errorf("replay delivery %q: %w", name.ID, err)
	}
	view, _, err = s.load(ctx, name)
	return view, err
}
