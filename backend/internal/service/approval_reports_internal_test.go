package service

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
)

// lonely returns Reports on a database with one reader.
func lonely(t *testing.T) *Reports {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "headrace.db"), Readers: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return NewReports(s, time.Now)
}

func TestAReportHoldsNoReader(t *testing.T) {
	t.Parallel()
	x := lonely(t)
	read := false
	x.inspect = func(rules []approval.Rule, all []approval.Outline, people approval.People, steps *approval.Steps) []approval.Report {
		err := x.store.View(t.Context(), func(context.Context, store.Reader) error { read = true; return nil })
		require.NoError(t, err)
		return approval.InspectAll(rules, all, people, steps)
	}
	rules := []approval.Rule{{Account: "prod", Name: "r", Pipelines: []string{"*"}}}
	reports, err := x.reports(t.Context(), auth.Identity{Principal: "ann"}, "prod", rules)
	require.NoError(t, err)
	require.Len(t, reports, 1)
	require.True(t, read, "another call reads while the report is computed")
}

func TestAReportEndsWithItsCall(t *testing.T) {
	t.Parallel()
	x := lonely(t)
	ctx, leave := context.WithCancel(t.Context())
	left := 1
	x.inspect = func(rules []approval.Rule, _ []approval.Outline, people approval.People, steps *approval.Steps) []approval.Report {
		leave()
		reports := approval.InspectAll(rules, make([]approval.Outline, 100_000), people, steps)
		left = steps.Left()
		return reports
	}
	rules := []approval.Rule{{Account: "prod", Name: "r", Pipelines: []string{"*"}}}
	_, err := x.reports(ctx, auth.Identity{Principal: "ann"}, "prod", rules)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, left)
}

// The next slot is for a caller of another account, however many reports one account has
// waiting.
func TestReportsAreSharedAmongAccounts(t *testing.T) {
	t.Parallel()
	x := lonely(t)
	var first *slotRequest
	for range 100 {
		place, err := x.slots.join("prod", "mallory")
		require.NoError(t, err)
		if first == nil {
			first = place
		}
	}
	ann, err := x.slots.join("dev", "ann")
	require.NoError(t, err)
	select {
	case <-ann.admitted:
		require.Fail(t, "all slots are taken")
	default:
	}
	x.slots.leave(first)
	<-ann.admitted
}

func TestAPageOfRulesFitsIntoAMessage(t *testing.T) {
	t.Parallel()
	large := RuleView{Warnings: []Warning{{Message: string(make([]byte, 5<<20))}}}
	require.Equal(t, 2, fitting([]RuleView{large, large, large}))
	require.Equal(t, 1, fitting([]RuleView{{Warnings: []Warning{{Message: string(make([]byte, 15<<20))}}}, {}}))
	require.Equal(t, 3, fitting([]RuleView{{}, large, large}))
}
