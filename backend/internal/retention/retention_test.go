package retention_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/retention"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Five executions that start and end a day after each other: the first ended five days
// ago, the last one day ago.
func TestPlan(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	type change = func([]*execution.Execution)
	tests := map[string]struct {
		policy     retention.Policy
		successful []string
		change     change
		goes       []string
		reason     string
		done       bool
	}{
		"nothing is removed without being told": {policy: retention.Policy{KeepLastSuccessful: true}, done: true},
		"by age":                                {policy: retention.Policy{Age: 3*day + time.Minute}, goes: []string{"1", "2"}, reason: "ended 120h0m0s ago", done: true},
		"by count":                              {policy: retention.Policy{Count: 2}, goes: []string{"1", "2", "3"}, reason: "4 newer executions", done: true},
		"what is old enough and beyond the count": {
			policy: retention.Policy{Age: 3*day + time.Minute, Count: 4}, goes: []string{"1"}, reason: "ended 120h0m0s ago, 4 newer executions", done: true,
		},
		"the age keeps what is beyond the count": {policy: retention.Policy{Age: 4*day + time.Minute, Count: 1}, goes: []string{"1"}, reason: "ended 120h0m0s ago, 4 newer executions", done: true},
		"all that is given may go":               {policy: retention.Policy{Age: time.Hour}, goes: []string{"1", "2", "3", "4", "5"}, reason: "ended 120h0m0s ago"},
		"the last successes stay": {
			policy: retention.Policy{Count: 1, KeepLastSuccessful: true}, successful: []string{"1", "3"}, goes: []string{"2", "4"}, reason: "3 newer executions", done: true,
		},
		"the last successes go where they need not be kept": {
			policy: retention.Policy{Count: 1}, successful: []string{"1", "3"}, goes: []string{"1", "2", "3", "4"}, reason: "4 newer executions", done: true,
		},
		"what has not ended stays": {
			policy: retention.Policy{Count: 1}, goes: []string{"2", "4"}, reason: "3 newer executions", done: true,
			change: func(all []*execution.Execution) {
				all[0].Status, all[0].EndedAt = pipeline.InProgress, time.Time{}
				all[2].Status, all[2].EndedAt = pipeline.Stopping, time.Time{}
			},
		},
		"what went before is not told again": {
			policy: retention.Policy{Count: 3}, goes: []string{"2"}, reason: "3 newer executions", done: true,
			change: func(all []*execution.Execution) { all[0].OutputsRemovedAt = now },
		},
		"what was retried late ends late": {
			policy: retention.Policy{Age: 3*day + time.Minute}, goes: []string{"2"}, reason: "ended 96h0m0s ago", done: true,
			change: func(all []*execution.Execution) { all[0].EndedAt = now.Add(-time.Hour) },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []*execution.Execution
			for i := range 5 {
				ended := now.Add(time.Duration(i-5) * day)
				all = append(all, &execution.Execution{
					ID: string(rune('1' + i)), Number: int64(i + 1), Status: pipeline.Succeeded, StartedAt: ended.Add(-time.Hour), EndedAt: ended,
				})
			}
			if test.change != nil {
				test.change(all)
			}
			of := retention.Pipeline{Newest: 5, Successful: make(map[string]bool)}
			for _, id := range test.successful {
				of.Successful[id] = true
			}
			removals, done := retention.Plan(test.policy, now, of, all)
			var goes []string
			for _, removal := range removals {
				goes = append(goes, removal.Execution.ID)
			}
			require.Equal(t, test.goes, goes)
			require.Equal(t, test.done, done)
			if len(removals) > 0 {
				require.Equal(t, test.reason, removals[0].Reason)
			}
		})
	}
}
