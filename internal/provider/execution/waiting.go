package execution

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// waitReason is one reason why an execution is where it is. The reasons of a reason
// follow it, one deeper.
type waitReason struct {
	Depth             types.Int64  `tfsdk:"depth"`
	Kind              types.String `tfsdk:"kind"`
	Message           types.String `tfsdk:"message"`
	Stage             types.String `tfsdk:"stage"`
	Action            types.String `tfsdk:"action"`
	Rule              types.String `tfsdk:"rule"`
	Condition         types.String `tfsdk:"condition"`
	Since             types.String `tfsdk:"since"`
	Until             types.String `tfsdk:"until"`
	BlockingExecution types.String `tfsdk:"blocking_execution"`
	QueuePosition     types.Int64  `tfsdk:"queue_position"`
	TransitionReason  types.String `tfsdk:"transition_reason"`
	MissingApprovals  []missing    `tfsdk:"missing_approvals"`
}

// missing is what one approval rule still asks for.
type missing struct {
	Rule         types.String `tfsdk:"rule"`
	MissingCount types.Int64  `tfsdk:"missing_count"`
	Users        types.List   `tfsdk:"users"`
	Groups       types.List   `tfsdk:"groups"`
}

// explain returns why an execution waits; none where it has ended, which needs no
// call.
func explain(ctx context.Context, backend *client.Client, execution *headracev1.Execution) ([]waitReason, error) {
	switch execution.GetStatus() {
	case headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS, headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPING:
	default:
		return []waitReason{}, nil
	}
	answer, err := backend.Executions.ExplainExecution(ctx, &headracev1.ExplainExecutionRequest{Name: execution.GetName()})
	if err != nil {
		return nil, err
	}
	return flat([]waitReason{}, 0, answer.GetReasons()), nil
}

// flat appends the reasons, each before what causes it.
func flat(list []waitReason, depth int64, reasons []*headracev1.WaitReason) []waitReason {
	for _, reason := range reasons {
		list = append(list, waitReasonOf(depth, reason))
		list = flat(list, depth+1, reason.GetCauses())
	}
	return list
}

func waitReasonOf(depth int64, reason *headracev1.WaitReason) waitReason {
	r := waitReason{
		Depth:             types.Int64Value(depth),
		Kind:              word(reason.GetKind().String(), "WAIT_KIND_"),
		Message:           values.FromText(reason.GetMessage()),
		Stage:             values.FromText(reason.GetStage()),
		Action:            values.FromText(reason.GetAction()),
		Rule:              values.FromText(reason.GetRule()),
		Condition:         word(reason.GetCondition().String(), "CONDITION_KIND_"),
		Since:             values.FromTime(reason.GetSince()),
		Until:             values.FromTime(reason.GetUntil()),
		BlockingExecution: values.FromText(client.Segment(reason.GetBlockingExecution(), "executions")),
		QueuePosition:     values.FromWhole(int(reason.GetQueuePosition())),
		TransitionReason:  values.FromText(reason.GetTransition().GetDisabledReason()),
		MissingApprovals:  []missing{},
	}
	for _, requirement := range reason.GetApproval().GetRequirements() {
		count := requirement.GetMinimumCount() - requirement.GetApprovedCount()
		if count <= 0 {
			continue
		}
		r.MissingApprovals = append(r.MissingApprovals, missing{
			Rule:         values.FromText(requirement.GetRule()),
			MissingCount: types.Int64Value(int64(count)),
			Users:        values.ListOf(requirement.GetUsers()),
			Groups:       values.ListOf(requirement.GetGroups()),
		})
	}
	return r
}

func waitReasonsAttribute() schema.Attribute {
	return schema.ListNestedAttribute{
		Computed: true,
		MarkdownDescription: "Why the execution is where it is, as `headrace explain` tells it. Empty once it has ended. What causes a " +
			"reason follows it, with a `depth` of one more: of a stage that another execution is in, the reasons of that execution.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"depth": whole("0 for a reason of this execution, 1 for a cause of it, and so on."),
			"kind": text("`ACTION_RUNNING`, `APPROVAL`, `STAGE_LOCK` (another execution is in the stage), `RUNNER` (an action waits for " +
				"one), `TIMER`, `STOPPING`, `TRANSITION` (disabled), `WINDOW` (a deployment window is closed), `RULE_RUNNING`, " +
				"`ACTION_LIMIT` (of a `PARALLEL` execution) or `CANCELLING` (by a newer version)."),
			"message":            text("The reason as a sentence."),
			"stage":              text("The stage."),
			"action":             text("The action, where it is about one."),
			"rule":               text("The rule of a condition, where it is about one."),
			"condition":          text("The condition of that rule: `BEFORE_ENTRY`, `ON_SUCCESS` or `ON_FAILURE`."),
			"since":              text("Since when (RFC 3339, UTC)."),
			"until":              text("When it ends by itself (RFC 3339, UTC). Null where it does not."),
			"blocking_execution": text("Id of the execution that is in the stage."),
			"queue_position":     whole("Place among the executions that wait for the stage, from 1."),
			"transition_reason":  text("Why the transition is disabled."),
			"missing_approvals": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "What an approval still needs, by approval rule. Empty for other kinds.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"rule":          text("Name of the approval rule. Null for one approver that is asked for where no rule matches."),
					"missing_count": whole("How many more people must agree."),
					"users": schema.ListAttribute{
						Computed: true, ElementType: types.StringType,
						MarkdownDescription: "Users and groups who may approve. Without `users` and `groups`, anyone with the approver role.",
					},
					"groups": schema.ListAttribute{
						Computed: true, ElementType: types.StringType,
						MarkdownDescription: "Whose members may agree.",
					},
				}},
			},
		}},
	}
}
