package trigger_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// TestHostileEventsHoldNobodyUp holds that an event on which conditions take long keeps no
// other delivery from being accepted: conditions are evaluated outside of the transaction,
// which SQLite has only one of at a time.
func TestHostileEventsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	b := start(t)
	for n := range 10 {
		b.react(fmt.Sprintf("slow-%d", n), declared.Generic{When: "body.all(a, body.all(b, a == b))"}, nil)
	}
	body := "[" + strings.Repeat(`{"a":1},`, 40_000) + `{"a":1}]`
	began, done := time.Now(), make(chan error, 1)
	go func() { done <- b.intake.Deliver(context.Background(), b.event("slow", body)) }()
	longest := time.Duration(0)
	for n := 0; ; n++ {
		select {
		case err := <-done:
			require.NoError(t, err)
			took := time.Since(began)
			t.Logf("the event took %v, and the longest of %d other deliveries %v", took, n, longest)
			require.Less(t, longest, took/2, "of %d deliveries", n)
			require.Positive(t, n)
			return
		default:
			sent := time.Now()
			b.deliver(b.push(main, "", fmt.Sprintf("%040x", n+1)))
			longest = max(longest, time.Since(sent))
		}
	}
}

// changing is a store that calls a function once, after the first view.
type changing struct {
	store.Store
	change func()
	once   sync.Once
}

func (c *changing) View(ctx context.Context, fn func(context.Context, store.Reader) error) error {
	err := c.Store.View(ctx, fn)
	c.once.Do(c.change)
	return err
}

// TestEventIsDecidedByTheTriggerOfItsTransaction holds that a trigger which changes after an
// event was matched, and before that is recorded, decides as it is then.
func TestEventIsDecidedByTheTriggerOfItsTransaction(t *testing.T) {
	t.Parallel()
	b := start(t)
	image := b.react("image", declared.Generic{When: "body.tag == 'old'"}, nil)
	inner := b.store
	b.end()
	b.store = &changing{Store: inner, change: func() {
		next := image
		next.Declared.Event = &declared.Generic{Webhook: "events", When: "body.tag == 'new'"}
		require.NoError(t, inner.Update(context.Background(), func(ctx context.Context, tx store.Tx) error { return tx.UpdateTrigger(ctx, next) }))
	}}
	b.process = b.boot()
	for n, tag := range []string{"old", "new"} {
		require.NoError(t, b.intake.Deliver(t.Context(), b.event(fmt.Sprint(n), `{"tag":"`+tag+`"}`)))
	}
	require.Equal(t, []string{"NOT_STARTED CONDITION_FALSE", "STARTED MATCHED"}, summary(b.decisions(image.ID)))
}
