package approvalrule

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/planning"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// ValidateConfig checks the rule as the server does, and without one. What is not
// known yet gets the benefit of the doubt.
func (r *Resource) ValidateConfig(
	ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse,
) {
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "name", domain.CheckApprovalRule)
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "account", domain.CheckAccount)
	var config model
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if response.Diagnostics.HasError() {
		return
	}
	count := values.Whole(config.MinimumCount)
	if config.MinimumCount.IsNull() {
		count = defaultCount
	}
	err := domain.ValidateApprovalRule(values.Texts(config.Pipelines), values.Texts(config.Stages), values.Texts(config.Actions),
		values.Texts(config.Users), values.Texts(config.Groups), count)
	problem.AddViolations(&response.Diagnostics, err, nil, fieldpath.ApprovalRule(), nil)
}

// ModifyPlan fills in what depends on the provider or on other arguments.
func (r *Resource) ModifyPlan(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) {
	if request.Plan.Raw.IsNull() {
		var state model
		response.Diagnostics.Append(request.State.Get(ctx, &state)...)
		r.noteDelete(state)
		return
	}
	planning.Name(ctx, r.session, request, response, func(account string, names []string) string {
		return client.ApprovalRuleName(account, names[0])
	}, "name")
	unchanged := planning.Settle(ctx, request, response, func(m model) proto.Message { return m.message() }, "etag")
	planning.Support(ctx, r.session, response, reporter, func(m model) proto.Message {
		return &headracev1.CreateApprovalRuleRequest{ApprovalRule: m.message()}
	})
	r.planWarnings(ctx, request, response, unchanged)
}
