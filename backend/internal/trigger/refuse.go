package trigger

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// maxRefusals bounds the rows of refused deliveries of a webhook in a minute. What comes
	// from further addresses is counted without its address.
	maxRefusals = 60
	// refusalEvery bounds how often a row of refused deliveries is written.
	refusalEvery = time.Second
)

// refusals counts refused deliveries between two writes, so that a flood of them costs no
// write each.
type refusals struct {
	mu      sync.Mutex
	counted map[refusalKey]*refusalCount
}

type refusalKey struct {
	webhook, address string
	reason           forge.Reason
	minute           int64
}

type refusalCount struct {
	refusal forge.Refusal
	// unwritten is how many of them no row has yet.
	unwritten int64
	writtenAt time.Time
}

// count notes a refusal and returns how many are to be written now.
func (r *refusals) count(refusal forge.Refusal, key refusalKey) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counted == nil {
		r.counted = make(map[refusalKey]*refusalCount)
	}
	c := r.counted[key]
	if c == nil {
		if len(r.counted) >= maxRefusals*maxRefusals {
			// Many addresses of many webhooks: they share the row without an address.
			key.address, refusal.Address = "", ""
			if c = r.counted[key]; c == nil {
				c = &refusalCount{}
			}
		} else {
			c = &refusalCount{}
		}
		r.counted[key] = c
	}
	c.refusal = refusal
	c.unwritten++
	if refusal.ReceiveTime.Sub(c.writtenAt) < refusalEvery {
		return 0
	}
	n := c.unwritten
	c.unwritten, c.writtenAt = 0, refusal.ReceiveTime
	return n
}

// flush returns what is counted and not written, and forgets minutes that ended.
func (r *refusals) flush(now time.Time) (left []forge.Refusal, counts []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, c := range r.counted {
		if c.unwritten > 0 {
			left, counts = append(left, c.refusal), append(counts, c.unwritten)
			c.unwritten, c.writtenAt = 0, now
		}
		if key.minute < now.Unix()/60 {
			delete(r.counted, key)
		}
	}
	return left, counts
}

// Refuse records a delivery that was not verified or not readable, without anything of it.
// All of the same minute, address and reason are one row.
func (i *Intake) Refuse(ctx context.Context, refusal forge.Refusal) error {
	key := refusalKey{refusal.Webhook, refusal.Address, refusal.Reason, refusal.ReceiveTime.Unix() / 60}
	n := i.refusals.count(refusal, key)
	if n == 0 {
		return nil
	}
	return i.writeRefusal(ctx, refusal, n)
}

func (i *Intake) writeRefusal(ctx context.Context, refusal forge.Refusal, n int64) error {
	name, err := pipeline.ParseWebhookName(refusal.Webhook)
	if err != nil {
		return err
	}
	return i.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		w, err := tx.Webhook(ctx, name.Account, name.Webhook)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		minute := "refused " + refusal.ReceiveTime.UTC().Format("2006-01-02T15:04") + " "
		address := strings.ToValidUTF8(refusal.Address, "\uFFFD")
		rows, err := tx.CountRefusals(ctx, w.ID, minute)
		if err != nil {
			return err
		}
		if rows >= maxRefusals {
			address = ""
		}
		if err := tx.AddRefusals(ctx, ledger.Delivery{
			ID: i.config.NewID(), WebhookID: w.ID, Account: w.Account, Dedup: minute + string(refusal.Reason) + " " + address,
			Status: ledger.Refused, ReceivedAt: refusal.ReceiveTime, Attempts: n,
			DeliveryDetails: ledger.DeliveryDetails{Message: refusal.Message, Reason: string(refusal.Reason), Address: address},
		}); err != nil {
			return err
		}
		if refusal.ReceiveTime.Sub(w.Used.RefusalAt) < usedEvery {
			return nil
		}
		used := w.Used
		used.RefusalAt = refusal.ReceiveTime
		return tx.SetWebhookUse(ctx, w.ID, used)
	})
}

// Run records refused deliveries and removes what is too old until the context ends.
func (i *Intake) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return i.keepTidy(ctx) })
	group.Go(func() error { return i.recordRefusals(ctx) })
	group.Go(func() error { return i.startLate(ctx) })
	return group.Wait()
}

// recordRefusals writes what is counted of refused deliveries until the context ends.
func (i *Intake) recordRefusals(ctx context.Context) error {
	ticker := time.NewTicker(refusalEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			i.flushRefusals(context.WithoutCancel(ctx))
			return nil
		}
		i.flushRefusals(context.WithoutCancel(ctx))
	}
}

func (i *Intake) flushRefusals(ctx context.Context) {
	left, counts := i.refusals.flush(i.config.Clock())
	for n := range left {
		if err := i.writeRefusal(ctx, left[n], counts[n]); err != nil {
			i.config.Log.Warn("cannot record refused deliveries", "webhook", left[n].Webhook, "count", counts[n], "error", err)
		}
	}
}
