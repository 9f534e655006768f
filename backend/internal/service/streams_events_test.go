package service_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// told returns all events after a position with what is told beside them.
func told(ctx context.Context, l *lab, id string, after int64) (all []service.EventDetail, err error) {
	err = l.WatchDetailed(ctx, admin, "default", id, after, func(one service.EventDetail) error {
		all = append(all, one)
		return nil
	})
	return all, err
}

// TestWhatIsToldBesideEvents holds that a watch of a live execution tells the same
// as one of its history, and a resumed one the rest of it.
func TestWhatIsToldBesideEvents(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"~noop"}, []string{"?sign"}, []string{"~more"}))
	e := l.start("web")
	var seen []service.EventDetail
	var failed error
	var live sync.WaitGroup
	live.Go(func() { seen, failed = told(context.Background(), l, e.ID, 0) })
	_, err := l.Decide(t.Context(), approver, "default", e.ID, service.Decision{Approve: true})
	for err != nil {
		requireRefused(t, err, service.KindPrecondition, pipeline.ReasonApprovalNotFound)
		_, err = l.Decide(t.Context(), approver, "default", e.ID, service.Decision{Approve: true})
	}
	live.Wait()
	require.NoError(t, failed)
	e = l.get(e.ID)
	require.Equal(t, pipeline.Succeeded, e.Status)

	ended := map[string]bool{}
	for i, one := range seen {
		require.Equal(t, e.Version, one.Version)
		require.False(t, one.Started.IsZero(), "%v", one.Event)
		require.Equal(t, i == 0, one.Trigger != nil, "%v", one.Event)
		require.Equal(t, one.Subject == execution.SubjectAction, one.Acted != nil, "%v", one.Event)
		if one.Acted == nil {
			continue
		}
		require.Equal(t, one.ActionExecutionID, one.Acted.ID)
		require.NotEmpty(t, one.ActionType.Owner)
		require.NotEmpty(t, one.ActionType.Version)
		if one.Ended {
			require.True(t, one.Acted.Status.Terminal())
			ended[one.Action] = true
		}
	}
	require.Equal(t, map[string]bool{"noop": true, "sign": true, "more": true}, ended)
	require.Equal(t, execution.TriggerStart, seen[0].Trigger.Type)
	require.True(t, seen[0].Started.Equal(e.StartedAt))

	// The action of an event that is none of its last ones is told as it was read.
	plain := func(all []service.EventDetail) []service.EventDetail {
		for i := range all {
			if !all[i].Ended {
				all[i].Acted = nil
			}
		}
		return all
	}
	history, err := told(t.Context(), l, e.ID, 0)
	require.NoError(t, err)
	require.Equal(t, plain(seen), plain(history))
	for _, i := range []int{0, 3, len(history) - 2} {
		rest, err := told(t.Context(), l, e.ID, history[i].Position)
		require.NoError(t, err)
		require.Equal(t, history[i+1:], plain(rest))
	}
}
