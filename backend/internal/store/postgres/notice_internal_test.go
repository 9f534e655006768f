package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

func attemptOf(id, holder string) *execution.Lease {
	lease := &execution.Lease{Runner: holder}
	lease.Attempt.ActionExecutionID = id
	return lease
}

func TestNoticeOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		changes []*execution.Change
		text    string
	}{
		"nothing": {},
		"what concerns nobody else": {
			changes: []*execution.Change{{Turns: []*execution.Turn{{ID: "t"}}, DoneTurns: []string{"u"}}},
		},
		"each execution once": {
			changes: []*execution.Change{
				{Events: []execution.Event{{ExecutionID: "e1"}, {ExecutionID: "e2"}, {ExecutionID: "e1"}}},
				{Events: []execution.Event{{ExecutionID: "e2"}, {ExecutionID: "e3"}}},
			},
			text: `{"x":["e1","e2","e3"]}`,
		},
		"an attempt that nobody holds": {
			changes: []*execution.Change{{Leases: []*execution.Lease{attemptOf("a", "r1"), attemptOf("b", "")}}, {}},
			text:    `{"r":true}`,
		},
		"an attempt that its maker holds": {
			changes: []*execution.Change{{Leases: []*execution.Lease{attemptOf("a", "r1")}}},
		},
		"an attempt that is over": {
			changes: []*execution.Change{{DoneAttempts: []string{"a"}, Leases: []*execution.Lease{attemptOf("b", "r1")}}},
			text:    `{"e":["a"]}`,
		},
		"an attempt whose runner was lost": {
			changes: []*execution.Change{{DoneAttempts: []string{"a", "b"}, Lost: "b"}, {DoneAttempts: []string{"c"}, Lost: "c", Leases: []*execution.Lease{attemptOf("c", "")}}},
			text:    `{"r":true,"e":["a","b"],"l":["b"]}`,
		},
		"an attempt that is tried again": {
			changes: []*execution.Change{{DoneAttempts: []string{"a", "b"}, Leases: []*execution.Lease{attemptOf("a", "")}}},
			text:    `{"r":true,"e":["b"]}`,
		},
		"as much as can be told": {
			changes: []*execution.Change{{DoneAttempts: []string{strings.Repeat("a", maxNotice-len(`{"e":[""]}`))}}},
			text:    fmt.Sprintf(`{"e":[%q]}`, strings.Repeat("a", maxNotice-len(`{"e":[""]}`))),
		},
		"more than can be told": {
			changes: []*execution.Change{{DoneAttempts: []string{strings.Repeat("a", maxNotice-len(`{"e":[""]}`)+1)}}},
			text:    `{"m":true}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.text, noticeOf(test.changes))
		})
	}
}
