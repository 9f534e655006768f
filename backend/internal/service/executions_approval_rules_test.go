package service_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// onBoth runs a test on a server of each engine.
func onBoth(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newLab(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		l := newServer(t, shared(t))
		l.boot()
		l.accounts()
		test(t, l)
	})
}

// requireRules sets the law of an account.
func (l *lab) requireRules(required bool) {
	l.t.Helper()
	accounts := service.NewAccounts(service.AccountsConfig{Store: l.store, Clock: l.now, Reports: service.NewReports(l.store, l.now)})
	_, err := accounts.UpdateAccount(l.t.Context(), admin, "default", service.AccountChange{RequireApprovalRule: &required})
	require.NoError(l.t, err)
}

func (l *lab) approves(who string, e *execution.Execution) error {
	by := approver
	by.Principal = who
	_, err := l.Decide(l.t.Context(), by, "default", e.ID, service.Decision{Approve: true})
	return err
}

// Before, the starter could approve if no rule matched. An approval that an older server
// opened keeps that requirement, even if the account requires a rule now.
func TestStoredWaitKeepsItsRequirement(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, l *lab) {
		t.Helper()
		l.pipeline("web", stages("", []string{"?sign"}))
		e := l.start("web")
		requireRefused(t, l.approves("admin", e), service.KindDenied, pipeline.ReasonApprovalNotEligible)
		key := e.Scope()
		require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			found, err := tx.LiveScope(ctx, key)
			if err != nil {
				return err
			}
			if err := tx.ClaimScope(ctx, key, found.Revision, found.Revision+1); err != nil {
				return err
			}
			sign := found.Live[0].Stages[0].Actions[0]
			sign.Details.Approval.Requirements = []execution.Requirement{{MinimumCount: 1, AllowStarter: true}}
			return tx.Apply(ctx, &execution.Change{Scope: key, Actions: []execution.ActionOf{{ExecutionID: e.ID, Action: sign}}})
		}))
		l.restart()
		l.requireRules(true)
		explained, err := l.Explain(t.Context(), admin, "default", e.ID)
		require.NoError(t, err)
		require.Contains(t, explained.Reasons[0].Message, "no rule matches, so it needs one approver")
		require.NotContains(t, explained.Reasons[0].Message, "who did not start it")
		require.NoError(t, l.approves("admin", e))
		l.becomes(e.ID, pipeline.Succeeded)
	})
}

func TestAccountThatRequiresRules(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, l *lab) {
		t.Helper()
		l.pipeline("web", stages(pipeline.Parallel, []string{"?sign"}))
		open := l.start("web")
		require.Equal(t, pipeline.InProgress, open.Status)
		for range 2 {
			l.requireRules(true)
			closed := l.start("web")
			require.Equal(t, pipeline.Failed, closed.Status)
			require.Equal(t, action.ApprovalRuleMissing, l.get(closed.ID).Stages[0].Actions[0].Details.Failure.Code)
			l.requireRules(false)
			require.Equal(t, pipeline.InProgress, l.start("web").Status)
		}
		require.NoError(t, l.approves("bob", open), "a wait that has begun goes on")
	})
}

// A server keeps rules and settings in memory: what an admin sets at another one holds for
// the next decision, also while nobody tells the first.
func TestRequiredRulesReachOtherServers(t *testing.T) {
	t.Parallel()
	one, two := newTwo(t, time.Hour, true)
	one.pipeline("web", stages(pipeline.Parallel, []string{"?sign"}))
	require.Equal(t, pipeline.InProgress, two.start("web").Status)
	require.Equal(t, pipeline.InProgress, two.start("web").Status, "from memory")
	one.requireRules(true)
	require.Equal(t, pipeline.Failed, two.start("web").Status)
	require.Equal(t, pipeline.Failed, one.start("web").Status)
	one.requireRules(false)
	require.Equal(t, pipeline.InProgress, two.start("web").Status)
}
