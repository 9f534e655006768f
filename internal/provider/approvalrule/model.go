package approvalrule

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// model is the resource as Terraform has it.
type model struct {
	ID                 types.String `tfsdk:"id"`
	Account            types.String `tfsdk:"account"`
	Name               types.String `tfsdk:"name"`
	Description        types.String `tfsdk:"description"`
	Pipelines          types.Set    `tfsdk:"pipelines"`
	Stages             types.Set    `tfsdk:"stages"`
	Actions            types.Set    `tfsdk:"actions"`
	MinimumCount       types.Int64  `tfsdk:"minimum_count"`
	Users              types.Set    `tfsdk:"users"`
	Groups             types.Set    `tfsdk:"groups"`
	RequireComment     types.Bool   `tfsdk:"require_comment"`
	ExpireAfterMinutes types.Int64  `tfsdk:"expire_after_minutes"`
	AllowStarter       types.Bool   `tfsdk:"allow_starter"`
	NewerExecution     types.String `tfsdk:"newer_execution"`
	ETag               types.String `tfsdk:"etag"`
}

// identity is what names a rule for good.
type identity struct {
	Account types.String `tfsdk:"account"`
	Name    types.String `tfsdk:"name"`
}

func (m model) identity() identity {
	return identity{Account: m.Account, Name: m.Name}
}

// resourceName returns what the backend calls the rule. It does not rest on the
// id, which is only shown.
func (m model) resourceName() string {
	return client.ApprovalRuleName(m.Account.ValueString(), m.Name.ValueString())
}

// message returns the rule to send, without an etag. The schema bounds the
// numbers far below what their fields hold.
func (m model) message() *headracev1.ApprovalRule {
	newer := headracev1.NewerExecution_NEWER_EXECUTION_WAIT
	if m.NewerExecution.ValueString() == newerSupersedes {
		newer = headracev1.NewerExecution_NEWER_EXECUTION_SUPERSEDE
	}
	return &headracev1.ApprovalRule{
		Name:        m.resourceName(),
		Description: m.Description.ValueString(),
		Selector: &headracev1.ApprovalSelector{
			Pipelines: values.Texts(m.Pipelines),
			Stages:    values.Texts(m.Stages),
			Actions:   values.Texts(m.Actions),
		},
		MinimumCount:       int32(m.MinimumCount.ValueInt64()),
		Users:              values.Texts(m.Users),
		Groups:             values.Texts(m.Groups),
		RequireComment:     m.RequireComment.ValueBool(),
		ExpireAfterMinutes: int32(m.ExpireAfterMinutes.ValueInt64()),
		AllowStarter:       m.AllowStarter.ValueBool(),
		NewerExecution:     newer,
	}
}

// modelOf returns what Terraform shows of a rule. The choice between null and
// empty comes from prior.
func modelOf(rule *headracev1.ApprovalRule, prior model) model {
	newer := newerWaits
	if rule.GetNewerExecution() == headracev1.NewerExecution_NEWER_EXECUTION_SUPERSEDE {
		newer = newerSupersedes
	}
	return model{
		ID:                 types.StringValue(rule.GetName()),
		Account:            types.StringValue(client.Segment(rule.GetName(), "accounts")),
		Name:               types.StringValue(client.Segment(rule.GetName(), "approvalRules")),
		Description:        values.FromText(rule.GetDescription()),
		Pipelines:          values.FromTextSet(rule.GetSelector().GetPipelines(), prior.Pipelines),
		Stages:             values.FromTextSet(rule.GetSelector().GetStages(), prior.Stages),
		Actions:            values.FromTextSet(rule.GetSelector().GetActions(), prior.Actions),
		MinimumCount:       types.Int64Value(int64(rule.GetMinimumCount())),
		Users:              values.FromTextSet(rule.GetUsers(), prior.Users),
		Groups:             values.FromTextSet(rule.GetGroups(), prior.Groups),
		RequireComment:     types.BoolValue(rule.GetRequireComment()),
		ExpireAfterMinutes: values.FromWhole(int(rule.GetExpireAfterMinutes())),
		AllowStarter:       types.BoolValue(rule.GetAllowStarter()),
		NewerExecution:     types.StringValue(newer),
		ETag:               types.StringValue(rule.GetEtag()),
	}
}
