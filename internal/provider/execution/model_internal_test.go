package execution

import (
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// TestReasonsComeBeforeTheirCauses flattens a tree of reasons.
func TestReasonsComeBeforeTheirCauses(t *testing.T) {
	t.Parallel()
	since := timestamppb.New(time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC))
	got := flat(nil, 0, []*headracev1.WaitReason{
		{
			Kind: headracev1.WaitKind_WAIT_KIND_STAGE_LOCK, Message: "another is in it", Stage: "Release", QueuePosition: 2, Since: since,
			BlockingExecution: "accounts/default/pipelines/web/executions/0a",
			Causes: []*headracev1.WaitReason{
				{
					Kind: headracev1.WaitKind_WAIT_KIND_APPROVAL, Stage: "Release", Action: "Approve",
					Approval: &headracev1.Approval{Requirements: []*headracev1.ApprovalRequirement{
						{Rule: "four-eyes", MinimumCount: 2, ApprovedCount: 1, Users: []string{"ann", "bob"}, Groups: []string{"ops"}},
						{Rule: "met", MinimumCount: 1, ApprovedCount: 1},
						{MinimumCount: 1},
					}},
					Causes: []*headracev1.WaitReason{{Kind: headracev1.WaitKind_WAIT_KIND_RUNNER}},
				},
				{
					Kind: headracev1.WaitKind_WAIT_KIND_WINDOW, Stage: "Release", Rule: "night",
					Condition: headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY, Until: since,
				},
			},
		},
		{
			Kind: headracev1.WaitKind_WAIT_KIND_TRANSITION, Stage: "Release",
			Transition: &headracev1.StageTransition{DisabledReason: "Inventory"},
		},
	})
	var order []string
	for _, reason := range got {
		order = append(order, reason.Depth.String()+" "+reason.Kind.ValueString())
	}
	require.Equal(t, []string{"0 STAGE_LOCK", "1 APPROVAL", "2 RUNNER", "1 WINDOW", "0 TRANSITION"}, order)

	require.Equal(t, waitReason{
		Depth: types.Int64Value(0), Kind: types.StringValue("STAGE_LOCK"), Message: types.StringValue("another is in it"),
		Stage: types.StringValue("Release"), Since: types.StringValue("2026-11-25T04:00:00Z"),
		BlockingExecution: types.StringValue("0a"), QueuePosition: types.Int64Value(2), MissingApprovals: []missing{},
	}, got[0])
	require.Equal(t, []missing{
		{
			Rule: types.StringValue("four-eyes"), MissingCount: types.Int64Value(1),
			Users: values.ListOf([]string{"ann", "bob"}), Groups: values.ListOf([]string{"ops"}),
		},
		{MissingCount: types.Int64Value(1), Users: values.ListOf(nil), Groups: values.ListOf(nil)},
	}, got[1].MissingApprovals)
	require.Equal(t, "night", got[3].Rule.ValueString())
	require.Equal(t, "BEFORE_ENTRY", got[3].Condition.ValueString())
	require.Equal(t, "2026-11-25T04:00:00Z", got[3].Until.ValueString())
	require.Equal(t, "Inventory", got[4].TransitionReason.ValueString())
}

// TestStages shows what is told of conditions, retries and rollbacks.
func TestStages(t *testing.T) {
	t.Parallel()
	at := timestamppb.New(time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC))
	when := types.StringValue("2026-11-25T04:00:00Z")
	summary := summaryOf(&headracev1.Execution{
		ExecutionType: headracev1.ExecutionType_EXECUTION_TYPE_ROLLBACK, Attempt: 3,
		Rollback: &headracev1.RollbackMetadata{TargetExecution: "accounts/default/pipelines/web/executions/0a", TargetNumber: 7},
	})
	require.Equal(t, "ROLLBACK", summary.ExecutionType.ValueString())
	require.Equal(t, int64(3), summary.Attempt.ValueInt64())
	require.Equal(t, &rollback{TargetExecution: types.StringValue("0a"), TargetNumber: types.Int64Value(7)}, summary.Rollback)

	stages := stagesOf([]*headracev1.StageExecution{
		{
			Stage: "Release", Status: headracev1.ExecutionStatus_EXECUTION_STATUS_SKIPPED,
			Actions: []*headracev1.ActionExecution{{Action: "Install", Retried: true}},
			Retry: &headracev1.RetryStageMetadata{
				AutomaticAttempts: 1, ManualAttempts: 2, LatestTrigger: "ManualStageRetry", LatestTime: at,
			},
			Conditions: []*headracev1.ConditionExecution{{
				Kind: headracev1.ConditionKind_CONDITION_KIND_ON_SUCCESS, Result: "ROLLBACK",
				Status: headracev1.ExecutionStatus_EXECUTION_STATUS_OVERRIDDEN, Summary: "not met", StartTime: at, EndTime: at,
				Rules: []*headracev1.RuleExecution{{
					Id: "r1", Rule: "smoke", Provider: "Commands", Status: headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED, Summary: "exit 1",
					StartTime: at, EndTime: at, OpenTime: at, Error: &headracev1.ErrorDetails{Code: "JobFailed", Message: "exit 1"},
				}},
				Override: &headracev1.ConditionOverride{Principal: "ann", Reason: "known", OverrideTime: at},
			}},
		},
		{Stage: "Verify"},
	})
	require.Equal(t, "Skipped", stages[0].Status.ValueString())
	require.True(t, stages[0].Actions[0].Retried.ValueBool())
	require.Equal(t, &retry{
		AutomaticAttempts: types.Int64Value(1), ManualAttempts: types.Int64Value(2),
		LatestTrigger: types.StringValue("ManualStageRetry"), LatestAt: when,
	}, stages[0].Retry)
	require.Equal(t, []condition{{
		Kind: types.StringValue("ON_SUCCESS"), Result: types.StringValue("ROLLBACK"), Status: types.StringValue("Overridden"),
		Summary: types.StringValue("not met"), StartedAt: when, FinishedAt: when,
		Rules: []rule{{
			ID: types.StringValue("r1"), Name: types.StringValue("smoke"), Provider: types.StringValue("Commands"),
			Status: types.StringValue("Failed"), Summary: types.StringValue("exit 1"), StartedAt: when, FinishedAt: when, OpensAt: when,
			Error: &failure{Code: types.StringValue("JobFailed"), Message: types.StringValue("exit 1")},
		}},
		Override: &override{Principal: types.StringValue("ann"), Reason: types.StringValue("known"), OverriddenAt: when},
	}}, stages[0].Conditions)
	require.Nil(t, stages[1].Retry)
	require.Equal(t, []condition{}, stages[1].Conditions)
}
